"""The Gaussian upper bound where the rate-distortion function is known: Gaussian vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pycodec.optimization import channels
from pycodec.optimization.target import Target
from pycodec_plugins.hyperprior import GaussianPrior
from pycodec_plugins.rdgap import estimators
from pycodec_plugins.rdgap.estimators import upper_bound
from pycodec_plugins.rdgap.gaussian_source import LinearModel, reverse_water_filling

COVARIANCES = {
    "memoryless": np.eye(4),
    "correlated": 0.9 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4))),
}
LAMBDAS = {"memoryless": (1.4, 5.0, 30.0, 140.0), "correlated": (0.9, 5.0, 30.0, 250.0)}
PRIOR = GaussianPrior(torch.tensor(-0.5), torch.tensor(1.3))
TRAINED_ON, MEASURED_ON = 2048, 20000


def draw(covariance: np.ndarray, count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    root = torch.from_numpy(np.linalg.cholesky(covariance)).float()
    return torch.randn(count, len(covariance), generator=generator) @ root.T


@pytest.fixture(scope="module", params=COVARIANCES)
def trained(request: pytest.FixtureRequest) -> tuple[np.ndarray, list[LinearModel]]:
    """A source, and models of it for several lambdas."""
    covariance = COVARIANCES[request.param]
    models = []
    for lam in LAMBDAS[request.param]:
        model = LinearModel(len(covariance), lam)
        model.fit(draw(covariance, TRAINED_ON, seed=0))
        models.append(model.requires_grad_(False))
    return covariance, models


def excess(covariance: np.ndarray, model: LinearModel) -> tuple[float, float, estimators.Point]:
    """Bits above reverse water-filling, the standard error of that, and the bound."""
    target = Target(draw(covariance, MEASURED_ON, seed=1))
    found = upper_bound(model, target, model.lam, 0, 2, torch.Generator().manual_seed(2))
    limit = reverse_water_filling(np.linalg.eigvalsh(covariance), found.mse)
    return found.rate - limit, math.hypot(found.rate_error, model.lam * found.mse_error), found


def test_the_bound_is_within_two_percent_of_the_function_and_not_below(trained) -> None:
    covariance, models = trained
    decibels = []
    for model in models:
        above, error, found = excess(covariance, model)
        assert above <= 0.02 * (found.rate - above), model.lam
        assert above >= -2 * error, model.lam
        assert 0 < error < 0.01 * found.rate
        decibels.append(10 * math.log10(1 / found.mse))
    assert decibels[-1] - decibels[0] > 19.5


def test_means_instead_of_samples_are_no_bound(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above would say of them: far below the function."""

    def means(latent, prior):
        mean, scale = latent
        return mean, prior.divergence(mean, scale, mean)

    monkeypatch.setattr(estimators, "GaussianNoise", lambda generator: means)
    covariance, models = trained
    for model in models:
        above, error, _ = excess(covariance, model)
        assert above < -10 * error


def test_optimising_each_vector_mends_a_poor_encoder() -> None:
    covariance = COVARIANCES["correlated"]
    model = LinearModel(4, 5.0)
    model.fit(draw(covariance, TRAINED_ON, seed=0))
    model.requires_grad_(False)
    whole = loss(model, 0)
    model.analysis.weight.mul_(0.9)
    model.log_scale.add_(0.5)
    poor, mended = (loss(model, steps) for steps in (0, 300))
    assert poor > whole + 0.05
    assert mended < whole + 0.2 * (poor - whole)


def loss(model: LinearModel, steps: int) -> float:
    target = Target(draw(COVARIANCES["correlated"], 1000, seed=3))
    found = upper_bound(model, target, model.lam, steps, 2, torch.Generator().manual_seed(2))
    return found.rate + model.lam * found.mse


def test_the_closed_form_is_the_divergence_that_samples_estimate() -> None:
    mean, scale = torch.full((200000,), 0.3), torch.full((200000,), 0.7)
    sample = mean + scale * torch.randn(200000, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal
    sampled = normal(mean, scale).log_prob(sample) - normal(PRIOR.mean, PRIOR.scale).log_prob(sample)
    found = PRIOR.divergence(mean, scale, sample)
    assert found.mean().item() == pytest.approx(sampled.mean().item() / math.log(2), abs=0.005)
    same = PRIOR.divergence(PRIOR.mean, PRIOR.scale, sample)
    assert same.abs().max() < 1e-6


def test_the_latent_is_what_the_noise_says() -> None:
    generator = torch.Generator().manual_seed(0)
    latent = torch.full((1, 100000), 2.0), torch.full((1, 100000), 0.25)
    value, _ = channels.GaussianNoise(generator)(latent, PRIOR)
    assert value.mean().item() == pytest.approx(2, abs=0.005)
    assert value.std().item() == pytest.approx(0.25, rel=0.02)
