"""Measuring one codec, and files of a given size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pycodec
from pycodec.errors import CorruptStream, InvalidInput
from pycodec.evaluation import rd


def photograph(height: int = 200, width: int = 184, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 128 + 60 * np.sin(x / 13 + seed) * np.cos(y / 29)
    tint = np.array([1.0, 0.8, 0.5])
    return np.clip(base[..., None] * tint + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


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
        assert (row.metrics["ms_ssim"] is None) == (row.image == "two.png")  # too small for five scales
    assert found[1].metrics["psnr"] > found[0].metrics["psnr"]
    points = rd.mean_points(found)
    assert [point["setting"] for point in points] == [20, 80]
    assert points[0]["images"] == 2
    assert points[0]["psnr"] == pytest.approx((found[0].metrics["psnr"] + found[2].metrics["psnr"]) / 2)
    assert points[0]["ms_ssim"] == found[0].metrics["ms_ssim"]


class Cropping:
    def compress(self, image, quality):
        return b"file"

    def decompress(self, data):
        return Image.new("RGB", (8, 7))


def test_a_decoded_image_has_the_size_of_the_original() -> None:
    with pytest.raises(CorruptStream, match="decoded to 8 x 7 pixels, expected the original's 8 x 8"):
        rd.measure(Cropping(), "cropping", 1, "a", np.zeros((8, 8, 3), np.uint8))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no image in .* without loss, of 0 files"):
        rd.image_files(tmp_path)


class Sized:
    """Files of as many bytes as ``size`` says of a setting; they hold the setting."""

    def __init__(self, settings, size, whole=True):
        self.settings, self.size, self.whole = settings, size, whole

    def compress(self, image, quality):
        quality = round(quality) if self.whole else quality
        return str(quality).ljust(int(self.size(quality))).encode()


@pytest.mark.parametrize("limit", [10, 11, 105, 999, 5000])
@pytest.mark.parametrize(
    ("codec", "candidates"),
    [
        (Sized((1, 20, 60, 95), lambda q: 10 * q), range(1, 96)),
        (Sized((51, 37, 22), lambda q: 10 + (51 - q) ** 2), range(51, 21, -1)),  # a quantisation parameter
        (Sized((1, 2, 8), lambda q: 10 * q, whole=False), np.arange(16, 129) / 16),
    ],
)
def test_the_best_file_of_a_size_is_found(codec: Sized, candidates, limit: int) -> None:
    data, setting = rd.encode_to_size(codec, None, limit)
    best = max(len(codec.compress(None, q)) for q in candidates if len(codec.compress(None, q)) <= limit)
    assert len(data) == best <= limit
    assert codec.compress(None, setting) == data
    assert any(setting == q for q in candidates)


def test_a_rate_is_met_to_a_sixteenth_of_a_step() -> None:
    codec = Sized((0.1, 0.5, 2.0), lambda q: 1000 * q, whole=False)
    assert 0.95 * 777 < len(rd.encode_to_size(codec, None, 777)[0]) <= 777
    assert rd.encode_to_size(codec, None, 777, settings=[0.1, 0.5, 2.0])[1] == 0.5


def test_a_size_out_of_reach_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"9 bytes are out of reach: at the lowest setting, 1, .* takes 10"
    ):
        rd.encode_to_size(Sized((1, 5), lambda q: 10 * q), None, 9)


def test_evaluation_leaves_torch_alone() -> None:
    modules = "pycodec.evaluation.rd, pycodec.evaluation.run, pycodec.cli.eval"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
