"""The scale hyperprior: latents whose scales the hyper-latent tells, and the hyper-latent before them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec import rdoq, weights
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
from .integer import IntegerSynthesis, integer_arrays
from .integer_layer import FRACTION, Arrays
from .latent import LIMIT, fold, packed_channels, split

if TYPE_CHECKING:
    from .latent_model import HyperpriorModel

AT_ONCE = 1 << 16  # values at a time, which stay in the cache
Take = Callable[[Any, np.ndarray], None]


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
        scale_min: lower bound of the scale; that of files is 0.11 at least. Where scales are small, noise in
            place of rounding promises other costs than files have; a bound keeps training away from there
            (Zhang et al. 2023, "On uniform scalar quantization for learned image compression"). Where nothing
            is rounded it can be lower.
    """

    passes = 1
    """In which y is coded."""

    def __init__(
        self,
        channels: int,
        hyper_channels: int = 64,
        width: int = 48,
        deconvolution: bool = False,
        qualities: int = 8,
        logarithmic: bool = True,
        scale_min: float = SCALE_MIN,
    ):
        super().__init__()
        if not 0 < scale_min < SCALE_MAX:
            raise InvalidInput(f"scale_min is {scale_min}, expected a positive number below {SCALE_MAX:g}")
        self.scale_min = scale_min
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
            "scale_min": scale_min,
        }

    def config(self) -> dict:
        return dict(self._config)

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        """Cost of each of ``values``, given the symbols in ``context``; both [N, packed, h, w]."""
        hyper_channels = self._config["hyper_channels"]
        y, z = split(values.float(), hyper_channels)
        y_hat, z_hat = split(context.float(), hyper_channels)
        bits_z = self.prior.bits(z, z_hat, quality)
        return torch.cat([fold(gaussian_bits(y, self.scales(self.raw_scales(y_hat, z_hat)))), bits_z], 1)

    def encode(self, symbols: np.ndarray, quality_step: int) -> bytes:
        """Stream of packed symbols (packed, h, w): z, then y."""
        return self._encoded(*self._split(symbols), quality_step)

    def encode_chosen(
        self, symbols: np.ndarray, quality_step: int, slopes: np.ndarray, curvatures: np.ndarray
    ) -> tuple[np.ndarray, bytes]:
        """Of `pycodec.types.ChoosingEntropyModel`; z stays as it is."""
        y, z = self._split(symbols)
        slopes_y, _ = self._split(slopes)
        curvatures_y = np.broadcast_to(self._split(curvatures[:, None, None])[0][:, :1, :1], y.shape)
        tables = self._tables()

        def choose(here: Any, found: np.ndarray) -> None:
            chosen = rdoq.chosen(
                y[here].ravel(),
                slopes_y[here].ravel(),
                curvatures_y[here].ravel(),
                lambda values, places: code_lengths(values, tables, found[places]),
                (-LIMIT, LIMIT),
            )
            y[here] = chosen.reshape(y[here].shape)

        data = self._encoded(y, z, quality_step, choose)
        return np.concatenate([fold(y), z]), data

    def _encoded(
        self, y: np.ndarray, z: np.ndarray, quality_step: int, before: Take = lambda here, indexes: None
    ) -> bytes:
        """Stream of y and z; ``before`` may still change what `in_order` comes to."""
        values, indexes = [z.ravel()], [self._hyper_indexes(z.shape, quality_step)]

        def take(here: Any, found: np.ndarray) -> None:
            before(here, found)
            values.append(y[here].ravel())
            indexes.append(found)

        self.in_order(y, z, take)
        threads = torch.get_num_threads()
        return encode(np.concatenate(values), self._tables(), np.concatenate(indexes), threads=threads)

    def decode(self, data: bytes, shape: Sequence[int], quality_step: int) -> np.ndarray:
        """Packed symbols (packed, h, w) int32 of a stream that ``encode`` wrote."""
        y, z = self._split(np.empty(shape, np.int32))
        decoder = Decoder(data, self._tables())
        if decoder.count != y.size + z.size:
            raise CorruptStream(f"stream of {decoder.count} symbols, expected {y.size + z.size}")
        decoder.pull(z.size, self._hyper_indexes(z.shape, quality_step), out=z.reshape(-1))

        def take(here: Any, found: np.ndarray) -> None:
            y[here] = decoder.pull(len(found), found).reshape(y[here].shape)

        self.in_order(y, z, take)
        return np.concatenate([fold(y), z])

    def code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        """Ideal code length under the integer tables, in bits."""
        return float(self.code_lengths(symbols, quality_step).sum())

    def code_lengths(self, symbols: np.ndarray, quality_step: int) -> np.ndarray:
        """Ideal code length of each packed symbol under the integer tables, in bits."""
        y, z = self._split(symbols)
        bits_z = code_lengths(z, self._tables(), self._hyper_indexes(z.shape, quality_step))
        return np.concatenate([fold(code_lengths(y, self._tables(), self.scale_indexes(y, z))), bits_z])

    def float_code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        """Code length in bits where the float networks decide: the densities of z, and by its scales which of
        the tables codes each of y. What integers are measured against; tables that are fitted are better than
        Gaussians, which would hide what the integers cost.
        """
        y, z = self._split(symbols)
        with torch.inference_mode():
            y_hat, z_hat = (torch.from_numpy(part.astype(np.float32))[None] for part in (y, z))
            quality = torch.tensor([quality_step / 16])
            bits_z = self.prior.bits(z_hat, z_hat, quality).double().sum().item()
            log_scale = self.scales(self.raw_scales(y_hat, z_hat))[0].log().numpy()
        indexes = np.searchsorted(log_thresholds(), log_scale, side="right")
        return bits_z + code_length_bits(y, self._tables(), indexes)

    def scale_indexes(self, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Index of the scale of each of ``y`` [C, 4 h, 4 w], given ``z`` [hyper_channels, h, w]."""
        indexes = np.empty(y.shape, np.uint16)

        def take(here: Any, found: np.ndarray) -> None:
            indexes[here] = found.reshape(indexes[here].shape)

        self.in_order(y, z, take)
        return indexes

    def in_order(self, y: np.ndarray, z: np.ndarray, take: Take) -> None:
        """Call ``take(here, indexes)`` for all of y at once, or part by part: ``y[here]`` is coded with the
        tables of these indexes, one for each in C order, which the parts before decide. Who decodes fills
        ``y[here]`` in.
        """
        take(..., self.table_indexes(self.hyper_scales(z)))

    def hyper_scales(self, z: np.ndarray) -> Tensor:
        """Fixed-point values [C, 4 h, 4 w] that stand for the scales that ``z`` tells."""
        if self.integer is None:
            raise MissingWeights("this entropy model has no integer network yet; load weights that hold one")
        return self.integer(torch.from_numpy(np.ascontiguousarray(z, np.int32)))

    def table_indexes(self, values: Tensor) -> np.ndarray:
        """Of each of such values, in C order."""
        flat = values.contiguous().numpy().ravel()
        first, indexes_from = self._indexes
        last = first + len(indexes_from) - 1
        indexes = np.empty(len(flat), np.uint16)
        for i in range(0, len(flat), AT_ONCE):
            places = np.clip(flat[i : i + AT_ONCE], first, last)
            np.take(
                indexes_from,
                np.subtract(places, first, out=places),
                out=indexes[i : i + AT_ONCE],
                mode="clip",
            )
        return indexes

    @functools.cached_property
    def _indexes(self) -> tuple[int, np.ndarray]:
        """A value of the integer network, and the indexes uint16 of it and of those that follow. Lower values
        have the first of these, higher ones the last. A look is ten times faster than a search.
        """
        between = log_thresholds() if self.logarithmic else np.exp(log_thresholds())
        thresholds = np.rint(FRACTION * between).astype(np.int32)
        least = np.searchsorted(log_thresholds(), math.log(self.scale_min), side="right")
        values = np.arange(thresholds[0] - 1, thresholds[-1] + 1)
        found = np.searchsorted(thresholds, values, side="right")
        return int(values[0]), np.maximum(found, least).astype(np.uint16)

    def raw_scales(self, y: Tensor, z: Tensor) -> Tensor:
        """What the float network says of symbols ``y`` [N, C, 4 h, 4 w], of which it sees those before each,
        given z.
        """
        raw: Tensor = self.scale(z)
        return raw

    @staticmethod
    def model_class() -> type[HyperpriorModel]:
        """What a codec with this entropy model is as a latent model."""
        from .latent_model import HyperpriorModel

        return HyperpriorModel

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
        arrays = self.freeze_networks(volumes)
        tables = fitted_tables((y, self.scale_indexes(y, z)) for y, z in volumes)
        prior = self.prior.freeze(calibration, dequantize)
        arrays |= {f"tables.{name}": array for name, array in tables.to_arrays().items()}
        arrays |= {f"prior.{name}": array for name, array in prior.items()}
        self.load_frozen(arrays)
        return arrays

    def freeze_networks(self, volumes: Sequence[tuple[np.ndarray, np.ndarray]]) -> Arrays:
        """Make the integer networks, from symbols y and z of training images, and return their arrays."""
        hyper = (torch.from_numpy(z.astype(np.float32))[None] for _, z in volumes)
        self.integer = IntegerSynthesis(integer_arrays(self.scale, hyper))
        return {f"scale.{name}": array for name, array in self.integer.arrays.items()}

    def load_frozen(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Code with the arrays that ``freeze`` returned."""
        tables = Tables.from_arrays(weights.under(arrays, "tables."))
        if len(tables) != SCALES:
            raise InvalidInput(f"there are {len(tables)} tables of scales, expected {SCALES}")
        self.prior.load_frozen(weights.under(arrays, "prior."))
        self.integer = IntegerSynthesis(weights.under(arrays, "scale."))
        self.tables = joined(tables, self.prior.tables)

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

    def scales(self, raw: Tensor) -> Tensor:
        """Scales of what the float network says."""
        scale = torch.exp(raw.clamp(max=math.log(SCALE_MAX))) if self.logarithmic else raw
        return lower_bound(scale, self.scale_min).clamp(max=SCALE_MAX)
