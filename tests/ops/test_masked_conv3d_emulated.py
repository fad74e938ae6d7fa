"""The GPU's kernels for the masked convolution, executed on the host: all but launches and barriers is the code
that runs on the GPU, and threads take turns in either order."""

from __future__ import annotations

import contextlib
import sys
import types

import numpy as np
import pytest
import torch
from test_masked_conv3d import SHAPES, TOLERANCE, assert_close, expected, second_derivatives, tensors
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec.native import native
from pycodec.ops import masked_conv3d, masked_conv3d_reference

TYPES = [torch.float32, torch.bfloat16]
MARGIN = 64  # values before and after each tensor


def guarded(tensor: Tensor) -> Tensor:
    """The same values amid others that are not numbers, so that a read or a write beyond them shows."""
    whole = torch.full((tensor.numel() + 2 * MARGIN,), torch.nan, dtype=tensor.dtype)
    inner = whole[MARGIN : MARGIN + tensor.numel()].view(tensor.shape)
    return inner.copy_(tensor)


def assert_margins(tensor: Tensor) -> None:
    whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
    assert whole[:MARGIN].isnan().all() and whole[-MARGIN:].isnan().all()


def emulate(
    shape: tuple[int, ...],
    values: tuple[Tensor, ...],
    include_center: bool,
    blocks: int = 3,
    reverse: bool = False,
    exact: bool = False,
) -> list[Tensor]:
    """Output and gradients by x, weight and bias, as ``expected`` gives them. With ``exact``, what is read lies in
    memory of its own, so that a sanitizer sees reads beyond it, used or not."""
    x, weight, bias, grad = values if exact else (guarded(t) for t in values)
    y, by_x, by_weight, by_bias = (guarded(torch.full_like(t, torch.nan)) for t in (grad, x, weight, bias))
    module, kind = native(), (shape, x.dtype == torch.bfloat16, include_center, blocks, reverse)
    module.masked_conv3d_emulated(*addresses(x, weight, bias, y), *kind)
    module.masked_conv3d_input_gradient_emulated(*addresses(grad, weight, by_x), *kind)
    workspace = guarded(torch.full((module.masked_conv3d_workspace_emulated(*kind),), torch.nan))
    module.masked_conv3d_weight_gradient_emulated(*addresses(x, grad, by_weight, by_bias, workspace), *kind)
    for t in (y, by_x, by_weight, by_bias, workspace):
        assert_margins(t)
    return [y, by_x, by_weight, by_bias]


def addresses(*tensors: Tensor) -> list[int]:
    return [t.data_ptr() for t in tensors]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("include_center", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_equal_the_reference(shape, include_center, dtype):
    values = tensors(shape, dtype)
    wanted = expected(*values, include_center)
    found = emulate(shape, values, include_center)
    for a, b in zip(found, wanted, strict=True):
        assert_close(a, b, TOLERANCE[dtype])
    for a, b in zip(found, emulate(shape, values, include_center, reverse=True), strict=True):
        assert torch.equal(a, b)


def random_shape(seed: int) -> tuple[int, ...]:
    """Mostly small, now and then more channels than are computed at once, or more tiles than one in a plane."""
    random = np.random.default_rng(seed)
    most = [3, 70, 70, 4, 40, 70]
    few = [2, 9, 9, 3, 11, 11]
    wide = random.integers(0, len(most))
    return tuple(int(random.integers(1, (most if i == wide else few)[i] + 1)) for i in range(6))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("seed", range(16))
def test_random_shapes(seed, dtype):
    shape = random_shape(seed)
    include_center = seed % 2 == 1
    values = tensors(shape, dtype, seed)
    found = emulate(shape, values, include_center, blocks=1 + seed % 5, exact=seed % 4 < 2)
    for a, b in zip(found, expected(*values, include_center), strict=True):
        assert_close(a, b, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TYPES)
def test_division_into_blocks_changes_no_bit_of_the_convolution(dtype):
    """A block that goes on to the next plane keeps what it has loaded; one that begins there loads it."""
    shape = (2, 5, 9, 4, 5, 40)
    values = tensors(shape, dtype)
    first, *others = (emulate(shape, values, True, blocks=blocks) for blocks in (1, 2, 7, 1000))
    for other in others:
        assert torch.equal(first[0], other[0])
        assert torch.equal(first[1], other[1])
        assert_close(other[2], first[2].double(), TOLERANCE[dtype])
        assert_close(other[3], first[3].double(), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("include_center", [False, True])
def test_a_position_sees_the_past_only(include_center, dtype):
    """With infinite values, as a weight of zero would show by a result that is not a number."""
    shape = (1, 8, 8, 2, 6, 7)
    x, weight, bias, grad = tensors(shape, dtype)
    weight[:, :, 1, 1, 1 + include_center :] = torch.nan
    weight[:, :, 1, 2] = torch.nan
    at = 1 * 42 + 3 * 7 + 4
    flat = x.view(1, 8, -1)
    flat[:, :, at] = torch.inf
    y = emulate(shape, (x, weight, bias, grad), include_center)[0].flatten(2)
    assert y[:, :, : at + (not include_center)].isfinite().all()
    assert not y[:, :, at + (not include_center)].isfinite().any()
    flat_grad = grad.view(1, 8, -1)
    flat_grad[:, :, at] = torch.inf
    by_x = emulate(shape, (x, weight, bias, grad), include_center)[1].flatten(2)
    assert by_x[:, :, at + include_center :].isfinite().all()


@pytest.mark.parametrize("dtype", TYPES)
def test_empty_volumes_have_gradients_of_zero(dtype):
    for shape in ((0, 3, 4, 2, 5, 6), (2, 3, 4, 2, 0, 6)):
        y, by_x, by_weight, by_bias = emulate(shape, tensors(shape, dtype), True)
        assert y.numel() == by_x.numel() == 0
        assert not by_weight.any() and not by_bias.any()


def test_sizes_are_checked():
    call = native().masked_conv3d_workspace_emulated
    for sizes in ((1, 1, 1, 1, 1, -1), (1, 1, 1, 1, 1, 2**24 + 1)):
        with pytest.raises(InvalidInput, match="a dimension is negative or above"):
            call(sizes, False, True, 1, 0)
    with pytest.raises(InvalidInput, match="too large for one call on a GPU"):
        call((1, 1, 1, 2**11, 2**11, 2**11), False, True, 1, 0)


# --- The way from torch to the kernels ---


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tensors of the CPU take the way of a CUDA device, up to its kernels; lists which of them are called."""
    module = sys.modules["pycodec.ops.masked_conv3d"]  # the package has a function of the same name
    called: list[str] = []

    def emulated(name: str):
        def call(*arguments):
            *others, device, stream = arguments
            assert (device, stream) == (None, 77)
            called.append(name)
            return getattr(native(), name.replace("_cuda", "_emulated"))(*others, 3, 0)

        return call

    functions = {name: emulated(name) for name in cuda_functions()}
    monkeypatch.setattr(module, "native", lambda: types.SimpleNamespace(**functions))
    monkeypatch.setattr(module, "_kernels", lambda x: "cuda" if x.dtype in TYPES else "")
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: types.SimpleNamespace(cuda_stream=77))
    return called


def cuda_functions() -> list[str]:
    """Names of the functions for CUDA devices, whether or not they are built here."""
    return [name.replace("_emulated", "_cuda") for name in dir(native()) if name.endswith("_emulated")]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("with_bias", [False, True])
def test_tensors_reach_the_kernels(pretended_gpu, with_bias, dtype):
    x, weight, bias, grad = tensors((2, 3, 5, 4, 5, 7), dtype)
    wanted = expected(x, weight, bias if with_bias else torch.zeros(5), grad, True)
    leaves = [x.transpose(0, 1).contiguous().transpose(0, 1), weight, *([bias] if with_bias else [])]
    leaves = [t.requires_grad_() for t in leaves]
    y = masked_conv3d(*leaves, include_center=True)
    found = [y.detach(), *torch.autograd.grad(y, leaves, grad.transpose(1, 2).contiguous().transpose(1, 2))]
    for a, b in zip(found, wanted, strict=with_bias):
        assert a.dtype == dtype
        assert_close(a, b, TOLERANCE[dtype])
    assert sorted(pretended_gpu) == sorted(cuda_functions())


def test_second_derivatives_reach_the_kernels(pretended_gpu):
    x, weight, bias, _ = tensors((1, 2, 3, 2, 4, 3), torch.float32)

    wanted = second_derivatives(masked_conv3d_reference, x, weight, bias, torch.float64, False)
    found = second_derivatives(masked_conv3d, x, weight, bias, torch.float32, False)
    for a, b in zip(found, wanted, strict=True):
        assert_close(a, b, 20 * TOLERANCE[torch.float32])


def test_tensors_that_do_not_fit_never_reach_the_kernels(pretended_gpu):
    x, weight, _, grad = tensors((1, 2, 3, 2, 4, 3), torch.float32)
    ops = torch.ops.pycodec
    for call in (
        lambda: ops.masked_conv3d(x, weight.bfloat16(), None, True),
        lambda: ops.masked_conv3d(x, weight, torch.zeros(2), True),
        lambda: ops.masked_conv3d(x, weight[:, :1], None, True),
        lambda: ops.masked_conv3d_input_gradient(grad[:, :2], weight, True),
        lambda: ops.masked_conv3d_weight_gradient(x, grad[..., :2], True),
        lambda: ops.masked_conv3d_weight_gradient(x, grad.bfloat16(), True),
    ):
        with pytest.raises(InvalidInput, match="do not fit together"):
            call()
    assert not pretended_gpu
