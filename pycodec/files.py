"""Reading input and writing output: a file appears whole under its name, or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from pycodec.errors import InvalidInput

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp", re.DOTALL)  # names that `open_output` makes
_KEPT_OF_NAME = 100  # characters of the target's name in that of its temporary file


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Content of a file; ``-`` is standard input.

    Raises:
        OSError: the file cannot be read.
    """
    return sys.stdin.buffer.read() if os.fspath(path) == "-" else Path(path).read_bytes()


def lock(file: IO[Any]) -> bool:
    """Take an open file for this process, until it is closed; the system gives it back if we are killed.

    Returns:
        False if another process has it. On a file system without locks, nobody is known to.
    """
    import fcntl  # not on every system

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file as ``open_output`` does."""
    with open_output(path) as file:
        file.write(data)


@contextmanager
def open_output(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing; it takes its name when the block ends, and an exception leaves no trace of it.

    The data go to a temporary file in the same directory, so the final rename is atomic and an older file of
    that name stays whole until then. Symbolic links are followed and an older file's permissions kept.
    Standard output (``-``), a pipe or a device is written directly.

    Raises:
        InvalidInput: a directory, or a name in a directory that does not exist.
        OSError: the file cannot be written.
    """
    if os.fspath(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        with open(path, "wb") as file:
            yield file
        return
    with new_file(path) as temporary, open(temporary, "xb") as file:
        yield file


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """As `open_output`, for what is written by name: the block makes a file of the name that it is given.

    Raises:
        InvalidInput: as `open_output`, or an older file that may not be written.
        OSError: the file cannot be written; it names ``path``.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InvalidInput(f"cannot write {path}: it is a directory, expected the name of a file")
    if not target.parent.is_dir():
        raise InvalidInput(
            f"cannot write {path}: the directory {target.parent} does not exist; make it first"
        )
    if target.exists() and not os.access(target, os.W_OK):  # a rename would not ask
        raise InvalidInput(f"cannot write {path}: the file there is read-only; name another, or delete it")
    temporary = target.parent / f".{target.name[:_KEPT_OF_NAME]}.{secrets.token_hex(4)}.tmp"
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):  # not of this file
            raise
        raise OSError(error.errno, f"not written: {error.strerror}", os.fspath(path)) from error
    finally:
        with suppress(OSError):  # of a disk that is gone
            temporary.unlink(missing_ok=True)


def whole_lines(file: IO[bytes]) -> bytes:
    """What is in a file of lines, open for appending without a buffer; a line that was cut short is cut off.

    Raises:
        OSError: it cannot be read or cut.
    """
    file.seek(0)
    data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        file.truncate(len(whole))
    return whole


def append_line(file: IO[bytes], line: bytes) -> None:
    """Write a line to the end of such a file, out of reach of a kill.

    Raises:
        OSError: it cannot be written; at most its beginning is in the file.
    """
    rest = memoryview(line + b"\n")
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise OSError(error.errno, f"not written: {error.strerror}", file.name) from error


def remove_leftovers(targets: Iterable[str | os.PathLike[str]]) -> None:
    """Delete the temporary files that processes killed in `open_output` left beside these files.

    Only for whoever knows that nobody is writing them now.

    Raises:
        OSError: one cannot be deleted.
    """
    names: dict[Path, set[str]] = {}
    for target in map(Path, targets):
        names.setdefault(target.parent, set()).add(target.name[:_KEPT_OF_NAME])
    for folder, ours in names.items():
        for name in os.listdir(folder) if folder.is_dir() else ():
            match = _TEMPORARY.fullmatch(name)
            if match and match[1] in ours:
                (folder / name).unlink(missing_ok=True)
