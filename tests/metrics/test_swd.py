"""Sliced Wasserstein distance: zero for equal sets, rising with noise and blur, and its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance

import pycodec
from pycodec.errors import InvalidInput
from pycodec.testing import samples
from pycodec_plugins.metrics.swd import SWD, laplacian_pyramid

X = samples.images(3, 136, 160).numpy()


def measured(x_hat: np.ndarray, **config: int) -> SWD:
    metric = pycodec.create("metric", "swd", **{"directions": 64, **config})
    metric.update(x_hat, X)
    return metric


def noisy(sigma: float) -> np.ndarray:
    return X + np.random.default_rng(1).normal(0, sigma, X.shape)


def test_equal_sets_are_at_zero_and_noise_moves_them_apart():
    assert measured(X).compute() == 0
    values = [measured(noisy(sigma)).compute() for sigma in (2, 5, 12, 30)]
    assert values == sorted(values) and values[0] > 1


def test_blur_counts_at_the_fine_levels():
    """Each set normalised by its own deviation, as for generated images, would hide most of it."""
    per_level = measured(gaussian_filter(X, (0, 0, 1.2, 1.2))).per_level()
    assert per_level[0] > 300 and per_level[0] > 5 * per_level[3]


def test_it_is_its_definition():
    """One level, whose patches are of the picture itself: scipy measures each direction."""
    metric = measured(noisy(9), levels=1, directions=8, patches=40)
    (drawn,) = (np.concatenate(level, 1).astype(np.float64) for level in metric._drawn)
    drawn = (drawn - drawn[1].mean((0, 1, 2))) / drawn[1].std((0, 1, 2))
    directions = np.random.default_rng([0, 0, 7]).normal(size=(147, 8))
    projected = drawn.reshape(2, 120, 147) @ (directions / np.linalg.norm(directions, axis=0))
    expected = np.mean([wasserstein_distance(projected[0, :, k], projected[1, :, k]) for k in range(8)])
    assert metric.compute() == pytest.approx(1000 * expected, rel=1e-9)


def test_patches_come_from_the_same_places_of_both_sets():
    metric = measured(X + 1, levels=1)  # where it is not clipped, every value is one more
    (drawn,) = (np.concatenate(level, 1) for level in metric._drawn)
    assert set(np.unique(drawn[0] - drawn[1])) <= {0.0, 1.0}


def test_the_pyramid_adds_up_to_the_picture():
    picture = samples.photo(50, 67)
    bands = laplacian_pyramid(picture, 3)
    assert [band.shape for band in bands] == [(50, 67, 3), (25, 34, 3), (13, 17, 3)]
    flat = laplacian_pyramid(np.full((32, 32, 3), 90, np.uint8), 3)
    assert [round(float(abs(band).max()), 3) for band in flat] == [0, 0, 90]
    image = bands[2]
    for band in (bands[1], bands[0]):
        zeros = np.zeros_like(band)
        larger = zeros.copy()
        larger[::2, ::2] = image
        image = band + 4 * gaussian_5(larger)
    np.testing.assert_allclose(image, picture, atol=1e-3)


def gaussian_5(image: np.ndarray) -> np.ndarray:
    """The 5x5 window as one sum over its 25 weights, borders mirrored."""
    taps = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (0, 1))
    return np.einsum("hwcij,ij->hwc", windows, taps)


def test_it_depends_on_its_seed_and_not_on_batches():
    whole = measured(noisy(9)).compute()
    metric = SWD(directions=64)
    for i in range(3):
        metric.update(noisy(9)[i : i + 1], X[i : i + 1])
    assert metric.compute() == whole == measured(noisy(9), seed=0).compute()
    assert measured(noisy(9), seed=1).compute() != whole


def test_a_result_says_how_it_was_made():
    metric = measured(noisy(9), patches=32)
    info = metric.info()
    assert info["patches"] == 3 * 32 and np.mean(info["per_level"]) == pytest.approx(metric.compute())
    with pytest.raises(
        InvalidInput, match="at least 256 pixels, this image is 160 x 136; choose fewer levels="
    ):
        measured(X, levels=5)
    with pytest.raises(InvalidInput, match="patches is 0, expected a whole number from 1 on"):
        measured(X, patches=0)
