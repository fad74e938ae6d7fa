"""Whether this machine reads and writes what every other one does: by golden files that come with codecs.

A codec brings them as ``weights/NAME.golden.json`` beside the module of its factory; `record` writes it.
Weights and the symbols in a file have to be the same everywhere, and symbols give the same file again.
Whether also pictures give the same file, and files the same pixels, is for the codec to promise; one of float
networks does not. Pixels that are not promised must still be close.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pycodec import bitstream, files, images, loading, weights
from pycodec.errors import InvalidInput, MissingWeights, PycodecError
from pycodec.registry import Component

if TYPE_CHECKING:
    from pycodec.codec import Codec

CHECKS = ("weights", "symbols", "files", "pixels")
PROMISES = ("files", "pixels")
"""What a codec may promise beside weights and symbols."""
PICTURES = ("transparent", "dot", "grey", "colour")
BLOCK = 8
CLOSE = 2
"""Levels of 255 by which the mean of a block may differ in pixels that are not promised."""


@dataclass(frozen=True)
class Golden:
    """One picture in a golden file.

    Attributes:
        picture: which of `PICTURES`.
        quality: of the file.
        file: the .pci file, in base 64.
        symbols: sha256 of the symbols, int32, little-endian, in C order.
        pixels: sha256 of the decoded bytes.
        means: of blocks of the decoded picture, uint8 in base 64.
    """

    picture: str
    quality: float
    file: str
    symbols: str
    pixels: str
    means: str


@dataclass(frozen=True)
class GoldenFiles:
    """What a codec brings: the sha256 of its weights, what it promises, and files of small pictures."""

    codec: str
    fingerprint: str
    promises: tuple[str, ...]
    files: tuple[Golden, ...]


@dataclass
class Row:
    """What became of a codec at one place.

    Attributes:
        codec: its name.
        where: the SIMD level, or ``"cuda"``.
        checks: each of `CHECKS`: ``"equal"``, ``"differs"``, ``"close"`` for pixels that are not promised, or
            ``"not made"``.
        problems: a sentence for each difference, and for what could not be done.
    """

    codec: str
    where: str
    checks: dict[str, str] = field(default_factory=lambda: dict.fromkeys(CHECKS, "not made"))
    problems: list[str] = field(default_factory=list)

    def note(self, check: str, problem: str | None, otherwise: str = "equal") -> None:
        """Write down one result; a difference stays."""
        if problem is not None:
            self.problems.append(problem)
        if self.checks[check] != "differs":
            self.checks[check] = otherwise if problem is None else "differs"


def path_of(component: Component) -> Path:
    """Where the golden files of a codec are, or would be.

    Raises:
        MissingWeights: its module cannot be found.
    """
    factory = component.factory
    module = factory.partition(":")[0] if isinstance(factory, str) else factory.__module__
    return weights.shipped(module, component.name).with_name(f"{component.name}.golden.json")


def codecs_with_golden_files(components: Iterable[Component]) -> list[Component]:
    """Those of the codecs that bring any."""
    found = []
    for component in components:
        try:
            if path_of(component).is_file():
                found.append(component)
        except MissingWeights:
            continue
    return found


def read(path: Path) -> GoldenFiles:
    """What `record` wrote.

    Raises:
        InvalidInput: it did not write this.
        OSError: the file cannot be read.
    """
    try:
        values = json.loads(path.read_bytes())
        rows = tuple(Golden(**row) for row in values.pop("files"))
        golden = GoldenFiles(**{**values, "promises": tuple(values["promises"])}, files=rows)
        for row in rows:
            picture(row.picture)
            base64.b64decode(row.file, validate=True), base64.b64decode(row.means, validate=True)
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise InvalidInput(
            f"{path} holds no golden files: {type(error).__name__} {error}; write it anew with pycodec "
            "selftest --record"
        ) from error
    return golden


def check(component: Component, where: str, device: str = "cpu") -> Row:
    """Compare a codec with its golden files, in this process.

    Nothing is raised for what a codec does wrong: it is in the row.

    Args:
        component: a codec that brings golden files.
        where: for the row.
        device: where pictures are made, "cpu" or "cuda".
    """
    row = Row(component.name, where)
    try:
        golden = read(path_of(component))
        codec = loading.load(component.name)
        if (found := codec.fingerprint.hex()) != golden.fingerprint:
            row.note("weights", f"its weights are {found[:16]}, expected {golden.fingerprint[:16]}")
            return row
        row.note("weights", None)
        for one in golden.files:
            _compare(row, codec, one, golden.promises, device)
    except Exception as error:  # of a codec by anybody
        row.problems.append(
            str(error) if isinstance(error, PycodecError) else f"{type(error).__name__}: {error}"
        )
    return row


def _compare(row: Row, codec: Codec, golden: Golden, promises: Sequence[str], device: str) -> None:
    title = f"picture {golden.picture!r} of quality {golden.quality:g}"
    image, data = picture(golden.picture), base64.b64decode(golden.file)
    try:
        symbols = codec.file_symbols(data, device)
    except PycodecError as error:
        row.note("symbols", f"{title}: {error}")
        return
    same = _symbols_hash(symbols) == golden.symbols
    row.note("symbols", None if same else f"{title}: its file decodes to other symbols")
    again = _same_file(codec.compress_symbols(symbols, image, golden.quality), data)
    if "files" in promises:
        again = again and _same_file(codec.compress(image, golden.quality, device=device), data)
    row.note("files", None if again else f"{title}: it is compressed to another file")
    decoded = codec.decompress(data, device)
    if decoded.info.get("icc_profile") != image.info.get("icc_profile"):
        row.note("pixels", f"{title}: its file decodes to another colour profile")
    pixels = np.asarray(decoded)
    if hashlib.sha256(pixels.tobytes()).hexdigest() == golden.pixels:
        row.note("pixels", None, row.checks["pixels"] if row.checks["pixels"] == "close" else "equal")
    elif "pixels" in promises:
        row.note("pixels", f"{title}: its file decodes to other pixels")
    else:
        expected = np.frombuffer(base64.b64decode(golden.means), np.uint8).astype(int)
        apart = int(np.abs(_means(pixels) - expected).max())
        problem = f"{title}: its file decodes to pixels that are off by {apart}, expected at most {CLOSE}"
        row.note("pixels", None if apart <= CLOSE else problem, "close")


def record(component: Component, promises: Iterable[str] = ()) -> Path:
    """Write the golden files of a codec anew, beside its weights, and return where.

    Args:
        component: the codec.
        promises: of `PROMISES`, what holds on every machine: that a picture gives the same file, a file the
            same pixels. True of integer networks alone.
    """
    codec, path = loading.load(component.name), path_of(component)
    low, high = codec.qualities
    rows = []
    middle = codec.default_quality
    for name, quality in zip(PICTURES, (middle, low, middle, high), strict=True):
        data = codec.compress(picture(name), quality)
        pixels = np.asarray(codec.decompress(data))
        rows.append(
            Golden(
                name,
                quality,
                base64.b64encode(data).decode(),
                _symbols_hash(codec.file_symbols(data)),
                hashlib.sha256(pixels.tobytes()).hexdigest(),
                base64.b64encode(_means(pixels).astype(np.uint8).tobytes()).decode(),
            )
        )
    golden = GoldenFiles(component.name, codec.fingerprint.hex(), tuple(promises), tuple(rows))
    files.write_bytes(path, json.dumps(asdict(golden), indent=1).encode() + b"\n")
    return path


def picture(name: str) -> Image.Image:
    """A golden picture, made of integers alone: ramps, an edge and texture.

    Raises:
        ValueError: there is none of that name.
    """
    shapes = {"colour": (72, 109), "grey": (45, 37), "dot": (1, 1), "transparent": (19, 23)}
    if name not in shapes:
        raise ValueError(f"there is no picture {name!r}")
    y, x = np.mgrid[: shapes[name][0], : shapes[name][1]].astype(np.int64)
    noise = ((x * 7919 + y * 104729) ** 2 >> 7) % 24
    disc = ((x - 60) ** 2 + (y - 30) ** 2 < 600) * 90
    planes = [40 + y + noise, 200 - x + disc // 3, 30 + (x + y) // 2 + disc]
    image = np.stack(planes, -1).clip(0, 255).astype(np.uint8)
    if name == "grey":
        return Image.fromarray(np.ascontiguousarray(image[..., 0]))
    if name != "transparent":
        return Image.fromarray(image)
    whole = Image.fromarray(np.dstack([image, (x * y % 256).astype(np.uint8)]), "RGBA")
    whole.info["icc_profile"] = bytes(16) + b"RGB " + bytes(108)  # the header of a profile without tables
    return whole


def _same_file(found: bytes, expected: bytes) -> bool:
    """Whether two files are the same but for how their alpha and profile are packed: not every zlib deflates
    alike.
    """
    ours, theirs = bitstream.parse(found), bitstream.parse(expected)
    if (ours.header, ours.payload) != (theirs.header, theirs.payload):
        return False
    size = ours.header.width, ours.header.height
    alphas = [c.alpha and images.unpack_alpha(c.alpha, *size).tobytes() for c in (ours, theirs)]
    profiles = [c.icc and images.unpack_icc(c.icc) for c in (ours, theirs)]
    return alphas[0] == alphas[1] and profiles[0] == profiles[1]


def _symbols_hash(symbols: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(symbols, "<i4").tobytes()).hexdigest()


def _means(pixels: np.ndarray) -> np.ndarray:  # int64, flat
    """Rounded means of the blocks of a picture, a channel after the other; those at its edges are smaller."""
    height, width = pixels.shape[:2]
    planes = pixels.reshape(height, width, -1).astype(np.int64)
    downs, rights = np.arange(0, height, BLOCK), np.arange(0, width, BLOCK)
    sums = np.add.reduceat(np.add.reduceat(planes, downs, 0), rights, 1)
    ones = np.ones((height, width, 1), np.int64)
    counts = np.add.reduceat(np.add.reduceat(ones, downs, 0), rights, 1)
    return ((sums + counts // 2) // counts).reshape(-1)


def passed(rows: Iterable[Row]) -> bool:
    """Whether nothing differs, and there is something that does not."""
    rows = list(rows)
    return bool(rows) and not any(row.problems for row in rows)


def rows_from(values: Iterable[dict[str, Any]]) -> Iterator[Row]:
    """Rows out of JSON."""
    return (Row(**value) for value in values)
