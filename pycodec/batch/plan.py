"""What a batch has to do: which files, in which direction, to which outputs. Nothing is written here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pycodec import images
from pycodec.batch.manifest import Record
from pycodec.errors import InvalidInput

Direction = Literal["compress", "decompress"]
SUFFIX = ".pci"


@dataclass(frozen=True)
class Job:
    """One file to make."""

    source: str
    """Its input, as it was named."""
    path: str
    """The same, absolute."""
    target: str
    """Its output, relative to the folder of outputs, with ``/`` between folders."""
    size: int
    """Bytes of the input."""
    earlier: Record | None = None
    """What an earlier run says of the same output."""


@dataclass(frozen=True)
class Input:
    """A file that was found."""

    path: Path
    """As it was named, or below a folder as that was named."""
    place: Path
    """Where it belongs below the folder of outputs."""

    @property
    def direction(self) -> Direction:
        """By its name."""
        return "decompress" if self.path.suffix.lower() == SUFFIX else "compress"


def find_inputs(names: Sequence[str | os.PathLike[str]], out: Path) -> list[Input]:
    """The files named, and those in the folders named: images by their suffix and .pci files, sorted.

    Left out of folders are names that begin with a dot, and the folder of outputs. Links to files are
    followed, links to folders are not.

    Raises:
        InvalidInput: a name that is not there, or a folder within that of the outputs.
        OSError: a folder that cannot be read.
    """
    found: list[Input] = []
    suffixes = {*images.readable_suffixes(), SUFFIX}
    for path in map(Path, names):
        if path.is_dir():
            found += _below(path, out.resolve(), suffixes)
        elif path.exists():
            found.append(Input(path, Path(path.name)))
        else:
            raise InvalidInput(f"no file or folder {path}: name images, .pci files or folders of them")
    return found


def _below(folder: Path, out: Path, suffixes: set[str]) -> Iterator[Input]:
    real = folder.resolve()
    if out == real or out in real.parents:
        raise InvalidInput(f"the input {folder} lies in the folder of outputs, {out}: name another with -o")

    def stop(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=stop):
        here = Path(parent)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() != out
        )
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and path.suffix.lower() in suffixes:
                yield Input(path, path.relative_to(folder))


def choose_direction(found: Sequence[Input], wanted: Direction | None = None) -> Direction:
    """Both ways work on files of one kind: images are compressed, .pci files decompressed.

    Raises:
        InvalidInput: files of both kinds and no ``wanted``, or none to work on.
    """
    kinds = {file.direction for file in found}
    if wanted is None and len(kinds) > 1:
        packed = sum(file.direction == "decompress" for file in found)
        raise InvalidInput(
            f"{len(found) - packed} images and {packed} {SUFFIX} files among the inputs, expected one kind; "
            "say --compress or --decompress, which leaves the others out"
        )
    direction = wanted or next(iter(kinds), None)
    if direction is None or direction not in kinds:
        what = {"compress": "image", "decompress": f"{SUFFIX} file", None: f"image or {SUFFIX} file"}
        raise InvalidInput(f"no {what[direction]} among the inputs; name files or folders that have some")
    return direction


def plan(found: Sequence[Input], direction: Direction, suffix: str) -> list[Job]:
    """The jobs of a direction, whose outputs have this suffix; a file named twice is one job.

    Raises:
        InvalidInput: two inputs that would have one output.
    """
    jobs: dict[str, Job] = {}
    for file in found:
        if file.direction != direction:
            continue
        path, target = os.path.abspath(file.path), file.place.with_suffix(suffix).as_posix()
        earlier = jobs.setdefault(target, Job(str(file.path), path, target, _size(path)))
        if earlier.path != path:
            raise InvalidInput(
                f"{earlier.source} and {file.path} would both become {target}: rename one, or give each its "
                "own run and folder of outputs"
            )
    return list(jobs.values())


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # whoever reads it says what is wrong with it
        return 0
