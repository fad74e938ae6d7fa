"""Codec: round trips of every kind and size, rate targets, and what damage ends in; on the toy codec."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import pycodec
from pycodec import Codec, bitstream, limits
from pycodec.errors import (
    CorruptStream,
    InvalidInput,
    LimitExceeded,
    MissingWeights,
    PycodecError,
    UnknownComponent,
    WeightsMismatch,
)

SIZES = [(1, 1), (1, 7), (7, 1), (8, 8), (9, 17), (65, 65)]


def _bands(mode: str, rgb: np.ndarray) -> Image.Image:
    image = Image.fromarray(rgb).convert(mode[:-1] if mode in ("LA", "RGBA") else mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray((rgb[:, :, 0] // 2).astype(np.uint8)))
    return image


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", SIZES)
def test_a_file_decodes_to_the_encoders_own_reconstruction(codec, photo, size, mode):
    image = _bands(mode, photo(*size))
    decoded = pycodec.decompress(codec.compress(image, quality=3.5))
    assert (decoded.size, decoded.mode) == (size, mode)
    assert np.array_equal(np.asarray(decoded), codec.reconstruct(image, quality=3.5))
    if mode.endswith("A"):
        assert np.array_equal(np.asarray(decoded)[..., -1], np.asarray(image)[..., -1])


def test_the_highest_quality_of_the_toy_codec_is_lossless(toy, photo):
    image = photo(65, 41)
    assert np.array_equal(np.asarray(toy.decompress(toy.compress(image, quality=8))), image)


def test_colour_profile_and_orientation_survive_a_file(toy, photo, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(photo(20, 10))
    image.getexif()[0x0112] = 6
    image.save(tmp_path / "in.png", exif=image.getexif(), icc_profile=profile)
    decoded = toy.decompress(toy.compress(tmp_path / "in.png", quality=8))
    assert decoded.info["icc_profile"] == profile
    assert np.array_equal(np.asarray(decoded), np.rot90(photo(20, 10), -1))


def test_equal_input_equal_bytes(toy, photo):
    image = photo(40, 30)
    data = toy.compress(image)
    assert data == toy.compress(image, quality=5) == toy.compress(Image.fromarray(image))
    assert data == toy.compress(torch.from_numpy(image).permute(2, 0, 1).float() / 255)


def test_quality_is_in_steps_of_a_sixteenth(toy, photo):
    image = photo(16, 16)
    assert bitstream.parse(toy.compress(image, quality=2.51)).header.quality_step == 40
    assert toy.compress(image, quality=2.51) == toy.compress(image, quality=2.5)


@pytest.mark.parametrize("quality", [0.99, 8.01, -1, float("nan"), float("inf")])
def test_quality_out_of_range(toy, photo, quality):
    with pytest.raises(InvalidInput, match=f"quality {quality:g}, expected 1 to 8 for codec 'toy'"):
        toy.compress(photo(8, 8), quality=quality)


def test_bpp_gives_the_largest_file_that_fits(toy, photo):
    image = photo(64, 48)
    sizes = [len(toy.compress(image, quality=step / 16)) for step in range(16, 129)]
    limits = [sizes[0], sizes[40], sizes[40] + 1, 10 * sizes[-1]]
    for limit in limits:
        size = len(toy.compress(image, bpp=8 * limit / (64 * 48)))
        assert size <= limit
        below = sizes[: next((i for i, s in enumerate(sizes) if s > limit), len(sizes))]
        assert size >= below[-1] * 0.98  # sizes grow with the quality but for a byte here and there


def test_bpp_out_of_reach_or_senseless(toy, photo):
    with pytest.raises(InvalidInput, match=r"bpp 0\.01 is out of reach: .* quality, 1, .* \(\d+ bytes\)"):
        toy.compress(photo(32, 32), bpp=0.01)
    for bpp in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="expected a positive number"):
            toy.compress(photo(8, 8), bpp=bpp)
    with pytest.raises(InvalidInput, match="both quality and bpp"):
        toy.compress(photo(8, 8), quality=5, bpp=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there(toy, photo):
    data = toy.compress(photo(8, 8))
    for call in (lambda: toy.compress(photo(8, 8), device="cuda"), lambda: pycodec.decompress(data, "cuda")):
        with pytest.raises(InvalidInput, match="no CUDA device here"):
            call()
    with pytest.raises(InvalidInput, match="unknown device 'abacus'"):
        toy.compress(photo(8, 8), device="abacus")


def test_config_and_info_are_json(toy):
    import json

    assert json.loads(json.dumps(toy.config()))["name"] == "toy"
    assert json.loads(json.dumps(toy.info()))["fingerprint"] == toy.fingerprint.hex()


def _with_every_section(codec: Codec, rgb: np.ndarray) -> bytes:
    image = _bands("RGBA", rgb)
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return codec.compress(image, quality=1)


@pytest.fixture
def small(toy, photo) -> bytes:
    """A file of the toy codec."""
    return _with_every_section(toy, photo(3, 5))


def _forged(data: bytes, **changes) -> bytes:
    """The file with another payload or header fields, all CRCs of the container right again."""
    container = bitstream.parse(data)
    payload = changes.pop("payload", container.payload)
    return replace(container, payload=payload, header=replace(container.header, **changes)).to_bytes()


def test_every_flipped_byte_ends_in_an_error_or_in_the_same_image(codec, photo):
    small = _with_every_section(codec, photo(3, 5))
    expected = np.asarray(pycodec.decompress(small))
    for i in range(len(small)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = small[:i] + bytes([small[i] ^ flip]) + small[i + 1 :]
            try:
                decoded = pycodec.decompress(damaged)
            except PycodecError as error:
                assert "\n" not in str(error)
            else:
                assert np.array_equal(np.asarray(decoded), expected)


def test_a_damaged_payload_behind_a_valid_crc_ends_in_an_error_or_in_the_same_image(codec, photo):
    small = codec.compress(photo(12, 20), quality=4)
    expected, payload = np.asarray(codec.decompress(small)), bitstream.parse(small).payload
    flipped = [payload[:i] + bytes([payload[i] ^ 0x55]) + payload[i + 1 :] for i in range(len(payload))]
    for damaged in (*flipped, *(payload[:i] for i in range(len(payload))), payload + b"\0", payload * 2):
        try:
            decoded = codec.decompress(_forged(small, payload=damaged))
        except CorruptStream as error:
            assert "\n" not in str(error)
        else:
            assert np.array_equal(np.asarray(decoded), expected)


def test_every_truncation_ends_in_an_error(codec, photo):
    small = _with_every_section(codec, photo(3, 5))
    for length in range(len(small)):
        with pytest.raises(CorruptStream):
            pycodec.decompress(small[:length])


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        (
            {"symbols_crc": 1},
            CorruptStream,
            r"CRC [0-9a-f]{8}, expected 00000001: .* pycodec doctor",
        ),
        ({"payload": b""}, CorruptStream, "payload of this .pci file does not decode"),
        ({"payload": b"no zlib"}, CorruptStream, "payload of this .pci file does not decode"),
        ({"payload": zlib.compress(b"ab")}, CorruptStream, "payload of this .pci file does not decode"),
        ({"payload": zlib.compress(bytes(384))}, CorruptStream, "symbols have CRC"),
        ({"width": 99}, CorruptStream, "its alpha is no 99 x 5 grey PNG"),
        (
            {"width": 2**16, "height": 2**14},
            InvalidInput,
            "65536 x 16384 = 1073741824 pixels, expected",
        ),
        (
            {"codec": "toi"},
            UnknownComponent,
            r"not installed: unknown codec 'toi'; did you mean 'toy'",
        ),
        (
            {"fingerprint": b"\1\2\3\4"},
            MissingWeights,
            "needs weights 01020304 of codec 'toy', which are not here .* a7937b64",
        ),
    ],
)
def test_each_forgery_has_its_sentence(small, changes, error, sentence):
    with pytest.raises(error, match=sentence):
        pycodec.decompress(_forged(small, **changes))


def test_other_weights_are_named(toy, other_toy, photo):
    with pytest.raises(WeightsMismatch) as info:
        toy.decompress(other_toy.compress(photo(8, 8)))
    for codec in (toy, other_toy):
        assert codec.fingerprint[: bitstream.FINGERPRINT_BYTES].hex() in str(info.value)


def test_a_codec_refuses_the_file_of_another_one(toy, small):
    with pytest.raises(WeightsMismatch, match=re.escape("written by codec 'tea', not 'toy'")):
        toy.decompress(_forged(small, codec="tea"))


def test_the_pixel_limit_holds_on_decoding(small):
    with (
        limits.using(pixels=14),
        pytest.raises(LimitExceeded, match="3 x 5 = 15 pixels, expected at most 14; if you trust it, raise"),
    ):
        pycodec.decompress(small)


def test_a_reader_of_another_kind_of_file_says_so(toy, photo):
    out = io.BytesIO()
    Image.fromarray(photo(8, 8)).save(out, "PNG")
    with pytest.raises(CorruptStream, match=r"not a \.pci file: it begins with 89 50 4e 47"):
        pycodec.decompress(out.getvalue())


@pytest.mark.data
@pytest.mark.parametrize("quality", [1, 8])
def test_a_photograph_of_kodak_decodes_exactly_and_costs_its_code_length(codec, kodak, quality):
    data = codec.compress(kodak[3], quality)
    assert np.array_equal(np.asarray(codec.decompress(data)), codec.reconstruct(kodak[3], quality))
    ideal_bits = codec.entropy_model.code_length_bits(codec.symbols(kodak[3], quality), 16 * quality)
    assert abs(8 * len(data) - ideal_bits) <= 0.01 * ideal_bits + 300
