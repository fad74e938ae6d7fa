"""Rate-distortion optimised quantisation: an encoder that sets a symbol down where its bits and the error of
the image cost least together, instead of at the nearest integer.

The image is decoded, and its error goes back through the linear part of the transform: to first order, that
says what each symbol's neighbours would do to the squared error. The entropy model then chooses in coding
order, between a symbol and its neighbours. All of it is integers or single roundings of exact ones, so that a
codec whose transform is quantized writes the same file everywhere. Decoders need not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from pycodec.types import RefinableTransform

COST_UNIT = 2.0**-13
"""Of costs, in bits."""
_LARGEST = 2**30  # of a slope or curvature: sums with it stay within 64 bits, and within 32 until added to
_ROWS = 8  # of a latent, which stay in the cache from one operation on them to the next


def tradeoff(
    transform: RefinableTransform, rgb: np.ndarray, decoded: np.ndarray, step: int, weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """What changing symbols does to the image: adding d to one costs ``slope d + curvature d^2``.

    Args:
        transform: that the image was decoded by.
        rgb: the image.  # [H, W, 3] uint8
        decoded: of the symbols as they are.  # [H, W, 3] uint8
        step: 16 times the quality.
        weight: bits that a unit of squared error, summed over pixels and channels, is worth.

    Returns:
        Slopes [C, h, w] and curvatures [C], int32, in units of `COST_UNIT`.
    """
    stride = transform.stride
    height, width = (-(-side // stride) for side in rgb.shape[:2])
    slopes = np.empty((transform.channels, height, width), np.int32)
    factor = np.float32(weight / COST_UNIT)
    for top in range(0, height, _ROWS):
        rows = slice(stride * top, stride * (top + _ROWS))
        error = np.subtract(decoded[rows], rgb[rows], dtype=np.int16)
        down, right = (-side % stride for side in error.shape[:2])
        error = np.pad(error, ((0, down), (0, right), (0, 0)))  # beyond the edges nobody looks
        costs = transform.error_slopes(error, step)
        costs *= factor
        slopes[:, top : top + _ROWS] = _integers(costs)
    return slopes, _integers(transform.error_curvatures(step) * factor)


def chosen(
    symbols: np.ndarray,
    slopes: np.ndarray,
    curvatures: np.ndarray,
    code_lengths: Callable[[np.ndarray, np.ndarray], np.ndarray],
    limits: tuple[int, int],
) -> np.ndarray:
    """Symbols or neighbours, whichever cost least: for an entropy model whose tables are all known, and have
    their middle at 0.

    Of neighbours, those are looked at that are nearer to 0 or make the image better.

    Args:
        symbols: integers.  # [n]
        slopes, curvatures: of each, as from `tradeoff`.  # [n]
        code_lengths: bits of given symbols at given places of the n.
        limits: smallest and largest symbol.
    """
    best, to_image = symbols.copy(), np.where(slopes > 0, -1, 1)
    to_image[np.abs(slopes.astype(np.int64)) <= curvatures] = 0
    to_zero = -np.sign(symbols)
    places = np.flatnonzero((to_zero != 0) | (to_image != 0))
    least = _costs(code_lengths(symbols[places], places))
    for directions in to_zero, np.where(to_image == to_zero, 0, to_image):
        d = directions[places]
        some = np.flatnonzero(
            (d != 0) & (symbols[places] + d >= limits[0]) & (symbols[places] + d <= limits[1])
        )
        at, d = places[some], d[some]
        neighbours = symbols[at] + d
        costs = _costs(code_lengths(neighbours, at)) + slopes[at].astype(np.int64) * d + curvatures[at]
        better = costs < least[some]
        best[at[better]] = neighbours[better]
        least[some[better]] = costs[better]
    return best


def can_refine(transform: Any, entropy_model: Any) -> bool:
    """Whether these parts have what it takes."""
    return hasattr(transform, "error_slopes") and hasattr(entropy_model, "encode_chosen")


def _costs(bits: np.ndarray) -> np.ndarray:
    return np.rint(bits / COST_UNIT).astype(np.int64)


def _integers(costs: np.ndarray) -> np.ndarray:
    return np.rint(costs).clip(-_LARGEST, _LARGEST).astype(np.int32)
