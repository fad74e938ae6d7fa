"""The codecs of Pillow and its plugins: what they write, what they refuse, and that they are Pillow's own."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features

import pycodec
from pycodec import limits
from pycodec.errors import CorruptStream, InvalidInput, LimitExceeded, MissingDependency, PycodecError
from pycodec.evaluation.metrics import psnr

NEEDED = {"webp": "PIL._webp", "avif": "PIL._avif", "jxl": "pillow_jxl", "heic": "pillow_heif"}
NAMES = ("jpeg", "webp", "avif", "jpeg2000", "jxl", "heic")
WITH_PROFILE = ("jpeg", "webp", "avif", "heic")


def load(name: str, **options: Any) -> Any:
    if name in NEEDED and importlib.util.find_spec(NEEDED[name]) is None:
        pytest.skip(f"there is no {NEEDED[name]} here")
    return pycodec.load(name, **options)


def photograph(height: int = 88, width: int = 120) -> np.ndarray:  # [height, width, 3] uint8
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    base = 128 + 60 * np.sin(x / 13) * np.cos(y / 29)
    tint = np.array([1.0, 0.8, 0.5])
    return np.clip(base[..., None] * tint + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_settings_spend_more_for_better(name: str) -> None:
    codec, image = load(name), photograph()
    files = [codec.compress(image, setting) for setting in codec.settings[1::4]]
    likeness = [psnr(image, np.asarray(codec.decompress(data))) for data in files]
    assert all(len(a) < len(b) for a, b in itertools.pairwise(files))
    assert all(a < b for a, b in itertools.pairwise(likeness))
    assert codec.version()


def test_jpeg_is_progressive_and_subsampled_unless_told_otherwise() -> None:
    def kind(**options: Any) -> tuple[bool, tuple[int, int]]:
        with Image.open(io.BytesIO(load("jpeg", **options).compress(photograph(), 50))) as image:
            return bool(image.info.get("progressive")), image.layer[0][1:3]

    assert kind() == (True, (2, 2))
    assert kind(progressive=False, subsampling="4:4:4") == (False, (1, 1))


def test_jpeg2000_spends_on_grey_what_it_was_asked_for() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (128, 128), np.uint8)
    bpp = 8 * len(pycodec.load("jpeg2000").compress(grey, 2.0)) / 128**2
    assert bpp == pytest.approx(2, rel=0.1)


def test_jpeg2000_uses_the_colour_transform() -> None:
    """Pillow's default leaves it out, which costs several dB and flatters whatever is compared."""
    data = load("jpeg2000").compress(photograph(), 1.0)
    style = data.index(b"\xff\x52")  # COD: length 2, style 1, progression 1, layers 2, then the transform
    assert data[style + 8] == 1
    assert data[style + 13] == 0  # the irreversible 9/7 wavelet


INDEPENDENT = [
    (
        "jpeg",
        {"subsampling": "4:4:4", "progressive": False},
        "JPEG",
        {"subsampling": "4:4:4", "optimize": True},
    ),
    ("webp", {}, "WEBP", {"method": 6}),
    ("avif", {}, "AVIF", {"speed": 4, "subsampling": "4:4:4", "max_threads": 1}),
]


@pytest.mark.data
@pytest.mark.parametrize(("name", "options", "image_format", "arguments"), INDEPENDENT)
def test_figures_are_those_of_pillow(
    kodak: list[Path], name: str, options: dict[str, Any], image_format: str, arguments: dict[str, Any]
) -> None:
    """Bytes within 0.5 % and PSNR within 0.02 dB of a call of Pillow that shares no line with ours."""
    codec = load(name, **options)
    for path in kodak[2:4]:
        with Image.open(path) as whole:
            image = whole.convert("RGB").crop((200, 100, 456, 292))
        pixels, out = np.asarray(image), io.BytesIO()
        image.save(out, image_format, quality=50, **arguments)
        with Image.open(out) as decoded:
            squares = (np.asarray(decoded.convert("RGB"), float) - pixels) ** 2
        data = codec.compress(pixels, 50)
        assert len(data) == pytest.approx(len(out.getvalue()), rel=0.005)
        decibels = 10 * np.log10(255**2 / squares.mean())
        assert psnr(pixels, np.asarray(codec.decompress(data))) == pytest.approx(decibels, abs=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_a_colour_profile_is_kept_or_the_image_refused(name: str) -> None:
    codec, image = load(name), Image.fromarray(photograph(24, 32))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.info["icc_profile"] = profile
    if name in WITH_PROFILE:
        assert codec.decompress(codec.compress(image)).info["icc_profile"] == profile
    else:
        with pytest.raises(InvalidInput, match="drop the profile first"):
            codec.compress(image)
    assert "icc_profile" not in codec.decompress(codec.compress(photograph(24, 32))).info


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_coded_is_refused(name: str) -> None:
    codec, image = load(name), Image.fromarray(photograph(24, 32))
    with pytest.raises(InvalidInput, match=r"to .* for codec"):
        codec.compress(image, codec.qualities[1] + 1)
    image.putalpha(128)
    with pytest.raises(InvalidInput, match=r"transparency, which codec .* does not keep"):
        codec.compress(image)


def test_a_quality_between_whole_ones_is_no_quality_of_jpeg() -> None:
    with pytest.raises(InvalidInput, match=r"quality 50\.5, expected a whole number from 1 to 100"):
        load("jpeg").compress(photograph(8, 8), 50.5)
    assert load("jpeg").compress(photograph(8, 8), 50.0) == load("jpeg").compress(photograph(8, 8), 50)


def test_an_image_beyond_the_library_is_one_sentence() -> None:
    with pytest.raises(InvalidInput, match=r"WebP cannot code this image of 16384 x 1 pixels: .+"):
        load("webp").compress(np.zeros((1, 16384, 3), np.uint8))


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_an_error_of_ours_or_an_image(name: str) -> None:
    codec = load(name)
    data = codec.compress(photograph(24, 32))
    for cut in (0, 1, 3, 20, len(data) // 2):
        with pytest.raises(CorruptStream) as caught:
            codec.decompress(data[:cut])
        assert "\n" not in str(caught.value) and "0x" not in str(caught.value)
    for place in range(0, len(data), 41):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        with contextlib.suppress(PycodecError):
            assert isinstance(codec.decompress(bytes(damaged)), Image.Image)


def test_a_file_of_too_many_pixels_is_refused() -> None:
    codec = load("jpeg")
    data = codec.compress(photograph(24, 32))
    with limits.using(pixels=24 * 32 - 1), pytest.raises(LimitExceeded, match="image of 32 x 24"):
        codec.decompress(data)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("jpeg", {"subsampling": "4:1:1"}, "subsampling is '4:1:1', expected one of 4:2:0, 4:2:2, 4:4:4"),
        ("jpeg", {"progressive": "no"}, "progressive is 'no', expected one of True, False"),
        ("webp", {"method": 7}, "method is 7, expected one of 0 to 6"),
        ("avif", {"speed": True}, "speed is True, expected one of 0 to 10"),
        ("jpeg", {"sampling": "4:4:4"}, "no option 'sampling'; did you mean 'subsampling'"),
    ],
)
def test_a_wrong_option_is_named(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        load(name, **options)


def test_a_fingerprint_is_of_name_options_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [load("jpeg"), load("jpeg", subsampling="4:4:4"), load("webp"), load("webp", method=5)]
    assert len({codec.fingerprint for codec in made}) == 4
    assert load("jpeg", subsampling="4:4:4").fingerprint == made[1].fingerprint
    monkeypatch.setattr(features, "version", lambda feature: "0.0")
    assert load("jpeg").fingerprint != made[0].fingerprint


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(MissingDependency, match="needs a Pillow with avif"):
        pycodec.load("avif")
    for name, module in (("jxl", "pillow_jxl"), ("heic", "pillow_heif")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingDependency, match=r"pip install 'pycodec\[classical\]'"):
            pycodec.load(name)
