"""ctx3d as a latent model; the conformance kit compares its networks with its files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pycodec
from pycodec_plugins.cpm.entropy import ParametricContext
from pycodec_plugins.cpm.latent_model import ContextPrior


def test_lambdas_are_those_of_the_training() -> None:
    codec = pycodec.load("ctx3d")
    assert [codec.latent_model(q).lam for q in (1, 4.5, 8)] == pytest.approx(
        [0.0006, (0.0006 * 0.15) ** 0.5, 0.15]
    )


def test_the_divergence_is_from_what_the_network_says() -> None:
    """An untrained network says a logistic of scale 1 around 0 for every value, which noise of width 1 widens."""
    torch.manual_seed(0)
    prior = ContextPrior(ParametricContext(4, width=8), torch.tensor([3.0]))
    mean, scale = torch.full((1, 4, 60, 60), 0.7), torch.full((1, 4, 60, 60), 0.3)
    sample = mean + scale * torch.randn(mean.shape)
    x = np.linspace(-5, 6, 20001)
    gaussian = np.exp(-(((x - 0.7) / 0.3) ** 2) / 2) / (0.3 * np.sqrt(2 * np.pi))
    mass = 1 / (1 + np.exp(-x - 0.5)) - 1 / (1 + np.exp(-x + 0.5))
    expected = np.sum(gaussian * np.log2(np.maximum(gaussian, 1e-300) / mass)) * (x[1] - x[0])
    assert prior.divergence(mean, scale, sample).mean().item() == pytest.approx(expected, rel=0.02)
