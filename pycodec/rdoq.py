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


def can_refine(transform: Any, entropy_model: Any) -> bool:
    """Whether these parts have what it takes."""
    return hasattr(transform, "error_slopes") and hasattr(entropy_model, "encode_chosen")


def _integers(costs: np.ndarray) -> np.ndarray:
    return np.rint(costs).clip(-_LARGEST, _LARGEST).astype(np.int32)
