"""Rounding with other stand-ins for training (Zhang & Liu 2025, sections II-A and III-A).

All of them write the same symbols as ``integer_rounding``, whose own stand-in is the *mixed* one: noise for
the rate, straight-through rounding for the decoder. With a codec that rounds the difference from a mean they
are zero-centred.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec_plugins.cpm import IntegerRounding
from pycodec_plugins.hyperprior import rounded


class AdditiveNoise(IntegerRounding):
    """Uniform noise of width 1 instead of rounding, for rate and decoder (Ballé et al. 2017).

    Its gradient is exact, but of another loss than that of files.
    """

    def surrogate(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The same noisy latent twice."""
        noisy = y.float() + torch.rand_like(y, dtype=torch.float32) - 0.5
        return noisy, noisy


class StraightThrough(IntegerRounding):
    """Rounding whose gradient is taken for 1, for rate and decoder (Theis et al. 2017, without its noise).

    Its loss is that of files, but not its gradient.
    """

    def surrogate(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The same rounded latent twice."""
        seen = rounded(y.float())
        return seen, seen


class SoftToHard(IntegerRounding):
    """The mean of the integers, each weighted by how near it is (Agustsson et al. 2017), for rate and
    decoder.

    Loss and gradient both near those of files the harder it is; the gradient then is large beside the
    thresholds and nothing elsewhere.

    Args:
        hardness: sigma of softmax(-sigma (y - k)^2) over integers k.
    """

    REACH = 2  # integers to each side that have a weight

    def __init__(self, hardness: float = 4.0):
        super().__init__()
        if not (hardness > 0 and math.isfinite(hardness)):
            raise InvalidInput(f"hardness is {hardness}, expected a positive number")
        self.hardness = hardness

    def config(self) -> dict[str, Any]:
        return {"hardness": self.hardness}

    def surrogate(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The same soft latent twice."""
        y = y.float()
        nearest = y.detach().round()
        inside = y - nearest
        around = torch.arange(-self.REACH, self.REACH + 1.0, device=y.device)
        weights = torch.softmax(-self.hardness * (inside[..., None] - around).square(), -1)
        soft = nearest + (weights * around).sum(-1)
        return soft, soft
