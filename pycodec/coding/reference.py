"""The range coder in plain Python: the same bytes as the native one, slowly, to read and to test against.

The stream and the encoder's choices are specified at the top of ``csrc/rans/rans.h``; names here follow that
text. Arguments are believed.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycodec.coding.tables import DEFAULT_PRECISION, Tables, pmf_freqs
from pycodec.errors import CorruptStream, InvalidInput

LOWER_BOUND = 1 << 16
LANES = (1, 4, 8, 32)
VERSION = 1


class Coded(NamedTuple):
    """What one symbol is coded as."""

    start: int
    freq: int
    escape: int | None  # the escape number
    low: int  # the shift's low bits


@dataclass
class Table:
    """One table as Python integers."""

    freqs: list[int]
    offset: int
    shift: int
    has_escape: bool
    zigzag: bool

    def __post_init__(self) -> None:
        self.starts = [0, *accumulate(self.freqs)]
        self.plain = len(self.freqs) - self.has_escape

    def code(self, symbol: int) -> Coded:
        r = (symbol >> self.shift) - self.offset
        if self.zigzag:
            number = 2 * r if r >= 0 else -2 * r - 1
            c, escape = number, number - self.plain
        else:
            c, escape = r, 2 * (r - self.plain) if r >= 0 else 2 * (-1 - r) + 1
        inside = 0 <= c < self.plain
        if not inside:
            if not self.has_escape:
                raise InvalidInput(f"symbol {symbol} has no class")
            c = self.plain
        low = symbol & ((1 << self.shift) - 1)
        return Coded(self.starts[c], self.freqs[c], None if inside else escape, low)

    def find(self, slot: int) -> int:
        return next(c for c in range(len(self.freqs)) if slot < self.starts[c + 1])

    def value(self, c: int, side: Side) -> int:
        """The symbol of class c with its side data."""
        if self.has_escape and c == self.plain:
            number = side.escape()
            if self.zigzag:
                r = unzigzag(number + self.plain)
            else:
                r = -1 - number // 2 if number % 2 else number // 2 + self.plain
        else:
            r = unzigzag(c) if self.zigzag else c
        return (self.offset + r) << self.shift | side.bits(self.shift)


class Side:
    """The side data of a chunk: raw bits and escape numbers, in symbol order."""

    def __init__(self, raw: bytes, escapes: bytes) -> None:
        self.raw, self.raw_size, self.position = int.from_bytes(raw, "little"), 8 * len(raw), 0
        self.escapes = Reader(escapes)

    def bits(self, k: int) -> int:
        low = self.raw >> self.position & ((1 << k) - 1)
        self.position += k
        if self.position > self.raw_size:
            raise CorruptStream("raw bits end early")
        return low

    def escape(self) -> int:
        return self.escapes.varint()

    def check_end(self) -> None:
        spare = self.raw_size - self.position
        if spare >= 8 or self.raw >> self.position or self.escapes.remaining:
            raise CorruptStream("side data that belongs to no symbol")


class Reader:
    """Bytes from the front."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    @property
    def remaining(self) -> int:
        return len(self.data) - self.position

    def take(self, size: int) -> bytes:
        if size > self.remaining:
            raise CorruptStream(f"byte {self.position}: the data ends")
        self.position += size
        return self.data[self.position - size : self.position]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            if byte == 0 and shift:
                break
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise CorruptStream(f"byte {self.position}: not a varint")


def unzigzag(number: int) -> int:
    return -(number // 2) - 1 if number % 2 else number // 2


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def log2_256(f: int) -> int:
    """256 log2 f by repeated squaring with 15 fraction bits, truncated step by step: see ``choices.h``."""
    whole = f.bit_length() - 1
    mantissa, result = f << (15 - whole), whole
    for _ in range(8):
        mantissa = mantissa * mantissa >> 15
        result = result << 1 | mantissa >> 16
        mantissa >>= mantissa >> 16
    return result


# --- encoder


def encode(symbols: ArrayLike, tables: Tables, indexes: ArrayLike | None = None) -> bytes:
    """As :func:`pycodec.coding.encode`."""
    rows = _tables(tables)
    values = [int(v) for v in np.ravel(symbols)]
    index = _indexes(indexes, len(values))
    coded = [rows[t].code(v) for t, v in zip(index, values, strict=True)]
    shifts = [rows[t].shift for t in index]
    return _encode(coded, shifts, tables.precision, bool(tables.shifts.any()), bool(tables.escapes.any()))


def encode_pmfs(symbols: ArrayLike, pmfs: NDArray[Any]) -> bytes:
    """As :func:`pycodec.coding.encode_pmfs`."""
    rows = _pmf_tables(pmfs)
    coded = [row.code(int(v)) for row, v in zip(rows, np.ravel(symbols), strict=True)]
    return _encode(coded, [0] * len(coded), DEFAULT_PRECISION, False, False)


def _encode(coded: list[Coded], shifts: list[int], precision: int, has_raw: bool, has_escapes: bool) -> bytes:
    count = len(coded)
    if count == 0:
        return bytes([(precision - 8) << 2 | VERSION << 5]) + varint(0)
    lanes, chunk_symbols = _choose(coded, shifts, precision)
    prefix = bytes([LANES.index(lanes) | (precision - 8) << 2 | VERSION << 5]) + varint(count)
    if lanes == 32:
        prefix += varint(chunk_symbols)
    entries, payloads = b"", b""
    for number, begin in enumerate(range(0, count, chunk_symbols)):
        part = slice(begin, begin + chunk_symbols)
        tail, words, states = _encode_lanes(coded[part], lanes, precision)
        raw, position = 0, 0
        for c, k in zip(coded[part], shifts[part], strict=True):
            raw |= c.low << position
            position += k
        raw_bytes = raw.to_bytes((position + 7) // 8, "little")
        escape_bytes = b"".join(varint(c.escape) for c in coded[part] if c.escape is not None)
        entry = varint(len(words))
        if lanes > 1:
            entry += varint(tail)
        if has_raw:
            entry += varint(len(raw_bytes))
        if has_escapes:
            entry += varint(len(escape_bytes))
        payload = (
            np.array(states, "<u4").tobytes() + np.array(words, "<u2").tobytes() + raw_bytes + escape_bytes
        )
        entries += entry + _crc(prefix, number, entry, payload).to_bytes(4, "little")
        payloads += payload
    return prefix + entries + payloads


def _choose(coded: list[Coded], shifts: list[int], precision: int) -> tuple[int, int]:
    """Lanes, and symbols a chunk."""
    count = len(coded)
    sample = range(count)
    picked = list(sample) if count <= 16384 else [i for b in sample[::1021] for i in sample[b : b + 64]]
    cost = sum(
        256 * (precision + shifts[i] + (0 if coded[i].escape is None else 8)) - log2_256(coded[i].freq)
        for i in picked
    )
    size = (cost * count // len(picked)) >> 11
    if size < 16384:
        return (1 if size < 1024 else 4 if size < 4096 else 8), count
    chunks = max(1, size // 32768)
    symbols = (count + chunks - 1) // chunks
    return 32, (symbols + 31) // 32 * 32


def _encode_lanes(coded: list[Coded], lanes: int, precision: int) -> tuple[int, list[int], list[int]]:
    """Symbols in the tail, words, states."""
    states = [LOWER_BOUND] * lanes
    end = len(coded)
    if lanes > 1:
        x, tail_words = LOWER_BOUND, list[int]()
        while end:
            y, words = _step(x, coded[end - 1], precision)
            if len(tail_words) + len(words) > lanes - 2:
                break
            x, end = y, end - 1
            tail_words += words
        carried = [x >> 16, x & 0xFFFF, *reversed(tail_words)]
        states = [LOWER_BOUND + w for w in carried + [0] * (lanes - len(carried))]
    words = []
    for i in reversed(range(end)):
        states[i % lanes], emitted = _step(states[i % lanes], coded[i], precision)
        words += emitted
    return len(coded) - end, words[::-1], states


def _step(x: int, c: Coded, precision: int) -> tuple[int, list[int]]:
    """The next state, and the word emitted or none."""
    words = []
    if x >> (32 - precision) >= c.freq:
        words, x = [x & 0xFFFF], x >> 16
    return (x // c.freq << precision) + x % c.freq + c.start, words


# --- decoder


def decode(data: bytes, tables: Tables, count: int, indexes: ArrayLike | None = None) -> NDArray[np.int32]:
    """As :func:`pycodec.coding.decode`."""
    rows = _tables(tables)
    per_symbol = [rows[t] for t in _indexes(indexes, count)]
    return _decode(data, per_symbol, tables.precision, bool(tables.shifts.any()), bool(tables.escapes.any()))


def decode_pmfs(data: bytes, pmfs: NDArray[Any]) -> NDArray[np.int32]:
    """As :func:`pycodec.coding.decode_pmfs`."""
    return _decode(data, _pmf_tables(pmfs), DEFAULT_PRECISION, False, False)


def _decode(
    data: bytes, tables: Sequence[Table], precision: int, has_raw: bool, has_escapes: bool
) -> NDArray[np.int32]:
    reader = Reader(bytes(data))
    head = reader.take(1)[0]
    if head >> 5 != VERSION or (head >> 2 & 7) + 8 != precision:
        raise CorruptStream("byte 0: another version or precision")
    lanes = LANES[head & 3]
    count = reader.varint()
    if count != len(tables):
        raise CorruptStream(f"the stream holds {count} symbols; expected {len(tables)}")
    if count == 0:
        if lanes != 1 or reader.remaining:
            raise CorruptStream("an empty stream with content")
        return np.zeros(0, np.int32)
    chunk_symbols = reader.varint() if lanes == 32 else count
    if chunk_symbols == 0 or (lanes == 32 and chunk_symbols % 32):
        raise CorruptStream("symbols in a chunk are not a multiple of 32")
    prefix = reader.data[: reader.position]
    entries = []
    for _ in range(0, count, chunk_symbols):
        begin = reader.position
        words = reader.varint()
        tail = reader.varint() if lanes > 1 else 0
        raw = reader.varint() if has_raw else 0
        escapes = reader.varint() if has_escapes else 0
        entry = reader.data[begin : reader.position]
        entries.append((words, tail, raw, escapes, entry, int.from_bytes(reader.take(4), "little")))
    out: list[int] = []
    for number, (words, tail, raw, escapes, entry, crc) in enumerate(entries):
        payload = Reader(reader.take(4 * lanes + 2 * words + raw + escapes))
        if _crc(prefix, number, entry, payload.data) != crc:
            raise CorruptStream(f"chunk {number}: its checksum does not match")
        states = np.frombuffer(payload.take(4 * lanes), "<u4").tolist()
        word_list = np.frombuffer(payload.take(2 * words), "<u2").tolist()
        side = Side(payload.take(raw), payload.take(escapes))
        part = tables[number * chunk_symbols : (number + 1) * chunk_symbols]
        classes = _decode_lanes(part, tail, states, word_list, precision)
        out += [table.value(c, side) for table, c in zip(part, classes, strict=True)]
        side.check_end()
    if reader.remaining:
        raise CorruptStream("data after the last chunk")
    return np.array(out, np.int32)


def _decode_lanes(
    tables: Sequence[Table], tail: int, states: list[int], words: list[int], precision: int
) -> list[int]:
    """The classes of a chunk's symbols; checks that every state and word is used up."""
    lanes, on_lanes = len(states), len(tables) - tail
    if on_lanes < 0 or min(states) < LOWER_BOUND:
        raise CorruptStream("a tail longer than the chunk, or a state below 2^16")
    classes: list[int] = []

    def step(table: Table, x: int, source: list[int]) -> int:
        slot = x & ((1 << precision) - 1)
        c = table.find(slot)
        classes.append(c)
        x = table.freqs[c] * (x >> precision) + slot - table.starts[c]
        if x >= LOWER_BOUND:
            return x
        if not source:
            raise CorruptStream(f"the words end at symbol {len(classes) - 1}")
        return x << 16 | source.pop()

    source = words[::-1]
    for i in range(on_lanes):
        states[i % lanes] = step(tables[i], states[i % lanes], source)
    carried = [x - LOWER_BOUND for x in states]
    if source or not all(0 <= w < LOWER_BOUND for w in carried):
        raise CorruptStream("the lanes do not end as they were started")
    if lanes == 1:
        if tail or carried[0]:
            raise CorruptStream("the lane does not end as it was started")
        return classes
    x, source = carried[0] << 16 | carried[1], carried[:1:-1]
    if x < LOWER_BOUND:
        raise CorruptStream("the state of the tail is below 2^16")
    for table in tables[on_lanes:]:
        x = step(table, x, source)
    if x != LOWER_BOUND or any(source):
        raise CorruptStream("the tail does not end as it was started")
    return classes


# --- both


def _crc(prefix: bytes, chunk: int, entry: bytes, payload: bytes) -> int:
    return zlib.crc32(prefix + chunk.to_bytes(4, "little") + entry + payload)


def _tables(tables: Tables) -> list[Table]:
    ends = np.cumsum(tables.sizes)
    return [
        Table(tables.freqs[end - size : end].tolist(), int(offset), int(shift), bool(escape), tables.zigzag)
        for end, size, offset, shift, escape in zip(
            ends, tables.sizes, tables.offsets, tables.shifts, tables.escapes, strict=True
        )
    ]


def _pmf_tables(pmfs: NDArray[Any]) -> list[Table]:
    rows = pmfs.reshape(-1, pmfs.shape[-1])
    return [
        Table(pmf_freqs(row, DEFAULT_PRECISION, f"pmfs[{i}]").tolist(), 0, 0, False, False)
        for i, row in enumerate(rows)
    ]


def _indexes(indexes: ArrayLike | None, count: int) -> list[int]:
    return [0] * count if indexes is None else [int(t) for t in np.ravel(indexes)]
