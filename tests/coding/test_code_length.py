"""The ideal code length against the classes of the plain Python coder, and against the bytes written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from streams import case

from pycodec.coding import Tables, code_length_bits, code_lengths
from pycodec.coding.reference import Table, varint
from pycodec.errors import InvalidInput


def plain_bits(symbols: np.ndarray, tables: Tables, indexes: np.ndarray) -> list[float]:
    """Of each symbol, by the classes that the plain Python coder finds."""
    rows = np.split(tables.freqs, np.cumsum(tables.sizes)[:-1])
    plain = [
        Table(row.tolist(), int(offset), int(shift), bool(escape), tables.zigzag)
        for row, offset, shift, escape in zip(
            rows, tables.offsets, tables.shifts, tables.escapes, strict=True
        )
    ]
    found = []
    for symbol, index in zip(symbols.tolist(), indexes.tolist(), strict=True):
        coded = plain[index].code(symbol)
        bits = tables.precision - math.log2(coded.freq) + plain[index].shift
        found.append(bits + (0 if coded.escape is None else 8 * len(varint(coded.escape))))
    return found


@pytest.mark.parametrize("kind", ["iid", "gaussian", "escapes", "wide"])
def test_each_symbol_costs_its_class(kind: str) -> None:
    c = case(kind, 3000)
    indexes = np.zeros(3000, np.int64) if c.indexes is None else c.indexes
    expected = plain_bits(c.symbols, c.tables, indexes)
    found = code_lengths(c.symbols.reshape(30, 100), c.tables, c.indexes)
    np.testing.assert_allclose(found, np.reshape(expected, (30, 100)), rtol=1e-12)
    assert code_length_bits(c.symbols, c.tables, c.indexes) == pytest.approx(sum(expected), rel=1e-12)


@pytest.mark.parametrize("kind", ["iid", "gaussian", "escapes", "wide"])
def test_the_stream_is_hardly_longer(kind: str) -> None:
    c = case(kind, 100_000)
    assert 0.999 < 8 * len(c.encode()) / code_length_bits(c.symbols, c.tables, c.indexes) < 1.005


def test_no_symbols_cost_nothing() -> None:
    assert code_length_bits([], Tables.from_gaussian_scales([1.0])) == 0


@pytest.mark.parametrize(
    ("symbols", "indexes", "words"),
    [
        ([0, 1], [0], "2 symbols and 1 indexes"),
        ([0, 1], [0, 2], r"indexes\[1\] is 2; expected 0 to 1"),
        ([0, 7], [0, 1], r"symbols\[1\] is 7, for which its table has no class"),
    ],
)
def test_what_encode_refuses_has_no_length(symbols: list[int], indexes: list[int], words: str) -> None:
    tables = Tables.from_cdfs([[0, 100, 256], [0, 255, 256]], 8)
    with pytest.raises(InvalidInput, match=words):
        code_length_bits(symbols, tables, indexes)
