"""Every SIMD level, the scalar code and the reference agree, whatever the tables, types, lanes and chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from streams import Case

from pycodec.coding import Decoder, Tables, reference
from pycodec.errors import CorruptStream, InvalidInput
from pycodec.native import native

LEVELS = native().simd_available()
SIGNED = ("int8", "int16", "int32", "int64")
DTYPES = (*SIGNED, "uint8", "uint16", "uint32")


def random_freqs(rng: np.random.Generator, classes: int, precision: int) -> NDArray[np.int64]:
    """Positive integers that sum to 2^precision: flat, or mostly ones with a few that have all the rest."""
    total = 1 << precision
    weights = rng.dirichlet(np.full(classes, rng.choice([0.02, 0.5, 10.0])))
    freqs = 1 + np.floor(np.nan_to_num(weights) * (total - classes)).astype(np.int64)
    freqs[rng.integers(classes)] += total - freqs.sum()
    return freqs


def random_tables(rng: np.random.Generator) -> Tables:
    """A single table, a small set or a large one, with or without everything that tables can have."""
    precision = int(rng.integers(8, 15))
    count = int(rng.choice([1, 1, 2, 5, 64, 65, 150]))
    most = int(min(rng.choice([1, 2, 5, 40, 64, 65, 256, 257, 2000]), 1 << (precision - 1)))
    escapes = rng.integers(0, 2, count) * rng.integers(0, 2)
    sizes = np.maximum(rng.integers(1, most + 1, count), 1 + escapes)
    sizes[0] = max(most, sizes[0])
    shifts = rng.integers(0, 8, count) * rng.integers(0, 2)
    reach = rng.choice([0, 3, 200_000])
    offsets = rng.integers(-reach, reach + 1, count)
    if rng.random() < 0.1:  # at the very end of int32, where differences wrap
        offsets[0], shifts[0] = -(2**31) + int(sizes.max()), 0
    freqs = np.concatenate([random_freqs(rng, int(size), precision) for size in sizes])
    return Tables(precision, bool(rng.integers(2)), freqs, sizes, offsets, shifts, escapes)


def random_case(rng: np.random.Generator, n: int) -> Case:
    """Symbols drawn from the tables themselves; of tables with an escape now and then one far away."""
    tables = random_tables(rng)
    indexes = rng.integers(0, len(tables), n)
    ends = np.cumsum(tables.sizes)
    starts = np.concatenate([[0], np.cumsum(tables.freqs.astype(np.int64))])
    first_slot = starts[ends - tables.sizes]
    classes = np.searchsorted(
        starts, first_slot[indexes] + rng.integers(0, 1 << tables.precision, n), "right"
    )
    classes = classes - 1 - (ends - tables.sizes)[indexes]
    plain = (tables.sizes - tables.escapes)[indexes]
    q = np.where(classes % 2, -(classes // 2) - 1, classes // 2) if tables.zigzag else classes
    shifts = tables.shifts[indexes].astype(np.int64)
    symbols = ((tables.offsets[indexes] + q) << shifts) + (rng.integers(0, 128, n) & ((1 << shifts) - 1))
    far = rng.integers(-(2**31), 2**31, n) >> rng.integers(0, 31, n)
    near = np.where(rng.random(n) < 0.02, far, symbols)
    escaped = tables.escapes[indexes] == 1
    symbols = np.where(escaped & (classes == plain), far, np.where(escaped, near, symbols))
    symbols = symbols.clip(-(2**31), 2**31 - 1)
    fitting = [d for d in DTYPES if np.iinfo(d).min <= symbols.min() and symbols.max() <= np.iinfo(d).max]
    types = [d for d in DTYPES if len(tables) - 1 <= np.iinfo(d).max]
    case = Case(symbols.astype(rng.choice(fitting)), tables, indexes.astype(rng.choice(types)))
    if len(tables) == 1 and rng.integers(2):
        case.indexes = None
    return case


def random_rows(rng: np.random.Generator, n: int) -> Case:
    """Probabilities as floats or words, of few classes or many."""
    classes = int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 200]))
    p = rng.dirichlet(np.full(classes, rng.choice([0.1, 2.0])), n)
    symbols = (p.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, classes - 1)
    rows = (p * 0.9999).astype(np.float32) if rng.integers(3) else np.floor(p * 65535).astype(np.uint16)
    return Case(symbols.astype(rng.choice(DTYPES)), pmfs=rows)


def encode_at(c: Case, level: str) -> bytes:
    if c.pmfs is not None:
        return native().rans_encode_pmfs(c.symbols, c.pmfs, 1, level)
    assert c.tables is not None
    return native().rans_encode(c.symbols, c.tables.native, c.indexes, 1, level)


def decode_at(c: Case, data: bytes, level: str, dtype: Any = None) -> NDArray[Any]:
    out = np.empty(c.symbols.size, dtype or c.symbols.dtype)
    if c.pmfs is not None:
        native().rans_decode_pmfs(data, c.pmfs, out, 1, level)
    else:
        assert c.tables is not None
        native().rans_decode(data, c.tables.native, c.indexes, out, 1, level)
    return out


def random_length(rng: np.random.Generator, seed: int, large: int) -> int:
    return int(rng.integers(1, 3000)) if seed % 3 else int(rng.integers(large // 2, large))


def assert_levels_agree(c: Case) -> None:
    """All write the bytes of the scalar loop, and of the plain coder where that takes no time, and read them."""
    data = encode_at(c, "scalar")
    if c.symbols.size < 3000:
        assert data == c.encode(reference)
    for level in LEVELS:
        assert encode_at(c, level) == data
        np.testing.assert_array_equal(decode_at(c, data, level), c.symbols)


@pytest.mark.parametrize("seed", range(60))
def test_random_tables(seed: int) -> None:
    rng = np.random.default_rng(seed)
    c = random_case(rng, random_length(rng, seed, 300_000))
    assert_levels_agree(c)


@pytest.mark.parametrize("seed", range(30))
def test_random_probabilities(seed: int) -> None:
    rng = np.random.default_rng(seed)
    c = random_rows(rng, random_length(rng, seed, 60_000))
    assert_levels_agree(c)


@pytest.mark.parametrize("lanes", [1, 4, 8, 32])
@pytest.mark.parametrize("seed", range(12))
def test_any_lanes_and_chunks(seed: int, lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no encoder here chooses, a decoder still reads: one to eleven chunks, with tails of any length."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4000))
    c = random_rows(rng, n) if seed % 4 == 0 else random_case(rng, n)
    chunk = n if lanes < 32 else -(-n // int(rng.integers(1, 12))) // 32 * 32 + 32
    monkeypatch.setattr(reference, "_choose", lambda *_: (lanes, chunk))
    data = c.encode(reference)
    for level in LEVELS:
        np.testing.assert_array_equal(decode_at(c, data, level), c.symbols)


@pytest.mark.parametrize("seed", range(12))
def test_damage_is_the_same_error_at_every_level(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the checksums, so that the loops themselves meet it: the same error, or the same symbols."""
    rng = np.random.default_rng(seed)
    c = random_rows(rng, 3000) if seed % 4 == 0 else random_case(rng, 3000)
    monkeypatch.setattr(reference, "_choose", lambda *_: (32, 992))
    clean = c.encode(reference)
    for _ in range(40):
        damaged = bytearray(clean)
        damaged[int(rng.integers(4, len(clean)))] ^= 1 << int(rng.integers(8))
        data = with_checksums(bytes(damaged), c)
        assert len({outcome(c, data, level) for level in LEVELS}) == 1


def with_checksums(data: bytes, c: Case) -> bytes:
    """Every chunk's CRC made right, as far as the layout can still be read."""
    reader = reference.Reader(data)
    reader.take(1)
    try:
        count, chunk = reader.varint(), reader.varint()
        prefix = data[: reader.position]
        fields = 2 if c.tables is None else 2 + bool(c.tables.shifts.any()) + bool(c.tables.escapes.any())
        entries = []
        for _ in range(0, count, chunk):
            begin = reader.position
            sizes = [reader.varint() for _ in range(fields)]
            entries.append((begin, reader.position, 128 + 2 * sizes[0] + sum(sizes[2:])))
            reader.take(4)
        fixed, at = bytearray(data), reader.position
        for number, (begin, end, size) in enumerate(entries):
            crc = reference._crc(prefix, number, data[begin:end], data[at : at + size])
            fixed[end : end + 4] = crc.to_bytes(4, "little")
            at += size
        return bytes(fixed)
    except CorruptStream:
        return data


def outcome(c: Case, data: bytes, level: str) -> str:
    try:
        return decode_at(c, data, level, np.int32).tobytes().hex()
    except CorruptStream as error:
        return str(error)


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_refuses_the_same_symbols(level: str) -> None:
    """An index or a symbol that is wrong, far inside: found, named, and never used to look anything up."""
    rng = np.random.default_rng(0)
    n = 40_000
    for tables in (
        Tables.from_cdfs([0, 100, 200, 256], 8),
        Tables.from_gaussian_scales([1.0, 8.0, 100.0]),
        Tables.from_cdfs([[*range(0, 4096, 8), 4096]] * 70, 12),
    ):
        symbols, indexes = rng.integers(0, 3, n), rng.integers(0, len(tables), n)
        data = native().rans_encode(symbols, tables.native, indexes, 1, level)
        out = np.empty(n, np.int32)
        for wrong in (len(tables), -1, 2**31 - 1, -(2**31)):
            indexes[23_456] = wrong
            message = rf"indexes\[23456\] is {wrong}; expected 0 to {len(tables) - 1}"
            with pytest.raises(InvalidInput, match=message):
                native().rans_encode(symbols, tables.native, indexes, 1, level)
            with pytest.raises(InvalidInput, match=message):
                native().rans_decode(data, tables.native, indexes, out, 1, level)
        indexes[23_456] = 0
        if not tables.escapes.any():
            symbols[23_456] = 5000
            with pytest.raises(InvalidInput, match=r"symbols\[23456\] is 5000"):
                native().rans_encode(symbols, tables.native, indexes, 1, level)
        symbols[23_456] = 2**31
        with pytest.raises(InvalidInput, match=r"symbols\[23456\] is 2147483648"):
            native().rans_encode(symbols, tables.native, indexes, 1, level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "uint32"])
def test_every_level_refuses_what_the_output_cannot_hold(dtype: str, level: str) -> None:
    rng = np.random.default_rng(0)
    info = np.iinfo(dtype)
    tables = Tables.from_gaussian_scales([30_000.0 / 50, 1.0])
    indexes = np.ones(40_000, np.uint8)
    symbols = np.abs(np.rint(rng.normal(size=indexes.size))).astype(np.int64)
    for wrong in (info.min - 1, info.max + 1):
        if not -(2**31) <= wrong < 2**31:
            continue
        symbols[34_567], indexes[34_567] = wrong, 0
        data = native().rans_encode(symbols, tables.native, indexes, 1, level)
        with pytest.raises(InvalidInput, match=f"position 34567 is {wrong}, which the output array's type"):
            native().rans_decode(data, tables.native, indexes, np.empty(indexes.size, dtype), 1, level)


def test_steps_go_in_and_out_of_rounds() -> None:
    """Pulls of every length: the lanes are left and taken up again anywhere in a round."""
    rng = np.random.default_rng(2)
    for seed in range(8):
        c = random_case(np.random.default_rng(seed), 60_000)
        decoder, at = Decoder(encode_at(c, "scalar"), c.tables), 0
        while at < c.symbols.size:
            n = min(int(rng.choice([1, 5, 31, 32, 64, 100, 5000])), c.symbols.size - at)
            part = slice(at, at + n)
            pulled = decoder.pull(n, None if c.indexes is None else c.indexes[part])
            np.testing.assert_array_equal(pulled, c.symbols[part])
            at += n
