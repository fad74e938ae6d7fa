"""ctx3d as a latent model: its float networks at one quality, see `pycodec.types.LatentModel`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pycodec.optimization.precision import training_precision
from pycodec.types import ROUNDING_SCALE, Prior

from .entropy import ParametricContext
from .residual_dct import ResidualDCT


class ContextPrior:
    """A `pycodec.types.Prior` of values each of which is predicted from those before it.

    Args:
        entropy_model: with its float network.
        quality: of all images.  # [1]
    """

    def __init__(self, entropy_model: ParametricContext, quality: Tensor):
        self._entropy_model, self._quality = entropy_model, quality
        self.mean = torch.zeros(1, device=quality.device)

    def bits(self, values: Tensor) -> Tensor:
        """Of each value, given those before it as they are."""
        with training_precision(values):
            return self._entropy_model.bits(values, values, self._quality)

    def divergence(self, mean: Tensor, scale: Tensor, sample: Tensor) -> Tensor:
        """By the sample. The mass of the unit interval around a value is the density of latents with
        noise.
        """
        distance = ((sample - mean) / scale).square() / 2
        return self.bits(sample) - (distance + (scale * math.sqrt(2 * math.pi)).log()) / math.log(2)


class ContextLatentModel(nn.Module):
    """One latent, whose values are predicted one after the other.

    Args:
        transform, entropy_model: in floats.
        quality: all images have.
        lam: weight of the squared error against bits per pixel that they were trained with, if with any.
    """

    def __init__(
        self, transform: ResidualDCT, entropy_model: ParametricContext, quality: float, lam: float | None
    ):
        super().__init__()
        self.transform, self.entropy_model, self.lam = transform, entropy_model, lam
        self.stride = transform.stride
        self.register_buffer("quality", torch.tensor([quality]))

    def encode(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """y [N, channels, H / stride, W / stride]."""
        y = self.transform.analysis(x, self.quality)
        return [(y, torch.full_like(y, ROUNDING_SCALE))]

    def decode(self, receive: Callable[[Prior], Tensor]) -> Tensor:
        y = receive(ContextPrior(self.entropy_model, self.quality))
        with training_precision(y):
            x_hat: Tensor = self.transform.synthesis(
                y.contiguous(memory_format=torch.channels_last), self.quality
            )
        return x_hat
