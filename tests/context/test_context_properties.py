"""What holds for every public method of pycodec.coding.context, whatever it is given."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeded import seeded_model

from pycodec.coding.context import MAX_SYMBOL, ContextModel, check_no_overflow
from pycodec.errors import CorruptStream, InvalidInput

few = settings(max_examples=15, deadline=None)
heads = st.sampled_from(["categorical", "parametric"])
OUTPUTS, QUALITIES = 3, 4


@cache
def model_of(head: str, planes: int = 1) -> ContextModel:
    """One for any number of planes, or one for so many that sees all earlier ones."""
    return seeded_model(head, k=4, outputs=OUTPUTS, qualities=QUALITIES, planes=planes, earlier=planes > 1)


@st.composite
def volumes(draw: st.DrawFn) -> tuple[ContextModel, np.ndarray, int]:
    """A model, symbols that it codes, and a quality in sixteenths."""
    head = draw(heads)
    shape = draw(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 5)))
    near = st.integers(0, OUTPUTS - 1) if head == "categorical" else st.integers(-20, 20)
    far = near if head == "categorical" else st.integers(-MAX_SYMBOL, MAX_SYMBOL)
    count = int(np.prod(shape))
    symbols = draw(st.lists(st.one_of(near, far), min_size=count, max_size=count))
    model = model_of(head, max(1, shape[0]) if draw(st.booleans()) else 1)
    return model, np.array(symbols, np.int32).reshape(shape), draw(st.integers(16, 16 * QUALITIES))


@few
@given(volumes(), st.integers(1, 3))
def test_any_volume_comes_back_and_costs_what_is_said(volume, threads: int) -> None:
    model, symbols, step = volume
    data = model.encode(symbols, step, threads)
    np.testing.assert_array_equal(model.decode(data, symbols.shape, step, threads), symbols)
    assert pickle.loads(pickle.dumps(model)).encode(symbols, step) == data
    lengths = model.code_lengths(symbols, step)
    assert lengths.shape == symbols.shape and (lengths >= 0).all()
    bits = model.code_length_bits(symbols, step)
    assert bits == lengths.sum()
    assert bits - 16 <= 8 * len(data) <= bits + 8 * 9 if symbols.size else data == b""


@few
@given(volumes())
def test_tables_add_up(volume) -> None:
    model, symbols, step = volume
    values = model.tables(symbols, step)
    if model.head == "categorical":
        assert (values >= 1).all() and (values.sum(0) == 1 << 14).all()
        return
    starts, frequencies, escapes = model.logistic_classes(symbols, values)
    assert (frequencies >= 1).all() and (starts >= 0).all() and (starts + frequencies <= 1 << 14).all()
    assert (escapes >= 0).all() and len(escapes) <= symbols.size


@few
@given(volumes(), st.binary(max_size=60))
def test_any_bytes_are_refused_or_symbols(volume, noise: bytes) -> None:
    model, symbols, step = volume
    data = model.encode(symbols, step)
    for damaged in (noise, data + b"\0", data[: len(data) // 2] + noise):
        try:
            found = model.decode(damaged, symbols.shape, step)
        except CorruptStream:
            continue
        assert found.shape == symbols.shape
        np.testing.assert_array_equal(model.decode(model.encode(found, step), symbols.shape, step), found)


@few
@given(heads, st.integers(-5, 16 * QUALITIES + 20), st.integers(0, 3))
def test_biases_lie_between_those_of_the_next_qualities(head: str, step: int, planes: int) -> None:
    model = model_of(head)
    if not 16 <= step <= 16 * QUALITIES:
        with pytest.raises(InvalidInput, match="quality_step"):
            model.biases(step, planes)
        return
    below, above = step // 16 * 16, min(-(-step // 16) * 16, 16 * QUALITIES)
    ends = [model.biases(quality, planes) for quality in (below, above)]
    for mixed, low, high in zip(model.biases(step, planes), *ends, strict=True):
        assert mixed.shape[0] == planes
        assert (np.minimum(low, high) <= mixed).all() and (mixed <= np.maximum(low, high)).all()


@few
@given(heads, st.data())
def test_arrays_of_anything_are_a_model_or_refused(head: str, data: st.DataObject) -> None:
    """As a weights file may hold them; an array that is not as it should be is named."""
    planes = data.draw(st.sampled_from([1, 3]))
    arrays = dict(model_of(head, planes).arrays())
    name = data.draw(st.sampled_from(sorted(arrays)))
    good = arrays[name]
    kind = data.draw(st.sampled_from(["dtype", "shape", "value"]))
    if kind == "dtype":
        arrays[name] = good.astype(data.draw(st.sampled_from(["float32", "uint64", "int64", "bool"])))
    elif kind == "shape":
        arrays[name] = good[..., : good.shape[-1] - data.draw(st.integers(1, good.shape[-1]))]
    else:
        arrays[name] = good.copy()
        info = np.iinfo(good.dtype)
        arrays[name].flat[data.draw(st.integers(0, good.size - 1))] = data.draw(
            st.integers(info.min, info.max)
        )
    try:
        model = ContextModel(arrays, head)
    except InvalidInput as error:
        assert "context model" in str(error)
        return
    symbols = np.zeros((planes, 2, 3), np.int32)
    np.testing.assert_array_equal(model.decode(model.encode(symbols, 16), symbols.shape, 16), symbols)


@few
@given(st.integers(0, 3), st.integers(2**27, 2**31 - 1), st.sampled_from([-1, 1]))
def test_a_sum_that_could_overflow_is_refused(layer: int, bias: int, sign: int) -> None:
    arrays = dict(model_of("parametric").arrays())
    arrays[f"bias{layer}"] = arrays[f"bias{layer}"].copy()
    arrays[f"bias{layer}"].flat[0] = sign * bias
    weights = np.abs(arrays[f"weight{layer}"].astype(np.int64)).reshape(len(arrays[f"weight{layer}"]), -1)
    largest = (
        255 * int(weights[0].sum()) + bias + (255 * abs(int(arrays["residual"][0])) if layer == 2 else 0)
    )
    if largest < 2**31:
        check_no_overflow(arrays)
    else:
        with pytest.raises(InvalidInput, match=f"layer {layer}"):
            check_no_overflow(arrays)
