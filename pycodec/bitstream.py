"""The .pci container: what a file says about itself, and how it notices damage.

    header    magic, version, codec, fingerprint, size, quality, lengths and CRCs, CRC of the symbols, CRC
    payload   the entropy coder's stream
    alpha     optional: a grey PNG, lossless
    icc       optional: the colour profile, zlib

Three checks stand behind one another. A 16-bit CRC each for the header and every section (it finds every
flipped byte and every burst of 16 bits) keeps damage away from the decoders; a 32-bit CRC of the decoded
symbols, stored in the header and mixed with a CRC of the header itself, then proves that the decoder read
what the encoder wrote. docs/bitstream.md lists the bytes.
"""

from __future__ import annotations

import binascii
import zlib
from dataclasses import dataclass
from typing import Any

from pycodec import names
from pycodec.errors import CorruptStream, InvalidInput, UnsupportedVersion

MAGIC = b"\x8dPCI"  # the high bit of the first byte does not survive a transfer as 7-bit text
VERSION = 1
FINGERPRINT_BYTES = 4  # stored of the sha256; the CRC of the symbols stands behind it
NUMBERED_NAMES = (
    "ctx3d",
    "ctx3d-msssim",
    "cpm",
    "hyperprior",
    "hyperprior-illm",
    "res_hyper",
    "res_context",
)
"""Codecs of this project, by numbers that take no byte of their own; only ever appended to, and to 8."""
MAX_SIDE = 2**31 - 1
MAX_IMAGE_PIXELS = 2**31
MAX_QUALITY_STEP = 255
MAX_HEADER_BYTES = 72  # the longest name and numbers, and all three sections

# Above the five bits of the same byte that hold the length of the name - 1, or a number behind the longest.
_GREY, _ALPHA, _ICC = 0x20, 0x40, 0x80


@dataclass(frozen=True)
class Header:
    """What a container says before its sections.

    Attributes:
        codec: name of the codec, as it is registered.
        fingerprint: the first FINGERPRINT_BYTES of the codec's fingerprint.
        width, height: of the image, in pixels.
        quality_step: 16 times the quality, 1..255.
        symbols_crc: CRC-32 of the symbols as little-endian int32.
        grey: the image has one channel.
        version: of the format.
    """

    codec: str
    fingerprint: bytes
    width: int
    height: int
    quality_step: int
    symbols_crc: int
    grey: bool = False
    version: int = VERSION


@dataclass(frozen=True)
class Section:
    """Where a section lies in the file, and its CRC-16."""

    name: str
    offset: int
    length: int
    crc: int

    def checked(self, content: bytes) -> bytes:
        """``content``, if it is what the header says of this section.

        Raises:
            CorruptStream: it is not.
        """
        if len(content) != self.length or _crc16(content) != self.crc:
            raise CorruptStream(
                f"damaged .pci file: the CRC of its {self.name} does not match; fetch the file again"
            )
        return content


@dataclass(frozen=True)
class Container:
    """A whole .pci file; an empty alpha or icc means that the file has no such section."""

    header: Header
    payload: bytes
    alpha: bytes = b""
    icc: bytes = b""

    def to_bytes(self) -> bytes:
        """The file, byte by byte.

        Raises:
            InvalidInput: a header field outside its range.
        """
        h = self.header
        name = _checked_name(h.codec)
        _check_range("width", h.width, 1, MAX_SIDE)
        _check_range("height", h.height, 1, MAX_SIDE)
        _check_range("width x height", h.width * h.height, 1, MAX_IMAGE_PIXELS)
        _check_range("quality step", h.quality_step, 1, MAX_QUALITY_STEP)
        _check_range("CRC of the symbols", h.symbols_crc, 0, 2**32 - 1)
        if len(h.fingerprint) < FINGERPRINT_BYTES:
            raise InvalidInput(
                f"fingerprint of {len(h.fingerprint)} bytes, expected at least {FINGERPRINT_BYTES}"
            )
        flags = (_GREY if h.grey else 0) | (_ALPHA if self.alpha else 0) | (_ICC if self.icc else 0)
        sections = [self.payload, *(section for section in (self.alpha, self.icc) if section)]
        head = bytearray(MAGIC)
        if h.codec in NUMBERED_NAMES:
            head += bytes([VERSION, flags | names.LONGEST + NUMBERED_NAMES.index(h.codec)])
        else:
            head += bytes([VERSION, flags | len(name) - 1]) + name
        head += h.fingerprint[:FINGERPRINT_BYTES]
        head += _varint(h.width) + _varint(h.height) + bytes([h.quality_step])
        for section in sections:
            head += _varint(len(section)) + _crc16(section).to_bytes(2, "little")
        head += (h.symbols_crc ^ zlib.crc32(head)).to_bytes(4, "little")
        head += _crc16(head).to_bytes(2, "little")
        return bytes(head) + b"".join(sections)


def parse_header(data: bytes) -> tuple[Header, tuple[Section, ...]]:
    """Header and section table; the sections themselves are neither read nor needed: the first
    MAX_HEADER_BYTES of the file are enough.

    Raises:
        CorruptStream: not a .pci file, or its header is cut short or damaged.
        UnsupportedVersion: written by a newer format version.
    """
    data = bytes(data)
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        found = data[: len(MAGIC)].hex(" ") or "nothing"
        raise CorruptStream(f"not a .pci file: it begins with {found}, expected {MAGIC.hex(' ')}")
    reader = _Reader(data, len(MAGIC))
    version = reader.integer(1)
    if version > VERSION:
        raise UnsupportedVersion(
            f".pci format version {version}, this pycodec reads {VERSION}: upgrade pycodec"
        )
    if version < VERSION:
        raise CorruptStream(f"damaged .pci header: format version {version} does not exist")
    flags = reader.integer(1)
    number = (flags & 0x1F) - names.LONGEST
    name = reader.take(number + names.LONGEST + 1) if number < 0 else b""
    fingerprint = reader.take(FINGERPRINT_BYTES)
    width, height = reader.varint(), reader.varint()
    quality_step = reader.integer(1)
    present = ["payload", *(["alpha"] if flags & _ALPHA else []), *(["icc"] if flags & _ICC else [])]
    lengths = [(reader.varint(), reader.integer(2)) for _ in present]
    mixed_with = zlib.crc32(data[: reader.position])
    symbols_crc = reader.integer(4) ^ mixed_with
    computed = _crc16(data[: reader.position])
    if reader.integer(2) != computed:
        raise CorruptStream("damaged .pci header: its CRC does not match; fetch the file again")
    try:  # past the CRC, only a faulty writer gets caught here
        header = Header(
            _read_name(name.decode("ascii", "replace"), number),
            fingerprint,
            _check_range("width", width, 1, MAX_SIDE),
            _check_range("height", height, 1, MAX_SIDE),
            _check_range("quality step", quality_step, 1, MAX_QUALITY_STEP),
            symbols_crc,
            bool(flags & _GREY),
            version,
        )
        _check_range("width x height", width * height, 1, MAX_IMAGE_PIXELS)
    except InvalidInput as error:
        raise CorruptStream(f"damaged .pci header: {error}") from None
    sections, offset = [], reader.position
    for section, (length, crc) in zip(present, lengths, strict=True):
        if not length and section != "payload":
            raise CorruptStream(f"damaged .pci header: an empty {section}, which is not stored")
        sections.append(Section(section, offset, length, crc))
        offset += length
    return header, tuple(sections)


def parse(data: bytes) -> Container:
    """A whole .pci file, every CRC checked but that of the symbols, which only a decoder can check.

    Raises:
        CorruptStream: not a .pci file, cut short, followed by other bytes, or damaged.
        UnsupportedVersion: written by a newer format version.
    """
    data = bytes(data)
    header, sections = parse_header(data)
    expected = sections[-1].offset + sections[-1].length
    if len(data) < expected:
        raise CorruptStream(
            f"truncated .pci file: {len(data)} bytes, expected {expected}; fetch the file again"
        )
    if len(data) > expected:
        raise CorruptStream(
            f"{len(data) - expected} bytes after the end of the .pci file, which has {expected} bytes"
        )
    contents = {s.name: s.checked(data[s.offset : s.offset + s.length]) for s in sections}
    return Container(header, **contents)


def describe(data: bytes) -> dict[str, Any]:
    """The fields of a .pci file as JSON-ready values; sizes in bytes.

    Raises:
        CorruptStream, UnsupportedVersion: as `parse`.
    """
    parse(data)
    header, sections = parse_header(data)
    return {
        "version": header.version,
        "codec": header.codec,
        "fingerprint": header.fingerprint.hex(),
        "width": header.width,
        "height": header.height,
        "channels": "grey" if header.grey else "RGB",
        "quality": header.quality_step / 16,
        "symbols_crc": f"{header.symbols_crc:08x}",
        "bytes": len(data),
        "bpp": 8 * len(data) / (header.width * header.height),
        "header_bytes": sections[0].offset,
        **{f"{section.name}_bytes": section.length for section in sections},
    }


class _Reader:
    """Fields of the header in turn; running out of bytes is a truncation."""

    def __init__(self, data: bytes, position: int):
        self.data, self.position = data, position

    def take(self, count: int) -> bytes:
        if self.position + count > len(self.data):
            raise CorruptStream(
                f"truncated .pci file: it ends inside its header, after {len(self.data)} bytes"
            )
        self.position += count
        return self.data[self.position - count : self.position]

    def integer(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self.integer(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    break  # one number, one spelling
                return value
        raise CorruptStream("damaged .pci header: a number is longer than it may be")


def _varint(value: int) -> bytes:
    """LEB128: seven bits a byte, lowest first, the high bit says that more follow."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _crc16(data: bytes | bytearray) -> int:
    """CRC-16/IBM-3740: polynomial 0x1021, start value 0xFFFF."""
    return binascii.crc_hqx(data, 0xFFFF)


def _check_range(what: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise InvalidInput(f"{what} {value}, expected {low} to {high}")
    return value


def _read_name(spelled: str, number: int) -> str:
    if number >= len(NUMBERED_NAMES):
        raise UnsupportedVersion(
            f".pci file of codec number {number}, this pycodec knows {len(NUMBERED_NAMES)}: upgrade pycodec"
        )
    if number >= 0:
        return NUMBERED_NAMES[number]
    if spelled in NUMBERED_NAMES:
        raise InvalidInput(f"the name {spelled!r}, which has a number")  # one name, one spelling
    return _checked_name(spelled).decode()


def _checked_name(name: str) -> bytes:
    if not names.NAME.fullmatch(name):
        raise InvalidInput(f"codec name {name!r}, expected {names.RULE}")
    return name.encode("ascii")
