"""Pillow and imageio with .pci files: what their users rely on, and what damage and bad options end in."""

from __future__ import annotations

import io
import os
import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import toy_codec
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

import pycodec
import pycodec.pillow
from pycodec import bitstream, images, limits, loading
from pycodec.bitstream import Container, Header
from pycodec.errors import InvalidInput, MissingWeights, UnknownComponent
from pycodec.limits import Limits

LOSSLESS = 8
"""Quality at which the toy codec is."""


@pytest.fixture(autouse=True)
def fresh(toy):
    """The toy codec is the default one, and not loaded yet."""
    loading._kept.cache_clear()
    loading._load_kept.cache_clear()


@pytest.fixture
def rgb(photo):
    return Image.fromarray(photo(40, 24))


@pytest.fixture
def path(rgb, tmp_path):
    """A .pci file with the pixels of ``rgb``."""
    rgb.save(tmp_path / "photo.pci", quality=LOSSLESS)
    return tmp_path / "photo.pci"


@pytest.fixture
def no_codec(monkeypatch):
    """From here on, nothing may be decoded."""

    def refuse(*_):
        raise AssertionError("a codec was asked for")

    monkeypatch.setattr(loading, "codec_for", refuse)


def header_only(width: int, height: int, **changes) -> io.BytesIO:
    """A file that no codec can decode."""
    header = Header("nobody", bytes.fromhex("c0de1234"), width, height, 80, 0, **changes)
    return io.BytesIO(Container(header, b"pay").to_bytes())


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.mode == b.mode and np.array_equal(np.asarray(a), np.asarray(b))


def read(source: Path | io.BytesIO) -> Image.Image:
    """The image of a file, decoded."""
    with Image.open(source) as image:
        return image.copy()


class Counting(io.BytesIO):
    """A file that knows how much of it was read, and the most that was asked for at once."""

    taken = asked = 0

    def read(self, size: int = -1) -> bytes:
        data = super().read(size)
        self.taken, self.asked = self.taken + len(data), max(self.asked, size)
        return data


# Opening


def test_there_and_back_under_every_kind_of_name(rgb, path):
    with path.open("rb") as file:
        for source in (path, str(path), os.fsencode(path), file, io.BytesIO(path.read_bytes())):
            with Image.open(source) as image:
                assert (image.format, image.size, image.get_format_mimetype()) == (
                    "PCI",
                    (40, 24),
                    "image/x-pci",
                )
                assert same(image, rgb)


def test_format_suffix_and_media_type_are_registered():
    assert Image.registered_extensions()[".pci"] == "PCI"
    assert Image.MIME["PCI"] == "image/x-pci"


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_everything_but_pixels_is_known_without_a_codec(rgb, no_codec, mode):
    out = io.BytesIO()
    image = rgb.convert(mode.removesuffix("A"))
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(rgb.size))
    image.save(out, "PCI", quality=6.5)
    with Image.open(out) as opened:
        assert (opened.mode, opened.size, opened.tell()) == (mode, (40, 24), 0)
        fingerprint = toy_codec.make().fingerprint.hex()[:8]
        assert opened.info == {"codec": "toy", "fingerprint": fingerprint, "quality": 6.5}
        opened.seek(0)
        with pytest.raises(EOFError):
            opened.seek(1)
        opened.verify()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_alpha_and_grey_are_decoded_as_the_header_says(rgb, mode):
    image, out = rgb.convert(mode.removesuffix("A")), io.BytesIO()
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(rgb.size))
    image.save(out, "PCI", quality=LOSSLESS)
    assert same(read(out), image)


def test_opening_reads_the_header_and_the_profile_only(rgb):
    out, icc = io.BytesIO(), profile()
    rgb.resize((400, 300)).save(out, "PCI", quality=LOSSLESS, icc_profile=icc)
    file = Counting(out.getvalue())
    with Image.open(file) as image:
        assert image.info["icc_profile"] == icc
        assert file.taken <= 16 + bitstream.MAX_HEADER_BYTES + len(images.pack_icc(icc))
        assert len(out.getvalue()) > 20 * file.taken
        image.load()
        assert image.info["icc_profile"] == icc


def test_a_file_is_decoded_once_and_can_then_be_changed(path, monkeypatch):
    read = []
    decompress = pycodec.Codec.decompress
    monkeypatch.setattr(pycodec.Codec, "decompress", lambda *a: read.append(1) or decompress(*a))
    with Image.open(path) as image:
        assert read == []
        image.load()[3, 2] = (1, 2, 3)
        assert image.getpixel((3, 2)) == (1, 2, 3)
    assert read == [1]


def test_copies_hold_the_pixels(rgb, path):
    for copied in (pickle.loads(pickle.dumps(Image.open(path))), Image.open(path).copy()):
        path.rename(path.with_suffix(".away"))
        assert same(copied, rgb)
        path.with_suffix(".away").rename(path)
    with Image.open(path) as image:
        image.thumbnail((10, 10))
        assert image.size == (10, 6)


def test_closed_and_verified_images_say_so(path):
    with Image.open(path) as closed:
        pass
    verified = Image.open(path)
    verified.verify()
    for image in (closed, verified):
        assert image.size == (40, 24)
        with pytest.raises(ValueError, match=r"closed or verified; open it again"):
            image.load()
    with Image.open(path) as image:
        image.load()
        with pytest.raises(RuntimeError, match="directly after open"):
            image.verify()


def test_a_parser_knows_the_size_early(rgb, path):
    """What web frameworks use for an upload that is still coming in."""
    data, parser = path.read_bytes(), ImageFile.Parser()
    parser.feed(data[:10])
    assert parser.image is None
    parser.feed(data[10:60])
    assert parser.image.size == (40, 24)
    parser.feed(data[60:])
    assert same(parser.close(), rgb)


def test_many_threads_load_one_codec(photo, monkeypatch):
    made, twice, together = [], threading.Event(), threading.Barrier(8)
    make = toy_codec.make

    def slow_make():
        made.append(1)
        if len(made) % 2 == 0:
            twice.set()
        twice.wait(0.2)  # nobody comes
        return make()

    monkeypatch.setattr(toy_codec, "make", slow_make)
    pictures = [Image.fromarray(photo(30 + i % 3, 20, seed=i)) for i in range(24)]
    for picture in pictures[::2]:
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))

    def saved(picture: Image.Image) -> io.BytesIO:
        out = io.BytesIO()
        together.wait()
        picture.save(out, "PCI", quality=LOSSLESS)
        return out

    def opened(file: io.BytesIO) -> Image.Image:
        together.wait()
        return read(file)

    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(saved, pictures))
        assert len(made) == 1
        assert all(map(same, pool.map(opened, files), pictures))
        assert len(made) == 2
    assert warnings.filters == filters  # they are everybody's


# Files that are too large, damaged, or of codecs that are not here


def test_the_limit_of_pillow_holds(no_codec, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert Image.open(header_only(40, 25)).size == (40, 25)
    with pytest.warns(Image.DecompressionBombWarning, match="1040 pixels"):
        Image.open(header_only(40, 26))
    with pytest.raises(Image.DecompressionBombError, match="2040 pixels"):
        Image.open(header_only(40, 51))


def test_the_limit_of_pycodec_holds_besides(no_codec):
    image = Image.open(header_only(40, 26))
    assert image.size == (40, 26)
    for _ in range(2):
        with (
            limits.using(pixels=1000),
            pytest.raises(
                Image.DecompressionBombError, match=r"40 x 26 = 1040 pixels, expected at most 1000"
            ),
        ):
            image.load()


def outcome(data: bytes) -> str:
    """What becomes of a damaged file; it is never a picture."""
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        return str(error)
    with pytest.raises(OSError, match="pci") as verified:
        image.verify()
    image = Image.open(io.BytesIO(data))
    for _ in range(2):
        with pytest.raises(OSError, match="pci") as loaded:
            image.load()
    assert str(loaded.value) == str(verified.value)
    return str(loaded.value)


@pytest.mark.parametrize("lenient", [False, True])
def test_damage_never_becomes_a_picture(rgb, monkeypatch, lenient):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    out = io.BytesIO()
    picture = rgb.crop((0, 0, 9, 7))
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture.save(out, "PCI", icc_profile=profile())
    data = out.getvalue()
    _, (payload, _, icc) = bitstream.parse_header(data)
    for length in range(4, len(data), 7):
        said = outcome(data[:length])
        assert "truncated" in said
        assert said.startswith("cannot identify image file") == (length < payload.offset)
    for i in range(4, len(data), 5):
        said = outcome(data[:i] + bytes([data[i] ^ 64]) + data[i + 1 :])
        assert said.startswith("cannot identify image file") == (i < payload.offset), i
    assert "CRC of its icc" in outcome(data[: icc.offset] + b"?" + data[icc.offset + 1 :])
    assert "4 bytes after the end" in outcome(data + b"more")


def test_a_header_that_promises_too_much_costs_nothing(no_codec):
    data = bytearray(header_only(5, 5).getvalue())
    _, (payload,) = bitstream.parse_header(bytes(data))
    head = data[: payload.offset - 6]
    head[5] |= 0x80  # there is a profile, of 32 GB
    head += b"\xff\xff\xff\xff\x7f" + b"\0\0" + bytes(4)
    head += bitstream._crc16(head).to_bytes(2, "little")
    file = Counting(bytes(head) + b"pay")
    with Image.open(file) as image:
        assert file.asked <= Limits.profile_bytes
        assert "icc_profile" not in image.info
        with pytest.raises(OSError, match=r"truncated \.pci file"):
            image.verify()


def test_the_name_and_the_reason_are_told(path):
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(UnidentifiedImageError, match=r"photo\.pci'?: truncated .pci file: it ends inside"):
        Image.open(path)
    data = header_only(5, 5).getvalue()
    with pytest.raises(UnidentifiedImageError, match="format version 2, this pycodec reads 1: upgrade"):
        Image.open(io.BytesIO(data[:4] + b"\2" + data[5:]))


def test_a_codec_or_weights_that_are_not_here(rgb, other_toy):
    with pytest.raises(OSError, match="needs a codec that is not installed") as failed:
        Image.open(header_only(5, 5)).load()
    assert isinstance(failed.value.__cause__, UnknownComponent)
    with pytest.raises(OSError, match="this file needs weights") as failed:
        Image.open(io.BytesIO(other_toy.compress(rgb))).load()
    assert isinstance(failed.value.__cause__, MissingWeights)


# Saving


def test_options_of_save_are_those_of_compress(rgb, toy, other_toy):
    def saved(**options) -> bytes:
        out = io.BytesIO()
        rgb.save(out, "PCI", **options)
        return out.getvalue()

    assert saved() == toy.compress(rgb)
    assert saved(quality=3.5, optimize=True) == saved(quality=np.float32(3.5)) == toy.compress(rgb, 3.5)
    assert saved(bpp=18) == toy.compress(rgb, bpp=18) != saved()
    assert saved(codec="toy", quality=LOSSLESS) == toy.compress(rgb, LOSSLESS)
    assert saved(codec=other_toy) == other_toy.compress(rgb)
    for options, error, sentence in (
        ({"quality": 75}, InvalidInput, "quality 75, expected 1 to 8 for codec 'toy'"),
        ({"quality": "keep"}, InvalidInput, "quality 'keep', expected a number"),
        ({"bpp": b"1"}, InvalidInput, "bpp b'1', expected a number"),
        ({"bpp": 1, "quality": 1}, InvalidInput, "both quality and bpp are given"),
        ({"codec": "toi"}, UnknownComponent, "did you mean 'toy'"),
        ({"codec": Image}, InvalidInput, "a module writes no .pci files, expected a pycodec.Codec"),
        ({"codec": "jpeg"}, InvalidInput, "codec 'jpeg' writes no .pci files"),
        ({"codec": toy, "weights_file": "mine"}, InvalidInput, "both a codec .* and weights_file are given"),
        ({"weights_file": "nowhere.safetensors"}, MissingWeights, "nowhere.safetensors"),
    ):
        with pytest.raises(error, match=sentence):
            saved(**options)


def test_the_profile_is_that_of_the_image_unless_another_is_given(rgb):
    def saved(image: Image.Image, **options) -> bytes | None:
        out = io.BytesIO()
        image.save(out, "PCI", **options)
        return Image.open(out).info.get("icc_profile")

    own, other = profile(), profile()[:-1] + b"?"
    assert saved(rgb) is None
    assert saved(rgb, icc_profile=other) == other
    rgb.info["icc_profile"] = own
    assert (saved(rgb), saved(rgb, icc_profile=other), saved(rgb, icc_profile=None)) == (own, other, None)
    assert rgb.info["icc_profile"] == own
    with pytest.warns(UserWarning, match="colour profile dropped: it is not one for grey") as told:
        assert saved(rgb.convert("L")) is None
    assert told[0].filename == __file__
    with pytest.raises(InvalidInput, match="colour profile of 16777217 bytes, expected at most"):
        saved(rgb, icc_profile=own.ljust(Limits.profile_bytes + 1))


@pytest.mark.parametrize(
    ("mode", "reopened"),
    [
        ("1", "L"),
        ("P", "RGB"),
        ("PA", "RGBA"),
        ("La", "LA"),
        ("RGBX", "RGB"),
        ("HSV", "RGB"),
        ("YCbCr", "RGB"),
    ],
)
def test_other_modes_become_the_next_one(mode, reopened):
    out = io.BytesIO()
    Image.new(mode, (9, 7)).save(out, "PCI")
    assert Image.open(out).mode == reopened


def test_what_a_mode_loses_is_said(tmp_path):
    grey = Image.fromarray(np.full((7, 9), 40_000, np.uint16))
    with pytest.warns(UserWarning, match=r"x\.pci: 16 bits a channel: scaled to 8"):
        grey.save(tmp_path / "x.pci", quality=LOSSLESS)
    assert read(tmp_path / "x.pci").getpixel((0, 0)) == round(40_000 / 257)
    with pytest.raises(OSError, match="cannot write mode F as PCI: floats"):
        Image.new("F", (9, 7)).save(tmp_path / "y.pci")
    with pytest.raises(OSError, match="0 x 7 pixels"):
        Image.new("L", (0, 7)).save(tmp_path / "y.pci")


def test_colour_keys_of_other_formats_become_alpha(rgb):
    out = io.BytesIO()
    rgb.info["transparency"] = key = rgb.getpixel((0, 0))
    rgb.save(out, "PCI", quality=LOSSLESS)
    assert same(read(out), rgb.convert("RGBA")) and read(out).getpixel((0, 0)) == (*key, 0)


def test_pixels_are_saved_as_they_are(rgb):
    """As every plugin of Pillow does it: who turns an image by hand does not get it turned again."""
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    rgb.save(out, "PNG", exif=exif)
    with Image.open(out) as turned:
        assert turned.getexif()[0x0112] == 6
        packed = io.BytesIO()
        turned.save(packed, "PCI", quality=LOSSLESS)
    assert same(read(packed), rgb)


def test_the_current_frame_is_saved(rgb, tmp_path):
    frames = [Image.new("L", (9, 7), level) for level in (10, 90)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "two.gif") as image:
        image.seek(1)
        image.convert("L").save(tmp_path / "x.pci", quality=LOSSLESS)
        image.save(tmp_path / "y.pci", quality=LOSSLESS)
    assert read(tmp_path / "x.pci").getpixel((0, 0)) == 90
    assert read(tmp_path / "y.pci").convert("L").getpixel((0, 0)) == 90


def test_a_file_may_be_saved_over_itself(rgb, path):
    with Image.open(path) as image:
        image.save(path, quality=LOSSLESS)
    assert same(read(path), rgb)


def test_an_error_leaves_no_half_written_file(rgb, tmp_path, monkeypatch):
    """An older file Pillow has emptied before it asks; one that the caller opened stays as it is."""
    file = io.BytesIO(b"older")
    for options in ({"quality": 75}, {"codec": "toi"}):
        with pytest.raises(pycodec.PycodecError):
            rgb.save(tmp_path / "new.pci", **options)
        with pytest.raises(pycodec.PycodecError):
            rgb.save(file, "PCI", **options)
    assert list(tmp_path.iterdir()) == []
    assert (file.getvalue(), file.tell()) == (b"older", 0)


def test_a_weights_file_is_read_anew_when_it_has_changed(rgb, monkeypatch, tmp_path):
    made, other = [], toy_codec.make("second")

    def load(component, weights_file, config):
        made.append(weights_file)
        return other

    monkeypatch.setattr(loading, "_loaded", load)
    file = tmp_path / "mine.safetensors"
    for content in (b"a", b"a", b"bb"):
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)
        rgb.save(tmp_path / "x.pci", codec="toy", weights_file=file)
    assert made == [str(file)] * 2
    with Image.open(tmp_path / "x.pci") as image:
        assert image.info["fingerprint"] == other.fingerprint.hex()[:8]


# Others


def test_imageio_reads_and_writes_through_pillow(rgb, path):
    imageio = pytest.importorskip("imageio.v3")
    assert np.array_equal(imageio.imread(path), np.asarray(rgb))
    assert np.array_equal(imageio.imread(path.read_bytes(), plugin="pillow"), np.asarray(rgb))
    properties = imageio.improps(path, plugin="pillow")
    assert (properties.shape, properties.dtype) == ((24, 40, 3), np.uint8)
    assert imageio.immeta(path, plugin="pillow")["quality"] == LOSSLESS
    imageio.imwrite(path.with_name("again.pci"), np.asarray(rgb), quality=LOSSLESS)
    assert same(read(path.with_name("again.pci")), rgb)
    data = imageio.imwrite("<bytes>", np.asarray(rgb), plugin="pillow", extension=".pci", quality=LOSSLESS)
    assert data == path.read_bytes()


def test_the_command_line_still_wants_images_on_one_side(path, capsys):
    from pycodec import cli

    assert cli.main(["decompress", str(path), "-o", str(path.with_name("again.pci"))]) == 2
    assert "cannot write" in capsys.readouterr().err
