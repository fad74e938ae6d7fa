"""The masked convolution and its gradients against torch's own convolution."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec.native import native
from pycodec.ops import masked_conv3d, masked_conv3d_reference

# Batch, inputs, outputs, planes, height, width: single elements, rows, columns, odd channels, more positions
# than are computed at once, and the layers of the context model.
SHAPES = [
    (1, 1, 1, 1, 1, 1),
    (2, 3, 5, 4, 5, 7),
    (1, 1, 24, 3, 9, 11),
    (1, 24, 24, 3, 9, 13),
    (2, 24, 2, 2, 6, 1),
    (1, 7, 13, 2, 1, 40),
    (1, 2, 3, 2, 33, 65),
]
LEVELS = native().simd_available()
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 8e-3, torch.float64: 1e-12}


def tensors(
    shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, weight, bias and a gradient of the output."""
    n, inputs, outputs, d, h, w = shape
    generator = torch.Generator().manual_seed(seed)

    def random(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator).to(dtype)

    return (
        random(n, inputs, d, h, w),
        random(outputs, inputs, 2, 3, 3),
        random(outputs),
        random(n, outputs, d, h, w),
    )


def expected(x: Tensor, weight: Tensor, bias: Tensor, grad: Tensor, include_center: bool) -> list[Tensor]:
    """Output and gradients by x, weight and bias, in float64."""
    leaves = [t.double().requires_grad_() for t in (x, weight, bias)]
    y = masked_conv3d_reference(*leaves, include_center=include_center)
    return [y.detach(), *torch.autograd.grad(y, leaves, grad.double())]


def assert_close(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    """Up to a share of the largest value: single ones may be sums that cancel."""
    assert found.shape == wanted.shape
    error = (found.double() - wanted).abs().max()
    assert error <= tolerance * wanted.abs().max(), f"{error} of {wanted.abs().max()}"


def second_derivatives(
    function, x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype, include_center: bool
) -> tuple[Tensor, ...]:
    """Gradients of a sum of squared gradients."""
    leaves = [t.detach().to(dtype, copy=True).requires_grad_() for t in (x, weight, bias)]
    y = function(*leaves, include_center=include_center)
    first = torch.autograd.grad(y.sin().sum(), leaves, create_graph=True)
    return torch.autograd.grad(sum(g.square().sum() for g in first), leaves)


def array(tensor: Tensor):
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("include_center", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_simd_level_equals_the_reference(shape, include_center, dtype, level):
    x, weight, bias, grad = tensors(shape, dtype)
    wanted = expected(x, weight, bias, grad, include_center)
    for threads in (1, 3):
        found = [torch.full(t.shape, torch.nan, dtype=dtype) for t in wanted[:3]]
        y, by_x, by_weight = map(array, found)
        module = native()
        module.masked_conv3d(array(x), array(weight), array(bias), y, include_center, threads, level)
        module.masked_conv3d_input_gradient(array(grad), array(weight), by_x, include_center, threads, level)
        module.masked_conv3d_weight_gradient(array(x), array(grad), by_weight, include_center, threads, level)
        for a, b in zip(found, wanted, strict=False):
            assert_close(a, b, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("include_center", [False, True])
def test_autograd_gives_the_gradients_of_the_reference(include_center, dtype):
    x, weight, bias, grad = tensors((2, 3, 5, 4, 5, 7), dtype)
    leaves = [t.clone().requires_grad_() for t in (x, weight, bias)]
    y = masked_conv3d(*leaves, include_center=include_center)
    assert y.dtype == dtype
    found = [y.detach(), *torch.autograd.grad(y, leaves, grad)]
    for a, b in zip(found, expected(x, weight, bias, grad, include_center), strict=True):
        assert_close(a, b, TOLERANCE[dtype])


def test_tensors_may_have_any_strides():
    x, weight, bias, grad = tensors((2, 3, 5, 4, 5, 7), torch.float32)
    wanted = expected(x, weight, bias, grad, True)
    leaves = [t.transpose(0, 1).contiguous().transpose(0, 1).requires_grad_() for t in (x, weight)]
    assert not leaves[0].is_contiguous()
    y = masked_conv3d(*leaves, bias, include_center=True)
    found = [y.detach(), *torch.autograd.grad(y, leaves, grad.transpose(0, 1).contiguous().transpose(0, 1))]
    for a, b in zip(found, wanted, strict=False):
        assert_close(a, b, 1e-5)


@pytest.mark.parametrize("include_center", [False, True])
def test_a_position_sees_the_past_only(include_center):
    weight = torch.rand(1, 1, 2, 3, 3) + 0.5
    x = torch.randn(1, 1, 3, 5, 6, requires_grad=True)
    y = masked_conv3d(x, weight, include_center=include_center)
    for d, h, w in ((0, 0, 0), (1, 2, 3), (2, 4, 5), (2, 0, 2)):
        (seen,) = torch.autograd.grad(y[0, 0, d, h, w], x, retain_graph=True)
        at = (d * 5 + h) * 6 + w
        flat = seen.flatten() != 0
        assert not flat[at + 1 :].any()
        assert bool(flat[at]) == include_center
        if (d, h, w) == (1, 2, 3):
            assert int(flat.sum()) == 13 + include_center


def test_taps_of_the_future_are_ignored_and_have_no_gradient():
    x, weight, _, grad = tensors((1, 2, 3, 3, 4, 5), torch.float32)
    weight.requires_grad_()
    y = masked_conv3d(x, weight, include_center=False)
    (gradient,) = torch.autograd.grad(y, weight, grad)
    future = weight.detach().clone()
    future[:, :, 1, 1, 1:] = torch.nan
    future[:, :, 1, 2] = torch.nan
    assert torch.equal(masked_conv3d(x, future, include_center=False), y)
    assert bool((gradient[torch.isnan(future)] == 0).all())
    assert bool((gradient[~torch.isnan(future)] != 0).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_second_derivatives(dtype):
    x, weight, bias, _ = tensors((1, 2, 3, 2, 4, 3), dtype)

    wanted = second_derivatives(masked_conv3d_reference, x, weight, bias, torch.float64, True)
    found = second_derivatives(masked_conv3d, x, weight, bias, dtype, True)
    for a, b in zip(found, wanted, strict=True):
        assert_close(a, b, 20 * TOLERANCE[dtype])


def test_operators_are_registered_as_torch_wants():
    x, weight, bias, grad = tensors((1, 2, 3, 2, 4, 3), torch.float32)
    ops = torch.ops.pycodec
    x, weight, bias, grad = (t.requires_grad_() for t in (x, weight, bias, grad))
    torch.library.opcheck(ops.masked_conv3d.default, (x, weight, bias, True))
    torch.library.opcheck(ops.masked_conv3d.default, (x, weight, None, False))
    torch.library.opcheck(ops.masked_conv3d_input_gradient.default, (grad, weight, True))
    torch.library.opcheck(ops.masked_conv3d_weight_gradient.default, (x, grad, True))
    torch.library.opcheck(ops.masked_conv3d_weight_gradient.default, (x, grad, True, True))


def test_traced_and_autocast():
    x, weight, bias, grad = tensors((1, 3, 4, 2, 5, 6), torch.float32)
    leaves = [t.clone().requires_grad_() for t in (x, weight, bias)]

    def layer(*tensors: Tensor) -> Tensor:
        return masked_conv3d(*tensors, include_center=True).relu()

    plain = layer(*leaves)
    traced = torch.compile(layer, backend="aot_eager", fullgraph=True)(*leaves)
    assert torch.equal(traced, plain)
    for a, b in zip(
        torch.autograd.grad(traced, leaves, grad), torch.autograd.grad(plain, leaves, grad), strict=True
    ):
        assert torch.equal(a, b)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(*leaves)
    assert low.dtype == torch.bfloat16
    assert_close(low.detach(), plain.detach().double(), 2e-2)
    assert torch.autograd.grad(low.float().sum(), leaves)[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("x", "weight", "bias", "message"),
    [
        ((1, 2, 3, 4), (3, 2, 2, 3, 3), None, r"x has shape \(1, 2, 3, 4\)"),
        ((1, 2, 3, 4, 5), (3, 4, 2, 3, 3), None, r"weight \(3, 4, 2, 3, 3\)"),
        ((1, 2, 3, 4, 5), (3, 2, 3, 3, 3), None, r"expected .* \[outputs, inputs, 2, 3, 3\]"),
        ((1, 2, 3, 4, 5), (3, 2, 2, 3, 3), (2,), "each of the 3 outputs"),
    ],
)
def test_shapes_that_do_not_fit_are_named(x, weight, bias, message):
    with pytest.raises(InvalidInput, match=message):
        masked_conv3d(
            torch.zeros(x),
            torch.zeros(weight),
            None if bias is None else torch.zeros(bias),
            include_center=True,
        )


def test_memory_that_is_not_aligned_is_refused():
    x = torch.frombuffer(bytearray(4 * 16 + 1), dtype=torch.float32, offset=1).reshape(1, 2, 2, 2, 2)
    with pytest.raises(InvalidInput, match="aligned"):
        masked_conv3d(x, torch.zeros(3, 2, 2, 3, 3), include_center=True)


def test_types_that_do_not_fit_are_named():
    x, weight, _, _ = tensors((1, 2, 3, 1, 2, 2), torch.float32)
    with pytest.raises(InvalidInput, match=r"torch\.float32 on cpu, torch\.bfloat16 on cpu"):
        masked_conv3d(x, weight.bfloat16(), include_center=True)
    with pytest.raises(InvalidInput, match="floating-point"):
        masked_conv3d(x.long(), weight.long(), include_center=True)


@pytest.mark.parametrize("shape", [(0, 2, 3, 2, 4, 4), (1, 2, 3, 0, 4, 4), (1, 2, 3, 2, 4, 0)])
def test_nothing_to_convolve(shape):
    x, weight, bias, grad = tensors(shape, torch.float32)
    leaves = [t.clone().requires_grad_() for t in (x, weight, bias)]
    y = masked_conv3d(*leaves, include_center=True)
    assert y.shape == grad.shape
    for gradient, leaf in zip(torch.autograd.grad(y, leaves, grad), leaves, strict=True):
        assert gradient.shape == leaf.shape
        assert bool((gradient == 0).all())
