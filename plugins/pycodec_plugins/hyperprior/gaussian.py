"""Gaussian latents: their cost in training, and the scales that their tables stand for."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

SCALES = 64
SCALE_MIN, SCALE_MAX = 0.11, 256.0
LIKELIHOOD_MIN = 1e-9


class _LowerBound(torch.autograd.Function):
    """max(x, bound), whose gradient also passes below the bound where a step would lead out of it."""

    @staticmethod
    def forward(ctx, x, bound):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return gradient * ((x >= ctx.bound) | (gradient < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound) that training can leave again (Ballé et al. 2018)."""
    result: Tensor = _LowerBound.apply(x, bound)
    return result


def gaussian_bits(values: Tensor, scale: Tensor) -> Tensor:
    """-log2 of the mass of N(0, scale^2) within half a unit of ``values``; both of one shape."""
    distance = values.abs()  # the mass of the tail of the negative side keeps its digits
    root = math.sqrt(0.5)
    high, low = ((side - distance) * (root / scale) for side in (0.5, -0.5))
    mass = 0.5 * (torch.erfc(-high) - torch.erfc(-low))
    return -torch.log2(lower_bound(mass, LIKELIHOOD_MIN))


def log_scales() -> np.ndarray:
    """Logarithms of the 64 scales, evenly spaced."""
    return np.linspace(math.log(SCALE_MIN), math.log(SCALE_MAX), SCALES)
