"""The adapter: a model of CompressAI in the three parts of which a codec of pycodec is made.

CompressAI subtracts each channel's median from the latent, rounds, and codes the rest with the 16-bit
cumulative frequencies of its entropy bottleneck. Here medians belong to the transform, rounding is pycodec's
own quantizer, and the frequencies become a `Tables`, by integers alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compressai.models import FactorizedPrior
from torch import Tensor, nn

import pycodec
from pycodec import Codec, weights
from pycodec.coding import Tables, code_length_bits, decode, encode
from pycodec.errors import InvalidInput, MissingWeights

NAME = "compressai_factorized"


def create(weights_file: str | Path | None = None) -> Codec:
    """The codec with the weights that `convert.convert` wrote.

    A model of CompressAI has one rate, that of its quality 1 to 8; it is the only quality of the codec.
    """
    if weights_file is None:
        raise MissingWeights(
            f"codec {NAME!r} comes without weights; run pycodec compressai-weights -o FILE, then name FILE"
        )
    tensors, metadata = weights.load(weights_file)
    quality = float(metadata["config"]["quality"])
    tables = Tables.from_arrays({name[7:]: a for name, a in tensors.items() if name.startswith("tables.")})
    model = FactorizedPrior(metadata["config"]["width"], metadata["config"]["latents"])
    state = {name[6:]: torch.from_numpy(a) for name, a in tensors.items() if name.startswith("model.")}
    model.load_state_dict(state)
    return Codec(
        NAME,
        CompressAITransform(model),
        pycodec.create("quantizer", "integer_rounding"),
        CompressAITables(tables, model.entropy_bottleneck),
        qualities=(quality, quality),
        default_quality=quality,
        fingerprint=bytes.fromhex(metadata["fingerprint"]),
    )


def bottleneck_tables(state: Mapping[str, Tensor]) -> Tables:
    """The frequencies of an entropy bottleneck after its ``update()``, one table a channel.

    CompressAI counts in units of 2^-16, pycodec's coder in 2^-14: `Tables.from_pmfs` apportions them by
    integers. The last class of either is the escape.

    Raises:
        InvalidInput: the model was never updated.
    """
    cdfs, lengths, offsets = (
        state[f"entropy_bottleneck.{name}"].numpy() for name in ("_quantized_cdf", "_cdf_length", "_offset")
    )
    if not cdfs.size:
        raise InvalidInput("this model of CompressAI has no integer tables yet; call its update() first")
    frequencies = [np.diff(row[:length]) for row, length in zip(cdfs, lengths, strict=True)]
    return Tables.from_pmfs([f / np.float32(1 << 16) for f in frequencies], offsets=offsets, escape=True)


class CompressAITransform(nn.Module):
    """``g_a`` and ``g_s``, with latents relative to their medians; images 0..1 there are -128..127 here."""

    stride = 16

    def __init__(self, model: FactorizedPrior):
        super().__init__()
        self.g_a, self.g_s = model.g_a, model.g_s
        self.channels = int(model.M)
        self.register_buffer(
            "medians", model.entropy_bottleneck.quantiles.detach()[:, 0, 1, None, None].clone()
        )

    def config(self) -> dict:
        return {}

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:  # [N, 3, H, W] -> [N, M, H / 16, W / 16]
        return self.g_a((x + 128) / 255) - self.medians

    def synthesis(self, y: Tensor, quality: Tensor) -> Tensor:
        return self.g_s(y + self.medians) * 255 - 128


class CompressAITables(nn.Module):
    """Integer tables, one a channel, for files; the bottleneck they are of, for costs of the float model."""

    def __init__(self, tables: Tables, bottleneck: nn.Module):
        super().__init__()
        self.tables, self.bottleneck = tables, bottleneck
        self.channels = len(tables)

    def config(self) -> dict:
        return {}

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        """Cost of integers under CompressAI's floats; it rounds ``values``: no gradient reaches them."""
        medians = self.bottleneck.quantiles[:, 0, 1, None, None]
        return -torch.log2(self.bottleneck(values + medians, training=False)[1])

    def encode(self, symbols: np.ndarray, quality_step: int) -> bytes:
        return encode(np.ascontiguousarray(symbols), self.tables, self._channels_of(symbols))

    def decode(self, data: bytes, shape: Sequence[int], quality_step: int) -> np.ndarray:
        out = np.empty(shape, np.int32)
        return decode(data, self.tables, out.size, self._channels_of(out), out=out)

    def code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        return code_length_bits(symbols, self.tables, self._channels_of(symbols))

    def _channels_of(self, symbols: np.ndarray) -> np.ndarray:
        """The table of each symbol: its channel."""
        if symbols.ndim != 3 or len(symbols) != self.channels:
            raise InvalidInput(f"symbols of shape {symbols.shape}, expected ({self.channels}, h, w)")
        channels = np.arange(self.channels, dtype=np.int32)[:, None, None]
        return np.ascontiguousarray(np.broadcast_to(channels, symbols.shape))


def save(path: str | Path, model: FactorizedPrior, quality: int) -> bytes:
    """Write an updated model of CompressAI as a weights file of this codec; returns the fingerprint.

    Args:
        path: of the file.
        model: with trained weights.
        quality: 1 to 8, what CompressAI calls the rate it was trained for.
    """
    state = model.state_dict()
    tensors: dict[str, Any] = {f"model.{name}": value for name, value in state.items()}
    tensors |= {f"tables.{name}": array for name, array in bottleneck_tables(state).to_arrays().items()}
    config = {"quality": quality, "width": int(model.N), "latents": int(model.M)}
    return weights.save(path, tensors, {"codec": NAME, "config": config})
