"""Masked 3D convolution, causal in raster order: the layer of the context model (Mentzer et al. 2018).

Three operators, ``pycodec::masked_conv3d`` and its gradients by input and by weight with bias. Each is linear
in each of its tensors, and their derivatives are the three operators again, so that any order of derivative
is native. float32 and bfloat16 run in csrc/conv: on the CPU, and on CUDA devices if pycodec was built for
them. Everything else, and every other device, runs the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec.native import native

from .device import has_kernels

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
_library.define(
    "masked_conv3d_weight_gradient(Tensor x, Tensor grad, bool include_center, bool with_bias=False) "
    "-> (Tensor, Tensor)"
)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, include_center: bool) -> Tensor:
    if not _kernels(x):
        return masked_conv3d_reference(x, weight, bias, include_center=include_center)
    y = x.new_empty((x.shape[0], len(weight), *x.shape[2:]))
    _run("masked_conv3d", _sizes(x, weight, y, bias), include_center, x, weight, bias, y)
    return y


def _input_gradient(grad: Tensor, weight: Tensor, include_center: bool) -> Tensor:
    shape = (grad.shape[0], weight.shape[1], *grad.shape[2:])
    if not _kernels(grad):
        zeros = grad.new_zeros(shape)
        return _reference_gradients(grad, zeros, weight, include_center, (True, False))[0]
    by_x = grad.new_empty(shape)
    _run("masked_conv3d_input_gradient", _sizes(by_x, weight, grad), include_center, grad, weight, by_x)
    return by_x


def _weight_gradient(
    x: Tensor, grad: Tensor, include_center: bool, with_bias: bool = False
) -> tuple[Tensor, Tensor]:
    """The gradients by weight and by bias; the latter is empty unless it is wanted."""
    name, kernels = "masked_conv3d_weight_gradient", _kernels(x)
    by_weight = x.new_empty((grad.shape[1], x.shape[1], 2, 3, 3))
    if kernels == "cuda":
        by_bias = x.new_empty(grad.shape[1] if with_bias else 0)
        sizes = _sizes(x, by_weight, grad)
        floats = _on_cuda("masked_conv3d_workspace", x, (), sizes, include_center)
        workspace = x.new_empty(floats, dtype=torch.float32)
        _run(name, sizes, include_center, x, grad, by_weight, by_bias if with_bias else None, workspace)
        return by_weight, by_bias
    if kernels:
        _run(name, _sizes(x, by_weight, grad), include_center, x, grad, by_weight)
    else:
        zeros = torch.zeros_like(by_weight)
        by_weight = _reference_gradients(grad, x, zeros, include_center, (False, True))[1]
    return by_weight, grad.sum((0, 2, 3, 4)) if with_bias else grad.new_empty(0)


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


# --- Calls of the kernels ---


def _kernels(x: Tensor) -> str:
    """Which kernels take a tensor: those for "cpu", for "cuda", or none."""
    device = x.device.type
    able = device == "cpu" or (device == "cuda" and has_kernels(x.device))
    return device if able and x.dtype in NATIVE_TYPES else ""


def _sizes(x: Tensor, weight: Tensor, y: Tensor, bias: Tensor | None = None) -> tuple[int, ...]:
    """Batch, inputs, outputs, planes, height and width of tensors that fit together."""
    inputs, outputs = weight.shape[1], weight.shape[0]
    wanted = [(len(x), inputs, *x.shape[2:]), (outputs, inputs, 2, 3, 3), (len(x), outputs, *x.shape[2:])]
    found = [tuple(t.shape) for t in (x, weight, y)]
    kinds = {(t.dtype, t.device) for t in (x, weight, y, bias) if t is not None}
    if wanted != found or x.ndim != 5 or len(kinds) > 1 or (bias is not None and bias.shape != (outputs,)):
        raise InvalidInput(f"masked_conv3d: shapes {found} or kinds {kinds} do not fit together")
    return (len(x), inputs, outputs, *x.shape[2:])


def _run(name: str, sizes: tuple[int, ...], include_center: bool, x: Tensor, *others: Tensor | None) -> None:
    """Run a kernel of csrc/conv where its tensors are; it reads the first ones and writes the last."""
    held = [t if t is None else t.contiguous() for t in (x, *others)]
    if _kernels(x) == "cuda":
        _on_cuda(name, x, [0 if t is None else t.data_ptr() for t in held], sizes, include_center)
    else:
        getattr(native(), name)(*map(_array, held), include_center, torch.get_num_threads())


def _array(tensor: Tensor | None) -> Any:
    """The memory of a contiguous CPU tensor as numpy sees it: float32, or the bits of bfloat16."""
    if tensor is None:
        return None
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _on_cuda(
    name: str, x: Tensor, addresses: Sequence[int], sizes: tuple[int, ...], include_center: bool
) -> Any:
    """Call a function of csrc/conv/gpu for the device of ``x`` and its current stream."""
    with torch.cuda.device(x.device):
        stream = torch.cuda.current_stream(x.device).cuda_stream
        call = getattr(native(), f"{name}_cuda")
        return call(*addresses, sizes, x.dtype == torch.bfloat16, include_center, x.device.index, stream)


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
def _(x: Tensor, grad: Tensor, include_center: bool, with_bias: bool = False) -> tuple[Tensor, Tensor]:
    outputs = grad.shape[1]
    return x.new_empty((outputs, x.shape[1], 2, 3, 3)), x.new_empty(outputs if with_bias else 0)


# --- Derivatives: y = conv(x, w, b), gx = back(g, w), (gw, gb) = outer(x, g), each linear in each tensor ---


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(inputs[0], inputs[1])
    ctx.include_center = inputs[-1]


def _save_weight_gradient(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *others, ctx.with_bias = inputs
    _save(ctx, tuple(others), output)


def _backward_convolve(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    ops, center = torch.ops.pycodec, ctx.include_center
    wanted = ctx.needs_input_grad
    by_x = ops.masked_conv3d_input_gradient(grad, weight, center) if wanted[0] else None
    by_weight = by_bias = None
    if wanted[1]:
        by_weight, by_bias = ops.masked_conv3d_weight_gradient(x, grad, center, wanted[2])
    elif wanted[2]:
        by_bias = grad.sum((0, 2, 3, 4))
    return by_x, by_weight, by_bias if wanted[2] else None, None


def _backward_input_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    g, weight = ctx.saved_tensors
    ops, center = torch.ops.pycodec, ctx.include_center
    return (
        ops.masked_conv3d(grad, weight, None, center) if ctx.needs_input_grad[0] else None,
        ops.masked_conv3d_weight_gradient(grad, g, center)[0] if ctx.needs_input_grad[1] else None,
        None,
    )


def _backward_weight_gradient(ctx: Any, weight: Tensor, bias: Tensor) -> tuple[Tensor | None, ...]:
    x, g = ctx.saved_tensors
    ops, center = torch.ops.pycodec, ctx.include_center
    return (
        ops.masked_conv3d_input_gradient(g, weight, center) if ctx.needs_input_grad[0] else None,
        ops.masked_conv3d(x, weight, bias if ctx.with_bias else None, center)
        if ctx.needs_input_grad[1]
        else None,
        None,
        None,
    )


for _name, _backward, _setup in (
    ("masked_conv3d", _backward_convolve, _save),
    ("masked_conv3d_input_gradient", _backward_input_gradient, _save),
    ("masked_conv3d_weight_gradient", _backward_weight_gradient, _save_weight_gradient),
):
    torch.library.register_autograd(f"pycodec::{_name}", _backward, setup_context=_setup, lib=_library)
