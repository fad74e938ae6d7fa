"""Optimising the symbols of one image, all networks fixed: the gradient goes through the centres."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pycodec.optimization.channels import rounded_up
from pycodec.optimization.latents import Watcher, minimise, temperature
from pycodec.optimization.precision import training_precision
from pycodec.optimization.target import ImageTarget


class SymbolModel:
    """Rate and distortion of positions among the centres: at k, the centre of rank k, in between a mixture of
    two. So stochastic Gumbel annealing, which decides between two integers, decides between two centres.

    Args:
        transform, quantizer, entropy_model: of the codec; the second is a `LearnedCenters`.
        quality: of all images.
    """

    def __init__(self, transform: Any, quantizer: Any, entropy_model: Any, quality: float):
        self.transform, self.network = transform, entropy_model.network
        self.centers, self.symbols = quantizer.centers.detach().sort()
        self.quality = torch.tensor([quality], device=self.centers.device)

    def positions(self, z: Tensor) -> Tensor:
        """Of a latent; rounded, they are the ranks of the nearest centres."""
        z = z.clamp(self.centers[0], self.centers[-1])
        low = self._below(torch.searchsorted(self.centers, z.contiguous(), right=True) - 1)
        return low + (z - self.centers[low]) / (self.centers[low + 1] - self.centers[low])

    def optimized(
        self,
        target: ImageTarget,
        lam: float,
        steps: int,
        generator: torch.Generator | None = None,
        watcher: Watcher = lambda done, loss: None,
    ) -> np.ndarray:
        """Symbols (C, h, w) int32; arguments as those of `pycodec.optimization.latents.annealed`."""
        with torch.no_grad():
            position = self.positions(self.transform.analysis(target.x, self.quality))

        def loss(share: float) -> Tensor:
            return self.lagrangian(target, lam, position, temperature(share), generator)

        minimise([position.requires_grad_()], loss, steps, watcher)
        rank = position.detach()[0].clamp(0, len(self.centers) - 1).round().long()
        return self.symbols[rank].to(torch.int32).cpu().numpy()

    def lagrangian(
        self,
        target: ImageTarget,
        lam: float,
        position: Tensor,
        temperature: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Bits per pixel plus ``lam`` times the squared error, of positions [1, C, h, w], annealed."""
        inside = position + (position.clamp(0, len(self.centers) - 1) - position).detach()
        low = self._below(inside.detach().floor().long())
        up = rounded_up(inside - low, temperature, generator)
        value = self.centers[low] + up * (self.centers[low + 1] - self.centers[low])
        with training_precision(value):
            logits = self.network(value, self.quality)
            x_hat = self.transform.synthesis(
                value.contiguous(memory_format=torch.channels_last), self.quality
            )
        costs = -logits.float().log_softmax(1) / math.log(2)  # [1, L, C, h, w]
        below, above = (costs.gather(1, self.symbols[rank][:, None])[:, 0] for rank in (low, low + 1))
        bits = (below + up * (above - below)).sum()
        return bits / target.units + lam * target.mse(x_hat)

    def _below(self, rank: Tensor) -> Tensor:
        """The lower of two ranks."""
        return rank.clamp(0, len(self.centers) - 2)
