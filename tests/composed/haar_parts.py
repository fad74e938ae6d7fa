"""Somebody's parts: a transform without weights, one with, an entropy model without and one that freezes."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pycodec.errors import MissingWeights


class Blocks:
    """Pixels of 4 x 4 blocks as planes, divided by a step."""

    stride, channels = 4, 48

    def __init__(self, step: float = 16.0):
        self.step = step

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:
        return F.pixel_unshuffle(x, 4) / self.step

    def synthesis(self, y: Tensor, quality: Tensor) -> Tensor:
        return F.pixel_shuffle(y * self.step, 4)

    def config(self) -> dict:
        return {"step": self.step}


class Mixed(nn.Module):
    """The same with a learned mix of the planes."""

    stride, channels = 4, 48

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.eye(48)[:, :, None, None].clone())

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:
        return F.conv2d(F.pixel_unshuffle(x, 4) / 16, self.mix)

    def synthesis(self, y: Tensor, quality: Tensor) -> Tensor:
        return F.pixel_shuffle(F.conv_transpose2d(y, self.mix) * 16, 4)

    def config(self) -> dict:
        return {}


class Deflate:
    """No weights and no tables."""

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        return 2 * torch.log2(1 + values.abs())

    def encode(self, symbols: np.ndarray, quality_step: int) -> bytes:
        return zlib.compress(symbols.astype("<i2").tobytes())

    def decode(self, data: bytes, shape: tuple[int, int, int], quality_step: int) -> np.ndarray:
        return np.frombuffer(zlib.decompress(data), "<i2").reshape(shape).astype(np.int32)

    def code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        return 8.0 * len(self.encode(symbols, quality_step))

    def config(self) -> dict:
        return {}


class Ranked(nn.Module, Deflate):
    """Writes symbols by their rank in a table that is made at the end of training."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.ranks: np.ndarray | None = None

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        return (values.abs() * torch.exp(-self.log_scale) + self.log_scale) / np.log(2) + 1

    def freeze(self, calibration, dequantize):
        counts = np.zeros(4096, int)
        for symbols, quality in calibration:
            assert symbols.dtype == np.int32 and symbols.ndim == 3 and 1 <= quality <= 8
            assert dequantize(symbols).shape == (1, *symbols.shape)
            np.add.at(counts, symbols.clip(-2048, 2047) + 2048, 1)
        self.load_frozen({"order": np.argsort(-counts, kind="stable").astype(np.int32)})
        return {"order": self.order}

    def load_frozen(self, arrays):
        self.order = arrays["order"]
        self.ranks = np.argsort(self.order)

    def encode(self, symbols, quality_step):
        if self.ranks is None:
            raise MissingWeights("no table yet")
        return super().encode(self.ranks[symbols + 2048], quality_step)

    def decode(self, data, shape, quality_step):
        return (self.order[super().decode(data, shape, quality_step)] - 2048).astype(np.int32)


def pycodec_register_transforms(register):
    register("blocks", Blocks, aliases=("squares",))
    register("mixed", Mixed)


def pycodec_register_entropy_models(register):
    register("deflate", Deflate)
    register("ranked", Ranked)
