"""ResidualDCT in integers: the transform that files are written and read with, the same floats everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pycodec.errors import WeightsMismatch
from pycodec.ops.quantized import (
    CODE_LIMIT,
    NARROW_LIMIT,
    QuantizedConv2d,
    QuantizedPartialBlock,
    Scratch,
)

QUALITY_STEPS = 16  # of one unit of quality
PIXEL_LIMIT = 128  # pixels are integers already
COEFFICIENT_LIMIT = 16383
# The encoder has learned to set latents down close to a rounding boundary, so it takes the finer codes.
ENCODER_HIDDEN_LIMIT, DECODER_HIDDEN_LIMIT = CODE_LIMIT, NARROW_LIMIT

LARGEST_ERROR = 255  # of a pixel

Arrays = dict[str, np.ndarray]


class QuantizedResidualDCT:
    """The transform of :class:`ResidualDCT` in the layers of `pycodec.ops.quantized`; a
    `pycodec.types.LocalTransform`, whose every sum is exact.

    Args:
        arrays: what `quantize_dct.quantize` made of a trained transform.
        config: of that transform.

    Raises:
        WeightsMismatch: an array is missing.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: Mapping[str, Any]):
        self._config = dict(config)
        self.stride = block = self._config.get("block", 8)
        try:
            self._gain, self._step = arrays["gain"], arrays["step"]  # [quality steps, channels]
            conv, blocks = partial(_conv, arrays), partial(_blocks, arrays)
            self._dct = conv("dct", limit=PIXEL_LIMIT, downsample=block)
            self._encoder_first = conv("encoder.first", limit=PIXEL_LIMIT, downsample=block // 2)
            self._encoder_fine = blocks("encoder.fine", ENCODER_HIDDEN_LIMIT)
            self._encoder_coarse = blocks("encoder.coarse", ENCODER_HIDDEN_LIMIT)
            self._down, self._encoder_last = conv("encoder.down", downsample=2), conv("encoder.last")
            self._basis, self._basis_unit = _basis(arrays)
            self._inverse_dct = conv("inverse_dct", limit=COEFFICIENT_LIMIT, upsample=block)
            self._decoder_first, self._up = conv("decoder.first"), conv("decoder.up", upsample=2)
            self._decoder_coarse = blocks("decoder.coarse", DECODER_HIDDEN_LIMIT)
            self._decoder_fine = blocks("decoder.fine", DECODER_HIDDEN_LIMIT)
            self._decoder_last = conv("decoder.last", upsample=block // 2)
        except KeyError as error:
            raise WeightsMismatch(f"the quantized transform lacks the array {error}") from error
        self._scratch = Scratch()
        self.channels: int = self._step.shape[1]
        # 3 x 3 kernels: one a block, at the stride or at half of it; in the first layer of the encoder and in
        # the last of the decoder, at half; in the first of the decoder, at the stride.
        encoder = len(self._encoder_coarse) + (len(self._encoder_fine) + 1) / 2
        decoder = len(self._decoder_coarse) + (len(self._decoder_fine) + 1) / 2 + 1
        self.halo = math.ceil(max(encoder, decoder))

    def config(self) -> dict:
        return dict(self._config)

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:  # [N, 3, H, W], [N] -> [N, C, h, w]
        """Latents in quantisation steps, not rounded, of images whose pixels are integers -128..127."""
        return _batched(self._analyze, x, quality)

    def synthesis(self, y: Tensor, quality: Tensor) -> Tensor:  # [N, C, h, w], [N] -> [N, 3, H, W]
        """Images, not clipped, of latents in steps."""
        return _batched(self._synthesize, y, quality)

    def error_slopes(self, error: np.ndarray, quality_step: int) -> np.ndarray:
        """Of `pycodec.types.RefinableTransform`, by the inverse DCT alone: on Kodak, files came out smaller
        with it than with the derivative of all of the synthesis, which holds for small changes only.
        """
        side = self.stride
        h, w = error.shape[0] // side, error.shape[1] // side
        blocks = error.reshape(h, side, w, side, 3).transpose(0, 2, 1, 3, 4).reshape(h * w, -1)
        # Integers below 2^24 at every point of the sum, which is exact in any order.
        sums = torch.from_numpy(blocks.astype(np.float32)) @ torch.from_numpy(self._basis)
        slopes = sums.numpy() * (2 / self._basis_unit * self._step_at(quality_step))
        return np.ascontiguousarray(slopes.T).reshape(-1, h, w)

    def error_curvatures(self, quality_step: int) -> np.ndarray:
        """Of `pycodec.types.RefinableTransform`, in the same way."""
        energy = np.square(self._basis.astype(np.int64)).sum(0) / self._basis_unit**2
        return (self._step_at(quality_step).astype(np.float64) ** 2 * energy).astype(np.float32)

    def _step_at(self, quality_step: int) -> np.ndarray:
        return self._step[quality_step - QUALITY_STEPS]

    def _analyze(self, image: Tensor, quality: float) -> Tensor:
        pixels = image.permute(1, 2, 0)
        x = self._encoder_first(pixels, self._scratch)
        for block in self._encoder_fine:
            x = block(x, quality)
        x = self._down(x, self._scratch)
        for block in self._encoder_coarse:
            x = block(x, quality)
        y = self._encoder_last(x, add_to=self._dct(pixels))
        return _scaled(y, self._gain, quality).permute(2, 0, 1)

    def _synthesize(self, latent: Tensor, quality: float) -> Tensor:
        coefficients = _scaled(latent.permute(1, 2, 0), self._step, quality)
        x = self._decoder_first(coefficients, self._scratch)
        for block in self._decoder_coarse:
            x = block(x, quality)
        x = self._up(x, self._scratch)
        for block in self._decoder_fine:
            x = block(x, quality)
        return self._decoder_last(x, add_to=self._inverse_dct(coefficients)).permute(2, 0, 1)


def _basis(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """What a grey level of each coefficient adds to a block (rows, columns, channels), in integers
    [3 block^2, channels] float32, and how many of them are a grey level: as many as let floats hold every sum
    of errors times integers exactly.
    """
    weight, scale, multiplier = (
        arrays[f"inverse_dct.{name}"].astype(np.float64) for name in ("weight", "scale", "multiplier")
    )
    basis = weight[:, 0, 0] * multiplier[:, None] * scale
    unit = 2.0 ** math.floor(math.log2(2**24 / (LARGEST_ERROR * np.abs(basis).sum(0).max())) - 0.1)
    return np.rint(unit * basis).astype(np.float32), unit


def _batched(call: Callable[[Tensor, float], Tensor], x: Tensor, quality: Tensor) -> Tensor:
    images = [call(*pair) for pair in zip(x, quality.tolist(), strict=True)]
    return torch.stack(images) if len(images) > 1 else images[0][None]


class _Block:
    """A block with the hidden biases of all qualities."""

    def __init__(self, arrays: Mapping[str, np.ndarray], hidden_limit: int):
        arrays = dict(arrays)
        self._bias = arrays.pop("bias")  # [qualities, hidden], in hidden codes
        self._block = QuantizedPartialBlock(**arrays, hidden_limit=hidden_limit)

    def __call__(self, x: Tensor, quality: float) -> Tensor:
        low = min(int(quality), len(self._bias) - 1) - 1
        fraction = np.float32(quality - 1 - low)  # sixteenths: exact
        bias = self._bias[low] * (1 - fraction) + self._bias[low + 1] * fraction
        return self._block(x, torch.from_numpy(bias).to(x.device))


def _conv(
    arrays: Mapping[str, np.ndarray],
    name: str,
    limit: int = CODE_LIMIT,
    downsample: int = 1,
    upsample: int = 1,
) -> QuantizedConv2d:
    parts = {key: arrays[f"{name}.{key}"] for key in ("weight", "scale", "multiplier", "bias")}
    return QuantizedConv2d(**parts, limit=limit, downsample=downsample, upsample=upsample)


def _blocks(arrays: Mapping[str, np.ndarray], name: str, hidden_limit: int) -> list[_Block]:
    blocks: dict[int, Arrays] = {}
    for key, array in arrays.items():
        if key.startswith(f"{name}."):
            index, part = key[len(name) + 1 :].split(".")
            blocks.setdefault(int(index), {})[part] = array
    return [_Block(blocks[i], hidden_limit) for i in range(len(blocks))]


def _scaled(x: Tensor, table: np.ndarray, quality: float) -> Tensor:
    """x [h, w, channels] times a quality's row of a table of steps or gains."""
    row = table[round(QUALITY_STEPS * (quality - 1))]
    if x.device.type == "cpu":
        # By numpy, because after each operation torch's threads keep cores busy for milliseconds, in vain.
        return torch.from_numpy(np.multiply(x.numpy(), row, order="C"))
    return x * torch.from_numpy(row).to(x.device)
