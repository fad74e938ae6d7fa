"""The scale hyperprior: latents whose scales the hyper-latent tells, and the hyper-latent before them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.coding import Decoder, Tables, code_length_bits, code_lengths, encode
from pycodec.errors import CorruptStream, InvalidInput, MissingWeights

from .factorized import FactorizedPrior
from .gaussian import (
    SCALE_MAX,
    SCALE_MIN,
    SCALES,
    fitted_tables,
    gaussian_bits,
    joined,
    log_thresholds,
    lower_bound,
)
from .hyper import HyperSynthesis
from .integer import FRACTION, IntegerSynthesis, integer_arrays
from .latent import fold, packed_channels, split


class ScaleHyperprior(nn.Module):
    """Entropy model of a packed latent (see `latent`): z by a factorized prior, then y, Gaussian with mean 0
    and a scale that z tells (Ballé et al. 2018).

    With the quantizer `ZeroCentered` it is the mean-scale hyperprior (Minnen et al. 2018), with rounding the
    scale hyperprior.

    In files, the scale of each symbol is one of 64 tables, whose index comes out of integer arithmetic, see
    `integer`.

    Args:
        channels: planes of y.
        hyper_channels: planes of z.
        width, deconvolution: of the network that gives the scales, see `HyperSynthesis`.
        qualities: whole qualities with a prior of z of their own.
        logarithmic: the network gives the logarithm of the scale, else the scale itself, as HiFiC's.
    """

    def __init__(
        self,
        channels: int,
        hyper_channels: int = 64,
        width: int = 48,
        deconvolution: bool = False,
        qualities: int = 8,
        logarithmic: bool = True,
    ):
        super().__init__()
        self.channels = packed_channels(channels, hyper_channels)
        self.qualities = 1.0, float(qualities)
        self.scale = HyperSynthesis(hyper_channels, channels, width, deconvolution)
        self.prior = FactorizedPrior(hyper_channels, qualities)
        self.integer: IntegerSynthesis | None = None
        self.tables: Tables | None = None
        self.logarithmic = logarithmic
        self._config = {
            "channels": channels,
            "hyper_channels": hyper_channels,
            "width": width,
            "deconvolution": deconvolution,
            "qualities": qualities,
            "logarithmic": logarithmic,
        }

    def config(self) -> dict:
        return dict(self._config)

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        """Cost of each of ``values``, given the quantised z in ``context``; both [N, packed, h, w]."""
        hyper_channels = self._config["hyper_channels"]
        y, z = split(values.float(), hyper_channels)
        z_hat = split(context.float(), hyper_channels)[1]
        bits_z = self.prior.bits(z, z_hat, quality)
        return torch.cat([fold(gaussian_bits(y, self._scales(z_hat))), bits_z], 1)

    def encode(self, symbols: np.ndarray, quality_step: int) -> bytes:
        """Stream of packed symbols (packed, h, w): z, then y."""
        y, z = self._split(symbols)
        indexes = np.concatenate([self._hyper_indexes(z.shape, quality_step), self._indexes(z)])
        values = np.concatenate([z.ravel(), y.ravel()])
        return encode(values, self._tables(), indexes, threads=torch.get_num_threads())

    def decode(self, data: bytes, shape: Sequence[int], quality_step: int) -> np.ndarray:
        """Packed symbols (packed, h, w) int32 of a stream that ``encode`` wrote."""
        y, z = self._split(np.empty(shape, np.int32))
        decoder = Decoder(data, self._tables())
        if decoder.count != y.size + z.size:
            raise CorruptStream(f"stream of {decoder.count} symbols, expected {y.size + z.size}")
        decoder.pull(z.size, self._hyper_indexes(z.shape, quality_step), out=z.reshape(-1))
        decoder.pull(y.size, self._indexes(z), out=y.reshape(-1))
        return np.concatenate([fold(y), z])

    def code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        """Ideal code length under the integer tables, in bits."""
        return float(self.code_lengths(symbols, quality_step).sum())

    def code_lengths(self, symbols: np.ndarray, quality_step: int) -> np.ndarray:
        """Ideal code length of each packed symbol under the integer tables, in bits."""
        y, z = self._split(symbols)
        bits_z = code_lengths(z, self._tables(), self._hyper_indexes(z.shape, quality_step))
        return np.concatenate([fold(code_lengths(y, self._tables(), self._indexes(z))), bits_z])

    def float_code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        """Code length in bits where the float networks decide: the densities of z, and by its scales which of
        the tables codes each of y. What integers are measured against; tables that are fitted are better than
        Gaussians, which would hide what the integers cost.
        """
        y, z = self._split(symbols)
        with torch.inference_mode():
            z_hat = torch.from_numpy(z.astype(np.float32))[None]
            quality = torch.tensor([quality_step / 16])
            bits_z = self.prior.bits(z_hat, z_hat, quality).double().sum().item()
            log_scale = self._scales(z_hat)[0].log().numpy()
        indexes = np.searchsorted(log_thresholds(), log_scale, side="right")
        return bits_z + code_length_bits(y, self._tables(), indexes)

    def scale_indexes(self, z: np.ndarray) -> np.ndarray:
        """Index of the scale of each of y, [C, 4 h, 4 w], given integers ``z`` [hyper_channels, h, w]."""
        if self.integer is None:
            raise MissingWeights("this entropy model has no integer network yet; load weights that hold one")
        values = self.integer(torch.from_numpy(np.ascontiguousarray(z, np.int32))).numpy()
        return np.searchsorted(self._thresholds(), values, side="right")

    @torch.no_grad()
    def freeze(
        self, calibration: Sequence[tuple[np.ndarray, float]], dequantize: Callable[[np.ndarray], Tensor]
    ) -> dict[str, np.ndarray]:
        """Make the integer network, and tables fitted to the symbols that it assigns to each scale.

        Args:
            calibration: packed symbols of training images.
            dequantize: not needed.
        """
        volumes = [self._split(symbols) for symbols, _ in calibration]
        hyper = [torch.from_numpy(z.astype(np.float32))[None] for _, z in volumes]
        network = IntegerSynthesis(integer_arrays(self.scale, hyper))
        self.integer = network
        tables = fitted_tables((y, self.scale_indexes(z)) for y, z in volumes)
        prior = self.prior.freeze(calibration, dequantize)
        arrays = {f"scale.{name}": array for name, array in network.arrays.items()}
        arrays |= {f"tables.{name}": array for name, array in tables.to_arrays().items()}
        arrays |= {f"prior.{name}": array for name, array in prior.items()}
        self.load_frozen(arrays)
        return arrays

    def load_frozen(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Code with the arrays that ``freeze`` returned."""
        tables = Tables.from_arrays(under(arrays, "tables."))
        if len(tables) != SCALES:
            raise InvalidInput(f"there are {len(tables)} tables of scales, expected {SCALES}")
        self.prior.load_frozen(under(arrays, "prior."))
        self.integer = IntegerSynthesis(under(arrays, "scale."))
        self.tables = joined(tables, self.prior.tables)

    def _indexes(self, z: np.ndarray) -> np.ndarray:
        return self.scale_indexes(z).astype(np.uint16).ravel()

    def _hyper_indexes(self, shape: Sequence[int], quality_step: int) -> np.ndarray:
        """Tables of z behind those of the scales."""
        return (SCALES + self.prior.indexes(shape, quality_step)).astype(np.uint16).ravel()

    def _split(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """y and z of packed symbols, contiguous."""
        if symbols.ndim != 3 or len(symbols) != self.channels:
            raise InvalidInput(f"symbols of shape {symbols.shape}, expected ({self.channels}, h, w)")
        y, z = split(symbols, self._config["hyper_channels"])
        return np.ascontiguousarray(y), np.ascontiguousarray(z)

    def _tables(self) -> Tables:
        if self.tables is None:
            raise MissingWeights("this entropy model has no integer tables; load weights, or call freeze")
        return self.tables

    def _thresholds(self) -> np.ndarray:
        """Between neighbours among the 64 scales, in the units of the integer network."""
        between = log_thresholds() if self.logarithmic else np.exp(log_thresholds())
        return np.rint(FRACTION * between).astype(np.int32)

    def _scales(self, z_hat: Tensor) -> Tensor:
        raw = self.scale(z_hat)
        scale = torch.exp(raw.clamp(max=math.log(SCALE_MAX))) if self.logarithmic else raw
        return lower_bound(scale, SCALE_MIN).clamp(max=SCALE_MAX)


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with ``prefix``, by the rest of their names."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
