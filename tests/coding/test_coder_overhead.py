"""What the stream costs over the entropy of the very symbols under the true distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from streams import SCALES, case

from pycodec.coding import Tables, encode

# Head, count, sizes, checksum and one lane make 14 bytes; more lanes, in streams where 0.4 % is less than that, the rest.
SMALL_BITS = 8 * 24


def gaussian_bits(symbols: np.ndarray, scales: np.ndarray) -> float:
    """Cross entropy of rounded Gaussians."""
    erfc = np.vectorize(math.erfc)
    low, high = (np.abs(symbols) - 0.5) / scales, (np.abs(symbols) + 0.5) / scales
    mass = (erfc(low / math.sqrt(2)) - erfc(high / math.sqrt(2))) / 2
    return float(-np.log2(np.maximum(mass, 1e-300)).sum())


@pytest.mark.parametrize("n", [1, 10, 100, 1000, 10_000, 300_000])
@pytest.mark.parametrize("uniform", [False, True])
def test_gaussian_tables(uniform: bool, n: int) -> None:
    rng = np.random.default_rng(5)
    indexes = rng.integers(0, 64, n) if uniform else np.minimum(63, rng.exponential(10, n)).astype(np.int64)
    symbols = np.rint(rng.normal(size=n) * SCALES[indexes]).astype(np.int32)
    bits = 8 * len(encode(symbols, Tables.from_gaussian_scales(SCALES), indexes))
    assert bits <= 1.004 * gaussian_bits(symbols, SCALES[indexes]) + SMALL_BITS


def test_iid() -> None:
    """Table W1 of 256 symbols and about 4 bits, cut to integers at best."""
    rng = np.random.default_rng(6)
    p = np.exp(-np.abs(np.arange(256) - 128) / 3.0)
    p /= p.sum()
    symbols = rng.choice(256, 400_000, p=p).astype(np.uint8)
    cdf = np.rint(np.concatenate([[0], p.cumsum()]) * (2**14 - 256)).astype(int) + np.arange(257)
    bits = 8 * len(encode(symbols, Tables.from_cdfs(cdf, 14)))
    freqs = np.diff(cdf) / 2**14
    assert bits <= 1.004 * -np.log2(freqs[symbols]).sum() + SMALL_BITS


def test_pmfs() -> None:
    c = case("pmfs", 100_000)
    entropy = -np.log2(c.pmfs[np.arange(100_000), c.symbols].astype(np.float64)).sum()
    assert 8 * len(c.encode()) <= 1.004 * entropy + SMALL_BITS


def test_symbols_that_are_certain_cost_nothing() -> None:
    assert len(case("certain", 1_000_000).encode()) <= 16
