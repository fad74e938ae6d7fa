"""Res-context as a latent model: each pass of the quadtree is a latent, which sees those before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pycodec.types import Prior
from pycodec_plugins.hyperprior import RATIO, GaussianPrior, HyperpriorModel

from .quadtree import PASSES, passes, walk


class QuadtreeModel(HyperpriorModel):
    """z, then y pass by pass; a part of y is [N, values]."""

    def receive_y(self, z: Tensor, receive: Callable[[Prior], Tensor]) -> Tensor:
        """One walk for means and scales, which are stacked: what is received decides both."""
        _, quantizer, entropy_model = self._parts
        contexts = quantizer.context, entropy_model.context
        prior = torch.stack([quantizer.mean(z), entropy_model.scale(z)])  # [2, N, C, H, W]
        y = torch.zeros_like(prior[0])

        def predict(number: int, prior: Tensor, known: Tensor) -> Tensor:
            return torch.stack(
                [context(number, *of) for context, *of in zip(contexts, prior, known, strict=True)]
            )

        def learn(here: Tensor, told: Tensor) -> Tensor:
            nonlocal y
            mean, scale = told[0][:, here], entropy_model.scales(told[1][:, here])
            values = receive(GaussianPrior(mean, scale))
            y = y.masked_scatter(here, values)
            return torch.stack([y - prior[0], (y - told[0]).abs()])

        walk(prior, predict, learn)
        return y

    @staticmethod
    def groups(y: Tensor) -> list[Tensor]:
        order = passes(*y.shape[1:]).to(y.device)
        return [y[:, order == number] for number in range(PASSES)]

    @staticmethod
    def gathered(groups: Sequence[Tensor], z: Tensor) -> Tensor:
        height, width = (RATIO * side for side in z.shape[-2:])
        channels = sum(values.shape[1] for values in groups) // (height * width)
        order = passes(channels, height, width)
        y = z.new_empty(len(z), *order.shape)
        for number, values in enumerate(groups):
            y[:, order == number] = values
        return y
