"""Tables are the same integers everywhere, say what is wrong with their input, and survive storage."""

from __future__ import annotations

import hashlib
import math
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import SCALES

from pycodec.coding import Tables, decode, encode
from pycodec.coding.tables import apportion, normal_cdf, pmf_freqs
from pycodec.errors import InvalidInput


def test_normal_cdf() -> None:
    for z in np.linspace(-6.9, 6.9, 139).tolist():
        exact = 0.5 * math.erfc(-z / math.sqrt(2))
        assert normal_cdf(round(z * 2**32)) / 2**60 == pytest.approx(exact, rel=1e-6, abs=2e-10 * 0.5)
    assert normal_cdf(0) == 1 << 59
    assert normal_cdf(9 << 32) == 1 << 60
    assert normal_cdf(-9 << 32) == 0


def test_gaussian_tables_are_these_integers() -> None:
    """A change of any frequency makes every stream unreadable: this hash is never to change."""
    tables = Tables.from_gaussian_scales(SCALES.round(6))
    joined = b"".join(a.astype("<i4").tobytes() for a in tables.to_arrays().values())
    assert (
        hashlib.sha256(joined).hexdigest()
        == "89997013d8943f7489709c13e4389a6d25479d1fae2bf99a0f21272b72ecd300"
    )


@pytest.mark.parametrize("precision", [8, 11, 14])
def test_gaussian_tables(precision: int) -> None:
    tables = Tables.from_gaussian_scales([1e-9, 0.11, 1.0, 6.0, 6.001, 768.0], precision)
    assert tables.sizes.max() <= 64
    assert tables.shifts.tolist() == [0, 0, 0, 0, 1, 7]
    start = tables.sizes[:2].sum()
    unit = tables.freqs[start : start + tables.sizes[2]] / 2**precision
    for j, v in enumerate([0, -1, 1, -2, 2]):
        mass = (math.erf((v + 0.5) / math.sqrt(2)) - math.erf((v - 0.5) / math.sqrt(2))) / 2
        assert unit[j] == pytest.approx(mass, abs=20 / 2**precision)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50), st.integers(8, 14))
def test_pmf_rule(values: list[float], precision: int) -> None:
    p = np.array(values, np.float32)
    p /= max(np.float32(1), p.sum(dtype=np.float32) * np.float32(1.001))
    freqs = pmf_freqs(p, precision, "p")
    assert freqs.sum() == 1 << precision
    assert freqs.min() >= 1
    spare = np.float32((1 << precision) - len(p))
    for f, x in zip(freqs[:-1], p[:-1], strict=True):
        assert f == math.floor(float(np.float32(x) * spare)) + 1


@pytest.mark.parametrize("seed", range(30))
def test_apportionment_takes_the_fewest_bits(seed: int) -> None:
    """Against all ways to share out 16 units among three classes."""
    rng = np.random.default_rng(seed)
    weights = [int(w) for w in rng.integers(0, 2 ** rng.integers(1, 12), 3)]

    def bits(freqs: Sequence[int]) -> float:
        return -sum(w * math.log2(f) for w, f in zip(weights, freqs, strict=True))

    found = apportion(weights, 16)
    assert sum(found) == 16 and min(found) >= 1
    every = [(a, b, 16 - a - b) for a in range(1, 15) for b in range(1, 16 - a)]
    assert bits(found) <= min(map(bits, every)) + 0.01 * sum(weights)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=100), st.integers(8, 14))
def test_tables_of_probabilities_cost_no_more_than_the_rule_of_rows(
    values: list[float], precision: int
) -> None:
    p = np.array(values, np.float32)
    p /= max(np.float32(1), p.sum(dtype=np.float32) * np.float32(1.001))
    freqs = Tables.from_pmfs(p, precision).freqs.astype(np.int64)
    assert freqs.sum() == 1 << precision and freqs.min() >= 1
    rule = pmf_freqs(p, precision, "p")
    assert -(p * np.log2(freqs)).sum() <= -(p * np.log2(rule)).sum() + 1e-4


def test_tables_of_probabilities_are_these_integers() -> None:
    """Tables that callers make again to decode: a change makes their streams unreadable."""
    assert Tables.from_pmfs([0.7, 0.2, 0.0999, 0.0001, 0.0], 8).freqs.tolist() == [178, 51, 25, 1, 1]
    assert Tables.from_pmfs(np.full(100, 0.01), 8).freqs.tolist() == [3] * 56 + [2] * 44
    assert Tables.from_pmfs([0.0, 0.0, 0.0], 8).freqs.sum() == 256


def test_storage() -> None:
    tables = Tables.from_gaussian_scales([0.5, 9.0], 13)
    again = Tables.from_arrays({name: array.astype(np.int64) for name, array in tables.to_arrays().items()})
    symbols = [0, -40, 3000]
    data = encode(symbols, tables, [0, 1, 1])
    for copy in (again, pickle.loads(pickle.dumps(tables))):
        assert encode(symbols, copy, [0, 1, 1]) == data
        assert decode(data, copy, 3, [0, 1, 1]).tolist() == symbols
    assert len(tables) == 2 and "13 bits" in repr(tables)


def test_one_row_is_one_table() -> None:
    for tables in (Tables.from_cdfs([0, 100, 256], 8), Tables.from_cdfs(np.array([[0, 100, 256]]), 8)):
        assert len(tables) == 1 and tables.freqs.tolist() == [100, 156]
    ragged = Tables.from_cdfs([[0, 256], np.array([0, 5, 256])], 8)
    assert ragged.sizes.tolist() == [1, 2]
    assert Tables.from_pmfs([0.25, 0.75], 8).freqs.tolist() == [64, 192]


def certain_tables(count: int) -> Tables:
    """Of one class each."""
    ones, zeros = np.ones(count, np.int64), np.zeros(count, np.int64)
    arrays = {"freqs": 256 * ones, "sizes": ones, "offsets": zeros, "shifts": zeros, "escapes": zeros}
    return Tables.from_arrays({"header": [8, 0], **arrays})


GAUSSIAN = Tables.from_gaussian_scales([1.0, 2.0]).to_arrays()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Tables.from_cdfs([0, 256], 7), "precision is 7; expected 8 to 14 bits"),
        (lambda: Tables.from_cdfs([0, 256], 15), "precision is 15"),
        (lambda: Tables.from_cdfs([0, 100, 255], 8), r"cdfs\[0\] is not a row that begins with 0"),
        (lambda: Tables.from_cdfs([1, 100, 256], 8), r"cdfs\[0\]"),
        (lambda: Tables.from_cdfs([[0, 256], [0, 9, 9, 256]], 8), r"cdfs\[1\]"),
        (lambda: Tables.from_cdfs([0.0, 256.0], 8), "float64; expected integers"),
        (lambda: Tables.from_cdfs([], 8), "cdfs is not a row of numbers"),
        (lambda: Tables.from_cdfs([0, 256], 8, offsets=[1, 2]), r"offsets has shape \(2,\)"),
        (lambda: Tables.from_cdfs([0, 256], 8, offsets=2**31), "offsets of tables"),
        (lambda: Tables.from_cdfs([0, 3, 256], 8, offsets=2**31 - 1), "reach beyond int32"),
        (lambda: Tables.from_pmfs([0.5, math.nan]), r"pmfs\[0\]\[1\] is nan; expected a probability"),
        (lambda: Tables.from_pmfs([[0.5, 0.5], [0.5, -0.1]]), r"pmfs\[1\]\[1\] is -0\.1"),
        (lambda: Tables.from_pmfs([0.9, 0.9]), "sums to more than 1"),
        (lambda: Tables.from_pmfs(np.full(200, 1 / 200), 8), "200 classes; expected 1 to 128"),
        (lambda: Tables.from_gaussian_scales([1.0, 0.0]), r"scales\[1\] is 0\.0; expected above 0"),
        (lambda: Tables.from_gaussian_scales([math.nan]), r"scales\[0\] is nan"),
        (lambda: Tables.from_gaussian_scales([769.0]), "at most 768"),
        (lambda: Tables.from_gaussian_scales([]), "at least one scale"),
        (lambda: Tables.from_arrays({"freqs": [1]}), "lack header, sizes"),
        (
            lambda: Tables.from_arrays({**GAUSSIAN, "sizes": GAUSSIAN["sizes"] + 1}),
            "table 0: the frequency of class",
        ),
        (lambda: Tables.from_arrays({**GAUSSIAN, "sizes": [0, 2]}), "table 0: its size is 0"),
        (lambda: Tables.from_arrays({**GAUSSIAN, "sizes": GAUSSIAN["sizes"][:1]}), "differ in length"),
        (
            lambda: Tables.from_arrays({**GAUSSIAN, "freqs": GAUSSIAN["freqs"] * 0}),
            "frequency of class 0 is 0",
        ),
        (lambda: Tables.from_arrays({**GAUSSIAN, "freqs": [*GAUSSIAN["freqs"], 1]}), "sizes sum to"),
        (
            lambda: Tables.from_arrays({**GAUSSIAN, "freqs": [0.5]}),
            "freqs of tables is not one row of integers",
        ),
        (lambda: Tables.from_arrays({**GAUSSIAN, "shifts": [8, 0]}), "shift is 8; expected 0 to 7"),
        (lambda: Tables.from_arrays({**GAUSSIAN, "escapes": [1, 2]}), "escape flag is 2"),
        (lambda: Tables.from_arrays({**GAUSSIAN, "header": [14, 2]}), "header of tables"),
        (lambda: Tables.from_arrays({**GAUSSIAN, "header": [4, 1]}), "precision is 4"),
        (lambda: certain_tables(2**22 + 1), "there are 4194305 tables; expected at most 4194304"),
    ],
)
def test_bad_tables(make, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        make()
