"""A damaged stream is an error, never other symbols: by its checksums, and behind them by the coder's own checks."""

from __future__ import annotations

import re
import zlib

import numpy as np
import pytest
from streams import BOTH, KINDS, Case, case

from pycodec.coding import Decoder, Tables, decode, encode, reference
from pycodec.errors import CorruptStream
from pycodec.native import native


def small(kind: str, n: int) -> tuple[Case, bytes]:
    c = case(kind, n, seed=3)
    return c, c.encode()


def test_checksum_is_that_of_zlib() -> None:
    data = np.random.default_rng(0).bytes(1200)
    for n in (*range(200), 1200):  # blocks of 64 and of 16 bytes, and what is left
        assert native().crc32(data[:n]) == zlib.crc32(data[:n])
        assert native().crc32(data[n:], 0x12345678) == zlib.crc32(data[n:], 0x12345678)


@pytest.mark.parametrize("n", [0, 1, 60, 900])  # 900: several lanes and a tail
@pytest.mark.parametrize("kind", KINDS)
def test_every_flip_of_a_byte_raises(kind: str, n: int) -> None:
    c, data = small(kind, n)
    for i in range(len(data)):
        for value in range(256) if n < 900 else (data[i] ^ 1, data[i] ^ 0x80, data[i] ^ 0xFF):
            if value != data[i]:
                with pytest.raises(CorruptStream, match=r"byte|holds"):
                    c.decode(data[:i] + bytes([value]) + data[i + 1 :])


@pytest.mark.parametrize("n", [0, 1, 60, 900])
@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_raises(kind: str, n: int) -> None:
    c, data = small(kind, n)
    for size in range(len(data)):
        with pytest.raises(CorruptStream, match="byte"):
            c.decode(data[:size])
    with pytest.raises(CorruptStream, match="byte"):
        c.decode(data + b"\0")


@pytest.mark.parametrize("module", BOTH)
def test_reference_and_native_refuse_alike(module) -> None:
    c, data = small("gaussian", 60)
    for i in range(len(data)):
        with pytest.raises(CorruptStream):
            c.decode(data[:i] + bytes([data[i] ^ 4]) + data[i + 1 :], module)


def test_the_chunk_and_the_byte_are_named() -> None:
    c = case("gaussian", 600_000)
    data = bytearray(c.encode())
    at = len(data) - 100
    data[at] ^= 1
    with pytest.raises(CorruptStream, match=r"chunk \d+, byte \d+: its checksum does not match") as caught:
        c.decode(bytes(data))
    chunk, byte = map(int, re.findall(r"\d+", str(caught.value))[:2])
    assert chunk == 1 and 0 < byte <= at
    decoder = Decoder(bytes(data), c.tables)  # the chunk before is still good
    np.testing.assert_array_equal(decoder.pull(100_000, c.indexes[:100_000]), c.symbols[:100_000])


def with_valid_checksum(data: bytes, prefix: int, entry: int, field: bytes | None = None) -> bytes:
    """A stream of one chunk, its CRC made right again (after replacing the entry's varints with ``field``)."""
    varints = data[prefix : prefix + entry] if field is None else field
    payload = data[prefix + entry + 4 :]
    crc = zlib.crc32(data[:prefix] + bytes(4) + varints + payload)
    return data[:prefix] + varints + crc.to_bytes(4, "little") + payload


def layout(data: bytes, varints: int) -> tuple[int, int]:
    """Bytes before the entry, and bytes of its varints, in a stream of one chunk."""
    reader = reference.Reader(data)
    lanes = reader.take(1)[0] & 3
    reader.varint()
    if lanes == 3:
        reader.varint()
    prefix = reader.position
    for _ in range(varints + (lanes > 0)):
        reader.varint()
    return prefix, reader.position - prefix


@pytest.mark.parametrize(
    ("kind", "n", "varints"),
    [("iid", 60, 1), ("iid", 2000, 1), ("gaussian", 3000, 3), ("escapes", 700, 2), ("gaussian", 20_000, 3)],
)
def test_forged_checksums(kind: str, n: int, varints: int) -> None:
    """Behind a valid checksum: an error or wrong symbols, but never a crash, and nearly always the error."""
    c, data = small(kind, n)
    prefix, entry = layout(data, varints)
    assert with_valid_checksum(data, prefix, entry) == data
    rng = np.random.default_rng(0)
    start = prefix + entry + 4
    noticed, trials = 0, 400
    for _ in range(trials):
        damaged = bytearray(data)
        damaged[rng.integers(start, len(data))] ^= 1 << rng.integers(8)
        try:
            symbols = c.decode(with_valid_checksum(bytes(damaged), prefix, entry))
        except CorruptStream as error:
            noticed += 1
            assert "chunk 0, byte" in str(error)
        else:
            assert symbols.shape == c.symbols.shape
    # Raw bits and escapes have no redundancy of their own; everything else has.
    assert noticed > 0.99 * trials if varints == 1 else noticed > 0.2 * trials


def test_forged_fields() -> None:
    """Sizes that contradict one another, each with a valid checksum."""
    c, data = small("iid", 2000)
    prefix, entry = layout(data, 1)
    reader = reference.Reader(data[prefix:])
    words, tail = reader.varint(), reader.varint()
    huge = (1 << 62) + 1
    for w, t in [
        (words - 1, tail),
        (words + 1, tail),
        (huge, tail),
        (words, tail + 1),
        (words, 0),
        (words, 2000),
        (words, 2001),
        (words, huge),
    ]:
        field = reference.varint(w) + reference.varint(t)
        with pytest.raises(CorruptStream, match="byte"):
            c.decode(with_valid_checksum(data, prefix, entry, field))


def certain_stream(states: list[int], words: bytes = b"", tail: int = 0) -> bytes:
    """Five symbols of a table of one class on four lanes: a state begins and ends alike, so any end can be made."""
    prefix = bytes([1 | 2 << 2 | 1 << 5, 5])
    entry = reference.varint(len(words) // 2) + reference.varint(tail)
    payload = np.array(states, "<u4").tobytes() + words
    return prefix + entry + zlib.crc32(prefix + bytes(4) + entry + payload).to_bytes(4, "little") + payload


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize("tail", [0, 2, 5])
def test_every_end_state_is_checked(module, tail: int) -> None:
    tables = Tables.from_cdfs([0, 1 << 10], 10, offsets=7)
    one = 1 << 16
    good = [one | 1, one, one, one]
    assert module.decode(certain_stream(good, tail=tail), tables, 5).tolist() == [7] * 5
    for lane in range(4):
        for state in (2 * one | good[lane] & 0xFFFF, good[lane] - one, good[lane] + 2):
            states = [state if k == lane else x for k, x in enumerate(good)]
            with pytest.raises(CorruptStream):
                module.decode(certain_stream(states, tail=tail), tables, 5)
    with pytest.raises(CorruptStream):
        module.decode(certain_stream([one, one, one, one], tail=tail), tables, 5)  # the tail's state is 0
    with pytest.raises(CorruptStream):
        module.decode(certain_stream(good, b"\0\0", tail), tables, 5)  # a word that nobody reads


@pytest.mark.parametrize(
    "data",
    [
        bytes([0x38]) + b"\xff" * 9,  # a varint without end
        bytes([0x38]) + b"\x80\x00",  # not the shortest
        bytes([0x3B]) + reference.varint(1 << 47) + reference.varint(32),  # 2^42 chunks in no bytes
        bytes([0x3B]) + reference.varint(1 << 47) + reference.varint(0),
        bytes([0x3B]) + reference.varint(1 << 47) + reference.varint(33),
        bytes([0x38]) + reference.varint((1 << 48) + 1),
    ],
)
def test_claims_that_cost_memory(data: bytes) -> None:
    tables = Tables.from_gaussian_scales([1.0])
    with pytest.raises(CorruptStream, match="byte"):
        Decoder(data, tables)


def test_escape_beyond_int32() -> None:
    tables = Tables.from_cdfs([0, 256], 8, escape=True)
    number = reference.varint(1 << 33)
    entry = reference.varint(0) + reference.varint(len(number))
    prefix = bytes([0x20]) + reference.varint(1)
    payload = (1 << 16).to_bytes(4, "little") + number
    crc = zlib.crc32(prefix + bytes(4) + entry + payload).to_bytes(4, "little")
    with pytest.raises(CorruptStream, match="beyond int32"):
        decode(prefix + entry + crc + payload, tables, 1)


def test_wrong_count_and_wrong_tables() -> None:
    c, data = small("gaussian", 900)
    with pytest.raises(CorruptStream, match="holds 900 symbols; expected 899"):
        decode(data, c.tables, 899, c.indexes[:899])
    with pytest.raises(CorruptStream, match="14-bit tables, these have 12 bits"):
        decode(data, Tables.from_gaussian_scales([1.0], 12), 900)
    with pytest.raises(CorruptStream, match="other tables"):
        decode(data, c.tables, 900, c.indexes[::-1].copy())
    with pytest.raises(CorruptStream, match="version 7"):
        decode(bytes([data[0] | 0xE0]) + data[1:], c.tables, 900, c.indexes)


def test_a_failed_step_decoder_stays_failed() -> None:
    c, data = small("iid", 900)
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    decoder = Decoder(damaged, c.tables)
    with pytest.raises(CorruptStream, match="checksum"):
        decoder.pull(5)
    with pytest.raises(ValueError, match="earlier pull"):
        decoder.pull(5)


def test_order_of_chunks_is_checked() -> None:
    """Two chunks of the same symbols are the same bytes but for their checksums: swapping those must not pass."""
    tables = Tables.from_pmfs(np.full(256, 1 / 256, np.float32))
    half = np.random.default_rng(0).integers(0, 256, 40_000).astype(np.uint8)
    data = encode(np.concatenate([half, half]), tables)
    reader = reference.Reader(data[1:])
    reader.varint()
    assert reader.varint() == 40_000
    begin = 1 + reader.position
    size = (len(data) - begin) // 2
    entry = next(
        k for k in range(5, 12) if data[begin : begin + k - 4] == data[begin + k : begin + 2 * k - 4]
    )
    first, second = data[begin : begin + entry], data[begin + entry : begin + 2 * entry]
    assert first != second and size > 0
    with pytest.raises(CorruptStream, match="chunk 0"):
        decode(data[:begin] + second + first + data[begin + 2 * entry :], tables, 80_000)
