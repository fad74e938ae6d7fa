"""The sample codec as a latent model: the smallest `pycodec.types.LatentModel` there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec import Codec
from pycodec.types import ROUNDING_SCALE, LatentModel, Prior

if TYPE_CHECKING:
    from pycodec.testing.sample import SampleEntropyModel

LAMBDA = 0.01
DENSITY_MIN = 2.0**-60  # beyond the symbols of the table


class DifferentiableSampleCodec(Codec):
    """The sample codec, which offers its parts to whoever optimises its files."""

    def latent_model(self, quality: float | None = None) -> LatentModel:
        return SampleModel(self.transform, self.entropy_model, self.quality_step(quality) / 16)

    def latent_symbols(self, latents: Sequence[Tensor]) -> np.ndarray:
        return self.quantizer.quantize(latents[0])


class SampleModel(nn.Module):
    """One latent, whose values are independent."""

    lam: float | None = LAMBDA
    quality: Tensor

    def __init__(self, transform: Any, entropy_model: Any, quality: float):
        super().__init__()
        self.stride: int = transform.stride
        self._transform, self._entropy_model = transform, entropy_model
        self.register_buffer("quality", torch.tensor([quality]))

    def encode(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        y = self._transform.analysis(x, self.quality)
        return [(y, torch.full_like(y, ROUNDING_SCALE))]

    def decode(self, receive: Callable[[Prior], Tensor]) -> Tensor:
        x_hat: Tensor = self._transform.synthesis(
            receive(TablePrior(self._entropy_model, self.quality)), self.quality
        )
        return x_hat


class TablePrior:
    """A `pycodec.types.Prior` by the entropy model's table; its density between integers is linear."""

    def __init__(self, entropy_model: SampleEntropyModel, quality: Tensor):
        self._entropy_model, self._quality = entropy_model, quality
        self.mean = torch.zeros(1, device=quality.device)

    def bits(self, values: Tensor) -> Tensor:
        return self._entropy_model.bits(values, values, self._quality)

    def divergence(self, mean: Tensor, scale: Tensor, sample: Tensor) -> Tensor:
        low = sample.detach().floor()
        share = sample - low
        below, above = (self._mass(low + side) for side in (0, 1))
        density = (below + share * (above - below)).clamp(min=DENSITY_MIN)
        return torch.distributions.Normal(mean, scale).log_prob(sample) / np.log(2) - density.log2()

    def _mass(self, symbols: Tensor) -> Tensor:
        inside = symbols.abs() <= self._entropy_model.limit
        return torch.where(inside, torch.exp2(-self.bits(symbols)), 0.0)
