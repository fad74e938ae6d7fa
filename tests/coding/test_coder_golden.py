"""Streams written once are decoded for ever: a file here that no longer decodes is a break of the format.

Set PYCODEC_WRITE_GOLDEN=1 to write files that are missing; files that exist are never written.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pycodec.coding import Tables, decode, decode_pmfs, encode, encode_pmfs, reference

FOLDER = Path(__file__).parents[1] / "golden" / "coding"


def noise(n: int, modulus: int) -> np.ndarray:
    """Integers that depend on no library: xorshift32."""
    x, out = 2463534242, np.empty(n, np.int64)
    for i in range(n):
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        out[i] = x % modulus
    return out


def geometric(n: int) -> np.ndarray:
    """Signed, small ones common: trailing zeros of noise, and now and then a large one."""
    v = noise(n, 1 << 20)
    small = np.array([(int(i) & -int(i)).bit_length() - 2 for i in v | 1 << 19])
    return np.where(v % 97 == 0, v % 4001 - 2000, small * np.where(v & 1 << 18, 1, -1))


def tables_case(n: int) -> tuple[np.ndarray, Tables, np.ndarray]:
    return geometric(n), Tables.from_gaussian_scales([0.3, 1.0, 5.0, 90.0]), noise(n, 4)


def cdfs_case(n: int) -> tuple[np.ndarray, Tables, None]:
    return noise(n, 5) * (noise(n, 7) > 3), Tables.from_cdfs([0, 3000, 3100, 3500, 3800, 4096], 12), None


def pmfs_case(n: int) -> tuple[np.ndarray, np.ndarray]:
    weights = noise(n * 4, 16000).reshape(n, 4)
    return noise(n, 4), (weights / np.float32(65536)).astype(np.float32)


GOLDEN = {
    f"{kind}_{n}": (kind, n)
    for kind, sizes in {"gaussian": (1, 90, 1500, 9000), "cdfs": (0, 3000, 240_000), "pmfs": (700,)}.items()
    for n in sizes
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    kind, n = GOLDEN[name]
    path = FOLDER / f"{name}.bin"
    if kind == "pmfs":
        symbols, pmfs = pmfs_case(n)
        stream = encode_pmfs(symbols, pmfs)
        decoders = [lambda data: decode_pmfs(data, pmfs), lambda data: reference.decode_pmfs(data, pmfs)]
    else:
        symbols, tables, indexes = tables_case(n) if kind == "gaussian" else cdfs_case(n)
        stream = encode(symbols, tables, indexes)
        decoders = [
            lambda data: decode(data, tables, n, indexes),
            lambda data: reference.decode(data, tables, n, indexes),
        ]
    if not path.exists():
        assert os.environ.get("PYCODEC_WRITE_GOLDEN"), f"{path} is missing"
        path.write_bytes(stream)
    data = path.read_bytes()
    for read in decoders:
        np.testing.assert_array_equal(read(data), symbols)
    assert stream == data, "the encoder's output changed: raise the version of the stream"
