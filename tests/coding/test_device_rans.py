"""Bulk coding on a device writes and reads the CPU's bytes; without a GPU its kernels run as plain loops."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from streams import KINDS, Case, case

from pycodec.coding import Tables, decode, encode, encode_pmfs, reference
from pycodec.errors import CorruptStream, InvalidInput
from pycodec.ops import device, device_rans

# On both sides of every choice of lanes, of sampling, of a warp, and of a second chunk.
SIZES = (0, 1, 2, 31, 33, 400, 1500, 5000, 17_000, 150_000)


def tensor(array: NDArray[Any], where: str) -> torch.Tensor:
    """A copy on a device; unsigned types that torch lacks become others of the same bits, or wider."""
    if array.dtype == np.uint16:
        array = array.astype(np.int32) if array.ndim == 1 else array.view(np.int16)
    return torch.from_numpy(array.copy()).to(where)


def encode_there(c: Case, where: str) -> bytes:
    if c.pmfs is not None:
        return device_rans.encode_pmfs(tensor(c.symbols, where), tensor(c.pmfs, where))
    indexes = None if c.indexes is None else tensor(c.indexes, where)
    return device_rans.encode(tensor(c.symbols, where), c.tables, indexes)


def decode_there(c: Case, data: bytes, where: str) -> NDArray[Any]:
    if c.pmfs is not None:
        return device_rans.decode_pmfs(data, tensor(c.pmfs, where)).cpu().numpy()
    indexes = None if c.indexes is None else tensor(c.indexes, where)
    symbols = device_rans.decode(data, c.tables, c.symbols.size, indexes, device=where)
    assert symbols.device.type == where
    return symbols.cpu().numpy()


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_and_symbols_are_the_cpus(kind: str, n: int, coding_device: str) -> None:
    c = case(kind, n)
    data = c.encode()
    assert encode_there(c, coding_device) == data
    np.testing.assert_array_equal(decode_there(c, data, coding_device), c.symbols)


def test_widest_symbols(coding_device: str) -> None:
    """About 10 bits a symbol, 5 of them raw, in several chunks."""
    c = case("gaussian", 150_000)
    c.indexes = np.full_like(c.indexes, 63)
    c.symbols = np.rint(np.random.default_rng(1).normal(size=c.symbols.size) * 256).astype(np.int16)
    data = c.encode()
    assert encode_there(c, coding_device) == data
    np.testing.assert_array_equal(decode_there(c, data, coding_device), c.symbols)


@pytest.mark.parametrize(
    ("lanes", "chunk"), [(1, 3000), (4, 3000), (8, 3000), (32, 32), (32, 640), (32, 4000)]
)
@pytest.mark.parametrize("kind", ["iid", "gaussian", "escapes", "pmfs"])
def test_streams_of_other_encoders(
    kind: str, lanes: int, chunk: int, coding_device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lanes and chunks are the encoder's choice; these are not ours."""
    monkeypatch.setattr(reference, "_choose", lambda *_: (lanes, chunk))
    c = case(kind, 3000)
    np.testing.assert_array_equal(decode_there(c, c.encode(reference), coding_device), c.symbols)


@pytest.mark.parametrize("symbol_type", ["int8", "int16", "int32", "int64", "uint8"])
@pytest.mark.parametrize("index_type", ["int8", "int16", "int32", "int64", "uint8"])
def test_types(symbol_type: str, index_type: str, coding_device: str) -> None:
    c = case("gaussian", 700)
    symbols = np.abs(c.symbols).clip(0, 100).astype(symbol_type)
    indexes = tensor(c.indexes.astype(index_type), coding_device)
    data = encode(symbols, c.tables, c.indexes)
    assert device_rans.encode(tensor(symbols, coding_device), c.tables, indexes) == data


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_symbols_and_tables(data: st.DataObject, coding_device: str) -> None:
    values = st.one_of(st.integers(-(2**31), 2**31 - 1), st.integers(-9, 9))
    symbols = np.array(data.draw(st.lists(values, max_size=90)), np.int32)
    precision = data.draw(st.integers(8, 14))
    tables = data.draw(
        st.sampled_from(
            [
                Tables.from_gaussian_scales([0.2, 3.0, 40.0, 700.0], precision),
                Tables.from_cdfs(
                    [[0, 3, 255, 256], [0, 256], [0, 1, 256]], 8, offsets=[-1, 0, 5], escape=True
                ),
            ]
        )
    )
    indexes = np.array([data.draw(st.integers(0, len(tables) - 1)) for _ in symbols], np.uint8)
    c = Case(symbols, tables, indexes)
    stream = c.encode()
    assert encode_there(c, coding_device) == stream
    np.testing.assert_array_equal(decode_there(c, stream, coding_device), symbols)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_probabilities(data: st.DataObject, coding_device: str) -> None:
    classes, n = data.draw(st.integers(1, 40)), data.draw(st.integers(0, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    p = rng.dirichlet(np.full(classes, data.draw(st.sampled_from([0.01, 0.3, 5.0]))), n)
    p = p / np.maximum(p.sum(1, keepdims=True), 1e-30)
    pmfs = p.astype(np.float32) if data.draw(st.booleans()) else np.floor(p * 65535).astype(np.uint16)
    c = Case(rng.integers(0, classes, n).astype(np.uint8), pmfs=pmfs)
    stream = c.encode()
    assert encode_there(c, coding_device) == stream
    np.testing.assert_array_equal(decode_there(c, stream, coding_device), c.symbols)


@pytest.mark.parametrize("n", [1, 60, 900])  # 900: several lanes and a tail
@pytest.mark.parametrize("kind", KINDS)
def test_damage_raises(kind: str, n: int, coding_device: str) -> None:
    c = case(kind, n, seed=3)
    data = c.encode()
    for i in range(0, len(data), 1 + len(data) // 60):
        damaged = [data[:i], data[:i] + bytes([data[i] ^ 0x41]) + data[i + 1 :]]
        for stream in damaged:
            with pytest.raises(CorruptStream, match=r"byte|holds"):
                decode_there(c, stream, coding_device)


@pytest.mark.parametrize("kind", ["iid", "gaussian", "escapes", "pmfs"])
@pytest.mark.parametrize("n", [60, 900, 20_000])
def test_forged_checksums_end_as_on_the_cpu(kind: str, n: int, coding_device: str) -> None:
    """Damage behind a valid checksum: found by the kernel's own checks wherever the CPU's find it."""
    c = case(kind, n, seed=3)
    data = c.encode()
    reader = reference.Reader(data)
    lanes = reader.take(1)[0] & 3
    reader.varint()
    if lanes == 3:
        assert reader.varint() >= n, "the layout below is that of one chunk"
    prefix = reader.position
    for _ in range(1 + (lanes > 0) + {"gaussian": 2, "escapes": 1}.get(kind, 0)):
        reader.varint()
    entry, start = data[prefix : reader.position], reader.position + 4
    rng = np.random.default_rng(0)
    noticed = 0
    for _ in range(80 if n < 20_000 else 20):
        payload = bytearray(data[start:])
        payload[rng.integers(len(payload))] ^= 1 << rng.integers(8)
        if rng.integers(4) == 0:
            del payload[-1:]
        checksum = zlib.crc32(data[:prefix] + bytes(4) + entry + payload).to_bytes(4, "little")
        forged = data[:prefix] + entry + checksum + payload
        try:
            expected = c.decode(forged)
        except CorruptStream:
            noticed += 1
            with pytest.raises(CorruptStream, match="byte"):
                decode_there(c, forged, coding_device)
        else:
            np.testing.assert_array_equal(decode_there(c, forged, coding_device), expected)
    assert noticed > 0


def certain_stream(states: list[int], words: bytes, tail: int) -> bytes:
    """Five symbols of a table of one class on four lanes: a state begins and ends alike, so any end can be made."""
    prefix = bytes([1 | 2 << 2 | 1 << 5, 5])
    entry = reference.varint(len(words) // 2) + reference.varint(tail)
    payload = np.array(states, "<u4").tobytes() + words
    return prefix + entry + zlib.crc32(prefix + bytes(4) + entry + payload).to_bytes(4, "little") + payload


@pytest.mark.parametrize("tail", [0, 2, 5])
def test_every_end_state_is_checked(tail: int, coding_device: str) -> None:
    tables = Tables.from_cdfs([0, 1 << 10], 10, offsets=7)
    one = 1 << 16
    good = [one | 1, one, one, one]
    stream = certain_stream(good, b"", tail)
    assert device_rans.decode(stream, tables, 5, device=coding_device).tolist() == [7] * 5
    bad = [[one] * 4]
    for lane in range(4):
        for state in (2 * one | good[lane] & 0xFFFF, good[lane] - one, good[lane] + 2):
            bad.append([state if k == lane else x for k, x in enumerate(good)])
    for states, words in [*((states, b"") for states in bad), (good, b"\0\0")]:
        with pytest.raises(CorruptStream, match="chunk 0, byte"):
            device_rans.decode(certain_stream(states, words, tail), tables, 5, device=coding_device)


@pytest.mark.parametrize("number", [1 << 33, 1 << 40, (1 << 62) + 1])
def test_escape_beyond_int32(number: int, coding_device: str) -> None:
    tables = Tables.from_cdfs([0, 256], 8, escape=True)
    escape = reference.varint(number)
    prefix, entry = bytes([0x20]) + reference.varint(1), reference.varint(0) + reference.varint(len(escape))
    payload = (1 << 16).to_bytes(4, "little") + escape
    checksum = zlib.crc32(prefix + bytes(4) + entry + payload).to_bytes(4, "little")
    with pytest.raises(CorruptStream, match="beyond int32"):
        device_rans.decode(prefix + entry + checksum + payload, tables, 1, device=coding_device)


@pytest.mark.parametrize("seed", range(8))
def test_other_tables_are_noticed_in_the_same_words(seed: int, coding_device: str) -> None:
    """Words that end early, words left over, lanes that end elsewhere: the error names the chunk and the byte."""
    c = case("iid", 900)
    data = c.encode()
    pmf = np.random.default_rng(seed).dirichlet(np.full(40, 0.1 + seed)).astype(np.float32)
    other = Tables.from_pmfs(pmf * np.float32(0.99), 12, offsets=-20)
    with pytest.raises(CorruptStream) as expected:
        decode(data, other, 900)
    with pytest.raises(CorruptStream) as found:
        decode_there(Case(c.symbols, other), data, coding_device)
    assert str(found.value) == str(expected.value)


def test_bad_arguments_are_named(coding_device: str) -> None:
    c = case("iid", 2000)
    symbols = c.symbols.astype(np.int64)
    for i, value in ((1999, 40), (1200, -21), (31, 2**40)):
        symbols[i] = value
        with pytest.raises(InvalidInput, match=rf"symbols\[{i}\] is {value}"):
            device_rans.encode(tensor(symbols, coding_device), c.tables)
    c = case("gaussian", 2000)
    data = c.encode()
    for value in (64, -1):
        c.indexes = c.indexes.astype(np.int16)
        c.indexes[1500] = value
        with pytest.raises(InvalidInput, match=rf"indexes\[1500\] is {value}; expected 0 to 63"):
            encode_there(c, coding_device)
        with pytest.raises(InvalidInput, match=r"indexes\[1500\]"):
            decode_there(c, data, coding_device)
    with pytest.raises(InvalidInput, match="64 tables and no indexes"):
        device_rans.encode(tensor(c.symbols, coding_device), c.tables)
    with pytest.raises(InvalidInput, match="not contiguous"):
        device_rans.encode(tensor(c.symbols, coding_device)[::2], Tables.from_gaussian_scales([1.0]))
    with pytest.raises(InvalidInput, match="float32; expected int8"):
        device_rans.encode(torch.zeros(3, device=coding_device), Tables.from_gaussian_scales([1.0]))
    with pytest.raises(CorruptStream, match="holds 2000 symbols; expected 1999"):
        device_rans.decode(
            data, c.tables, 1999, tensor(c.indexes[:1999], coding_device), device=coding_device
        )


@pytest.mark.parametrize("row", [[np.nan, 0.5, 0], [0.5, -0.1, 0], [1.00001, 0, 0], [0.6, 0.6, 0]])
def test_what_is_no_distribution(row: list[float], coding_device: str) -> None:
    pmfs = np.full((5000, 3), 0.3, np.float32)
    symbols = np.random.default_rng(0).integers(0, 3, len(pmfs), np.int32)
    data = encode_pmfs(symbols, pmfs)
    pmfs[1020] = row
    for call in (encode_there, lambda c, where: decode_there(c, data, where)):
        with pytest.raises(InvalidInput, match=r"pmfs\[1020\]"):
            call(Case(symbols, pmfs=pmfs), coding_device)
    symbols[77] = 3
    with pytest.raises(InvalidInput, match=r"symbols\[77\] is 3; expected 0 to 2"):
        encode_there(Case(symbols, pmfs=pmfs), coding_device)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 511, 512, 513, 100_003])
def test_checksum_is_that_of_zlib(count: int, coding_device: str) -> None:
    values = np.random.default_rng(count).integers(-(2**31), 2**31, count).astype(np.int32)
    assert device.crc32(tensor(values, coding_device)) == zlib.crc32(values.astype("<i4").tobytes())
