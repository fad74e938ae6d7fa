"""The workloads of the range coder: seeded symbols, their probabilities, and what they ideally cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SCALES = np.exp(np.linspace(math.log(0.11), math.log(256), 64))
HALF_WIDTH = 2048  # symbols of W2 and W2u lie in -2047 .. 2047


@dataclass(frozen=True)
class Workload:
    """Symbols int32 [n] and their probabilities: one row (W1), an index each (W2, W2u), a row each (W3)."""

    name: str
    symbols: NDArray[np.int32]
    bits: NDArray[np.float64]  # -log2 of the probability of each symbol
    probabilities: NDArray[np.float32] | None = None  # [classes] or [n, classes]
    indexes: NDArray[np.uint8] | None = None  # [n], of SCALES

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def has_rows(self) -> bool:
        """Whether every symbol has probabilities of its own."""
        return self.probabilities is not None and self.probabilities.ndim == 2

    def first(self, count: int, name: str = "") -> Workload:
        """The beginning of this workload."""
        return replace(
            self,
            name=name or self.name,
            symbols=self.symbols[:count],
            bits=self.bits[:count],
            probabilities=self.probabilities[:count] if self.has_rows else self.probabilities,
            indexes=None if self.indexes is None else self.indexes[:count],
        )


def gaussian_mass(symbols: NDArray[np.int32], scale: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Mass of N(0, scale^2) within half a unit of integers, computed in the tail that keeps its digits."""
    from scipy.special import ndtr

    distance = np.abs(symbols)
    mass: NDArray[np.float64] = ndtr((0.5 - distance) / scale) - ndtr((-0.5 - distance) / scale)
    return mass


def independent(count: int, rng: np.random.Generator) -> Workload:
    """W1: one table of 256 symbols, about 4 bits each."""
    # A discretised Laplacian whose width gives 4 bits: two-sided geometric, entropy log2(2 e b) at scale b.
    pmf = np.exp(-np.abs(np.arange(256) - 128.0) / (2**4 / (2 * math.e)))
    pmf = (pmf + 1e-6) / (pmf + 1e-6).sum()
    symbols = rng.choice(256, count, p=pmf).astype(np.int32)
    return Workload("W1", symbols, -np.log2(pmf[symbols]), pmf.astype(np.float32))


def indexed(name: str, count: int, rng: np.random.Generator) -> Workload:
    """W2: Gaussian tables with small scales frequent, as in latents. W2u: all scales alike."""
    if name == "W2":
        indexes = np.minimum(rng.exponential(10, count), 63).astype(np.uint8)
    else:
        indexes = rng.integers(0, 64, count, dtype=np.uint8)
    symbols = np.rint(rng.standard_normal(count) * SCALES[indexes]).astype(np.int32)
    symbols = symbols.clip(1 - HALF_WIDTH, HALF_WIDTH - 1)
    return Workload(name, symbols, -np.log2(gaussian_mass(symbols, SCALES[indexes])), indexes=indexes)


def rows(count: int, rng: np.random.Generator) -> Workload:
    """W3: six float probabilities of its own for every symbol."""
    logits = rng.standard_normal((count, 6), dtype=np.float32) * np.float32(1.7)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    symbols = (rng.random((count, 1), dtype=np.float32) > p.cumsum(1)).sum(1).clip(0, 5).astype(np.int32)
    chosen = np.take_along_axis(p, symbols[:, None], 1)[:, 0].astype(np.float64)
    return Workload("W3", symbols, -np.log2(chosen), np.ascontiguousarray(p))
