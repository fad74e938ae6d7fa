"""Gaussian vectors, whose rate-distortion function is known: what estimators are measured against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor, nn

from pycodec.optimization.channels import GaussianNoise
from pycodec.optimization.latents import lagrangian
from pycodec.optimization.target import Target
from pycodec.types import ROUNDING_SCALE, Prior
from pycodec_plugins.hyperprior import GaussianPrior


def reverse_water_filling(variances: Sequence[float], mse: float) -> float:
    """Rate-distortion function of independent Gaussians, or of the principal components of dependent ones.

    Args:
        variances: of the components.
        mse: squared error allowed, mean over components.

    Returns:
        Bits per component (Cover & Thomas, theorem 10.3.3).
    """
    variance = np.asarray(variances, np.float64)
    if mse >= variance.mean():
        return 0.0
    level = brentq(lambda level: np.minimum(level, variance).mean() - mse, 0, variance.max(), xtol=1e-15)
    return float(np.maximum(0, np.log2(variance / level) / 2).mean())


class LinearModel(nn.Module):
    """A latent model of vectors: linear transforms, and Gaussians with trained means and scales. It can reach
    the rate-distortion function of a Gaussian source.

    Args:
        components: of a vector.
        lam: weight of the squared error against bits per component.
    """

    stride = 1

    def __init__(self, components: int, lam: float):
        super().__init__()
        self.lam: float | None = lam
        self.analysis, self.synthesis = nn.Linear(components, components), nn.Linear(components, components)
        for transform in (self.analysis, self.synthesis):
            nn.init.eye_(transform.weight)
            nn.init.zeros_(transform.bias)
        self.log_scale = nn.Parameter(torch.zeros(components))  # of the posterior, the same for all vectors
        self.mean, self.log_prior = (
            nn.Parameter(torch.zeros(components)),
            nn.Parameter(torch.zeros(components)),
        )

    def encode(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        mean = self.analysis(x)
        return [(mean, self.log_scale.exp().expand_as(mean))]

    def decode(self, receive: Callable[[Prior], Tensor]) -> Tensor:
        prior = GaussianPrior(self.mean[None], self.log_prior.exp()[None])
        x_hat: Tensor = self.synthesis(receive(prior))
        return x_hat

    def fit(self, x: Tensor, iterations: int = 500, seed: int = 1) -> None:
        """Train it as a bound on vectors of the source [N, components], with one draw of noise for all steps.

        ``seed`` is that of the noise: another one than the vectors were drawn with.
        """
        assert self.lam is not None
        target, lam = Target(x), self.lam
        optimizer = torch.optim.LBFGS(
            self.parameters(), max_iter=iterations, history_size=50, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            optimizer.zero_grad()
            noise = GaussianNoise(torch.Generator().manual_seed(seed))
            mean = lagrangian(self, target, self.encode(x), noise, lam).mean()
            mean.backward()
            return mean

        optimizer.step(loss)


class PlainLatents:
    """A latent model that is its own source: N(0, scale^2) rounded to integers, without any transform.

    Args:
        scale: of the source.
        lam: weight of the squared error against bits; by default that for which steps of 1 are right at high
            rates.
        scale_min: lower bound of the scale that the prior assumes.
    """

    stride = 1

    def __init__(self, scale: float, lam: float = 6 / math.log(2), scale_min: float = 0.11):
        self.lam: float | None = lam
        self.scale = max(scale, scale_min)

    def encode(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [(x, torch.full_like(x, ROUNDING_SCALE))]

    def decode(self, receive: Callable[[Prior], Tensor]) -> Tensor:
        zero = torch.zeros(1, 1)
        return receive(GaussianPrior(zero, zero + self.scale))
