"""Learned centres (eq. 2-4), rounding and the importance map (eq. 14)."""

import numpy as np
import pytest
import torch

from pycodec_plugins.cpm.centers import LearnedCenters
from pycodec_plugins.cpm.importance import ceil_identity, expand_importance
from pycodec_plugins.cpm.rounding import IntegerRounding


@pytest.fixture
def centers():
    torch.manual_seed(0)
    quantizer = LearnedCenters(6)
    quantizer.centers.data = torch.tensor(
        [-1.5, 0.2, 3.0, -0.4, 1.1, 2.0]
    )  # unsorted, as training leaves them
    return quantizer


def test_forward_value_is_the_nearest_center(centers):
    z = torch.linspace(-3, 4, 141).reshape(1, 1, 3, 47)
    value, symbols = centers.surrogate(z)
    nearest = np.abs(z.numpy()[..., None] - centers.centers.detach().numpy()).argmin(-1)
    assert np.array_equal(symbols.numpy(), nearest)
    assert torch.allclose(value, centers.centers[symbols], atol=1e-6)


def test_gradient_is_that_of_the_soft_assignment(centers):
    z = torch.linspace(-2, 3, 24).reshape(1, 2, 3, 4).requires_grad_()
    weights = torch.randn(z.shape)
    (centers.surrogate(z)[0] * weights).sum().backward()
    surrogate, centers.centers.grad = z.grad.clone(), None
    z.grad = None
    distance = (z[..., None] - centers.centers).square()
    soft = (torch.exp(-distance) / torch.exp(-distance).sum(-1, keepdim=True) * centers.centers).sum(-1)
    (soft * weights).sum().backward()
    assert torch.allclose(surrogate, z.grad, atol=1e-6)
    assert centers.centers.grad.abs().min() > 0


def test_symbols_come_back_as_centers(centers):
    z = torch.randn(1, 4, 5, 6)
    symbols = centers.quantize(z)
    assert symbols.dtype == np.int32 and symbols.shape == (4, 5, 6)
    assert torch.equal(
        centers.dequantize(symbols)[0], centers.centers.detach()[torch.from_numpy(symbols).long()]
    )


def test_rounding_round_trip_and_gradient():
    quantizer = IntegerRounding()
    y = (torch.randn(1, 3, 4, 5) * 50).requires_grad_()
    rounded, noisy = quantizer.surrogate(y)
    assert torch.equal(rounded, y.round())
    assert (noisy - y).abs().max() <= 0.5
    rounded.sum().backward()
    assert torch.equal(y.grad, torch.ones_like(y))
    assert torch.equal(quantizer.dequantize(quantizer.quantize(y.detach())), y.detach().round())


def test_rounding_keeps_to_the_range_of_the_coder():
    symbols = IntegerRounding().quantize(torch.tensor([[[[1e9, -1e9, float(1 << 20)]]]]))
    assert symbols.ravel().tolist() == [1 << 20, -(1 << 20), 1 << 20]


def test_importance_expands_to_full_then_partial_then_nothing():
    mask = expand_importance(torch.tensor([[[[2.25, 0.0, 4.0]]]]), 4)
    assert mask[0, :, 0, 0].tolist() == [1, 1, 0.25, 0]
    assert mask[0, :, 0, 1].tolist() == [0, 0, 0, 0]
    assert mask[0, :, 0, 2].tolist() == [1, 1, 1, 1]


def test_ceiling_is_applied_and_its_gradient_is_the_identity():
    importance = torch.tensor([[[[2.25]]]], requires_grad=True)
    binary = ceil_identity(expand_importance(importance, 4))
    assert binary.flatten().tolist() == [1, 1, 1, 0]
    binary.sum().backward()
    assert importance.grad.item() == 1  # only the channel in transition moves with the importance
