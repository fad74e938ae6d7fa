"""The scale hyperprior: latents whose scales the hyper-latent tells, and the hyper-latent before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.coding import Tables, code_length_bits, decode, encode
from pycodec.errors import CorruptStream, InvalidInput, MissingWeights

from .factorized import FactorizedPrior
from .gaussian import SCALE_MAX, SCALE_MIN, gaussian_bits, lower_bound
from .hyper import HyperSynthesis
from .integer import IntegerSynthesis
from .latent import fold, packed_channels, split, unfold


class ScaleHyperprior(nn.Module):
    """Entropy model of a packed latent (see `latent`): z by a factorized prior, then y, Gaussian with mean 0
    and a scale that z tells (Ballé et al. 2018).

    With the quantizer `ZeroCentered` it is the mean-scale hyperprior (Minnen et al. 2018), with rounding the
    scale hyperprior.

    In files, the scale of each symbol is one of 64 tables, whose index comes out of integer arithmetic, see
    `integer`.

    Args:
        channels: planes of y.
        hyper_channels: planes of z.
        width, deconvolution: of the network that gives the scales, see `HyperSynthesis`.
        qualities: whole qualities with a prior of z of their own.
        logarithmic: the network gives the logarithm of the scale, else the scale itself, as HiFiC's.
    """

    def __init__(
        self,
        channels: int,
        hyper_channels: int = 64,
        width: int = 64,
        deconvolution: bool = False,
        qualities: int = 8,
        logarithmic: bool = True,
    ):
        super().__init__()
        self.channels = packed_channels(channels, hyper_channels)
        self.qualities = 1.0, float(qualities)
        self.scale = HyperSynthesis(hyper_channels, channels, width, deconvolution)
        self.prior = FactorizedPrior(hyper_channels, qualities)
        self.integer: IntegerSynthesis | None = None
        self.tables: Tables | None = None
        self.logarithmic = logarithmic
        self._config = {
            "channels": channels,
            "hyper_channels": hyper_channels,
            "width": width,
            "deconvolution": deconvolution,
            "qualities": qualities,
            "logarithmic": logarithmic,
        }

    def config(self) -> dict:
        return dict(self._config)

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        """Cost of each of ``values``, given the quantised z in ``context``; both [N, packed, h, w]."""
        hyper_channels = self._config["hyper_channels"]
        y, z = split(values.float(), hyper_channels)
        z_hat = split(context.float(), hyper_channels)[1]
        bits_z = self.prior.bits(z, z_hat, quality)
        return torch.cat([fold(gaussian_bits(y, self._scales(z_hat))), bits_z], 1)

    def _scales(self, z_hat: Tensor) -> Tensor:
        raw = self.scale(z_hat)
        scale = torch.exp(raw.clamp(max=np.log(SCALE_MAX))) if self.logarithmic else raw
        return lower_bound(scale, SCALE_MIN).clamp(max=SCALE_MAX)
