"""Curves, BD-rate and sweeps."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pycodec
from pycodec.errors import InvalidInput
from pycodec.evaluation import rd


def photograph(height: int = 200, width: int = 184, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 128 + 60 * np.sin(x / 13 + seed) * np.cos(y / 29)
    tint = np.array([1.0, 0.8, 0.5])
    return np.clip(base[..., None] * tint + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def rows(image: str = "a", scale: float = 1.0, codec: str = "x") -> list[rd.Row]:
    """A concave curve whose PSNR gains 4 dB per doubling of the rate; ``scale`` multiplies the rate."""
    return [
        rd.Row(
            image,
            codec,
            q,
            int(1000 * 2**q * scale),
            0.1 * 2**q * scale,
            25 + 4 * q,
            1 - 0.2 / 2**q,
            0.1,
            0.1,
        )
        for q in range(6)
    ]


@pytest.mark.parametrize("metric", ["psnr", "ms_ssim"])
@pytest.mark.parametrize(("scale", "percent"), [(1.0, 0.0), (0.9, -10.0), (1.25, 25.0)])
def test_bd_rate_of_a_scaled_copy(metric: rd.Metric, scale: float, percent: float) -> None:
    answer = rd.bd_rate(rows(), rows(scale=scale), metric)
    assert answer.percent == pytest.approx(percent, abs=1e-6)
    assert answer.overlap == pytest.approx(1.0)
    assert not answer.left_out


def test_bd_rate_is_per_image_then_averaged() -> None:
    anchor = rows("a") + rows("b")
    test = rows("a", 0.5) + rows("b", 0.9)
    answer = rd.bd_rate(anchor, test, "psnr")
    assert answer.per_image == pytest.approx({"a": -50.0, "b": -10.0})
    assert answer.percent == pytest.approx(-30.0)


def test_bd_rate_uses_the_common_quality_only() -> None:
    test = [
        replace(row, psnr=row.psnr + 8) for row in rows()
    ]  # 33..53 dB against 25..45: 12 of its 20 dB are shared
    answer = rd.bd_rate(rows(), test, "psnr")
    assert answer.overlap == pytest.approx(0.6)
    assert answer.percent == pytest.approx(-75.0)  # 8 dB is two doublings

    far = rows("b")
    apart = [replace(row, psnr=row.psnr + 50) for row in far]
    answer = rd.bd_rate(rows() + far, test + apart, "psnr")
    assert answer.left_out == ["b"]
    assert list(answer.per_image) == ["a"]
    with pytest.raises(InvalidInput, match="common quality"):
        rd.bd_rate(far, apart, "psnr")
    with pytest.raises(InvalidInput, match="common image"):
        rd.bd_rate(rows("a"), rows("b"), "psnr")


def test_curves_rise_strictly() -> None:
    points = rows()
    worse = replace(points[3], bpp=points[3].bpp * 1.1, psnr=points[3].psnr - 1)
    same = replace(points[3], psnr=points[3].psnr - 2)
    lossless = replace(points[5], bpp=50.0, psnr=float("inf"))
    rate, quality = rd.curves([lossless, worse, same, *reversed(points)], "psnr")["a"]
    np.testing.assert_allclose(rate, [row.bpp for row in points])
    np.testing.assert_allclose(quality, [row.psnr for row in points])
    assert rd.curves(points[:1], "psnr") == {}
    assert rd.curves([replace(row, ms_ssim=None) for row in points], "ms_ssim") == {}


def test_rates_are_interpolated_and_never_extrapolated() -> None:
    grid = [0.05, 0.1, 0.8, 3.2, 3.3]
    values = rd.at_rates(rows(), "psnr", grid)["a"]
    np.testing.assert_allclose(values, [np.nan, 25, 37, 45, np.nan], atol=1e-9)
    similarity = rd.at_rates(rows(), "ms_ssim", [0.8])["a"]
    np.testing.assert_allclose(similarity, [1 - 0.2 / 8])


def test_comparison_counts_only_images_both_reach() -> None:
    anchor = rows("a") + rows("b", 4.0)  # image b starts at 0.4 bpp
    test = rows("a", 0.5) + rows("b", 2.0)  # and here at 0.2
    low, high = rd.compare_at_rates(anchor, test, "psnr", [0.2, 1.6])
    assert (low["images"], high["images"]) == (1, 2)
    assert low["test"] == pytest.approx(33) and low["anchor"] == pytest.approx(29)
    assert high["wins"] == 2
    (nothing,) = rd.compare_at_rates(anchor, test, "psnr", [0.01])
    assert nothing == {"bpp": 0.01, "images": 0, "anchor": None, "test": None, "wins": 0}


def test_sweep_measures_real_files(tmp_path: Path) -> None:
    sizes = {"one.png": (200, 184), "two.png": (64, 48)}
    for seed, (name, size) in enumerate(sizes.items()):
        Image.fromarray(photograph(*size, seed=seed)).save(tmp_path / name)
    codec = pycodec.load("jpeg")
    found = list(rd.sweep(codec, "jpeg", [20, 80], rd.image_files(tmp_path)))
    assert [(row.image, row.setting) for row in found] == [(n, q) for n in sizes for q in (20, 80)]
    for row in found:
        height, width = sizes[row.image]
        data = codec.compress(rd.load_image(tmp_path / row.image), row.setting)
        assert row.bytes == len(data)
        assert row.bpp == 8 * len(data) / (height * width)
        assert (row.ms_ssim is None) == (row.image == "two.png")  # too small for five scales
    assert found[1].psnr > found[0].psnr
    points = rd.mean_points(found)
    assert [point["setting"] for point in points] == [20, 80]
    assert points[0]["psnr"] == pytest.approx((found[0].psnr + found[2].psnr) / 2)
    assert points[0]["ms_ssim"] == found[0].ms_ssim


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no image in"):
        rd.image_files(tmp_path)


def test_evaluation_leaves_torch_alone() -> None:
    code = "import sys, pycodec.evaluation.rd; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
