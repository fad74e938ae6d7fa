"""What Python reads from strangers, as functions of bytes: each ends, or raises an error of pycodec.errors.

`run_python.py` fuzzes them with atheris, `test_fuzz_corpus.py` replays their corpus. Anything else that comes out of
one is a finding.
"""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

import pycodec
from pycodec import bitstream, coding, images, weight_store, weights
from pycodec.bitstream import Container
from pycodec.coding import Tables
from pycodec.coding.context import ContextModel
from pycodec.errors import PycodecError
from pycodec.sweep.spec import read_sweep
from pycodec.training.recipe import read_recipe
from pycodec.training.settings import apply_settings

T = TypeVar("T")
CODECS = ("ctx3d", "cpm", "hyperprior", "hyperprior-illm")
DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "?")


class Input:
    """Choices and values from the bytes of an input, in turn; zeros when they have run out."""

    def __init__(self, data: bytes):
        self.data, self.position = data, 0

    def take(self, count: int) -> bytes:
        self.position += count
        return self.data[self.position - count : self.position].ljust(count, b"\0")

    def rest(self) -> bytes:
        return self.take(max(0, len(self.data) - self.position))

    def integer(self, below: int) -> int:
        return (
            int.from_bytes(self.take(1 if below <= 256 else 2 if below <= 1 << 16 else 5), "little") % below
        )

    def choice(self, values: Sequence[T]) -> T:
        return values[self.integer(len(values))]

    def array(self, dtypes: tuple[str, ...] = DTYPES, dimensions: int = 3, side: int = 12) -> np.ndarray:
        """Of any type and any shape that are allowed, with any elements."""
        dtype = np.dtype(self.choice(dtypes))
        shape = [self.integer(side) for _ in range(self.integer(dimensions + 1))]
        content = self.take(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        return np.frombuffer(content, np.uint8 if dtype.kind == "b" else dtype).astype(dtype).reshape(shape)


# --- Containers ---


def container(data: bytes) -> None:
    """Any bytes as a .pci file; what parses is written again as the same bytes."""
    header, sections = bitstream.parse_header(data)
    assert all(section.length >= 0 for section in sections) and header.width > 0 < header.height
    parsed = bitstream.parse(data)
    bitstream.describe(data)
    assert parsed.to_bytes() == data, "one file, two spellings"


def repaired(data: bytes) -> None:
    """The same with magic, version and the checksum of the header right; the first byte says where that stands."""
    size = data[0] % bitstream.MAX_HEADER_BYTES if data else 0
    header = bitstream.MAGIC + bytes([bitstream.VERSION]) + data[1 : 1 + size]
    container(header + struct.pack("<H", bitstream._crc16(header)) + data[1 + size :])


def sections(data: bytes) -> None:
    """Any bytes as transparency and as a colour profile."""
    given = Input(data)
    width, height = 1 + given.integer(40), 1 + given.integer(40)
    content = given.rest()
    for unpack in (lambda: images.unpack_alpha(content, width, height), lambda: images.unpack_icc(content)):
        with suppress(PycodecError):
            unpack()


# --- Codecs ---


@cache
def written_by(codec: str) -> Container:
    """A file of 16 x 8 pixels, grey and transparent."""
    pixels = np.arange(128, dtype=np.uint8).reshape(8, 16)
    image = Image.merge("LA", [Image.fromarray(pixels), Image.fromarray(pixels[::-1].copy())])
    return bitstream.parse(pycodec.load(codec).compress(image))


def decompress(data: bytes) -> None:
    """Files of every codec with any header and any sections, their checksums right."""
    given = Input(data)
    name = given.choice(CODECS)
    whole = written_by(name)
    header = whole.header
    changes = given.integer(256)
    if changes & 1:
        header = replace(header, width=1 + given.integer(64), height=1 + given.integer(64))
    if changes & 2:
        header = replace(header, quality_step=1 + given.integer(255))
    if changes & 4:
        header = replace(header, grey=not header.grey)
    if changes & 8:
        header = replace(header, symbols_crc=given.integer(1 << 32))
    if changes & 16:
        header = replace(header, codec=given.choice(CODECS))
    if changes & 32:
        header = replace(header, fingerprint=given.take(4))
    payload = bytearray(whole.payload)
    if changes & 64:
        payload = bytearray(given.rest())
    else:
        for _ in range(given.integer(4)):
            payload[given.integer(len(payload))] = given.integer(256)
    alpha = whole.alpha if changes & 128 else b""
    image = pycodec.decompress(replace(whole, header=header, payload=bytes(payload), alpha=alpha).to_bytes())
    assert image.size == (header.width, header.height)


# --- Weights ---


def weights_file(data: bytes) -> None:
    """Any bytes as a weights file, or any text as the metadata of one."""
    given = Input(data)
    if given.integer(2):
        text = given.rest().decode("utf-8", "replace")
        head = weights._json({"__metadata__": {"pycodec": text}, "t": _TENSOR})
        content = struct.pack("<Q", len(head)) + head + bytes(8)
    else:
        content = given.rest()
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        Path(file.name).write_bytes(content)
        for read in (weights.load, weights.read_metadata, weight_store.codec_of):
            with suppress(PycodecError):
                read(file.name)


_TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}

# --- Recipes, sweeps and settings ---


def recipe(data: bytes) -> None:
    read_recipe(data.decode("utf-8", "replace"))


def sweep(data: bytes) -> None:
    read_sweep(data.decode("utf-8", "replace"), "fuzzed", "sweep")


def settings(data: bytes) -> None:
    """A line each; they meet a recipe of one stage."""
    table = {"codec": "toy", "task": {"rate": 1.0}, "stage": [{"name": "joint", "steps": 1}]}
    apply_settings(table, data.decode("utf-8", "replace").split("\n"))


# --- pycodec.coding ---


def coder(data: bytes) -> None:
    """Arrays of any types, shapes and elements as tables, symbols, indexes, probabilities and streams."""
    given = Input(data)
    tables = _tables(given)
    symbols = given.array()
    indexes = given.array() if given.integer(2) else None
    calls: list[Callable[[], object]] = [
        lambda: _same(
            symbols, coding.decode(coding.encode(symbols, tables, indexes), tables, symbols.size, indexes)
        ),
        lambda: coding.code_lengths(symbols, tables, indexes),
        lambda: coding.decode(given.rest(), tables, symbols.size, indexes, out=given.array()),
        lambda: _pull(coding.Decoder(given.rest(), tables), given),
        lambda: coding.encode_pmfs(symbols, given.array(("f4", "u2", "f8"))),
        lambda: coding.decode_pmfs(given.rest(), given.array(("f4", "u2", "f8"))),
    ]
    given.choice(calls)()


def _tables(given: Input) -> Tables:
    kind = given.integer(5)
    precision, escape = 7 + given.integer(9), bool(given.integer(2))
    offsets = given.array(("i4", "i8", "f4"), 1) if given.integer(2) else given.integer(1 << 32) - (1 << 31)
    if kind == 0:
        return Tables.from_gaussian_scales(given.array(("f4", "f8"), 1), precision)
    if kind == 1:
        return Tables.from_pmfs(
            given.array(("f4", "f8"), 2), 7 + precision % 4, offsets=offsets, escape=escape
        )
    if kind == 2:
        return Tables.from_cdfs(given.array(dimensions=2), precision, offsets=offsets, escape=escape)
    if kind == 3:
        steps = 1 + np.sort(np.frombuffer(given.take(2 * given.integer(40)), "<u2").astype(np.int64))
        return Tables.from_cdfs(
            [0, *np.unique(steps % (1 << precision)), 1 << precision], precision, offsets=offsets
        )
    names = ("freqs", "sizes", "offsets", "shifts", "escapes")
    header = np.array([precision, escape])
    return Tables.from_arrays({"header": header, **{name: given.array(dimensions=1) for name in names}})


def _same(symbols: np.ndarray, decoded: np.ndarray) -> None:
    assert np.array_equal(decoded, symbols.ravel())


def _pull(decoder: coding.Decoder, given: Input) -> None:
    assert decoder.remaining == decoder.count
    while decoder.remaining:
        decoder.pull(min(1 + given.integer(100), decoder.remaining))


def context(data: bytes) -> None:
    """A context model whose arrays are changed, then a volume through it and back, and any stream."""
    given = Input(data)
    head = given.choice(("categorical", "parametric"))
    arrays = dict(_arrays(head))
    for _ in range(given.integer(3)):
        name = given.choice(sorted(arrays))
        if given.integer(4) == 0:
            arrays[name] = given.array()
        elif arrays[name].size:
            changed = arrays[name].copy()
            changed.flat[given.integer(1 << 16) % changed.size] = given.integer(1 << 7)
            arrays[name] = changed
    model = ContextModel(arrays, head)
    step = given.integer(256) if given.integer(2) else None
    symbols = given.array(("i1", "u1", "i4", "f4"), side=5)
    if given.integer(2):
        assert np.array_equal(model.decode(model.encode(symbols, step), symbols.shape, step), symbols)
        assert model.code_length_bits(symbols, step) >= 0
    else:
        model.decode(given.rest(), (given.integer(4), given.integer(6), given.integer(6)), step)


@cache
def _arrays(head: str) -> dict[str, np.ndarray]:
    """A model of four channels with small seeded weights."""
    rng, k = np.random.default_rng(0), 4
    outputs = 3 if head == "categorical" else 2
    arrays = {
        "input_map": rng.integers(0, 256, outputs if head == "categorical" else 256, np.uint8),
        "constants": rng.integers(0, 256, 4, np.uint8),
        "residual": rng.integers(-9, 9, k, np.int32),
        "bias0": rng.integers(-99, 999, (2, 1, k), np.int32),
        "bias3": rng.integers(-999, 999, (2, 1, outputs), np.int32),
        "bias1": rng.integers(-99, 999, k, np.int32),
        "bias2": rng.integers(-99, 999, k, np.int32),
        "weight0": rng.integers(-50, 50, (k, 13), np.int8),
        "weight3": rng.integers(-50, 50, (outputs, k, 14), np.int8),
        **{f"weight{layer}": rng.integers(-50, 50, (k, k, 14), np.int8) for layer in (1, 2)},
        **{f"multiplier{layer}": rng.integers(1 << 20, 1 << 24, k, np.int32) for layer in (0, 1, 2)},
        "multiplier3": rng.integers(1 << 20, 1 << 24, outputs, np.int32),
    }
    if head == "categorical":
        arrays["exp_table"] = (4096 >> np.minimum(np.arange(2048) // 45, 13)).astype(np.int32)
    else:
        arrays["table_radius"] = np.ones((64, 16), np.uint8)
        arrays["table_frequencies"] = np.tile(np.array([16381, 1, 1, 1], np.int16), 1024)
    return arrays


def pillow(data: bytes) -> None:
    """Any bytes as a picture to compress."""
    try:
        image = Image.open(io.BytesIO(data), formats=("PPM", "BMP", "GIF", "TGA"))
    except Exception:  # Pillow's own affair
        return
    images.as_picture(image)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        coder,
        container,
        context,
        decompress,
        pillow,
        recipe,
        repaired,
        sections,
        settings,
        sweep,
        weights_file,
    )
}


def run(target: str, data: bytes) -> None:
    """One input; whatever is raised here is a finding."""
    with suppress(PycodecError):
        TARGETS[target](data)
