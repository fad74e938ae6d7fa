"""Sliced Wasserstein distance over Laplacian pyramid patches: set statistics without any trained network.

Karras et al. 2018, "Progressive growing of GANs", section 5, with two changes for reconstructions. Patches of
both sets come from the same places, so that equal sets are at distance zero. And both are normalised by the
mean and deviation of the originals' channels, not each set by its own: a reconstruction that has lost
contrast in a band, which is what blur is, would else be forgiven.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import correlate1d

from pycodec.errors import InvalidInput

from .common import ROUNDING, pictures, require_count, require_side

PATCH = 7  # pixels a side, of every level
_TAPS = np.array([1, 4, 6, 4, 1], np.float32) / 16
_DIRECTIONS_AT_ONCE = 64


def laplacian_pyramid(picture: np.ndarray, levels: int) -> list[np.ndarray]:  # [H, W, 3] -> [h, w, 3] each
    """Bands of Burt & Adelson 1983, finest first; the last is what is left. Their sum, enlarged, is the
    picture.
    """
    bands = []
    image = picture.astype(np.float32)
    for _ in range(levels - 1):
        smaller = _blurred(image)[::2, ::2]
        enlarged = np.zeros_like(image)
        enlarged[::2, ::2] = 4 * smaller
        bands.append(image - _blurred(enlarged))
        image = smaller
    return [*bands, image]


def _blurred(image: np.ndarray) -> np.ndarray:
    return correlate1d(correlate1d(image, _TAPS, 0, mode="mirror"), _TAPS, 1, mode="mirror")


class SWD:
    """Mean over pyramid levels of the sliced Wasserstein distance of 7x7 patches, times 1000.

    Args:
        levels: of the pyramid; sides of images have to be at least 16 pixels at the coarsest.
        patches: drawn from each image and level.
        directions: that patches are projected on.
        seed: of places and directions.
    """

    label = "SWD"
    unit = ""
    higher_is_better = False
    data_range = 255.0
    of_set = True

    def __init__(self, levels: int = 4, patches: int = 128, directions: int = 512, seed: int = 0):
        self._config = {"levels": levels, "patches": patches, "directions": directions, "seed": seed}
        for name, value in self._config.items():
            require_count(name, value, least=0 if name == "seed" else 1)
        self.reset()

    def reset(self) -> None:
        self._images = 0
        self._drawn: list[list[np.ndarray]] = [[] for _ in range(self._config["levels"])]  # [2, n, 7, 7, 3]

    def update(self, x_hat: Any, x: Any) -> None:  # [N, 3, H, W] twice
        levels = self._config["levels"]
        for pair in zip(*pictures(x_hat, x), strict=True):
            require_side(self.label, pair[0], 16 << (levels - 1), "choose fewer levels=")
            rng = np.random.default_rng([self._config["seed"], self._images])
            bands = zip(*(laplacian_pyramid(picture, levels) for picture in pair), strict=True)
            for drawn, (band_hat, band) in zip(self._drawn, bands, strict=True):
                drawn.append(self._patches(np.stack([band_hat, band]), rng))
            self._images += 1

    def _patches(self, bands: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # [2, h, w, 3] -> as above
        count = self._config["patches"]
        height, width = bands.shape[1:3]
        windows = np.lib.stride_tricks.sliding_window_view(bands, (PATCH, PATCH), (1, 2))
        top = rng.integers(height - PATCH + 1, size=count)
        left = rng.integers(width - PATCH + 1, size=count)
        return windows[:, top, left].transpose(0, 1, 3, 4, 2)

    def per_level(self) -> list[float]:
        """The distance of each level, finest first."""
        if not self._images:
            raise InvalidInput("there are no images to compare; call update first")
        return [self._distance(np.concatenate(drawn, 1), level) for level, drawn in enumerate(self._drawn)]

    def _distance(self, drawn: np.ndarray, level: int) -> float:  # [2, n, 7, 7, 3]
        originals = drawn[1]
        deviation = originals.std((0, 1, 2), dtype=np.float64)
        normalised = (drawn - originals.mean((0, 1, 2), dtype=np.float64)) / np.maximum(deviation, 1e-6)
        vectors = normalised.reshape(2, drawn.shape[1], -1)
        rng = np.random.default_rng([self._config["seed"], level, PATCH])
        directions = rng.normal(size=(vectors.shape[2], self._config["directions"]))
        directions /= np.linalg.norm(directions, axis=0)
        total = 0.0
        for start in range(0, directions.shape[1], _DIRECTIONS_AT_ONCE):
            projected = np.sort(vectors @ directions[:, start : start + _DIRECTIONS_AT_ONCE], axis=1)
            total += np.abs(projected[0] - projected[1]).mean(0).sum()
        return float(1000 * total / directions.shape[1])

    def compute(self) -> float:
        return float(np.mean(self.per_level()))

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    def info(self) -> dict[str, Any]:
        """What a reader needs to repeat the value, beside ``config()``: JSON."""
        per_level = {"per_level": self.per_level()} if self._images else {}
        return {
            "preprocessing": f"{ROUNDING}; normalised by the originals",
            "images": self._images,
            "patches": self._images * self._config["patches"],
            **per_level,
        }
