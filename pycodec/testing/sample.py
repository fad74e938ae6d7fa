"""The smallest codec that keeps every rule: what estimators are checked on, and an example of each part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pycodec import Codec, coding, weights
from pycodec.coding.tables import apportion
from pycodec.errors import CorruptStream, InvalidInput
from pycodec.testing.sample_model import DifferentiableSampleCodec
from pycodec.types import Config

BLOCK = 4
QUALITIES = (1.0, 8.0)
PRECISION = 12


def sample_codec(name: str = "sample", limit: int = 64) -> Codec:
    """Blocks of pixels, rounding and one table a whole quality; differentiable, and no weights to train."""
    parts = SampleTransform(), SampleQuantizer(limit), SampleEntropyModel(limit)
    fingerprint = weights.fingerprint({"limit": limit}, {})
    return DifferentiableSampleCodec(name, *parts, qualities=QUALITIES, fingerprint=fingerprint)


class SampleTransform(nn.Module):
    """Pixels of a block as planes, in steps that halve with every second quality."""

    stride, channels = BLOCK, 3 * BLOCK**2
    halo = 0  # each block by itself

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(self.channels))

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:
        _check_planes(x, 3, "image")
        return F.pixel_unshuffle(x, BLOCK) * self._gain() / self._step(quality)

    def synthesis(self, y: Tensor, quality: Tensor) -> Tensor:
        _check_planes(y, self.channels, "latent")
        return F.pixel_shuffle(y / self._gain() * self._step(quality), BLOCK)

    def config(self) -> Config:
        return {}

    def _gain(self) -> Tensor:
        return self.gain[:, None, None]

    def _step(self, quality: Tensor) -> Tensor:
        return 2 ** (2 + (8 - quality) / 2)[:, None, None, None]


class SampleQuantizer(nn.Module):
    """Rounding, with a straight-through gradient.

    Args:
        limit: symbols lie in -limit..limit.
    """

    halo = 0

    def __init__(self, limit: int = 64):
        super().__init__()
        self.limit = limit

    def quantize(self, y: Tensor) -> np.ndarray:
        if y.ndim != 4 or len(y) != 1:
            raise InvalidInput(f"latent of shape {tuple(y.shape)}, expected one image (1, C, h, w)")
        return y[0].round().clamp(-self.limit, self.limit).to("cpu", torch.int32).numpy()

    def dequantize(self, symbols: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(symbols, np.float32))[None]

    def surrogate(self, y: Tensor) -> tuple[Tensor, Tensor]:
        rounded = y + (y.round().clamp(-self.limit, self.limit) - y).detach()
        return rounded, rounded

    def config(self) -> Config:
        return {"limit": self.limit}


class SampleEntropyModel(nn.Module):
    """One table for each whole quality, wider for finer steps.

    Args:
        limit: symbols lie in -limit..limit.
    """

    qualities = QUALITIES

    def __init__(self, limit: int = 64):
        super().__init__()
        self.limit = limit
        symbols = range(-limit, limit + 1)
        rows = [
            apportion([(1 << 20) // (1 + s * s // width) for s in symbols], 1 << PRECISION)
            for width in range(1, round(QUALITIES[1]) + 1)
        ]
        cdfs = np.concatenate([np.zeros((len(rows), 1), int), np.cumsum(rows, 1)], 1)
        self._tables = coding.Tables.from_cdfs(cdfs, PRECISION, offsets=-limit)
        self._frequencies = np.array(rows)
        self.costs: Tensor
        self.register_buffer("costs", torch.tensor(PRECISION - np.log2(rows), dtype=torch.float32))

    @property
    def symbol_range(self) -> tuple[int, int]:
        """Smallest and largest symbol."""
        return -self.limit, self.limit

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        position = (values.float() + self.limit).clamp(0, 2 * self.limit)
        low = position.detach().floor().clamp(max=2 * self.limit - 1).long()
        rows = self.costs[quality.long() - 1].to(values.device)  # [N, symbols]
        below, above = (rows.gather(1, at.flatten(1)).view_as(position) for at in (low, low + 1))
        return below + (position - low) * (above - below)

    def encode(self, symbols: np.ndarray, quality_step: int) -> bytes:
        rows = self._rows(symbols, quality_step)
        return coding.encode(np.ascontiguousarray(symbols), self._tables, rows)

    def decode(self, data: bytes, shape: Sequence[int], quality_step: int) -> np.ndarray:
        if len(shape) != 3:
            raise InvalidInput(f"shape is {tuple(shape)}, expected (C, h, w)")
        out = np.empty(shape, np.int32)
        try:
            coding.decode(data, self._tables, out.size, self._rows(out, quality_step), out=out)
        except InvalidInput as error:
            raise CorruptStream(f"not a stream of {tuple(shape)} symbols: {error}") from error
        return out

    def code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        return float(self.code_lengths(symbols, quality_step).sum())

    def code_lengths(self, symbols: np.ndarray, quality_step: int) -> np.ndarray:
        rows = self._rows(symbols, quality_step)
        lengths: np.ndarray = PRECISION - np.log2(self._frequencies[rows, symbols + self.limit])
        return lengths

    def config(self) -> Config:
        return {"limit": self.limit}

    def _rows(self, symbols: np.ndarray, quality_step: int) -> np.ndarray:
        if symbols.ndim != 3:
            raise InvalidInput(f"symbols of shape {symbols.shape}, expected (C, h, w)")
        return np.full(symbols.shape, quality_step // 16 - 1, np.uint8)


def _check_planes(x: Tensor, expected: int, what: str) -> None:
    if x.ndim != 4 or x.shape[1] != expected:
        raise InvalidInput(f"{what} of shape {tuple(x.shape)}, expected (N, {expected}, height, width)")
