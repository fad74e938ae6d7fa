"""Where weights are found: beside their codec, in PYCODEC_WEIGHTS, and in the user's folder.

A stream names the codec and the first bytes of the fingerprint of the weights that read it; `find` looks for
them. Only the metadata of candidates is read here; whoever loads a file checks it as a whole. A file that is
damaged or of somebody else's is passed over, and listed with what is wrong with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycodec import files, weights
from pycodec.errors import InvalidInput, MissingWeights, UnknownComponent, WeightsMismatch, near_names
from pycodec.names import NAME
from pycodec.registry import Component
from pycodec.runtime import components, get_runtime

VARIABLE = "PYCODEC_WEIGHTS"
SUFFIX = ".safetensors"
_NAME_DIGITS = 16  # of the fingerprint, in the name of a file in the user's folder


@dataclass(frozen=True)
class Stored:
    """A weights file that was found."""

    path: Path
    source: str
    """``"shipped"`` with its codec, ``"PYCODEC_WEIGHTS"``, or ``"user"`` for the user's folder."""
    codec: str = ""
    fingerprint: str = ""
    """64 hexadecimal digits, as the file states it."""
    problem: str = ""
    """Why the file is no use, in one sentence; codec and fingerprint are empty then."""


def user_folder() -> Path:
    """Where ``pycodec weights add`` puts files; it need not exist."""
    import platformdirs

    return Path(platformdirs.user_data_dir("pycodec", appauthor=False)) / "weights"


def shipped(component: Component) -> Stored | None:
    """The weights that come with a codec; None if it has no such file."""
    factory = component.factory
    module = factory.partition(":")[0] if isinstance(factory, str) else factory.__module__
    try:
        path = weights.shipped(module, component.name)
    except MissingWeights:
        return None
    return _stored(path, "shipped", component.name) if path.is_file() else None


def search_path() -> Iterator[Stored]:
    """Weights beside those that ship: the files and folders of PYCODEC_WEIGHTS in order, then the user's."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        yield from (_stored(path, VARIABLE) for path in _weights_files(Path(name)))
    yield from (_stored(path, "user") for path in _weights_files(user_folder()))


def missing_places() -> list[str]:
    """What PYCODEC_WEIGHTS names and is not there."""
    return [n for n in os.environ.get(VARIABLE, "").split(os.pathsep) if n and not os.path.exists(n)]


def every() -> list[Stored]:
    """Shipped weights of all codecs, then the search path."""
    own = [stored for codec in components("codec") if (stored := shipped(codec))]
    return [*own, *search_path()]


def find(codec: str, fingerprint: str) -> Iterator[Stored]:
    """Weights on the search path of a codec, by its registered name, whose fingerprint begins so."""
    for stored in search_path():
        if stored.codec == codec and stored.fingerprint.startswith(fingerprint):
            yield stored


def codec_of(path: str | os.PathLike[str]) -> str:
    """The codec that a weights file names.

    Raises:
        MissingWeights, WeightsMismatch: no such file, or no weights.
        InvalidInput: the file names none.
    """
    return _codec_in(weights.read_metadata(path), path)


def check_for(component: Component, path: str | os.PathLike[str]) -> None:
    """Refuse a weights file that a codec cannot take.

    Raises:
        MissingWeights: no such file.
        WeightsMismatch: no weights, or those of another codec.
        InvalidInput: the codec's factory takes no weights.
    """
    named = weights.read_metadata(path).get("codec", component.name)
    if named != component.name:
        raise WeightsMismatch(f"{path} holds weights of codec {named!r}, not of {component.name!r}")
    if not component.takes("weights_file"):
        raise InvalidInput(
            f"codec {component.name!r} of {component.origin} cannot take weights of your own: its factory "
            "has no argument weights_file"
        )


def add(path: str | os.PathLike[str]) -> Stored:
    """Copy a weights file into the user's folder, under a name made of its codec and fingerprint.

    The copy appears whole or not at all; one that is there already is replaced. The codec need not be
    installed.

    Raises:
        MissingWeights: no such file.
        WeightsMismatch: no weights, or damaged ones.
        InvalidInput: it names no codec, or one that takes no weights.
    """
    _, metadata = weights.load(path)
    codec = _codec_in(metadata, path)
    if installed(codec):
        check_for(get_runtime().find("codec", codec), path)
    folder = user_folder()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{codec}-{metadata['fingerprint'][:_NAME_DIGITS]}{SUFFIX}"
    files.write_bytes(target, Path(path).read_bytes())
    return _stored(target, "user")


def remove(wanted: str) -> Stored:
    """Delete one file of the user's folder.

    Args:
        wanted: the beginning of its fingerprint, its codec, or its name; one file only may answer to it.

    Raises:
        InvalidInput: none answers to it, or several.
    """
    own = [_stored(path, "user") for path in _weights_files(user_folder())]
    found = [
        stored
        for stored in own
        if wanted
        and (
            stored.fingerprint.startswith(wanted)
            or wanted in (stored.codec, stored.path.name, stored.path.stem)
        )
    ]
    if not found:
        others = [s for s in every() if s.source != "user" and wanted and s.fingerprint.startswith(wanted)]
        where = f"; {others[0].path} is not in it: it stays" if others else ""
        names = [stored.path.stem for stored in own]
        raise InvalidInput(f"no weights {wanted!r} in {user_folder()}{near_names(wanted, names)}{where}")
    if len(found) > 1:
        names = [stored.path.stem for stored in found]
        raise InvalidInput(f"{wanted!r} may be {' or '.join(names)}; say more of the name or fingerprint")
    found[0].path.unlink()
    return found[0]


def installed(codec: str) -> bool:
    """Whether some active plugin registers this codec."""
    try:
        get_runtime().find("codec", codec)
    except UnknownComponent:
        return False
    return True


def _weights_files(place: Path) -> Iterable[Path]:
    """A file itself, or those of a folder, by name; nothing if there is no such place."""
    try:
        if place.is_dir():
            return sorted(p for p in place.iterdir() if p.suffix == SUFFIX and p.is_file())
        return [place] if place.is_file() else []
    except OSError:  # a folder that may not be read
        return []


def _stored(path: Path, source: str, codec: str = "") -> Stored:
    """A file by its metadata; ``codec`` is that of one which names none."""
    try:
        metadata = {"codec": codec, **weights.read_metadata(path)}
        return Stored(path, source, _codec_in(metadata, path), metadata["fingerprint"])
    except (MissingWeights, WeightsMismatch, InvalidInput) as error:
        return Stored(path, source, problem=str(error))


def _codec_in(metadata: Mapping[str, Any], path: str | os.PathLike[str]) -> str:
    codec: str = metadata.get("codec", "")
    if not NAME.fullmatch(codec):
        raise InvalidInput(
            f"{path} names no codec that reads it (found {codec!r}): name it yourself, or write the file "
            "anew with pycodec export"
        )
    return codec
