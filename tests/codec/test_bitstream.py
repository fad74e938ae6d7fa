"""The .pci container: bytes, overhead, and a sentence for each kind of damage."""

from __future__ import annotations

import binascii
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pycodec import bitstream
from pycodec.bitstream import Container, Header
from pycodec.errors import CorruptStream, InvalidInput, PycodecError, UnsupportedVersion

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bitstream.md"
HEADER = Header("ctx3d", bytes.fromhex("0badcafe"), 768, 512, 80, 0x12345678)
SMALL = Container(replace(HEADER, width=9, height=17, grey=True), b"payload", b"alpha!", b"icc profile")


@pytest.mark.parametrize(
    "container",
    [
        Container(HEADER, b"\0" * 40_000),
        Container(replace(HEADER, codec="a"), b""),
        *(Container(replace(HEADER, codec=name), b"x") for name in bitstream.NUMBERED_NAMES),
        Container(replace(HEADER, codec="z" * 24, width=2**31 - 1, height=1), b"x" * 300),
        Container(replace(HEADER, width=1, height=1, quality_step=255), b"x", icc=b"profile"),
        Container(replace(HEADER, grey=True), b"x", alpha=b"alpha"),
        SMALL,
    ],
)
def test_a_container_reads_back_as_it_was_written(container):
    assert bitstream.parse(container.to_bytes()) == container


@pytest.mark.parametrize("codec", ["ctx3d", "hyperprior-illm"])
def test_overhead_of_a_plain_rgb_image_is_at_most_26_bytes(codec):
    payload = b"\0" * 100_000
    highest = replace(HEADER, codec=codec, quality_step=128, symbols_crc=2**32 - 1)
    assert len(Container(highest, payload).to_bytes()) - len(payload) <= 26


def test_the_header_needs_no_section():
    data = SMALL.to_bytes()
    header, sections = bitstream.parse_header(data[: len(data) - len(b"payloadalpha!icc profile")])
    assert header == SMALL.header
    assert [(s.name, data[s.offset :][: s.length]) for s in sections] == [
        ("payload", b"payload"),
        ("alpha", b"alpha!"),
        ("icc", b"icc profile"),
    ]


def test_no_header_is_longer_than_readers_expect():
    number = b"\xff\xff\xff\xff\x07"  # the longest that there is
    head = bitstream.MAGIC + b"\1" + bytes([0xE0 | 23]) + b"z" * 24 + b"\0" * 4 + 2 * number + b"\x50"
    head += 3 * (number + b"\0" * 2) + b"\0" * 4
    head += binascii.crc_hqx(head, 0xFFFF).to_bytes(2, "little")
    assert len(head) == bitstream.MAX_HEADER_BYTES
    with pytest.raises(CorruptStream, match="width x height"):  # the last check
        bitstream.parse_header(head)


def test_a_section_is_as_long_as_the_header_says():
    section = bitstream.Section("icc", 40, 3, binascii.crc_hqx(b"ab", 0xFFFF))
    with pytest.raises(CorruptStream, match="the CRC of its icc does not match"):
        section.checked(b"ab")


def test_describe_gives_fields_and_sizes():
    fields = bitstream.describe(SMALL.to_bytes())
    assert fields["codec"] == "ctx3d"
    assert (fields["width"], fields["height"], fields["channels"], fields["quality"]) == (9, 17, "grey", 5.0)
    assert (fields["payload_bytes"], fields["alpha_bytes"], fields["icc_bytes"]) == (7, 6, 11)
    assert fields["bytes"] == fields["header_bytes"] + 7 + 6 + 11 == len(SMALL.to_bytes())
    assert fields["bpp"] == 8 * fields["bytes"] / (9 * 17)


def test_every_flipped_byte_is_noticed():
    data = SMALL.to_bytes()
    for i in range(len(data)):
        for flip in range(1, 256):
            with pytest.raises((CorruptStream, UnsupportedVersion)):
                bitstream.parse(data[:i] + bytes([data[i] ^ flip]) + data[i + 1 :])


def test_every_truncation_and_every_extension_is_noticed():
    data = SMALL.to_bytes()
    for length in range(len(data)):
        with pytest.raises(CorruptStream, match=r"truncated|begins with nothing"):
            bitstream.parse(data[:length])
    for extra in (b"\0", b"\n", data):
        with pytest.raises(CorruptStream, match=f"{len(extra)} bytes after the end"):
            bitstream.parse(data + extra)


def _with(data: bytes, position: int, value: int) -> bytes:
    return data[:position] + bytes([value]) + data[position + 1 :]


@pytest.mark.parametrize(
    ("data", "error", "sentence"),
    [
        (b"", CorruptStream, "not a .pci file: it begins with nothing, expected 8d 50 43 49"),
        (b"\x89PNG\r\n", CorruptStream, "not a .pci file: it begins with 89 50 4e 47, expected 8d 50 43 49"),
        (b"\x0d" + SMALL.to_bytes()[1:], CorruptStream, "begins with 0d 50 43 49"),
        (
            _with(SMALL.to_bytes(), 4, 2),
            UnsupportedVersion,
            "format version 2, this pycodec reads 1",
        ),
        (_with(SMALL.to_bytes(), 4, 0), CorruptStream, "format version 0 does not exist"),
        (
            SMALL.to_bytes()[:18],
            CorruptStream,
            "it ends inside its header, after 18 bytes",
        ),
        (_with(SMALL.to_bytes(), 8, 0), CorruptStream, "damaged .pci header: its CRC does not match"),
        (SMALL.to_bytes()[:-1] + b"?", CorruptStream, "damaged .pci file: the CRC of its icc does not match"),
        (SMALL.to_bytes()[:-12] + b"?icc profile", CorruptStream, "the CRC of its alpha does not match"),
    ],
)
def test_each_damage_has_its_sentence(data, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        bitstream.parse(data)


@pytest.mark.parametrize(
    "change",
    [
        {"codec": ""},
        {"codec": "z" * 25},
        {"codec": "naïve"},
        {"codec": "two\nlines"},
        {"width": 0},
        {"height": -1},
        {"width": 2**31},
        {"width": 2**16, "height": 2**16},
        {"quality_step": 0},
        {"quality_step": 256},
        {"symbols_crc": 2**32},
        {"fingerprint": b"abc"},
    ],
)
def test_fields_out_of_range_are_not_written(change):
    with pytest.raises(InvalidInput):
        Container(replace(HEADER, **change), b"").to_bytes()


def test_a_valid_crc_does_not_excuse_a_field_out_of_range(monkeypatch):
    monkeypatch.setattr(bitstream, "MAX_IMAGE_PIXELS", 2**33)
    data = Container(replace(HEADER, width=2**16, height=2**16), b"").to_bytes()
    monkeypatch.undo()
    with pytest.raises(CorruptStream, match="width x height 4294967296"):
        bitstream.parse(data)


@pytest.mark.parametrize("width", [b"\x89\0", b"\x89\x80\0", b"\xff" * 5 + b"\1"])
def test_a_number_has_one_spelling(width):
    data = Container(replace(HEADER, width=9, height=9), b"").to_bytes()
    head = data[:10] + width + data[11:-2]
    data = head + binascii.crc_hqx(head, 0xFFFF).to_bytes(2, "little")
    with pytest.raises(CorruptStream, match="a number is longer than it may be"):
        bitstream.parse(data)


def test_a_name_has_one_spelling():
    head = bitstream.MAGIC + b"\1\4ctx3d" + Container(HEADER, b"").to_bytes()[6:-2]
    with pytest.raises(CorruptStream, match="the name 'ctx3d', which has a number"):
        bitstream.parse(head + binascii.crc_hqx(head, 0xFFFF).to_bytes(2, "little"))


def test_a_number_that_a_newer_version_gave_asks_for_that_version():
    head = bitstream.MAGIC + b"\1\x1f" + Container(HEADER, b"").to_bytes()[6:-2]
    with pytest.raises(UnsupportedVersion, match=r"codec number 7, this pycodec knows 7: upgrade"):
        bitstream.parse(head + binascii.crc_hqx(head, 0xFFFF).to_bytes(2, "little"))


def test_a_damaged_header_that_its_crc_lets_pass_asks_for_other_symbols():
    """One in 65,536 does; what it says of size, quality or grey must not become another picture."""
    data = SMALL.to_bytes()
    (payload, *_) = bitstream.parse_header(data)[1]
    for i in range(6, payload.offset - 6):
        head = data[:i] + bytes([data[i] ^ 1]) + data[i + 1 : payload.offset - 2]
        head += binascii.crc_hqx(head, 0xFFFF).to_bytes(2, "little")
        try:
            header, _ = bitstream.parse_header(head)
        except CorruptStream:
            continue
        assert header.symbols_crc != SMALL.header.symbols_crc


def test_random_bytes_behind_the_magic_end_in_a_pycodec_error():
    import random

    rng = random.Random(0)
    for _ in range(3000):
        with pytest.raises(PycodecError):
            bitstream.parse(bitstream.MAGIC + b"\1" + rng.randbytes(rng.randrange(60)))


def test_the_documented_example_is_what_the_code_writes():
    text = DOCS.read_text(encoding="utf-8")
    dump = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    lines = re.findall(r"^([0-9a-f]{2})  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  |$)", dump.group(1), re.MULTILINE)
    data = bytes.fromhex("".join(digits for _, digits in lines))
    expected = Container(
        Header("toy", bytes.fromhex("c0de1234"), 640, 48, 80, 0xDEADBEEF, grey=True), b"pay", alpha=b"alpha"
    ).to_bytes()
    assert data == expected
    offset = 0
    for position, digits in lines:  # the offsets of the dump, too
        assert int(position, 16) == offset
        offset += len(bytes.fromhex(digits))
