"""Every kind of image to 8-bit RGB and back: values, not just sizes."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from pycodec import images, limits
from pycodec.errors import CorruptStream, InvalidInput, LimitExceeded
from pycodec.images import as_picture, to_pil


@pytest.fixture
def rgb(photo):
    return photo(13, 9)


@pytest.fixture
def stored(tmp_path):
    """Saves a PIL image and names the file: what comes back went through Pillow's reader."""

    def save(image: Image.Image, name: str = "image.png", **options) -> str:
        path = tmp_path / name
        image.save(path, **options)
        return str(path)

    return save


def _png16(values: np.ndarray, colour_type: int) -> bytes:
    """PNG of 16 bits a channel, which Pillow cannot write in colour."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_rgb_from_a_path_pil_numpy_and_torch_is_one_picture(rgb, stored):
    chw = torch.from_numpy(rgb).permute(2, 0, 1)
    for image in (
        stored(Image.fromarray(rgb)),
        Image.fromarray(rgb),
        rgb,
        chw,
        chw.float() / 255,
        chw.double() / 255,
    ):
        picture = as_picture(image)
        assert np.array_equal(picture.rgb, rgb)
        assert (picture.alpha, picture.icc, picture.grey, picture.notes) == (None, None, False, ())
        assert picture.size == (13, 9)


def test_grey_stays_grey(rgb, stored):
    grey = rgb[:, :, 0].copy()
    for image in (stored(Image.fromarray(grey)), Image.fromarray(grey), grey, torch.from_numpy(grey)[None]):
        picture = as_picture(image)
        assert picture.grey
        assert np.array_equal(picture.rgb, np.stack([grey] * 3, 2))
        out = to_pil(picture.rgb, picture.grey)
        assert out.mode == "L"
        assert np.array_equal(np.asarray(out), grey)


def test_one_bit_is_grey(rgb, stored):
    bits = rgb[:, :, 0] > 120
    picture = as_picture(stored(Image.fromarray(bits)))
    assert picture.grey
    assert np.array_equal(picture.rgb[:, :, 0], bits * np.uint8(255))


def test_palette_with_and_without_transparency(rgb, stored):
    palette = Image.fromarray(rgb).quantize(7)
    colours = np.asarray(palette.convert("RGB"))
    opaque = as_picture(stored(palette))
    assert opaque.alpha is None
    assert np.array_equal(opaque.rgb, colours)
    clear = as_picture(stored(palette, "clear.png", transparency=3))
    assert np.array_equal(clear.alpha, np.where(np.asarray(palette) == 3, 0, 255))
    assert np.array_equal(clear.rgb, colours)


def test_colour_key_becomes_alpha(rgb, stored):
    key = tuple(int(v) for v in rgb[2, 3])
    picture = as_picture(stored(Image.fromarray(rgb), transparency=key))
    assert np.array_equal(picture.alpha, np.where((rgb == key).all(2), 0, 255))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept_and_dropped_where_opaque(rgb, stored, mode):
    alpha = np.arange(117, dtype=np.uint8).reshape(9, 13)
    image = Image.fromarray(rgb).convert(mode[:-1])
    image.putalpha(Image.fromarray(alpha))
    picture = as_picture(stored(image))
    assert np.array_equal(picture.alpha, alpha)
    assert picture.grey == (mode == "LA")
    assert np.array_equal(np.asarray(to_pil(picture.rgb, picture.grey, picture.alpha)), np.asarray(image))
    image.putalpha(255)
    assert as_picture(stored(image)).alpha is None


def test_sixteen_bit_grey_is_rounded_and_said_so(stored):
    values = np.array([[0, 128, 129, 385, 386], [257, 65535, 65407, 65406, 32768]], np.uint16)
    for path in (stored(Image.fromarray(values)), stored(Image.fromarray(values), "image.tif")):
        picture = as_picture(path)
        assert picture.grey
        assert np.array_equal(picture.rgb[:, :, 0], np.round(values / 257))
        assert picture.notes == ("16 bits a channel: scaled to 8",)


@pytest.mark.parametrize(("colour_type", "bands"), [(2, 3), (6, 4)])
def test_sixteen_bit_colour_keeps_the_upper_byte_and_says_so(tmp_path, colour_type, bands):
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, bands))
    path = tmp_path / "deep.png"
    path.write_bytes(_png16(values, colour_type))
    picture = as_picture(path)
    assert np.array_equal(picture.rgb, values[:, :, :3] >> 8)
    assert picture.notes == ("16 bits a channel: the upper 8 are kept",)


def test_images_without_an_agreed_way_to_rgb(rgb, stored):
    with pytest.raises(InvalidInput, match=r"^grey levels 0\.\.70000, expected 0\.\.65535"):
        as_picture(Image.fromarray(np.array([[0, 70000]], np.int32)))
    with pytest.raises(InvalidInput, match=r"float\.tif: floats have no agreed range, expected 8 or 16 bits"):
        as_picture(stored(Image.fromarray(rgb[:, :, 0].astype(np.float32)), "float.tif"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_dropped(rgb, stored, orientation):
    image = Image.fromarray(rgb)
    image.getexif()[0x0112] = orientation
    path = stored(image, exif=image.getexif())
    with Image.open(path) as again:
        expected = np.asarray(ImageOps.exif_transpose(again))
    picture = as_picture(path)
    assert np.array_equal(picture.rgb, expected)
    assert picture.size == ((9, 13) if orientation > 4 else (13, 9))
    assert not to_pil(picture.rgb).getexif()


def test_icc_profile_is_kept_where_it_fits(rgb, stored):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = as_picture(stored(Image.fromarray(rgb), icc_profile=profile))
    assert picture.icc == profile
    assert to_pil(picture.rgb, icc=picture.icc).info["icc_profile"] == profile
    grey = as_picture(stored(Image.fromarray(rgb[:, :, 0]), icc_profile=profile))
    assert grey.icc is None
    assert grey.notes == ("colour profile dropped: it is not one for grey",)


def test_cmyk_is_converted_and_a_profile_of_another_kind_does_not_matter(rgb, stored):
    cmyk = Image.fromarray(rgb).convert("CMYK")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for path in (stored(cmyk, "plain.tif"), stored(cmyk, "profile.tif", icc_profile=profile)):
        picture = as_picture(path)
        assert np.array_equal(picture.rgb, np.asarray(cmyk.convert("RGB")))
        assert picture.icc is None
        assert picture.notes == ("CMYK: converted to RGB without a profile",)


def test_the_first_frame_of_an_animation(rgb, stored):
    frames = [Image.fromarray(rgb), Image.fromarray(255 - rgb)]
    picture = as_picture(stored(frames[0], "moving.png", save_all=True, append_images=frames[1:]))
    assert np.array_equal(picture.rgb, rgb)
    assert picture.notes == ("first of 2 frames only",)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (
            np.zeros((4, 4, 4), np.uint8),
            r"array of uint8 \(4, 4, 4\), expected uint8 \(H, W, 3\) or \(H, W\)",
        ),
        (np.zeros((4, 4, 3), np.float32), "array of float32"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (torch.zeros(1, 3, 4, 4), r"tensor of shape \(1, 3, 4, 4\), expected \(3, H, W\)"),
        (torch.full((3, 4, 4), 255.0), r"values outside 0\.\.1; use uint8"),
        (torch.full((3, 4, 4), float("nan")), r"values outside 0\.\.1"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "array of int64"),
        ([[1, 2], [3, 4]], "list is no image"),
    ],
)
def test_what_is_no_image_says_so(image, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        as_picture(image)


def test_unreadable_files_say_so_in_one_line(tmp_path, rgb, stored):
    text = tmp_path / "text.png"
    text.write_text("no image")
    whole = tmp_path / "whole.png"
    Image.fromarray(rgb).save(whole)
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:-40])
    for path, sentence in (
        (text, "not an image of a format Pillow knows"),
        (cut, r"cut\.png: image file is truncated"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none.png", "No such file"),
    ):
        with pytest.raises(InvalidInput, match=sentence) as info:
            as_picture(path)
        assert str(path) in str(info.value)
        assert "\n" not in str(info.value)


def _bomb() -> bytes:
    """A PNG that promises 10^10 pixels in a few bytes."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"IDAT", pixels))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_too_many_pixels_are_refused_before_they_are_read(tmp_path, rgb):
    path = tmp_path / "bomb.png"
    path.write_bytes(_bomb())
    with pytest.raises(LimitExceeded, match=r"bomb\.png: image of 100000 x 100000 = "):
        as_picture(path)
    for image in (rgb, Image.fromarray(rgb)):
        with (
            limits.using(pixels=100),
            pytest.raises(LimitExceeded, match="13 x 9 = 117 pixels, expected at most 100"),
        ):
            as_picture(image)


def test_alpha_section_is_lossless_and_checked():
    alpha = np.random.default_rng(0).integers(0, 256, (7, 5), np.uint8)
    data = images.pack_alpha(alpha)
    assert np.array_equal(images.unpack_alpha(data, 5, 7), alpha)
    out = io.BytesIO()
    Image.fromarray(alpha).save(out, "JPEG")
    for damaged in (data[: len(data) // 2], b"", out.getvalue(), _bomb()):
        with pytest.raises(CorruptStream, match=r"alpha (does not decode|is no 5 x 7 grey PNG)"):
            images.unpack_alpha(damaged, 5, 7)
    with pytest.raises(CorruptStream, match="no 7 x 5 grey PNG"):
        images.unpack_alpha(data, 7, 5)


def test_icc_section_is_lossless_and_checked():
    data = images.pack_icc(b"profile" * 99)
    assert images.unpack_icc(data) == b"profile" * 99
    for damaged in (data[:-1], data + b"?", b"", b"no zlib"):
        with pytest.raises(CorruptStream, match="colour profile"):
            images.unpack_icc(damaged)
    with pytest.raises(CorruptStream, match="too long"):
        images.unpack_icc(zlib.compress(bytes(2**25)))
