"""Seeded symbols and tables that tests of the coder share: one case for every kind of stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycodec import coding
from pycodec.coding import Tables, reference

SCALES = np.geomspace(0.11, 256, 64)


@dataclass
class Case:
    """Symbols with their tables, or their probabilities."""

    symbols: NDArray[Any]
    tables: Tables | None = None
    indexes: NDArray[Any] | None = None
    pmfs: NDArray[Any] | None = None

    def encode(self, module: Any = coding) -> bytes:
        if self.pmfs is not None:
            return module.encode_pmfs(self.symbols, self.pmfs)
        return module.encode(self.symbols, self.tables, self.indexes)

    def decode(self, data: bytes, module: Any = coding) -> NDArray[Any]:
        if self.pmfs is not None:
            return module.decode_pmfs(data, self.pmfs)
        return module.decode(data, self.tables, self.symbols.size, self.indexes)


def case(kind: str, n: int, seed: int = 0) -> Case:
    """n seeded symbols of one of KINDS."""
    rng = np.random.default_rng(seed)
    if kind == "iid":
        pmf = rng.dirichlet(np.full(40, 0.3)).astype(np.float32) * np.float32(0.999)
        tables = Tables.from_pmfs(pmf, 12, offsets=-20)
        return Case(rng.choice(40, n, p=pmf / pmf.sum(dtype=np.float64)).astype(np.int8) - 20, tables)
    if kind == "gaussian":
        indexes = np.minimum(63, rng.exponential(10, n)).astype(np.uint8)
        return Case(
            np.rint(rng.normal(size=n) * SCALES[indexes]).astype(np.int16),
            Tables.from_gaussian_scales(SCALES),
            indexes,
        )
    if kind == "escapes":  # natural order, most symbols without a class
        tables = Tables.from_cdfs([[0, 200, 230, 256], [0, 255, 256]], 8, offsets=[-1, 4], escape=True)
        return Case(
            np.rint(rng.standard_cauchy(n) * 3).clip(-(2**31), 2**31 - 1).astype(np.int64),
            tables,
            rng.integers(0, 2, n).astype(np.int32),
        )
    if kind == "wide":  # more classes than a small set has, each table with values of its own
        sizes, offsets = (300, 5, 90), (-150, 1_000_000, 7)
        freqs = [
            np.diff(np.sort(rng.choice(8191, size - 1, replace=False) + 1), prepend=0, append=8192)
            for size in sizes
        ]
        tables = Tables.from_cdfs([np.append(0, f.cumsum()) for f in freqs], 13, offsets=offsets)
        indexes = rng.integers(0, 3, n).astype(np.int16)
        drawn = [
            rng.choice(size, n, p=f / 8192) + offset
            for size, offset, f in zip(sizes, offsets, freqs, strict=True)
        ]
        return Case(np.choose(indexes, drawn).astype(np.int32), tables, indexes)
    if kind == "certain":  # a table of one class: no bits at all
        return Case(np.full(n, 7, np.uint16), Tables.from_cdfs([0, 1 << 10], 10, offsets=7))
    logits = rng.normal(size=(n, 6)) * 1.7
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    symbols = (p.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, 5).astype(np.int32)
    if kind == "pmfs":
        return Case(symbols, pmfs=p.astype(np.float32))
    assert kind == "pmfs16"
    return Case(symbols, pmfs=np.floor(p * 65535).astype(np.uint16))


KINDS = ("iid", "gaussian", "escapes", "wide", "certain", "pmfs", "pmfs16")

BOTH = (coding, reference)
