"""Every symbol comes back, and the native coder and the reference write and read the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import BOTH, KINDS, SCALES, case

from pycodec import coding
from pycodec.coding import Decoder, Tables, decode, decode_pmfs, encode, encode_pmfs, reference
from pycodec.errors import InvalidInput
from pycodec.native import native

# Sizes on both sides of every choice of lanes, of sampling and of a second chunk.
SIZES = (0, 1, 2, 31, 33, 400, 1500, 5000, 17000)
DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_native_and_reference_agree(kind: str, n: int) -> None:
    c = case(kind, n)
    data, plain = (c.encode(module) for module in BOTH)
    assert data == plain
    for module in BOTH:
        np.testing.assert_array_equal(c.decode(data, module), c.symbols)


@pytest.mark.parametrize("kind", ["gaussian", "iid"])
def test_streams_of_many_chunks_agree(kind: str) -> None:
    c = case(kind, 150_000)
    if kind == "gaussian":  # the widest table, whose symbols take about 10 bits
        c.indexes = np.full_like(c.indexes, 63)
        c.symbols = np.rint(np.random.default_rng(1).normal(size=c.symbols.size) * 256).astype(np.int16)
    data = c.encode()
    assert chunk_symbols(data) < c.symbols.size
    assert data == c.encode(reference)
    np.testing.assert_array_equal(c.decode(data), c.symbols)
    np.testing.assert_array_equal(c.decode(data, reference), c.symbols)


@pytest.mark.parametrize("level", native().simd_available())
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [33, 17_000, 150_000])
def test_every_simd_level_writes_and_reads_the_same(kind: str, n: int, level: str) -> None:
    c = case(kind, n)
    out = np.empty(n, np.int32)
    if c.pmfs is not None:
        data = native().rans_encode_pmfs(c.symbols, c.pmfs, 1, level)
        native().rans_decode_pmfs(data, c.pmfs, out, 1, level)
    else:
        data = native().rans_encode(c.symbols, c.tables.native, c.indexes, 1, level)
        native().rans_decode(data, c.tables.native, c.indexes, out, 1, level)
    assert data == c.encode(reference if n < 20_000 else coding)
    np.testing.assert_array_equal(out, c.symbols)


@pytest.mark.parametrize("level", native().simd_available())
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.nan, 0.5, 0], r"pmfs\[5020\]\[0\] is nan"),
        ([0.5, -0.1, 0], r"pmfs\[5020\]\[1\] is -0.1"),
        ([1.00001, 0, 0], r"pmfs\[5020\]\[0\] is 1.00001"),
        ([0.6, 0.6, 0], r"pmfs\[5020\] sums to more than 1"),
    ],
)
def test_every_simd_level_refuses_the_same_probabilities(row: list[float], message: str, level: str) -> None:
    pmfs = np.full((20_000, 3), 0.3, np.float32)
    symbols = np.random.default_rng(0).integers(0, 3, len(pmfs), np.int32)
    data = native().rans_encode_pmfs(symbols, pmfs, 1, level)
    pmfs[5020] = row
    with pytest.raises(InvalidInput, match=message):
        native().rans_encode_pmfs(symbols, pmfs, 1, level)
    with pytest.raises(InvalidInput, match=message):
        native().rans_decode_pmfs(data, pmfs, np.empty_like(symbols), 1, level)


def chunk_symbols(data: bytes) -> int:
    assert data[0] & 3 == 3, "not a stream of 32 lanes"
    reader = reference.Reader(data[1:])
    reader.varint()
    return reader.varint()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_symbols_with_escapes(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**31)), min(info.max, 2**31 - 1)
    values = data.draw(st.lists(st.one_of(st.integers(low, high), st.integers(max(low, -9), 9)), max_size=80))
    symbols = np.array(values, dtype)
    if data.draw(st.booleans()):
        tables = Tables.from_gaussian_scales([0.2, 3.0, 40.0, 700.0], data.draw(st.integers(8, 14)))
    else:
        tables = Tables.from_cdfs(
            [[0, 3, 255, 256], [0, 256], [0, 1, 256]], 8, offsets=[-1, 0, 5], escape=True
        )
    index_type = data.draw(st.sampled_from(["uint8", "int8", "int16", "uint16", "int32"]))
    indexes = np.array([data.draw(st.integers(0, len(tables) - 1)) for _ in values], index_type)
    stream = encode(symbols, tables, indexes)
    assert stream == reference.encode(symbols, tables, indexes)
    out = np.empty(len(values), dtype)
    assert decode(stream, tables, len(values), indexes, out=out) is out
    np.testing.assert_array_equal(out, symbols)
    np.testing.assert_array_equal(reference.decode(stream, tables, len(values), indexes), symbols)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_probabilities(data: st.DataObject) -> None:
    classes, n = data.draw(st.integers(1, 40)), data.draw(st.integers(0, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    p = rng.dirichlet(np.full(classes, data.draw(st.sampled_from([0.01, 0.3, 5.0]))), n)
    p = p / np.maximum(p.sum(1, keepdims=True), 1e-30)
    pmfs = p.astype(np.float32) if data.draw(st.booleans()) else np.floor(p * 65535).astype(np.uint16)
    symbols = rng.integers(0, classes, n).astype(np.uint8)
    stream = encode_pmfs(symbols, pmfs)
    assert stream == reference.encode_pmfs(symbols, pmfs)
    np.testing.assert_array_equal(decode_pmfs(stream, pmfs), symbols)
    np.testing.assert_array_equal(reference.decode_pmfs(stream, pmfs), symbols)


@pytest.mark.parametrize("pull", [1, 7, 1024, 5000])
@pytest.mark.parametrize(
    ("kind", "n"), [("iid", 300), ("gaussian", 3000), ("escapes", 3000), ("gaussian", 90_000)]
)
def test_step_decoder(kind: str, n: int, pull: int) -> None:
    c = case(kind, n)
    decoder = Decoder(c.encode(), c.tables)
    assert decoder.count == n
    pulled = []
    for at in range(0, n, pull):
        part = slice(at, min(n, at + pull))
        pulled.append(decoder.pull(part.stop - at, None if c.indexes is None else c.indexes[part]))
        assert decoder.remaining == n - part.stop
    np.testing.assert_array_equal(np.concatenate(pulled), c.symbols)
    assert decoder.pull(0, None if c.indexes is None else []).size == 0


def test_step_decoder_keeps_its_data() -> None:
    c = case("gaussian", 1000)
    decoder = Decoder(bytearray(c.encode()), Tables.from_gaussian_scales(SCALES))
    np.testing.assert_array_equal(decoder.pull(1000, c.indexes), c.symbols)


@pytest.mark.parametrize("kind", ["gaussian", "pmfs"])
def test_bytes_do_not_depend_on_threads(kind: str) -> None:
    c = case(kind, 700_000)
    data = c.encode()
    if kind == "pmfs":
        assert encode_pmfs(c.symbols, c.pmfs, threads=3) == data
        decoded = decode_pmfs(data, c.pmfs, threads=3)
    else:
        assert encode(c.symbols, c.tables, c.indexes, threads=3) == data
        decoded = decode(data, c.tables, c.symbols.size, c.indexes, threads=3)
    assert chunk_symbols(data) < c.symbols.size
    np.testing.assert_array_equal(decoded, c.symbols)


def test_shapes() -> None:
    c = case("pmfs", 24)
    shaped = encode_pmfs(c.symbols.reshape(2, 3, 4), c.pmfs.reshape(2, 3, 4, 6))
    assert shaped == c.encode()
    out = np.empty((4, 6), np.uint8)
    decode_pmfs(bytearray(shaped), c.pmfs, out=out)
    np.testing.assert_array_equal(out.ravel(), c.symbols)
    np.testing.assert_array_equal(decode_pmfs(memoryview(shaped), c.pmfs), c.symbols)
    np.testing.assert_array_equal(decode_pmfs(np.frombuffer(shaped, np.uint8), c.pmfs), c.symbols)
