"""How close two images are: PSNR and MS-SSIM over 8-bit RGB, in float64 numpy."""

from __future__ import annotations

import numpy as np

from pycodec.errors import InvalidInput

# Wang, Simoncelli, Bovik 2003, "Multi-scale structural similarity for image quality assessment".
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest scale first
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_RADIUS, _SIGMA = 5, 1.5  # the 11 x 11 Gaussian window

MS_SSIM_MIN_SIDE = 2 ** (len(_WEIGHTS) - 1) * (2 * _RADIUS + 1)
"""Shortest side, in pixels, that still holds one window at the coarsest of the five scales."""


def psnr(reference: np.ndarray, image: np.ndarray) -> float:
    """Peak signal-to-noise ratio over all pixels and channels of two 8-bit images.

    Args:
        reference: uint8 array (H, W, 3).
        image: uint8 array of the same shape.

    Returns:
        10 log10(255^2 / MSE) in dB; infinity for equal images.

    Raises:
        InvalidInput: for other types or shapes.
    """
    _check(reference, image)
    error = reference.astype(np.int64) - image
    squares = int(np.sum(error * error))
    if squares == 0:
        return float("inf")
    return float(10 * np.log10(255.0**2 * reference.size / squares))


def ms_ssim(reference: np.ndarray, image: np.ndarray) -> float:
    """Multi-scale structural similarity (Wang et al. 2003), per colour channel, then averaged.

    Five scales, 11 x 11 Gaussian window of sigma 1.5, full windows only, 2 x 2 means between scales (a last
    odd row or column is dropped). Computed in float64: the variance is a small difference of large numbers,
    and in float32 a bright image (kodim20) is off by up to 0.06 dB of -10 log10(1 - MS-SSIM).

    Args:
        reference: uint8 array (H, W, 3); both sides at least ``MS_SSIM_MIN_SIDE`` pixels.
        image: uint8 array of the same shape.

    Returns:
        A similarity up to 1 (equal images).

    Raises:
        InvalidInput: for other types or shapes, or an image too small for five scales.
    """
    _check(reference, image)
    height, width = reference.shape[:2]
    if min(height, width) < MS_SSIM_MIN_SIDE:
        raise InvalidInput(
            f"MS-SSIM needs both sides to be at least {MS_SSIM_MIN_SIDE} pixels, this image is "
            f"{width} x {height}; use PSNR for small images."
        )
    return float(np.mean([_channel_ms_ssim(reference[..., c], image[..., c]) for c in range(3)]))


def decibels(similarity: float) -> float:
    """MS-SSIM on the customary logarithmic scale, -10 log10(1 - s), on which curves are interpolated."""
    return float("inf") if similarity >= 1 else float(-10 * np.log10(1 - similarity))


def _check(reference: np.ndarray, image: np.ndarray) -> None:
    for name, array in (("reference", reference), ("image", image)):
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
            raise InvalidInput(
                f"The {name} is {array.dtype} {array.shape}; expected a uint8 array (H, W, 3)."
            )
    if reference.shape != image.shape:
        raise InvalidInput(
            f"The reference is {reference.shape} and the image {image.shape}; sizes must be equal."
        )


def _channel_ms_ssim(reference: np.ndarray, image: np.ndarray) -> float:
    x, y = reference.astype(np.float64), image.astype(np.float64)  # [H, W]
    product = 1.0
    for scale, weight in enumerate(_WEIGHTS):
        mean_x, mean_y = _blur(x), _blur(y)
        mean_xy, squares = mean_x * mean_y, mean_x**2 + mean_y**2
        covariance = _blur(x * y) - mean_xy
        variances = _blur(x * x + y * y) - squares
        similarity = (2 * covariance + _C2) / (variances + _C2)  # contrast times structure
        if scale == len(_WEIGHTS) - 1:
            similarity *= (2 * mean_xy + _C1) / (squares + _C1)  # luminance, at the coarsest scale only
        # A negative mean (an inverted image) has no real power: it counts as no similarity.
        product *= max(float(similarity.mean()), 0.0) ** weight
        x, y = _halve(x), _halve(y)
    return product


def _blur(x: np.ndarray) -> np.ndarray:
    """Separable Gaussian window, full windows only: [H, W] -> [H - 10, W - 10]."""
    taps = np.exp(-(np.arange(-_RADIUS, _RADIUS + 1) ** 2) / (2 * _SIGMA**2))
    taps /= taps.sum()

    def vertical(x: np.ndarray) -> np.ndarray:
        rows = x.shape[0] - 2 * _RADIUS
        out = taps[_RADIUS] * x[_RADIUS : _RADIUS + rows]
        for k in range(_RADIUS):  # symmetric: one product serves two taps
            out += taps[k] * (x[k : k + rows] + x[2 * _RADIUS - k : 2 * _RADIUS - k + rows])
        return out

    return vertical(np.ascontiguousarray(vertical(x).T)).T


def _halve(x: np.ndarray) -> np.ndarray:
    height, width = x.shape[0] // 2, x.shape[1] // 2
    return x[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))
