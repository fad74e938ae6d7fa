"""Streams kept in files: a component that no longer reads them breaks every file its users have.

Set PYCODEC_WRITE_GOLDEN=1 to write files that are missing; files that exist are never written.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from pycodec.testing import samples
from pycodec.testing.checks import CheckFailure, skip
from pycodec.testing.subject import Subject

WRITE = "PYCODEC_WRITE_GOLDEN"
ADVICE = "the format changed: give the component another name, so that old files keep their reader"


def _noise(count: int) -> np.ndarray:  # int64
    """Integers that depend on no library: xorshift32."""
    x, out = 2463534242, []
    for _ in range(count):
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        out.append(x)
    return np.array(out, np.int64)


def symbols(model: Any) -> np.ndarray:  # [C, 5, 7] int32
    """What the golden stream of an entropy model holds."""
    low, high = samples.ordinary_range(model)
    shape = samples.channels(model), 5, 7
    return (low + _noise(int(np.prod(shape))) % (high - low + 1)).reshape(shape).astype(np.int32)


def image() -> np.ndarray:  # [21, 34, 3] uint8
    """What the golden file of a codec shows."""
    down, across = np.mgrid[0:21, 0:34]
    smooth = np.stack([down * 11, across * 7, down * across % 251], 2) % 256
    return (smooth // 2 + _noise(smooth.size).reshape(smooth.shape) % 32).astype(np.uint8)


def stored(subject: Subject, data: bytes) -> bytes:
    """The stream in the subject's golden folder; ``data`` if it is to be written now."""
    if subject.golden is None:
        skip("no folder of golden streams is named")
    assert subject.golden is not None
    path = subject.golden / f"{subject.kind}_{subject.name}.bin"
    if not path.exists():
        if os.environ.get(WRITE) != "1":
            raise CheckFailure(
                f"found no {path.name} in {subject.golden}, expected one; write it with {WRITE}=1"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return path.read_bytes()
