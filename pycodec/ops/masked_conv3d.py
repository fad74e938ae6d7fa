"""Masked 3D convolution, causal in raster order: the layer of the context model (Mentzer et al. 2018).

Three operators, ``pycodec::masked_conv3d`` and its gradients by input and by weight. Each is linear in each
of its tensors, and their derivatives are the three operators again, so that any order of derivative is
native. On the CPU float32 and bfloat16 run in csrc/conv; everything else, and every other device, runs the
reference.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec.native import native

NATIVE_TYPES = (torch.float32, torch.bfloat16)


def masked_conv3d(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, include_center: bool) -> Tensor:
    """Convolve with the taps of the past: the 3x3 of the previous plane; of this plane the row above, the
    left neighbour and, if ``include_center``, the position itself. Zeros outside the volume, so sizes stay.

    Args:
        x: volume, float.  # [N, inputs, D, H, W]
        weight: slices for the previous and for this plane; the other taps of the latter are ignored and have
            a gradient of zero.  # [outputs, inputs, 2, 3, 3]
        bias: of the outputs.  # [outputs]
        include_center: False in a network's first layer, where a position must not see itself.

    Returns:
        The outputs, of the type of ``x``, or of autocast's.  # [N, outputs, D, H, W]

    Raises:
        InvalidInput: shapes, types or devices that do not fit together.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
        bias = bias if bias is None else bias.to(dtype)
    _check(x, weight, bias)
    result: Tensor = torch.ops.pycodec.masked_conv3d(x, weight, bias, include_center)
    return result


def masked_conv3d_reference(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, include_center: bool
) -> Tensor:
    """The same by torch's own convolution, which also computes the taps that the mask removes."""
    mask = causal_mask(include_center).to(weight)
    return F.conv3d(F.pad(x, (1, 1, 1, 1, 1, 0)), weight * mask, bias)


def causal_mask(include_center: bool) -> Tensor:
    """1 for the taps that count, 0 for the others.  # [2, 3, 3]"""
    mask = torch.ones(2, 3, 3)
    mask[1, 1, 1 + include_center :] = 0
    mask[1, 2] = 0
    return mask


def _check(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if x.ndim != 5 or weight.ndim != 5 or weight.shape[1:] != (x.shape[1], 2, 3, 3):
        raise InvalidInput(
            f"masked_conv3d: x has shape {tuple(x.shape)} and weight {tuple(weight.shape)}; "
            "expected [N, inputs, D, H, W] and [outputs, inputs, 2, 3, 3]"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise InvalidInput(
            f"masked_conv3d: bias has shape {tuple(bias.shape)}; expected one value for each of the "
            f"{len(weight)} outputs"
        )
    tensors = [x, weight] if bias is None else [x, weight, bias]
    if len({(t.dtype, t.device) for t in tensors}) > 1 or not x.is_floating_point():
        found = ", ".join(f"{t.dtype} on {t.device}" for t in tensors)
        raise InvalidInput(
            f"masked_conv3d: tensors are {found}; expected one floating-point type and one device"
        )


# --- The operators ---

_library = torch.library.Library("pycodec", "FRAGMENT")
_library.define("masked_conv3d(Tensor x, Tensor weight, Tensor? bias, bool include_center) -> Tensor")
_library.define("masked_conv3d_input_gradient(Tensor grad, Tensor weight, bool include_center) -> Tensor")
_library.define("masked_conv3d_weight_gradient(Tensor x, Tensor grad, bool include_center) -> Tensor")


def _array(tensor: Tensor) -> Any:
    """The memory of a contiguous CPU tensor as numpy sees it: float32, or the bits of bfloat16."""
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.view(torch.int16)
    return tensor.numpy()


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, include_center: bool) -> Tensor:
    if x.device.type != "cpu" or x.dtype not in NATIVE_TYPES:
        return masked_conv3d_reference(x, weight, bias, include_center=include_center)
    y = x.new_empty((x.shape[0], len(weight), *x.shape[2:]))
    native().masked_conv3d(
        _array(x.contiguous()),
        _array(weight.contiguous()),
        None if bias is None else _array(bias.contiguous()),
        _array(y),
        include_center,
        torch.get_num_threads(),
    )
    return y


def _input_gradient(grad: Tensor, weight: Tensor, include_center: bool) -> Tensor:
    shape = (grad.shape[0], weight.shape[1], *grad.shape[2:])
    if grad.device.type != "cpu" or grad.dtype not in NATIVE_TYPES:
        zeros = grad.new_zeros(shape)
        return _reference_gradients(grad, zeros, weight, include_center, (True, False))[0]
    result = grad.new_empty(shape)
    native().masked_conv3d_input_gradient(
        _array(grad.contiguous()),
        _array(weight.contiguous()),
        _array(result),
        include_center,
        torch.get_num_threads(),
    )
    return result


def _weight_gradient(x: Tensor, grad: Tensor, include_center: bool) -> Tensor:
    shape = (grad.shape[1], x.shape[1], 2, 3, 3)
    if x.device.type != "cpu" or x.dtype not in NATIVE_TYPES:
        return _reference_gradients(grad, x, grad.new_zeros(shape), include_center, (False, True))[1]
    result = x.new_empty(shape)
    native().masked_conv3d_weight_gradient(
        _array(x.contiguous()),
        _array(grad.contiguous()),
        _array(result),
        include_center,
        torch.get_num_threads(),
    )
    return result


def _reference_gradients(
    grad: Tensor, x: Tensor, weight: Tensor, include_center: bool, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """Gradients by input and by weight, by torch's own convolution; only those that are wanted."""
    mask = causal_mask(include_center).to(weight)
    by_x, by_weight, _ = torch.ops.aten.convolution_backward(
        grad,
        F.pad(x, (1, 1, 1, 1, 1, 0)),
        weight * mask,
        None,
        (1, 1, 1),
        (0, 0, 0),
        (1, 1, 1),
        False,
        (0, 0, 0),
        1,
        (*wanted, False),
    )
    if wanted[0]:
        by_x = by_x[:, :, 1:, 1:-1, 1:-1].contiguous()
    if wanted[1]:
        by_weight = by_weight * mask
    return by_x, by_weight


for _name, _function in (
    ("masked_conv3d", _convolve),
    ("masked_conv3d_input_gradient", _input_gradient),
    ("masked_conv3d_weight_gradient", _weight_gradient),
):
    _library.impl(_name, _function, "CompositeExplicitAutograd")


# --- Shapes ---


@torch.library.register_fake("pycodec::masked_conv3d", lib=_library)
def _(x: Tensor, weight: Tensor, bias: Tensor | None, include_center: bool) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0], *x.shape[2:]))


@torch.library.register_fake("pycodec::masked_conv3d_input_gradient", lib=_library)
def _(grad: Tensor, weight: Tensor, include_center: bool) -> Tensor:
    return grad.new_empty((grad.shape[0], weight.shape[1], *grad.shape[2:]))


@torch.library.register_fake("pycodec::masked_conv3d_weight_gradient", lib=_library)
def _(x: Tensor, grad: Tensor, include_center: bool) -> Tensor:
    return x.new_empty((grad.shape[1], x.shape[1], 2, 3, 3))


# --- Derivatives: y = conv(x, w) + b, gx = back(g, w), gw = outer(x, g), each bilinear ---


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], inputs[1])
    ctx.include_center = inputs[-1]


def _backward_convolve(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    ops, center = torch.ops.pycodec, ctx.include_center
    return (
        ops.masked_conv3d_input_gradient(grad, weight, center) if ctx.needs_input_grad[0] else None,
        ops.masked_conv3d_weight_gradient(x, grad, center) if ctx.needs_input_grad[1] else None,
        grad.sum((0, 2, 3, 4)) if ctx.needs_input_grad[2] else None,
        None,
    )


def _backward_input_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    g, weight = ctx.saved_tensors
    ops, center = torch.ops.pycodec, ctx.include_center
    return (
        ops.masked_conv3d(grad, weight, None, center) if ctx.needs_input_grad[0] else None,
        ops.masked_conv3d_weight_gradient(grad, g, center) if ctx.needs_input_grad[1] else None,
        None,
    )


def _backward_weight_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, g = ctx.saved_tensors
    ops, center = torch.ops.pycodec, ctx.include_center
    return (
        ops.masked_conv3d_input_gradient(g, grad, center) if ctx.needs_input_grad[0] else None,
        ops.masked_conv3d(x, grad, None, center) if ctx.needs_input_grad[1] else None,
        None,
    )


for _name, _backward in (
    ("masked_conv3d", _backward_convolve),
    ("masked_conv3d_input_gradient", _backward_input_gradient),
    ("masked_conv3d_weight_gradient", _backward_weight_gradient),
):
    torch.library.register_autograd(f"pycodec::{_name}", _backward, setup_context=_save, lib=_library)
