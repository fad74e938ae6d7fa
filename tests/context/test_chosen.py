"""Symbols chosen by bits and error together: native code against its twin, and what an encoder relies on."""

from __future__ import annotations

import numpy as np
import pytest
from seeded import Generator, seeded_model, seeded_symbols

from pycodec.coding import context_reference as reference
from pycodec.coding.context import MAX_SYMBOL, ContextModel
from pycodec.errors import InvalidInput
from pycodec.native import native

STEP = 21
BIT = 1 << 13


def prices(shape: tuple[int, int, int], seed: int, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes up to so many bits, and curvatures from nothing to a few bits."""
    g = Generator(seed)
    slopes = g.integers(-largest * BIT, largest * BIT, shape).astype(np.int32)
    return slopes, g.integers(0, 4 * BIT, shape[:1]).astype(np.int32)


def on_backend(
    model: ContextModel, symbols: np.ndarray, costs: tuple[np.ndarray, ...], simd: str, threads: int
) -> tuple[np.ndarray, bytes]:
    chosen = symbols.copy()
    biases = model.biases(STEP, symbols.shape[0])
    data, _ = native().context_encode_chosen(model.native, chosen, *costs, *biases, threads, simd)
    return chosen, data


@pytest.mark.parametrize("seed", range(12))
def test_every_backend_chooses_as_the_reference(seed):
    g = Generator(seed)
    pick = lambda *choices: choices[g() % len(choices)]  # noqa: E731
    shape = pick(1, 2, 5), pick(1, 2, 9, 17), pick(1, 3, 16, 23)
    model = seeded_model(
        "parametric", seed=seed, k=pick(4, 12, 24), qualities=3, planes=shape[0], earlier=seed % 2 == 0
    )
    symbols = seeded_symbols("parametric", shape, seed)
    symbols.flat[seed % symbols.size] = pick(MAX_SYMBOL, -MAX_SYMBOL, 300, -129)
    costs = prices(shape, seed, pick(2, 8, 60))
    expected = reference.encode_chosen(model, symbols, *costs, STEP)
    for simd in native().simd_available():
        for threads in (1, 3):
            chosen, data = on_backend(model, symbols, costs, simd, threads)
            np.testing.assert_array_equal(chosen, expected[0])
            assert data == expected[1]
    given = symbols.copy()
    chosen, data = model.encode_chosen(given, *costs, STEP, threads=2)
    np.testing.assert_array_equal(given, symbols)  # what was given is nobody's to change
    np.testing.assert_array_equal(chosen, expected[0])
    assert data == expected[1] == model.encode(chosen, STEP)
    np.testing.assert_array_equal(model.decode(data, shape, STEP), chosen)


def test_each_choice_pays_by_the_tables_of_the_file():
    """Of a symbol and the neighbours that could pay, none costs less than the chosen one."""
    shape = 3, 12, 13
    model = seeded_model("parametric", k=12, qualities=3, planes=3, earlier=True)
    symbols = seeded_symbols("parametric", shape)
    slopes, curvatures = prices(shape, 1, 12)
    chosen, _ = model.encode_chosen(symbols, slopes, curvatures, STEP)
    assert 0.05 < (chosen != symbols).mean() < 0.9 and np.abs(chosen - symbols).max() == 1
    bits = model.code_lengths(chosen, STEP)
    values = model.tables(chosen, STEP)
    for at in np.ndindex(shape):
        value, d = values[(slice(None), *at)], int(chosen[at] - symbols[at])
        costs = {
            e: reference.symbol_cost(model, int(symbols[at]) + e, value)
            + int(slopes[at]) * e
            + int(curvatures[at[0]]) * abs(e)
            for e in (-1, 0, 1)
        }
        assert costs[d] <= costs[0]
        if costs[d] > min(costs.values()):  # a neighbour that was not looked at: away from both
            away = min(costs, key=lambda e: costs[e])
            expected = (int(value[0]) + 8) >> 4
            assert abs(symbols[at] + away - expected) > abs(symbols[at] - expected)
            assert abs(int(slopes[at])) <= curvatures[at[0]] or away * int(slopes[at]) > 0
        assert abs(bits[at] - reference.symbol_cost(model, int(chosen[at]), value) / BIT) < 0.09


def test_where_changes_cost_too_much_nothing_changes():
    shape = 2, 9, 10
    model, symbols = seeded_model("parametric", qualities=3), seeded_symbols("parametric", shape)
    costs = np.zeros(shape, np.int32), np.full(2, 2**30, np.int32)
    chosen, data = model.encode_chosen(symbols, *costs, STEP)
    np.testing.assert_array_equal(chosen, symbols)
    assert data == model.encode(symbols, STEP)


def test_what_costs_nothing_goes_where_bits_are_fewer():
    shape = 2, 30, 31
    model, symbols = seeded_model("parametric", qualities=3), seeded_symbols("parametric", shape)
    free = np.zeros(shape, np.int32), np.zeros(2, np.int32)
    _, data = model.encode_chosen(symbols, *free, STEP)
    assert len(data) < 0.97 * len(model.encode(symbols, STEP))


def test_an_empty_volume_and_a_symbol_at_the_end_of_its_range():
    model = seeded_model("parametric", qualities=3)
    none = np.zeros((2, 0, 5), np.int32)
    assert model.encode_chosen(none, none, np.zeros(2, np.int32), STEP)[1] == b""
    last = np.full((1, 1, 1), MAX_SYMBOL, np.int32)
    slopes = np.full((1, 1, 1), -(2**30), np.int32)  # beyond it is where the image would be best
    chosen, data = model.encode_chosen(last, slopes, np.zeros(1, np.int32), STEP)
    assert chosen.item() == MAX_SYMBOL and data == model.encode(chosen, STEP)


def test_what_cannot_be_used_is_refused():
    shape = 2, 3, 4
    model, symbols = seeded_model("parametric", qualities=3), seeded_symbols("parametric", shape)
    slopes, curvatures = np.zeros(shape, np.int32), np.zeros(2, np.int32)
    with pytest.raises(InvalidInput, match=r"slopes are float64 \(2, 3, 4\), expected int32"):
        model.encode_chosen(symbols, slopes * 1.0, curvatures, STEP)
    with pytest.raises(InvalidInput, match=r"curvatures are int32 \(1,\), expected int32 \(2,\)"):
        model.encode_chosen(symbols, slopes, curvatures[:1], STEP)
    with pytest.raises(InvalidInput, match="symbols"):
        model.encode_chosen(symbols * (MAX_SYMBOL + 1), slopes, curvatures, STEP)
    with pytest.raises(InvalidInput, match="categorical head cannot be chosen"):
        seeded_model("categorical").encode_chosen(seeded_symbols("categorical", shape), slopes, curvatures)
    for wrong in ((slopes[:1], curvatures), (slopes, curvatures[:1])):
        with pytest.raises(InvalidInput, match="do not fit"):
            on_backend(model, symbols, wrong, "", 1)
