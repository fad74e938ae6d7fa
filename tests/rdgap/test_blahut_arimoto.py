"""Blahut-Arimoto on sources whose rate-distortion function is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from pycodec.errors import InvalidInput
from pycodec.testing import sample_codec
from pycodec_plugins.rdgap.blahut_arimoto import MemorylessBound, blahut_arimoto, memoryless_bound

SLOPES = (0.5, 1.5, 3.0, 6.0)


def entropy(p: float) -> float:
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("p", [0.5, 0.3, 0.11])
def test_binary_source_with_hamming_distortion(p: float, slope: float) -> None:
    found = blahut_arimoto(np.array([p, 1 - p]), 1 - np.eye(2), slope)
    exact = entropy(p) - entropy(found.distortion) if found.distortion < p - 1e-6 else 0
    assert found.rate == pytest.approx(exact, abs=1e-6)
    assert found.distortion == pytest.approx(min(p, 1 / (1 + 2**slope)), abs=1e-6)


@pytest.mark.parametrize("slope", SLOPES)
def test_uniform_source_with_hamming_distortion(slope: float) -> None:
    symbols = 5
    found = blahut_arimoto(np.full(symbols, 1 / symbols), 1 - np.eye(symbols), slope)
    d = found.distortion
    assert found.rate == pytest.approx(np.log2(symbols) - entropy(d) - d * np.log2(symbols - 1), abs=1e-6)
    assert d == pytest.approx((symbols - 1) / (symbols - 1 + 2**slope), abs=1e-6)


def test_one_that_is_stopped_early_is_an_upper_bound() -> None:
    rng = np.random.default_rng(0)
    source = rng.dirichlet(np.ones(20))
    distortion = np.square(np.arange(20.0)[:, None] - np.arange(20.0))
    best = blahut_arimoto(source, distortion, 0.1)
    for steps in (1, 10, 100):
        early = blahut_arimoto(source, distortion, 0.1, steps=steps)
        above = early.rate + 0.1 * early.distortion - best.rate - 0.1 * best.distortion
        assert -1e-9 <= above <= early.excess


@pytest.mark.parametrize(
    ("source", "distortion", "slope"),
    [
        ([0.5, 0.6], np.eye(2), 1.0),
        ([0.5, 0.5], np.eye(3), 1.0),
        ([0.5, 0.5], -np.eye(2), 1.0),
        ([1.0], [[1.0]], 0.0),
        ([0.5, 0.5], [[0.0, np.inf], [1.0, 0.0]], 1.0),
    ],
)
def test_what_is_no_source_is_refused(source, distortion, slope) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        blahut_arimoto(np.array(source), np.array(distortion), slope)


def test_pixels_drawn_one_by_one_are_near_the_shannon_lower_bound() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    found = memoryless_bound(rgb, 20.0, 200)
    shannon = 3 * (8 - np.log2(2 * np.pi * np.e * 20) / 2)
    histograms = 3 * math.log2(math.comb(200 * 200 + 255, 255)) / 200**2
    assert shannon < found.rate - histograms < 1.02 * shannon
    assert found.mse == pytest.approx(20, rel=0.01)


def test_extremes_cost_nothing_or_the_entropy() -> None:
    rgb = np.random.default_rng(0).choice(np.array([10, 60], np.uint8), (64, 64, 3))
    histograms = 3 * math.log2(math.comb(64 * 64 + 255, 255)) / 64**2
    assert memoryless_bound(rgb, 1e4, 100).rate == pytest.approx(histograms, abs=1e-3)
    assert memoryless_bound(rgb, 0.0, 100).rate == pytest.approx(3 + histograms, abs=0.01)


def test_the_estimator_takes_the_distortion_of_the_codecs_files() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    codec = sample_codec()
    low, high = (MemorylessBound(quality, steps=30).estimate(codec, [image]) for quality in (2, 6))
    assert low["rate_bpp"] < high["rate_bpp"] and low["psnr_db"] < high["psnr_db"]
    assert 0 < low["rate_excess_bpp"] < 1 and low["rate_error_bpp"] == 0
    many = MemorylessBound(2, steps=30).estimate(codec, [image] * 4)
    assert many["rate_excess_bpp"] == pytest.approx(low["rate_excess_bpp"])


@pytest.mark.parametrize("side", [1, 4, 16])
def test_a_small_image_does_not_come_for_free(side: int) -> None:
    """Its histograms are most of it: pixels drawn at random take 24 bits, however few they are."""
    rgb = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    assert memoryless_bound(rgb, 0.0, 100).rate >= 24 - 1e-6
