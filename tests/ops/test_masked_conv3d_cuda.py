"""The masked convolution on a CUDA device against the reference in float64 on the CPU."""

from __future__ import annotations

import pytest
import torch
from test_masked_conv3d import SHAPES, TOLERANCE, assert_close, expected, second_derivatives, tensors
from test_masked_conv3d_emulated import TYPES, emulate, random_shape
from torch import Tensor

from pycodec.errors import DeviceError
from pycodec.native import native
from pycodec.ops import masked_conv3d, masked_conv3d_reference

# The context model's layers on a Kodak image, and in training.
LAYERS = [(1, 1, 24, 32, 64, 96), (1, 24, 24, 32, 64, 96), (8, 24, 24, 16, 20, 20), (2, 64, 64, 5, 33, 47)]


def on_device(values: tuple[Tensor, ...], include_center: bool) -> list[Tensor]:
    """Output and gradients by x, weight and bias, back on the CPU."""
    *leaves, grad = (t.cuda() for t in values)
    leaves = [t.requires_grad_() for t in leaves]
    y = masked_conv3d(*leaves, include_center=include_center)
    return [t.cpu() for t in (y.detach(), *torch.autograd.grad(y, leaves, grad))]


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("include_center", [False, True])
@pytest.mark.parametrize("shape", SHAPES + LAYERS)
def test_layers_equal_the_reference(shape, include_center, dtype):
    values = tensors(shape, dtype)
    for a, b in zip(on_device(values, include_center), expected(*values, include_center), strict=True):
        assert a.dtype == dtype
        assert_close(a, b, TOLERANCE[dtype])


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("seed", range(32))
def test_random_shapes(seed, dtype):
    values = tensors(random_shape(seed), dtype, seed)
    include_center = seed % 2 == 1
    for a, b in zip(on_device(values, include_center), expected(*values, include_center), strict=True):
        assert_close(a, b, TOLERANCE[dtype])


@pytest.mark.cuda
@pytest.mark.parametrize("seed", range(8))
def test_float32_has_the_bits_of_the_emulation(seed):
    """One order of sums, by fused multiply-adds; only the gradients by weight are divided by the GPU's size."""
    shape = random_shape(seed)
    values = tensors(shape, torch.float32, seed)
    found = on_device(values, True)
    for a, b in zip(found[:2], emulate(shape, values, True)[:2], strict=True):
        assert torch.equal(a, b)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", TYPES)
def test_the_same_call_gives_the_same_bits(dtype):
    values = tensors((4, 24, 24, 8, 40, 40), dtype)
    first = on_device(values, True)
    for a, b in zip(first, on_device(values, True), strict=True):
        assert torch.equal(a, b)


@pytest.mark.cuda
def test_any_strides_and_any_stream():
    x, weight, bias, grad = (t.cuda() for t in tensors((2, 3, 5, 4, 5, 7), torch.float32))
    wanted = expected(*(t.cpu() for t in (x, weight, bias, grad)), True)
    x = x.transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        y = masked_conv3d(x, weight, bias, include_center=True)
        (by_x,) = torch.autograd.grad(y, x, grad.transpose(0, 1).contiguous().transpose(0, 1))
    stream.synchronize()
    assert_close(y.detach().cpu(), wanted[0], 1e-5)
    assert_close(by_x.cpu(), wanted[1], 1e-5)


@pytest.mark.cuda
def test_operators_are_registered_as_torch_wants():
    x, weight, bias, grad = (t.cuda().requires_grad_() for t in tensors((1, 2, 3, 2, 4, 3), torch.float32))
    ops = torch.ops.pycodec
    torch.library.opcheck(ops.masked_conv3d.default, (x, weight, bias, True))
    torch.library.opcheck(ops.masked_conv3d.default, (x, weight, None, False))
    torch.library.opcheck(ops.masked_conv3d_input_gradient.default, (grad, weight, True))
    torch.library.opcheck(ops.masked_conv3d_weight_gradient.default, (x, grad, True))
    torch.library.opcheck(ops.masked_conv3d_weight_gradient.default, (x, grad, True, True))


@pytest.mark.cuda
def test_second_derivatives():
    x, weight, bias, _ = (t.cuda() for t in tensors((1, 2, 3, 2, 4, 3), torch.float32))

    wanted = second_derivatives(masked_conv3d_reference, x, weight, bias, torch.float64, True)
    found = second_derivatives(masked_conv3d, x, weight, bias, torch.float32, True)
    for a, b in zip(found, wanted, strict=True):
        assert_close(a, b, 20 * TOLERANCE[torch.float32])


@pytest.mark.cuda
def test_traced_and_autocast():
    values = [t.cuda() for t in tensors((1, 3, 4, 2, 5, 6), torch.float32)]
    *leaves, grad = values
    leaves = [t.requires_grad_() for t in leaves]

    def layer(*tensors: Tensor) -> Tensor:
        return masked_conv3d(*tensors, include_center=True).relu()

    plain = layer(*leaves)
    traced = torch.compile(layer, backend="aot_eager", fullgraph=True)(*leaves)
    assert torch.equal(traced, plain)
    found = [torch.autograd.grad(y, leaves, grad) for y in (traced, plain)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    for dtype in (torch.bfloat16, torch.float16):  # float16, the default, has no kernel of ours
        with torch.autocast("cuda", dtype):
            low = layer(*leaves)
        assert low.dtype == dtype
        assert_close(low.detach(), plain.detach().double(), 2e-2)
        assert torch.autograd.grad(low.float().sum(), leaves)[0].dtype == torch.float32


@pytest.mark.skipif(
    not native().build_info()["cuda"] or torch.cuda.is_available(),
    reason="needs a build with CUDA, no device",
)
def test_without_a_device_the_error_is_ours():
    with pytest.raises(DeviceError, match=r"masked_conv3d on the GPU: CUDA says cudaError\w+ \("):
        native().masked_conv3d_cuda(0, 0, 0, 0, (1, 1, 1, 1, 1, 1), False, True, 0, 0)
