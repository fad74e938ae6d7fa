"""Zero-centred quantisation around means that also follow from what of the latent is known already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pycodec import weights
from pycodec_plugins.hyperprior import FRACTION, Arrays, ZeroCentered, rounded, split

from .context import ContextNetwork
from .integer_context import IntegerContext, context_arrays
from .quadtree import PASSES, walk


class QuadtreeCentered(ZeroCentered):
    """`ZeroCentered`, with the mean of each value in pass 1 to 3 of `quadtree` corrected by what the passes
    before left of the means of the hyper-latent.

    Args:
        channels, hyper_channels, width, deconvolution: of `ZeroCentered`.
        context: keyword arguments of `ContextNetwork`.
    """

    passes = PASSES
    halo = None  # what a pass knows follows from the pass before, from further and further away

    def __init__(
        self,
        channels: int,
        hyper_channels: int = 64,
        width: int = 48,
        deconvolution: bool = False,
        context: Mapping[str, int] | None = None,
    ):
        super().__init__(channels, hyper_channels, width, deconvolution)
        self.context = ContextNetwork(channels, **(context or {}))
        self.integer_context: IntegerContext | None = None
        self._context_config = dict(context or {})

    def config(self) -> dict:
        return {**super().config(), "context": self._context_config}

    def training_mean(self, y: Tensor, z: Tensor) -> Tensor:
        prior = self.mean(z)
        return walk(prior, self.context, lambda _, mean: rounded(y - mean) + mean - prior)

    @torch.no_grad()
    def centred(self, z: Tensor, difference_of: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        if self.integer is None or self.integer_context is None:  # untrained
            prior = self.mean(z[None])
            means = walk(prior, self.context, lambda _, mean: difference_of(mean[0]) + mean - prior)[0]
        else:
            fixed = self.integer(z).to(torch.int64)

            def learn(_: Tensor, mean: Tensor) -> Tensor:
                return (difference_of(mean / FRACTION) * FRACTION).to(torch.int64) + mean - fixed

            means = walk(fixed, self.integer_context, learn) / FRACTION
        return difference_of(means), means

    @torch.no_grad()
    def freeze(self, latents: Sequence[Tensor]) -> Arrays:
        arrays = super().freeze(latents)

        def run() -> None:
            for latent in latents:
                y, z = split(latent.float(), self.config()["hyper_channels"])
                self.training_mean(y, z.round())

        self.integer_context = IntegerContext(context_arrays(self.context, run))
        return arrays | {f"context.{name}": array for name, array in self.integer_context.arrays.items()}

    def load_frozen(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().load_frozen(arrays)
        self.integer_context = IntegerContext(weights.under(arrays, "context."))
