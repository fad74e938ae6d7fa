"""The codec as a latent model: its float networks at one quality, see `pycodec.types.LatentModel`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pycodec.optimization.precision import training_precision
from pycodec.types import ROUNDING_SCALE, Prior

from .codec import Parts
from .factorized import FactorizedPrior
from .gaussian import gaussian_bits

DENSITY_MIN = 1e-37  # of float32


class GaussianPrior:
    """A `pycodec.types.Prior` N(mean, scale^2).

    Args:
        mean, scale: of one shape.
    """

    def __init__(self, mean: Tensor, scale: Tensor):
        self.mean, self.scale = mean, scale

    def bits(self, values: Tensor) -> Tensor:
        """-log2 of the mass of N(mean, scale^2) within half a unit of ``values``."""
        return gaussian_bits(values - self.mean, self.scale)

    def divergence(self, mean: Tensor, scale: Tensor, sample: Tensor) -> Tensor:
        """Zhang & Liu 2025, equation 10; the sample is not needed."""
        spread = (scale.square() + (mean - self.mean).square()) / self.scale.square()
        return ((self.scale / scale).log() + (spread - 1) / 2) / math.log(2)


class PlanePrior:
    """A `pycodec.types.Prior` of independent values, by the learned densities of a `FactorizedPrior`."""

    def __init__(self, densities: FactorizedPrior, quality: Tensor):
        self._densities, self._quality = densities, quality
        self.mean = torch.zeros(1, device=quality.device)

    def bits(self, values: Tensor) -> Tensor:
        return self._densities.bits(values, values, self._quality)

    def divergence(self, mean: Tensor, scale: Tensor, sample: Tensor) -> Tensor:
        """By the sample. The mass of the unit interval around a value is the density of latents with
        noise.
        """
        mass = self._densities.mass(sample, self._quality).clamp(min=DENSITY_MIN)
        distance = ((sample - mean) / scale).square() / 2
        return -(distance + (scale * math.sqrt(2 * math.pi)).log() + mass.log()) / math.log(2)


class HyperpriorModel(nn.Module):
    """z, then y, whose mean and scale z tells.

    Args:
        parts: in floats.
        quality: all images have.
        lam: weight of the squared error against bits per pixel, if known.
    """

    def __init__(self, parts: Parts, quality: float, lam: float | None):
        super().__init__()
        for name, module in parts.modules().items():
            self.add_module(name, module)
        self._parts, self.lam = parts, lam
        self.stride = parts.transform.stride
        self.register_buffer("quality", torch.tensor([quality]))

    def encode(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """z [N, hyper_channels, H / stride, W / stride], and y in its parts, see `groups`."""
        transform = self._parts.transform
        y = transform.transform.analysis(x, self.quality)
        z = transform.hyper_analysis(y)
        if transform.posterior is None:
            return [(value, torch.full_like(value, ROUNDING_SCALE)) for value in (z, *self.groups(y))]
        _, quantizer, entropy_model = self._parts
        y_mean, y_scale, z_scale = transform.posterior(
            y, z, quantizer.mean(z), entropy_model.scales(entropy_model.scale(z))
        )
        return [(z, z_scale), *zip(self.groups(y_mean), self.groups(y_scale), strict=True)]

    def decode(self, receive: Callable[[Prior], Tensor]) -> Tensor:
        z = receive(PlanePrior(self._parts.entropy_model.prior, self.quality))
        y = self.receive_y(z, receive).contiguous(memory_format=torch.channels_last)
        with training_precision(y):
            x_hat: Tensor = self._parts.transform.transform.synthesis(y, self.quality)
        return x_hat

    def receive_y(self, z: Tensor, receive: Callable[[Prior], Tensor]) -> Tensor:  # -> as `groups` has it
        """y, part by part."""
        _, quantizer, entropy_model = self._parts
        return receive(GaussianPrior(quantizer.mean(z), entropy_model.scales(entropy_model.scale(z))))

    @staticmethod
    def groups(y: Tensor) -> list[Tensor]:
        """What of ``y`` [N, C, 4 h, 4 w] is sent at once, part by part."""
        return [y]

    @staticmethod
    def gathered(groups: Sequence[Tensor], z: Tensor) -> Tensor:
        """The y of these parts, and of that z."""
        return groups[0]
