"""The context model on a device gives the CPU's tables, bytes and symbols; without a GPU its kernels run as
plain loops, blocks as threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from seeded import seeded_arrays, seeded_model, seeded_symbols

from pycodec.coding import context_reference as reference
from pycodec.coding.context import MAX_SYMBOL, ContextModel
from pycodec.errors import CorruptStream, InvalidInput
from pycodec.native import native
from pycodec.ops import device_context

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


def agree(model: ContextModel, symbols: np.ndarray, where: str, step: int | None = None) -> bytes:
    """Compares tables, stream and symbols with the CPU's; gives the stream."""
    there = torch.from_numpy(symbols).to(where)
    values = device_context.tables(model, there, step)
    np.testing.assert_array_equal(values.cpu().numpy(), model.tables(symbols, step))
    data = model.encode(symbols, step)
    assert device_context.encode(model, there, step) == data
    decoded = device_context.decode(model, data, symbols.shape, step, device=where)
    assert decoded.device.type == where
    np.testing.assert_array_equal(decoded.cpu().numpy(), symbols)
    return data


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("earlier", [False, True], ids=["near", "earlier"])
def test_shapes(earlier: bool, head: str, shape: tuple[int, int, int], coding_device: str) -> None:
    model = seeded_model(head, qualities=3, planes=shape[0], earlier=earlier)
    agree(model, seeded_symbols(head, shape), coding_device, STEP)


@pytest.mark.parametrize(("k", "outputs"), [(4, 2), (8, 9), (28, 5), (36, 17), (64, 32)])
def test_widths_and_alphabets(k: int, outputs: int, coding_device: str) -> None:
    model = seeded_model("categorical", k=k, outputs=outputs)
    agree(model, seeded_symbols("categorical", (2, 20, 23), outputs=outputs), coding_device)


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_and_volumes(seed: int, coding_device: str) -> None:
    rng = np.random.default_rng(seed)
    head, planes = HEADS[seed % 2], int(rng.integers(1, 7))
    k, outputs = 4 * int(rng.integers(1, 11)), int(rng.integers(2, 10))
    shape = (planes, int(rng.integers(1, 14)), int(rng.integers(1, 14)))
    earlier = bool(rng.integers(2))
    model = seeded_model(head, seed=seed, k=k, outputs=outputs, planes=planes, earlier=earlier)
    agree(model, seeded_symbols(head, shape, seed=seed, outputs=outputs), coding_device)


@pytest.mark.parametrize("planes", [31, 32, 33, 65])
def test_earlier_planes_come_in_chunks(planes: int, coding_device: str) -> None:
    model = seeded_model("parametric", k=12, planes=planes, earlier=True)
    agree(model, seeded_symbols("parametric", (planes, 5, 21)), coding_device)


@pytest.mark.parametrize("head", HEADS)
def test_several_substreams(head: str, coding_device: str) -> None:
    data = agree(seeded_model(head), seeded_symbols(head, (4, 48, 64)), coding_device)
    assert data[0] & 15 >= 1


def test_several_lanes(coding_device: str) -> None:
    symbols = (seeded_symbols("parametric", (1, 90, 100)) * 777 % 4099).astype(np.int32)
    data = agree(seeded_model("parametric"), symbols, coding_device)
    assert data[0] >> 4 >= 1


@pytest.mark.parametrize(("log_substreams", "log_lanes"), [(0, 0), (0, 5), (1, 3), (2, 1), (3, 4), (3, 0)])
@pytest.mark.parametrize("head", HEADS)
def test_every_layout(
    head: str, log_substreams: int, log_lanes: int, coding_device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Substreams and lanes are the encoder's choice; these are not ours, and the CPU reads them too."""

    def choose(totals: np.ndarray, planes: int) -> tuple[tuple[int, int], np.ndarray]:
        sizes, offsets, end = totals[1 : 1 + planes], np.zeros(planes + 1, np.uint64), 0
        for s in range(1 << log_substreams):
            for plane in range(s, planes, 1 << log_substreams):
                offsets[plane] = end
                end += int(sizes[plane])
        offsets[planes] = end
        return (log_substreams, log_lanes), offsets

    monkeypatch.setattr(native(), "device_context_choose", choose)
    model, symbols = seeded_model(head), seeded_symbols(head, (9, 21, 8))
    data = device_context.encode(model, torch.from_numpy(symbols).to(coding_device))
    assert data[0] == log_substreams | log_lanes << 4
    np.testing.assert_array_equal(model.decode(data, symbols.shape), symbols)
    decoded = device_context.decode(model, data, symbols.shape, device=coding_device)
    np.testing.assert_array_equal(decoded.cpu().numpy(), symbols)


@pytest.mark.parametrize("head", HEADS)
def test_damage_ends_as_on_the_cpu(head: str, coding_device: str) -> None:
    shape = (3, 5, 4)
    model, symbols = seeded_model(head), seeded_symbols(head, shape, seed=4)
    data = model.encode(symbols)
    masks = (1, 0x10, 0x80, 0xFF)
    flipped = [data[:i] + bytes([data[i] ^ masks[i % 4]]) + data[i + 1 :] for i in range(len(data))]
    noticed = 0
    for damaged in [*flipped, *(data[:i] for i in range(0, len(data), 7)), data + b"\0"]:
        try:
            expected = model.decode(damaged, shape)
        except CorruptStream as error:
            noticed += 1
            with pytest.raises(CorruptStream) as found:
                device_context.decode(model, damaged, shape, device=coding_device)
            place = str(error).partition("substream ")[2][:1]
            assert place in str(found.value)
        else:
            decoded = device_context.decode(model, damaged, shape, device=coding_device)
            np.testing.assert_array_equal(decoded.cpu().numpy(), expected)
    assert noticed > 0.9 * len(data)


def test_damage_in_a_later_substream_is_named(coding_device: str) -> None:
    shape = (4, 48, 64)
    model, symbols = seeded_model("parametric"), seeded_symbols("parametric", shape)
    data = bytearray(model.encode(symbols))
    data[-500] ^= 1
    with pytest.raises(CorruptStream, match=f"substream {(1 << (data[0] & 15)) - 1}"):
        device_context.decode(model, bytes(data), shape, device=coding_device)


def parts_of(data: bytes) -> tuple[bytes, bytes, bytes]:
    """States, words and escapes of a stream of one substream and one lane."""
    assert data[0] == 0
    reader = reference._Reader(data[1:])
    words, escapes = reader.varint(), reader.varint()
    return reader.take(4), reader.take(2 * words), reader.take(escapes)


def stream_of(states: bytes, words: bytes, escapes: bytes) -> bytes:
    lengths = reference.varint(len(words) // 2) + reference.varint(len(escapes))
    return bytes([0]) + lengths + states + words + escapes


def test_each_fault_has_the_cpus_words(coding_device: str) -> None:
    shape = (2, 4, 5)
    model, symbols = seeded_model("parametric"), np.zeros((2, 4, 5), np.int32)
    symbols[0, 1, 2] = 5000  # one escape
    states, words, escapes = parts_of(model.encode(symbols))
    assert len(escapes) == 2
    faults = {
        "begins with an impossible state": (states[:2] + bytes(2), words, escapes),
        "ends before its symbols do": (states, words[:-2], escapes),
        "holds an escape out of range": (states, words, reference.varint(1 << 22)),
        "holds a symbol out of range": (states, words, reference.varint((1 << 22) - 1)),
        "holds more data than its symbols": (states, words + bytes(2), escapes),
        "more data than its symbols:": (states, words, escapes + bytes(1)),
    }
    for sentence, parts in faults.items():
        with pytest.raises(CorruptStream, match=sentence) as expected:
            model.decode(stream_of(*parts), shape)
        with pytest.raises(CorruptStream) as found:
            device_context.decode(model, stream_of(*parts), shape, device=coding_device)
        assert str(found.value) == str(expected.value)
    for damaged in (b"", b"\x80", b"\x80\x00", b"\xff" * 9):
        stream = stream_of(states, words, damaged)
        with pytest.raises(CorruptStream):
            model.decode(stream, shape)
        with pytest.raises(
            CorruptStream, match="substream 0 holds an escape that is no varint, or lacks one"
        ):
            device_context.decode(model, stream, shape, device=coding_device)


@pytest.mark.parametrize("extreme", [MAX_SYMBOL, -MAX_SYMBOL])
def test_escapes_reach_every_symbol(extreme: int, coding_device: str) -> None:
    values = [extreme, 0, 1, -1, 127, -128, 129, extreme, 300, -5000]
    agree(seeded_model("parametric"), np.array(values, np.int32).reshape(1, 2, 5), coding_device)


def test_sums_at_the_edge_of_int32(coding_device: str) -> None:
    """Every weight, bias and code as large as a model may have them."""
    arrays = seeded_arrays("categorical", k=8, outputs=4)
    for layer in (1, 2, 3):
        arrays[f"weight{layer}"][:] = np.where(np.arange(14) % 2, 127, -128)
    arrays["bias1"][:] = 2**31 - 1 - 255 * 8 * 14 * 128
    arrays["bias2"][:] = -(2**31 - 1 - 255 * 8 * 14 * 128 - 255 * 1000)
    arrays["residual"][:] = 1000
    arrays["multiplier1"][:] = 2**31 - 1
    model = ContextModel(arrays, "categorical")
    agree(model, seeded_symbols("categorical", (2, 9, 11), outputs=4), coding_device)


@pytest.mark.parametrize("shape", [(0, 4, 4), (3, 0, 5), (3, 5, 0)])
def test_empty_volume(shape: tuple[int, int, int], coding_device: str) -> None:
    model = seeded_model("categorical")
    empty = torch.zeros(shape, dtype=torch.int32, device=coding_device)
    assert device_context.encode(model, empty) == b""
    assert device_context.decode(model, b"", shape, device=coding_device).shape == shape
    with pytest.raises(CorruptStream):
        device_context.decode(model, b"\0", shape, device=coding_device)


@pytest.mark.parametrize("shape", [(3, -1, 4), (257, 4, 5), (3, 4), (3, 40_000, 40_000), (3, 4, 1 << 31)])
def test_bad_shapes_are_refused_as_on_the_cpu(shape: tuple[int, ...], coding_device: str) -> None:
    model = seeded_model("categorical")
    with pytest.raises(InvalidInput, match=r"shape|volume"):
        model.decode(b"\0", shape)
    with pytest.raises(InvalidInput, match=r"shape|volume"):
        device_context.decode(model, b"\0", shape, device=coding_device)


FEW_THREADS = """
import resource
from pathlib import Path
import numpy as np
from seeded import seeded_model, seeded_symbols
from pycodec.ops import device_context

model, symbols = seeded_model("parametric"), seeded_symbols("parametric", (4, 48, 64))
data = model.encode(symbols)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
for threads in (1, 0):  # beside this one
    resource.setrlimit(resource.RLIMIT_AS, (size + (2 * threads + 1) * stack // 2, resource.RLIM_INFINITY))
    decoded = device_context.decode(model, data, symbols.shape, device="cpu")
    assert np.array_equal(decoded.numpy(), symbols)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as on Linux")
def test_blocks_run_in_as_many_threads_as_there_are_to_be_had() -> None:
    import resource

    def large_stacks() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 30, resource.getrlimit(resource.RLIMIT_STACK)[1]))

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", FEW_THREADS],
        env=environment,
        preexec_fn=large_stacks,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_bad_arguments_are_refused(coding_device: str) -> None:
    model = seeded_model("categorical", qualities=2, planes=3)
    symbols = torch.from_numpy(seeded_symbols("categorical", (3, 4, 5))).to(coding_device)
    for value in (6, -1):
        bad = symbols.clone()
        bad[1, 2, 3] = value
        with pytest.raises(InvalidInput, match=rf"symbol at \(1, 2, 3\) is {value}"):
            device_context.encode(model, bad, 16)
    for bad in (symbols.long(), symbols[0]):
        with pytest.raises(InvalidInput, match="expected int32"):
            device_context.encode(model, bad, 16)
    with pytest.raises(InvalidInput, match="not contiguous"):
        device_context.encode(model, symbols.transpose(1, 2), 16)
    with pytest.raises(InvalidInput, match="quality_step"):
        device_context.encode(model, symbols, 15)
