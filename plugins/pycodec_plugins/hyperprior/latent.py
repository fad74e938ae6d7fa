"""The latent of a hyperprior codec: y and its hyper-latent z, packed into one at the stride of z.

z lies on a grid four times as coarse as that of y. So each 4 x 4 square of y becomes 16 values of one
position, C planes of y becoming 16 C, and z follows as further planes. Both are then one latent in the sense
of `pycodec.types`, of which y depends on z alone.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from torch import Tensor

from pycodec.errors import InvalidInput

RATIO = 4  # stride of z over that of y
LIMIT = 1 << 20  # of symbols

Array = TypeVar("Array", Tensor, np.ndarray)


def packed_channels(channels: int, hyper_channels: int) -> int:
    """Planes of a packed latent."""
    return channels * RATIO**2 + hyper_channels


def fold(y: Array) -> Array:  # [..., C, 4 h, 4 w] -> [..., 16 C, h, w]
    """Squares of y as planes, ordered by channel, row, column.

    Raises:
        InvalidInput: there are no whole squares.
    """
    *batch, channels, height, width = y.shape
    if height % RATIO or width % RATIO:
        raise InvalidInput(
            f"a latent of {height} x {width} positions, expected multiples of {RATIO}: images (crops, in "
            "training) whose sides are multiples of the stride of the hyper-latent"
        )
    squares = y.reshape(*batch, channels, height // RATIO, RATIO, width // RATIO, RATIO)
    return _reordered(squares, (0, 2, 4, 1, 3)).reshape(
        *batch, channels * RATIO**2, height // RATIO, width // RATIO
    )


def unfold(planes: Array) -> Array:  # [..., 16 C, h, w] -> [..., C, 4 h, 4 w]
    """The inverse of `fold`."""
    *batch, channels, height, width = planes.shape
    squares = planes.reshape(*batch, channels // RATIO**2, RATIO, RATIO, height, width)
    return _reordered(squares, (0, 3, 1, 4, 2)).reshape(
        *batch, channels // RATIO**2, height * RATIO, width * RATIO
    )


def split(latent: Array, hyper_channels: int) -> tuple[Array, Array]:  # [..., packed, h, w] -> y, z
    """y, unfolded, and z of a packed latent.

    Raises:
        InvalidInput: the planes without those of z are no whole squares.
    """
    planes = latent.shape[-3] - hyper_channels
    if planes <= 0 or planes % RATIO**2:
        raise InvalidInput(
            f"a latent of {latent.shape[-3]} planes, of which {hyper_channels} are the hyper-latent; "
            f"expected a multiple of {RATIO**2} besides these"
        )
    return unfold(latent[..., :planes, :, :]), latent[..., planes:, :, :]


def _reordered(squares: Array, axes: tuple[int, ...]) -> Array:
    """The last five axes in another order."""
    first = squares.ndim - len(axes)
    order = (*range(first), *(first + axis for axis in axes))
    return squares.permute(order) if isinstance(squares, Tensor) else squares.transpose(order)
