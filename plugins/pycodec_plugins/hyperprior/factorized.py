"""The factorized prior: latents that are independent, each plane with a learned density of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pycodec.coding import Tables, code_lengths, decode, encode
from pycodec.coding.tables import DEFAULT_PRECISION, apportion
from pycodec.errors import InvalidInput, MissingWeights
from pycodec_plugins.cpm import QualityTable

from .gaussian import LIKELIHOOD_MIN, lower_bound

FILTERS = (1, 3, 3, 3, 1)  # widths of the layers of a density
INITIAL_SCALE = 10.0
RADIUS = 512  # symbols beyond, and those rarer than TAIL at the ends of a table, are escaped
TAIL = 2.0**-15


class FactorizedPrior(nn.Module):
    """Entropy model of independent latents (Ballé et al. 2018, appendix 6.1).

    A plane's distribution function is a small monotonic network. All qualities share it: its argument is the
    latent divided by a scale of the plane at the quality. Files are coded with integer tables, one for each
    plane and whole quality, which ``freeze`` makes: the nearest quality's code a file.

    Args:
        channels: planes of the latent.
        qualities: whole qualities with scales of their own.
    """

    def __init__(self, channels: int, qualities: int = 8):
        super().__init__()
        self.channels = channels
        self.qualities = 1.0, float(qualities)
        self.tables: Tables | None = None
        sizes = list(pairwise(FILTERS))
        share = INITIAL_SCALE ** (1 / len(sizes))
        self.slopes = nn.ParameterList(
            torch.full((channels, b, a), math.log(math.expm1(1 / share / b))) for a, b in sizes
        )
        self.shifts = nn.ParameterList(torch.rand(channels, b, 1) - 0.5 for _, b in sizes)
        self.bends = nn.ParameterList(torch.zeros(channels, b, 1) for _, b in sizes[:-1])
        self.log_scale = QualityTable(torch.zeros(qualities, channels))

    def config(self) -> dict:
        return {"channels": self.channels, "qualities": len(self.log_scale.table)}

    def bits(self, values: Tensor, context: Tensor, quality: Tensor) -> Tensor:
        """Cost of ``values`` [N, C, h, w], rounded or with noise of width 1; the context is not looked at."""
        return -torch.log2(lower_bound(self.mass(values.float(), quality), LIKELIHOOD_MIN))

    def encode(self, symbols: np.ndarray, quality_step: int) -> bytes:
        """Stream of ``symbols`` (C, h, w)."""
        return encode(
            np.ascontiguousarray(symbols), self._tables(), self.indexes(symbols.shape, quality_step)
        )

    def decode(self, data: bytes, shape: Sequence[int], quality_step: int) -> np.ndarray:
        """Symbols (C, h, w) int32 of a stream that ``encode`` wrote."""
        out = np.empty(shape, np.int32)
        return decode(data, self._tables(), out.size, self.indexes(shape, quality_step), out=out)

    def code_length_bits(self, symbols: np.ndarray, quality_step: int) -> float:
        """Ideal code length under the integer tables, in bits."""
        return float(self.code_lengths(symbols, quality_step).sum())

    def code_lengths(self, symbols: np.ndarray, quality_step: int) -> np.ndarray:
        """Ideal code length of each symbol under the integer tables, in bits."""
        return code_lengths(symbols, self._tables(), self.indexes(symbols.shape, quality_step))

    @torch.no_grad()
    def freeze(
        self, calibration: Sequence[tuple[np.ndarray, float]], dequantize: Callable[[np.ndarray], Tensor]
    ) -> dict[str, np.ndarray]:
        """Make the tables from the densities, of all planes for quality 1, then for 2, and so on.

        Args:
            calibration, dequantize: what models fitted to images need; this one is not.

        Returns:
            The tables as arrays for a weights file.
        """
        freqs, offsets = [], []
        symbols = torch.arange(-RADIUS, RADIUS + 1.0)
        grid = symbols[None, None, :, None].expand(1, self.channels, -1, 1)
        for quality in range(1, len(self.log_scale.table) + 1):
            mass = self.mass(grid, torch.tensor([float(quality)]))[0, :, :, 0].double().numpy()
            for pmf in mass:
                centre = int(pmf.argmax())
                likely = np.flatnonzero(pmf >= min(TAIL, pmf[centre]))
                radius = min(max(centre - likely[0], likely[-1] - centre), centre, 2 * RADIUS - centre)
                zigzag = centre + _zigzag(radius)
                inner = pmf[zigzag] / max(pmf.sum(), 1)
                shares = [*inner.tolist(), max(0.0, 1 - inner.sum())]  # the last class is the escape
                freqs.append(apportion([round(share * 2**40) for share in shares], 1 << DEFAULT_PRECISION))
                offsets.append(centre - RADIUS)
        count = len(freqs)
        self.tables = Tables(
            DEFAULT_PRECISION,
            True,
            np.concatenate(freqs),
            np.array([len(f) for f in freqs]),
            np.array(offsets),
            np.zeros(count, np.uint8),
            np.ones(count, np.uint8),
        )
        return self.tables.to_arrays()

    def load_frozen(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Code with the tables that ``freeze`` returned.

        Raises:
            InvalidInput: they are no tables, or not as many as this model needs.
        """
        tables = Tables.from_arrays(arrays)
        if len(tables) != (needed := self.channels * len(self.log_scale.table)):
            raise InvalidInput(
                f"there are {len(tables)} tables, expected {needed}, one for each plane and whole quality"
            )
        self.tables = tables

    def indexes(self, shape: Sequence[int], quality_step: int) -> np.ndarray:  # (C, h, w) int32
        """Which table codes each symbol, by integers alone.

        Raises:
            InvalidInput: another number of planes, or a quality that is none.
        """
        if len(shape) != 3 or shape[0] != self.channels:
            raise InvalidInput(f"symbols of shape {tuple(shape)}, expected ({self.channels}, h, w)")
        highest = 16 * len(self.log_scale.table)
        if not 16 <= quality_step <= highest:
            raise InvalidInput(f"quality step {quality_step}, expected 16 to {highest}")
        first = ((quality_step - 8) // 16) * self.channels
        tables = np.arange(first, first + self.channels, dtype=np.int32)
        return np.ascontiguousarray(np.broadcast_to(tables[:, None, None], shape))

    def _tables(self) -> Tables:
        if self.tables is None:
            raise MissingWeights("this entropy model has no integer tables; load weights, or call freeze")
        return self.tables

    def mass(self, values: Tensor, quality: Tensor) -> Tensor:  # [N, C, h, w], [N] -> [N, C, h, w]
        """Probability of the interval of width 1 around each of ``values``."""
        with torch.autocast(values.device.type, enabled=False):
            scale = torch.exp(-self.log_scale(quality))[:, :, None, None]
            low, high = (self._logits((values + side) * scale) for side in (-0.5, 0.5))
        # Where both are nearly 1 their difference has no digits left; that of the complements has.
        sign = torch.where(low + high > 0, -1.0, 1.0)
        return (torch.sigmoid(sign * high) - torch.sigmoid(sign * low)).abs()

    def _logits(self, x: Tensor) -> Tensor:  # [N, C, h, w] -> the same
        """Logit of every plane's distribution function, rising because all slopes are positive."""
        count, channels, height, width = x.shape
        x = x.transpose(0, 1).reshape(channels, 1, -1)
        for layer, (slope, shift) in enumerate(zip(self.slopes, self.shifts, strict=True)):
            x = F.softplus(slope) @ x + shift
            if layer < len(self.bends):
                x = x + torch.tanh(self.bends[layer]) * torch.tanh(x)
        return x.reshape(channels, count, height, width).transpose(0, 1)


def _zigzag(radius: int) -> np.ndarray:
    """0, -1, 1, -2, 2, ... up to ``radius``."""
    steps = np.arange(2 * radius + 1)
    return np.where(steps % 2, -(steps + 1) // 2, steps // 2)
