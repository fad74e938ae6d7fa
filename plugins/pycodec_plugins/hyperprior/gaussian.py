"""Gaussian latents: their cost in training, and the tables of 64 scales that code them in files."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from pycodec.coding import Tables
from pycodec.coding.tables import apportion

SCALES = 64
SCALE_MIN, SCALE_MAX = 0.11, 256.0
LIKELIHOOD_MIN = 1e-9
PRIOR_SYMBOLS = 4096  # that a Gaussian counts for beside the symbols a table is fitted to


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


def log_thresholds() -> np.ndarray:
    """Between neighbours among them, 63 logarithms: each scale counts as the one it is nearest to."""
    return (log_scales()[1:] + log_scales()[:-1]) / 2


def fitted_tables(volumes: Iterable[tuple[np.ndarray, np.ndarray]]) -> Tables:
    """A table for each scale, from the histogram of its symbols with the Gaussian as the prior.

    Args:
        volumes: symbols, and of each the index of its scale; of training images.
    """
    tables = Tables.from_gaussian_scales(np.exp(log_scales()))
    starts = np.cumsum(tables.sizes) - tables.sizes
    counts = np.zeros(len(tables.freqs), np.int64)
    for symbols, indexes in volumes:
        which = indexes.ravel().astype(np.int64)
        shifted = symbols.ravel().astype(np.int64) >> tables.shifts[which]
        classes = np.where(shifted >= 0, 2 * shifted, -2 * shifted - 1)  # 0, -1, 1, -2, 2, ...
        escape = tables.sizes[which] - 1
        counts += np.bincount(starts[which] + np.minimum(classes, escape), minlength=len(counts))
    freqs = [
        apportion(
            [(int(c) << tables.precision) + PRIOR_SYMBOLS * int(f) for c, f in zip(count, freq, strict=True)],
            1 << tables.precision,
        )
        for count, freq in zip(np.split(counts, starts[1:]), np.split(tables.freqs, starts[1:]), strict=True)
    ]
    return Tables.from_arrays({**tables.to_arrays(), "freqs": np.concatenate(freqs).astype(np.uint16)})


def joined(*sets: Tables) -> Tables:
    """The tables of several sets of one precision and order, one set after the other."""
    parts = [tables.to_arrays() for tables in sets]
    names = [name for name in parts[0] if name != "header"]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return Tables.from_arrays({"header": parts[0]["header"], **arrays})
