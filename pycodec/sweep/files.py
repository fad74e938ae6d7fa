"""The weights files that the runs of a sweep have in common: the same ones from its first run to its last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pycodec import weights
from pycodec.errors import InvalidInput, MissingWeights
from pycodec.files import write_bytes

from .spec import Sweep

FILES = "files.json"
"""Its name in the folder of a sweep."""


@dataclass(frozen=True)
class Pinned:
    """A file that is the one the sweep began with.

    Attributes:
        path: where it was then, as the settings of runs have it.
        fingerprint: of the weights.
        now: where it is.
    """

    path: str
    fingerprint: str
    now: str


def named_paths(options: Iterable[str]) -> dict[str, str]:
    """What ``--file NAME=PATH`` says, path by name; raises InvalidInput for anything else."""
    found = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not (name and equals and path):
            raise InvalidInput(f"--file {option!r}, expected NAME=PATH")
        found[name] = path
    return found


def with_given(files: Mapping[str, str], given: Mapping[str, str], where: str) -> dict[str, str]:
    """Paths by name, those ``given`` instead of what is said in ``where``.

    Raises:
        InvalidInput: one is given of a file that it does not speak of.
    """
    for name in given.keys() - files.keys():
        raise InvalidInput(f"{where} has no file {name!r}, expected one of {', '.join(files) or 'none'}")
    return {**files, **given}


def pin(sweep: Sweep, given: Mapping[str, str], out: Path) -> dict[str, Pinned]:
    """The files of a sweep by name; the first time, ``out`` keeps what they are.

    Args:
        sweep: says which there are, and where they lie if nobody says otherwise.
        given: paths instead of the sweep's.
        out: folder of the sweep.

    Raises:
        InvalidInput: a file the sweep does not speak of, or another one than it began with.
        MissingWeights: there is no such file.
        WeightsMismatch: it holds no weights.
    """
    paths = with_given(sweep.files, given, f"sweep {sweep.name!r}")
    record = out / FILES
    before = json.loads(record.read_text("utf-8")) if record.exists() else {}
    pinned = {}
    for name, path in paths.items():
        found = _found(name, Path(path))
        kept = Pinned(**before[name], now=found.now) if name in before else found
        if kept.fingerprint != found.fingerprint:
            raise InvalidInput(
                f"{out} was begun with a {name} of fingerprint {kept.fingerprint[:8]}, {path} has "
                f"{found.fingerprint[:8]}: give the old file with --file {name}=PATH, or another --out folder"
            )
        pinned[name] = kept
    if pinned:
        out.mkdir(parents=True, exist_ok=True)
        entries = {name: {"path": f.path, "fingerprint": f.fingerprint} for name, f in pinned.items()}
        write_bytes(record, (json.dumps({**before, **entries}, indent=1) + "\n").encode())
    return pinned


def _found(name: str, path: Path) -> Pinned:
    try:
        here = str(path.resolve())
        return Pinned(here, weights.read_metadata(path)["fingerprint"], here)
    except MissingWeights:
        raise MissingWeights(
            f"no file {path}, which this sweep calls {name!r}; make it, or say where it is with "
            f"--file {name}=PATH"
        ) from None
