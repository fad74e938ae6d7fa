"""Curves, BD-rate and BD-quality, and how sure they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pycodec.errors import InvalidInput
from pycodec.evaluation import curves
from pycodec.evaluation.rd import Row

METRICS = ("psnr", "ms_ssim", "distance")


def rows(image: str = "a", scale: float = 1.0, codec: str = "x", gain: float = 0.0) -> list[Row]:
    """A curve whose PSNR gains 4 dB per doubling of the rate; ``scale`` multiplies the rate.

    MS-SSIM halves its distance to 1 with every doubling; so does the distance, whose smaller values are better,
    by 3.
    """
    return [
        Row(
            image,
            codec,
            q,
            int(1000 * 2**q * scale),
            0.1 * 2**q * scale,
            {"psnr": 25 + gain + 4 * q, "ms_ssim": 1 - 0.2 / 2**q, "distance": 30.0 - 3 * q},
            0.1,
            0.1,
        )
        for q in range(6)
    ]


def with_psnr(row: Row, value: float | None) -> Row:
    return replace(row, metrics={**row.metrics, "psnr": value})


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("scale", "percent"), [(1.0, 0.0), (0.9, -10.0), (1.25, 25.0)])
def test_bd_rate_of_a_scaled_copy(metric: str, scale: float, percent: float) -> None:
    answer = curves.bd_rate(rows(), rows(scale=scale), metric, metric != "distance")
    assert answer.percent == pytest.approx(percent, abs=1e-6)
    assert answer.overlap == pytest.approx(1.0)
    assert not answer.left_out


@pytest.mark.parametrize(
    ("metric", "difference"),
    [("psnr", 4.0), ("ms_ssim", 10 * np.log10(2)), ("distance", -3.0)],
)
def test_bd_quality_is_in_the_metrics_unit_and_direction(metric: str, difference: float) -> None:
    """Half the rate: what one doubling gives is gained; a distance becomes smaller."""
    answer = curves.bd_quality(rows(), rows(scale=0.5), metric, metric != "distance")
    assert answer.difference == pytest.approx(difference, abs=1e-6)
    assert answer.overlap == pytest.approx(0.8)  # of five doublings, the cheapest is the tested curve's alone


# JCTVC-E137 (5th JCT-VC meeting, Geneva 2011), as its spreadsheet has them: kbit/s and dB of two encoders at
# four quantisation parameters. The values are those that Netflix published with these curves in VMAF,
# python/test/bd_rate_calculator_test.py (class BDrateCalculatorJCTVCTest), made by pchip over log10 of the rate.
PUBLISHED = [
    (
        [(18883.6928, 34.2911), (33905.6656, 37.247), (61279.976, 40.3953), (108048.8736, 43.6471)],
        [(18910.912, 34.3147), (33928.7472, 37.2761), (61299.9936, 40.4232), (108061.2784, 43.6768)],
        -0.465215420752807,
    ),
    (
        [(1017.6184, 32.0603), (2394.488, 33.8977), (7622.7456, 35.3756), (40433.8848, 37.5761)],
        [(1017.0984, 32.0822), (2390.0944, 33.9194), (7587.0024, 35.4025), (40370.12, 37.5982)],
        -1.8779823450567612,
    ),
]


@pytest.mark.parametrize(("anchor", "test", "percent"), PUBLISHED)
def test_bd_rate_is_the_published_one(
    anchor: list[tuple[float, float]], test: list[tuple[float, float]], percent: float
) -> None:
    def curve(points: list[tuple[float, float]]) -> list[Row]:
        return [Row("a", "x", i, None, r, {"psnr": q}, None, None) for i, (r, q) in enumerate(points)]

    answer = curves.bd_rate(curve(anchor), curve(test), "psnr")
    assert answer.percent == pytest.approx(
        percent, rel=1e-3
    )  # a cubic through all four points is not as near


def test_a_mean_is_per_image_and_averaged_last() -> None:
    anchor = rows("a") + rows("b")
    test = rows("a", 0.5) + rows("b", 0.9)
    answer = curves.bd_rate(anchor, test, "psnr")
    assert answer.per_image == pytest.approx({"a": -50.0, "b": -10.0})
    assert answer.percent == pytest.approx(-30.0)


def test_only_the_common_quality_counts() -> None:
    test = rows(gain=8)  # 33..53 dB against 25..45: 12 of its 20 dB are shared
    answer = curves.bd_rate(rows(), test, "psnr")
    assert answer.overlap == pytest.approx(0.6)
    assert answer.percent == pytest.approx(-75.0)  # 8 dB is two doublings

    far, apart = rows("b"), rows("b", gain=50)
    answer = curves.bd_rate(rows() + far, test + apart, "psnr")
    assert answer.left_out == ["b"]
    assert list(answer.per_image) == ["a"]
    with pytest.raises(InvalidInput, match="common quality"):
        curves.bd_rate(far, apart, "psnr")
    with pytest.raises(InvalidInput, match="common image"):
        curves.bd_rate(rows("a"), rows("b"), "psnr")


def test_curves_rise_strictly() -> None:
    points = rows()
    worse = with_psnr(replace(points[3], bpp=points[3].bpp * 1.1), 36)
    same = with_psnr(points[3], 35)
    lossless = with_psnr(replace(points[5], bpp=50.0), None)
    rate, quality = curves.curves([lossless, worse, same, *reversed(points)], "psnr")["a"]
    np.testing.assert_allclose(rate, [row.bpp for row in points])
    np.testing.assert_allclose(quality, [row.metrics["psnr"] for row in points])
    assert curves.curves(points[:1], "psnr") == {}
    assert curves.curves([with_psnr(row, None) for row in points], "psnr") == {}


def test_the_interval_is_that_of_the_mean_and_always_the_same() -> None:
    values = np.random.default_rng(0).normal(5, 2, 100)
    low, high = curves.interval(list(values))
    half = 1.96 * values.std() / 10  # what the normal approximation says
    assert low == pytest.approx(values.mean() - half, abs=0.08)
    assert high == pytest.approx(values.mean() + half, abs=0.08)
    assert curves.interval(list(values)) == (low, high)
    assert curves.interval([1.0]) == (None, None)
    anchor = rows("a") + rows("b") + rows("c")
    answer = curves.bd_rate(anchor, rows("a", 0.5) + rows("b", 0.9) + rows("c", 0.7), "psnr")
    assert answer.low is not None and answer.high is not None
    assert -50.01 < answer.low < answer.percent < answer.high < -9.99


def test_rates_are_interpolated_and_never_extrapolated() -> None:
    grid = [0.05, 0.1, 0.8, 3.2, 3.3]
    values = curves.at_rates(rows(), "psnr", grid)["a"]
    np.testing.assert_allclose(values, [np.nan, 25, 37, 45, np.nan], atol=1e-9)
    np.testing.assert_allclose(curves.at_rates(rows(), "ms_ssim", [0.8])["a"], [1 - 0.2 / 8])
    np.testing.assert_allclose(curves.at_rates(rows(), "distance", [0.8], False)["a"], [21])


def test_a_mean_at_a_rate_is_of_all_images_or_none() -> None:
    both = rows("a") + rows("b", 4.0)  # image b starts at 0.4 bpp
    assert curves.mean_at_rates(both, "psnr", [0.2, 1.6]) == [None, pytest.approx(37)]
    assert curves.mean_at_rates([], "psnr", [0.2]) == [None]


def test_a_published_mean_is_compared_with_means() -> None:
    own = rows("a") + rows("b", 4.0)  # mean rate 0.25 * 2^q
    published = [replace(row, image=curves.MEAN) for row in rows(scale=2.5)]
    for anchor, test in ((own, published), (published, own)):
        answer = curves.bd_rate(anchor, test, "psnr")
        assert answer.percent == pytest.approx(0, abs=1e-6)
        assert answer.of_means and answer.low is None
        assert list(answer.per_image) == [curves.MEAN]
    assert not curves.bd_rate(own, own, "psnr").of_means
    incomplete = own + [replace(row, setting=9, bpp=99.0) for row in rows("a")[:1]]
    assert [row.setting for row in curves.mean_rows(incomplete)] == [0, 1, 2, 3, 4, 5]
