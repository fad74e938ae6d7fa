"""A plugin with a codec of no weights: the pixels of 8 x 8 blocks are its latent, zlib its entropy model."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np

BLOCK = 8


def pycodec_register_codecs(register):
    register("toy", "toy_codec:make", summary="8 x 8 blocks and zlib", aliases=("default",))


class BlockTransform:
    """Pixels of a block as planes; the step of the quantiser halves with every second quality."""

    stride, channels = BLOCK, 3 * BLOCK**2

    def analysis(self, x, quality):
        from torch.nn.functional import pixel_unshuffle

        return pixel_unshuffle(x, BLOCK) / self._step(quality)

    def synthesis(self, y, quality):
        from torch.nn.functional import pixel_shuffle

        return pixel_shuffle(y * self._step(quality), BLOCK)

    def config(self):
        return {}

    def _step(self, quality):
        return (2 ** ((8 - quality) / 2))[:, None, None, None]


class Rounding:
    def quantize(self, y):
        return y[0].round().to("cpu").numpy().astype(np.int32)

    def dequantize(self, symbols):
        import torch

        return torch.from_numpy(symbols)[None].float()

    def surrogate(self, y):
        return y

    def config(self):
        return {}


class Zlib:
    """Damage ends in zlib.error or ValueError here: the codec has to make a CorruptStream of them."""

    def bits(self, y, quality):
        raise NotImplementedError

    def encode(self, symbols, quality_step):
        return zlib.compress(symbols.astype("<i2").tobytes(), 9)

    def decode(self, data, shape, quality_step):
        return np.frombuffer(zlib.decompress(data), "<i2").reshape(shape).astype(np.int32)

    def code_length_bits(self, symbols, quality_step):
        return 8.0 * len(self.encode(symbols, quality_step))

    def config(self):
        return {}


def make(weights: str = "first"):
    from pycodec import Codec

    fingerprint = hashlib.sha256(weights.encode()).digest()
    return Codec("toy", BlockTransform(), Rounding(), Zlib(), fingerprint=fingerprint)
