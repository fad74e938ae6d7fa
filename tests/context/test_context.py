"""The integer context model: every backend, the reference and the golden files agree; damage is always found out."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from seeded import Generator, seeded_arrays, seeded_model, seeded_symbols

from pycodec.coding import context_reference as reference
from pycodec.coding.context import MAX_SYMBOL, ContextModel
from pycodec.errors import CorruptStream, InvalidInput
from pycodec.native import native

GOLDEN = Path(__file__).parent.parent / "golden" / "context"
HEADS = ("categorical", "parametric")
SHAPES = [
    (1, 1, 1),
    (5, 7, 9),
    (3, 40, 5),
    (2, 3, 70),
    (3, 37, 33),
    (1, 12, 20),
    (2, 9, 1),
    (4, 1, 9),
    (3, 8, 2),
]
STEP = 37  # between two qualities


def on_backend(model: ContextModel, symbols: np.ndarray, simd: str, threads: int) -> tuple[np.ndarray, bytes]:
    """Tables and stream from one backend; the stream is also decoded there."""
    biases = model.biases(STEP, symbols.shape[0])
    values = np.empty((model.outputs, *symbols.shape), np.int32)
    native().context_tables(model._native, symbols, values, *biases, threads, simd)
    data, _ = native().context_encode(model._native, symbols, *biases, threads, simd)
    decoded = np.full(symbols.shape, -1, np.int32)
    native().context_decode(model._native, data, decoded, *biases, threads, simd)
    np.testing.assert_array_equal(decoded, symbols)
    return values, data


@pytest.mark.parametrize("simd", native().simd_available())
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("earlier", [False, True], ids=["near", "earlier"])
def test_backend_equals_reference(earlier, head, shape, simd):
    model = seeded_model(head, qualities=3, planes=shape[0], earlier=earlier)
    symbols = seeded_symbols(head, shape)
    expected = reference.tables(model, symbols, STEP)
    stream = reference.encode(model, symbols, STEP)
    for threads in (1, 3):
        values, data = on_backend(model, symbols, simd, threads)
        np.testing.assert_array_equal(values, expected)
        assert data == stream
    if symbols.size <= 1000:
        np.testing.assert_array_equal(reference.decode(model, stream, shape, STEP), symbols)


def draw(g: Generator, *choices):
    return choices[g() % len(choices)]


@pytest.mark.parametrize("seed", range(24))
def test_random_draw(seed):
    """Networks, volumes, threads and SIMD levels at random: the same tables, bytes and symbols as the reference."""
    g = Generator(seed)
    head = draw(g, *HEADS)
    k, outputs = draw(g, 4, 8, 12, 24, 36, 64), draw(g, 2, 3, 6, 11, 32)
    side = lambda: draw(g, 1, 2, 3, 7, 16, 17, 31, 33)  # noqa: E731
    shape = (draw(g, 1, 2, 3, 9), side(), side())
    model = seeded_model(
        head,
        seed=seed,
        k=k,
        outputs=outputs,
        qualities=draw(g, 1, 3),
        planes=shape[0],
        earlier=draw(g, False, True),
    )
    symbols = seeded_symbols(head, shape, seed, outputs)
    biases = model.biases(STEP, shape[0])
    expected, stream = reference.tables(model, symbols, STEP), reference.encode(model, symbols, STEP)
    for simd in native().simd_available():
        values, data = on_backend(model, symbols, simd, draw(g, 1, 2, 3, 5))
        np.testing.assert_array_equal(values, expected)
        assert data == stream
        out = np.full(shape, -1, np.int32)
        native().context_decode(model._native, stream, out, *biases, draw(g, 1, 2, 4), simd)
        np.testing.assert_array_equal(out, symbols)


@pytest.mark.parametrize("simd", native().simd_available())
@pytest.mark.parametrize("density", [0, 1, 6, 60])
@pytest.mark.parametrize("shape", [(5, 28, 28), (3, 9, 130), (3, 120, 7), (4, 41, 70)], ids=str)
@pytest.mark.parametrize("head", HEADS)
def test_volumes_at_rest(head, shape, density, simd):
    """Mostly symbols that look like the outside, for which backends skip work, and few others anywhere."""
    arrays = seeded_arrays(head, k=12, planes=shape[0])
    rest = 0 if head == "parametric" else 2
    arrays["constants"][0] = arrays["input_map"][rest + (128 if head == "parametric" else 0)]
    model = ContextModel(arrays, head)
    symbols = np.full(shape, rest, np.int32)
    g = Generator(density)
    corners = [(d, h, w) for d in (0, shape[0] - 1) for h in (0, shape[1] - 1) for w in (0, shape[2] - 1)]
    for i in range(density):
        at = corners[i % len(corners)] if i % 3 == 0 else tuple(g() % n for n in shape)
        symbols[at] = draw(g, 0, 1, 3, 5)
    values, data = on_backend(model, symbols, simd, 1 + density % 4)
    np.testing.assert_array_equal(values, reference.tables(model, symbols))
    assert data == reference.encode(model, symbols)


@pytest.mark.parametrize("simd", native().simd_available())
def test_every_earlier_plane_counts(simd):
    """A symbol's table changes with the value and with the magnitude of any earlier plane at its position, and
    of those beyond the network's own reach with nothing else."""
    planes, h, w = 40, 3, 4
    model = seeded_model("parametric", planes=planes, earlier=True)
    symbols = np.zeros((planes, 12, 13), np.int32)
    values = on_backend(model, symbols, simd, 1)[0]
    for plane in (0, 1, 17, 34):
        for symbol in (9, -9):
            other = symbols.copy()
            other[plane, h, w] = symbol
            changed = (on_backend(model, other, simd, 2)[0] != values).any(0)
            assert not changed[:plane].any() and changed[plane + 5 :, h, w].mean() > 0.25
            beyond = changed[plane + 5 :]
            assert beyond.any() and not beyond[:, :, : w - 4].any() and not beyond[:, : h - 3].any()


@pytest.mark.parametrize("simd", native().simd_available())
@pytest.mark.parametrize(
    ("head", "k", "outputs"), [("categorical", k, n) for k, n in [(4, 2), (28, 5), (64, 32)]]
)
def test_other_widths_and_alphabets(head, k, outputs, simd):
    model = seeded_model(head, k=k, outputs=outputs)
    symbols = seeded_symbols(head, (2, 20, 23), outputs=outputs)
    values, data = on_backend(model, symbols, simd, 1)
    np.testing.assert_array_equal(values, reference.tables(model, symbols))
    assert data == reference.encode(model, symbols)


@pytest.mark.parametrize("head", HEADS)
def test_large_volume_uses_substreams_and_lanes(head):
    """Several substreams and lanes; the reference, which has neither threads nor SIMD, reads and writes the same."""
    shape = (4, 48, 64)
    model, symbols = seeded_model(head), seeded_symbols(head, shape)
    data = model.encode(symbols)
    assert data[0] & 15 >= 1
    for threads in (1, 2, 5):
        assert model.encode(symbols, threads=threads) == data
        np.testing.assert_array_equal(model.decode(data, shape, threads=threads), symbols)
    assert reference.encode(model, symbols) == data
    assert 8 * len(data) <= 1.005 * model.code_length_bits(symbols) + 300


def test_lanes_in_use():
    """Symbols as random as they get: the payload is large enough for more than one lane."""
    shape = (1, 90, 100)
    model = seeded_model("parametric")
    symbols = seeded_symbols("parametric", shape) * 777 % 4099
    data = model.encode(symbols)
    assert data[0] >> 4 >= 1
    np.testing.assert_array_equal(model.decode(data, shape), symbols)
    np.testing.assert_array_equal(reference.decode(model, data, shape), symbols)


@pytest.mark.parametrize("earlier", [False, True], ids=["near", "earlier"])
@pytest.mark.parametrize("head", HEADS)
def test_golden(head, earlier):
    """A seeded network's tables and stream, written once: a change here is a change of the format."""
    model = seeded_model(head, seed=5, qualities=2, planes=3, earlier=earlier)
    symbols = seeded_symbols(head, (3, 11, 14), seed=6)
    expected = json.loads((GOLDEN / f"{head}{'_earlier' if earlier else ''}.json").read_text())
    for simd in native().simd_available():
        values, data = on_backend_at(model, symbols, simd, 21)
        assert hashlib.sha256(values.astype("<i4").tobytes()).hexdigest() == expected["tables_sha256"]
        assert data.hex() == expected["stream"]
    stream = bytes.fromhex(expected["stream"])
    np.testing.assert_array_equal(model.decode(stream, symbols.shape, 21), symbols)
    np.testing.assert_array_equal(reference.decode(model, stream, symbols.shape, 21), symbols)


def on_backend_at(model: ContextModel, symbols: np.ndarray, simd: str, step: int) -> tuple[np.ndarray, bytes]:
    biases = model.biases(step, symbols.shape[0])
    values = np.empty((model.outputs, *symbols.shape), np.int32)
    native().context_tables(model._native, symbols, values, *biases, 1, simd)
    return values, native().context_encode(model._native, symbols, *biases, 1, simd)[0]


@pytest.mark.parametrize("simd", native().simd_available())
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("threads", [1, 2])
def test_damage_is_found_out(head, threads, simd):
    """Truncations and flipped bits raise, or (a flip that leaves a valid stream) give symbols within range."""
    shape = (2, 6, 7)
    model, symbols = seeded_model(head), seeded_symbols(head, shape)
    biases = model.biases(None, shape[0])
    data = model.encode(symbols)

    def decode(damaged: bytes) -> np.ndarray:
        out = np.zeros(shape, np.int32)
        native().context_decode(model._native, damaged, out, *biases, threads, simd)
        return out

    for length in range(len(data)):
        with pytest.raises(CorruptStream):
            decode(data[:length])
    with pytest.raises(CorruptStream):
        decode(data + b"\0")
    survivors = 0
    for i in range(len(data)):
        for mask in (1, 0x10, 0x80, 0xFF):
            try:
                out = decode(data[:i] + bytes([data[i] ^ mask]) + data[i + 1 :])
            except CorruptStream as error:
                assert "stream" in str(error)
            else:
                survivors += 1
                assert np.abs(out).max() <= MAX_SYMBOL + (1 << 17)
    assert survivors < 0.05 * 4 * len(data)


@pytest.mark.parametrize("threads", [1, 4])
def test_damage_names_its_substream(threads):
    shape = (4, 48, 64)
    model, symbols = seeded_model("parametric"), seeded_symbols("parametric", shape)
    data = model.encode(symbols)
    broken = bytearray(data)
    broken[-500] ^= 1  # in the last substream
    with pytest.raises(CorruptStream, match=f"substream {(1 << (data[0] & 15)) - 1}"):
        model.decode(bytes(broken), shape, threads=threads)


@pytest.mark.parametrize("shape", [(0, 4, 4), (3, 0, 5), (3, 5, 0)])
@pytest.mark.parametrize("head", HEADS)
def test_empty_volume(head, shape):
    model = seeded_model(head)
    symbols = np.zeros(shape, np.int32)
    assert model.encode(symbols) == reference.encode(model, symbols) == b""
    assert model.decode(b"", shape).shape == shape
    with pytest.raises(CorruptStream):
        model.decode(b"\0", shape)
    assert model.code_length_bits(symbols) == 0


@pytest.mark.parametrize("extreme", [MAX_SYMBOL, -MAX_SYMBOL])
def test_escapes_reach_every_symbol(extreme):
    symbols = np.array([extreme, 0, 1, -1, 127, -128, 129, extreme, 300, -5000], np.int32).reshape(1, 2, 5)
    model = seeded_model("parametric")
    data = model.encode(symbols)
    assert data == reference.encode(model, symbols)
    np.testing.assert_array_equal(model.decode(data, symbols.shape), symbols)
    np.testing.assert_array_equal(reference.decode(model, data, symbols.shape), symbols)
    assert 8 * len(data) < model.code_length_bits(symbols) + 100


def test_reciprocal_is_the_integer_floor():
    """Rule 5 where float32 fails: a sum whose quotient rounds up to the next integer."""
    sums = np.arange(4096, 6 * 4096 + 1)
    trapped = sums[(np.float32(2**29) / sums.astype(np.float32)).astype(np.int64) != 2**29 // sums]
    assert len(trapped) > 0
    table = np.zeros(2048, np.int32)
    table[0], table[64] = 4096, int(trapped[0]) % 4096
    # Enough maxima and one smaller logit give exactly that sum.
    logits = np.array([0] * (int(trapped[0]) // 4096) + [-64])
    got = reference.categorical_frequencies(logits[:, None], table)[:, 0]
    r = 2**29 // int(trapped[0])
    expected = [max(1, (int(table[-v]) * r) >> 15) for v in logits]
    expected[0] += 16384 - sum(expected)
    assert got.tolist() == expected

    # The same through every backend: a network whose logits are these constants.
    outputs = len(logits)
    arrays = seeded_arrays("categorical", outputs=max(2, outputs))
    for layer in range(4):
        arrays[f"weight{layer}"] = np.zeros_like(arrays[f"weight{layer}"])
    arrays["multiplier3"][:] = 1 << 20
    arrays["bias3"][0, 0] = logits * 4096
    arrays["exp_table"] = np.minimum.accumulate(
        np.where(np.arange(2048) <= 64, np.maximum(table, table[64]), 0)
    )
    arrays["exp_table"][0] = 4096
    arrays["exp_table"] = arrays["exp_table"].astype(np.int32)
    model = ContextModel(arrays, "categorical")
    symbols = np.zeros((1, 3, 20), np.int32)
    for simd in native().simd_available():
        values, _ = on_backend_at(model, symbols, simd, 16)
        assert (values == np.array(expected)[:, None, None, None]).all()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("bias1", lambda a: a.__setitem__(0, 2**31 - 1), "layer 1 could reach"),
        ("residual", lambda a: a.__setitem__(3, 2**24), "channel 3 of layer 2 could reach"),
        (
            "bias0",
            lambda a: a.__setitem__((0, 1, 2), 2**31 - 255 * 13 * 91),
            "channel 2 of layer 0 could reach",
        ),
        ("multiplier2", lambda a: a.__setitem__(0, 0), "multiplier2"),
        ("table_radius", lambda a: a.__setitem__((0, 0), 200), "table_radius|table_frequencies"),
        ("table_frequencies", lambda a: a.__setitem__(0, 5), "sum to 16384"),
    ],
)
def test_invalid_model_is_refused(name, change, message):
    arrays = seeded_arrays("parametric", planes=9, earlier=True)
    change(arrays[name])
    with pytest.raises(InvalidInput, match=message):
        ContextModel(arrays, "parametric")


def test_missing_and_misshapen_arrays_are_refused():
    arrays = seeded_arrays("categorical")
    with pytest.raises(InvalidInput, match="residual"):
        ContextModel({k: v for k, v in arrays.items() if k != "residual"}, "categorical")
    with pytest.raises(InvalidInput, match=r"weight1 is int16"):
        ContextModel({**arrays, "weight1": arrays["weight1"].astype(np.int16)}, "categorical")
    with pytest.raises(InvalidInput, match="head"):
        ContextModel(arrays, "gaussian")
    earlier = seeded_arrays("categorical", planes=5, earlier=True)
    with pytest.raises(
        InvalidInput, match=r"weight_earlier is int8 \[9, 24, 2\], expected int8 \[10, 24, 2\]"
    ):
        ContextModel({**earlier, "weight_earlier": earlier["weight_earlier"][:9]}, "categorical")


def test_bad_arguments_are_refused():
    model = seeded_model("categorical", qualities=2, planes=3)
    symbols = seeded_symbols("categorical", (3, 4, 5))
    for bad in (symbols + 1, symbols - 1, symbols.astype(float), symbols[0]):
        with pytest.raises(InvalidInput, match="symbols"):
            model.encode(bad, 16)
    for step in (15, 33, 16.5, None):
        with pytest.raises(InvalidInput, match="quality_step"):
            model.encode(symbols, step)
    with pytest.raises(InvalidInput, match="planes"):
        model.encode(symbols[:2], 16)
    with pytest.raises(InvalidInput, match="shape"):
        model.decode(b"", (3, -1, 4), 16)
    with pytest.raises(InvalidInput, match="threads"):
        model.encode(symbols, 16, threads=0)


def test_arrays_that_are_not_aligned():
    model, symbols = seeded_model("categorical"), seeded_symbols("categorical", (2, 5, 6))
    unaligned = np.frombuffer(bytearray(b"\0" + symbols.tobytes()), np.int32, offset=1).reshape(symbols.shape)
    assert not unaligned.flags.aligned
    data = model.encode(unaligned)
    assert data == model.encode(symbols)
    with pytest.raises(InvalidInput, match="not aligned"):
        native().context_decode(model.native, data, unaligned, *model.biases(None, 2), 1, "")


def test_biases_interpolate_in_integers():
    model = seeded_model("parametric", qualities=2, planes=2)
    table = model.arrays()["bias0"].astype(int)
    for step in (16, 21, 32):
        f = step - 16
        np.testing.assert_array_equal(model.biases(step, 2)[0], (table[0] * (16 - f) + table[1] * f + 8) >> 4)


def test_copy_codes_the_same():
    model = seeded_model("categorical")
    symbols = seeded_symbols("categorical", (2, 5, 6))
    assert copy.deepcopy(model).encode(symbols) == model.encode(symbols)


@pytest.mark.parametrize("head", HEADS)
def test_code_length_counts_the_tables(head):
    model, symbols = seeded_model(head), seeded_symbols(head, (3, 30, 31))
    assert abs(8 * len(model.encode(symbols)) - model.code_length_bits(symbols)) < 0.01 * symbols.size + 100


@pytest.mark.parametrize("head", HEADS)
def test_code_lengths_are_those_of_each_symbol(head):
    """An escape is paid by the symbol that needs it: bytes of the side list, as the reference writes them."""
    model, symbols = seeded_model(head), seeded_symbols(head, (2, 4, 5))
    if head == "parametric":
        symbols[0, 1, 2], symbols[1, 3, 4], symbols[1, 0, 0] = 1 << 20, -30_000, 150
    lengths = model.code_lengths(symbols)
    assert lengths.dtype == np.float64 and lengths.shape == symbols.shape
    values = model.tables(symbols)
    for at in np.ndindex(symbols.shape):
        symbol, value = symbols[at], values[(slice(None), *at)]
        if head == "categorical":
            expected = 14 - np.log2(value[symbol])
        else:
            _, frequency, escape = model.logistic_classes(np.array([symbol]), value[:, None])
            side = sum(len(reference.varint(int(number))) for number in escape)
            expected = 14 - np.log2(frequency[0]) + 8 * side
        assert lengths[at] == pytest.approx(expected)
    assert lengths.sum() == model.code_length_bits(symbols)
