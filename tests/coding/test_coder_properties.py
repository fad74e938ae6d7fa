"""What holds for every public function of pycodec.coding, whatever it is given."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycodec.coding import (
    Decoder,
    Tables,
    code_length_bits,
    code_lengths,
    decode,
    decode_pmfs,
    encode,
    encode_pmfs,
)
from pycodec.errors import CorruptStream, InvalidInput

few = settings(max_examples=20, deadline=None)


@st.composite
def any_tables(draw: st.DrawFn) -> Tables:
    """Of cumulative frequencies or of scales, with an escape, so that every symbol has a class."""
    precision = draw(st.integers(8, 14))
    if draw(st.booleans()):
        return Tables.from_gaussian_scales(
            draw(st.lists(st.floats(1e-9, 768), min_size=1, max_size=5)), precision
        )
    total = 1 << precision
    inner = draw(st.lists(st.sets(st.integers(1, total - 1), max_size=9), min_size=1, max_size=5))
    offsets = [draw(st.integers(-(2**20), 2**20)) for _ in inner]
    return Tables.from_cdfs(
        [[0, *sorted(row), total] for row in inner], precision, offsets=offsets, escape=True
    )


@st.composite
def any_call(draw: st.DrawFn) -> tuple[np.ndarray, Tables, np.ndarray]:
    """Symbols with their tables and indexes."""
    tables = draw(any_tables())
    near = st.integers(-9, 9).map(lambda step: step + int(tables.offsets[0]))
    symbols = draw(st.lists(st.one_of(near, st.integers(-(2**31), 2**31 - 1)), max_size=30))
    indexes = [draw(st.integers(0, len(tables) - 1)) for _ in symbols]
    return np.array(symbols, np.int64), tables, np.array(indexes, np.uint8)


@few
@given(any_call(), st.data())
def test_steps_of_any_length_give_the_symbols(call: Any, data: st.DataObject) -> None:
    symbols, tables, indexes = call
    decoder = Decoder(encode(symbols, tables, indexes), tables)
    assert decoder.count == decoder.remaining == len(symbols)
    pulled: list[int] = []
    while decoder.remaining:
        n = data.draw(st.integers(0, decoder.remaining))
        pulled += decoder.pull(n, indexes[len(pulled) : len(pulled) + n]).tolist()
        assert decoder.remaining == len(symbols) - len(pulled)
    assert pulled == symbols.tolist()
    with pytest.raises(InvalidInput, match="only 0"):
        decoder.pull(1, [0])


@few
@given(any_call())
def test_lengths_are_of_the_stream(call: Any) -> None:
    symbols, tables, indexes = call
    lengths = code_lengths(symbols, tables, indexes)
    assert lengths.shape == symbols.shape and (lengths >= 0).all()
    bits = code_length_bits(symbols, tables, indexes)
    assert bits == lengths.sum()
    # A head, sizes, a checksum and the state: at most 32 bytes beside the symbols of so short a stream.
    assert bits - 16 <= 8 * len(encode(symbols, tables, indexes)) <= bits + 8 * 32


@few
@given(any_call(), st.binary(max_size=60), st.data())
def test_any_bytes_are_refused_or_symbols(call: Any, noise: bytes, data: st.DataObject) -> None:
    """Noise, and a stream with a part of it replaced by noise; checksums let nothing through but itself."""
    symbols, tables, indexes = call
    stream = encode(symbols, tables, indexes)
    at = data.draw(st.integers(0, len(stream)))
    for damaged in (noise, stream[:at] + noise, stream[:at] + noise + stream[at + len(noise) :]):
        if damaged != stream:
            with pytest.raises(CorruptStream):
                decode(damaged, tables, len(symbols), indexes)
            with pytest.raises((CorruptStream, InvalidInput)):
                Decoder(damaged, tables).pull(max(1, len(symbols)), np.resize(indexes, max(1, len(symbols))))


@few
@given(st.binary(max_size=80), st.integers(0, 6), st.integers(1, 9))
def test_any_bytes_with_probabilities(noise: bytes, rows: int, classes: int) -> None:
    pmfs = np.full((rows, classes), 1 / classes, np.float32)
    symbols = np.arange(rows) % classes
    stream = encode_pmfs(symbols, pmfs)
    assert decode_pmfs(stream, pmfs).tolist() == symbols.tolist()
    if noise != stream:
        with pytest.raises(CorruptStream):
            decode_pmfs(noise, pmfs)
        with pytest.raises(CorruptStream):
            decode_pmfs(stream + noise + b"\0", pmfs)


@few
@given(any_tables())
def test_tables_survive_every_way_of_storing_them(tables: Tables) -> None:
    arrays = tables.to_arrays()
    starts = np.cumsum(tables.sizes) - tables.sizes
    assert (np.add.reduceat(tables.freqs.astype(np.int64), starts) == 1 << tables.precision).all()
    for again in (Tables.from_arrays(arrays), pickle.loads(pickle.dumps(tables))):
        assert len(again) == len(tables) and repr(again) == repr(tables)
        for name, array in again.to_arrays().items():
            np.testing.assert_array_equal(array, arrays[name])


@few
@given(st.data())
def test_arrays_of_anything_are_tables_or_refused(data: st.DataObject) -> None:
    """As a weights file may hold them."""
    arrays = dict(data.draw(any_tables()).to_arrays())
    name = data.draw(st.sampled_from(sorted(arrays)))
    values = data.draw(st.lists(st.integers(-(2**33), 2**33), max_size=5))
    kind = data.draw(st.sampled_from([np.int64, np.float64, np.uint64, object, str]))
    arrays[name] = np.array(np.abs(values) if kind is np.uint64 else values, kind)
    try:
        tables = Tables.from_arrays(arrays)
    except InvalidInput:
        return
    symbol = [int(tables.offsets[0]) << int(tables.shifts[0])]
    assert decode(encode(symbol, tables, [0]), tables, 1, [0]).tolist() == symbol


@few
@given(
    st.lists(st.floats(width=32, allow_subnormal=True), min_size=1, max_size=12),
    st.integers(8, 10),
    st.booleans(),
)
def test_any_floats_are_probabilities_or_refused(values: list[float], precision: int, escape: bool) -> None:
    try:
        tables = Tables.from_pmfs(values, precision, escape=escape)
    except InvalidInput:
        assert any(not 0 <= v <= 1 for v in values) or np.sum(values) > 0.99
        return
    assert tables.freqs.min() >= 1 and tables.freqs.sum() == 1 << precision
    assert tables.sizes.tolist() == [len(values)] and tables.escapes.tolist() == [escape]
