"""Running other people's programs: found by option, variable or PATH, and heard when they fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pycodec.errors import MissingDependency, ProgramFailed
from pycodec_plugins.classical.missing import PROGRAMS, path_of

LAST_LINES = 2  # shown of what a program said before it failed, beside the first


def find(codec: str, option: str, given: str | None) -> str:
    """Path of a program of a codec.

    Raises:
        MissingDependency: it is not there; says the three ways to name it.
    """
    variable, names = PROGRAMS[codec][option]
    found = shutil.which(given) if given else path_of(codec, option)
    if found is None:
        named = given or os.environ.get(variable)
        program = f"{named}, which is no program here" if named else f"the program {' or '.join(names)}"
        raise MissingDependency(
            f"codec {codec!r} needs {program}; put it in PATH, or give its path as the option {option} or "
            f"in {variable}"
        )
    return found


def run(command: Sequence[str], data: bytes = b"") -> bytes:
    """Standard output of a program that gets ``data`` on its standard input.

    Raises:
        ProgramFailed: with its exit status, the first line that it printed and the last ones.
        MissingDependency: it cannot be started.
    """
    return _finished(command, data).stdout


def run_for(output: Path, command: Sequence[str]) -> bytes:
    """Content of the file ``output`` that a program writes.

    Raises:
        ProgramFailed, MissingDependency: as `run`; also where it writes nothing.
    """
    done = _finished(command, b"")
    if not output.is_file() or not output.stat().st_size:
        raise ProgramFailed(f"{_name(command)} wrote no file: {_said(done)}")
    return output.read_bytes()


def version(command: Sequence[str]) -> str:
    """What a program calls its version when it is started so, whatever status it ends with.

    Raises:
        MissingDependency: it says none, so it is another program.
    """
    done = _start(command, b"")
    said = (done.stdout + done.stderr).decode(errors="replace")
    found = re.search(r"\bversion:?\s+(\S+)", said, re.IGNORECASE)
    if found is None:
        raise MissingDependency(f"{command[0]} does not tell its version; is it the program that is meant?")
    return found[1]


def _finished(command: Sequence[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    done = _start(command, data)
    if done.returncode != 0:
        raise ProgramFailed(f"{_name(command)} ended with {_status(done.returncode)}: {_said(done)}")
    return done


def _start(command: Sequence[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=data, capture_output=True, check=False)
    except OSError as error:
        raise MissingDependency(f"{command[0]} cannot be started: {error.strerror}") from error


def _name(command: Sequence[str]) -> str:
    return Path(command[0]).name


def _status(code: int) -> str:
    return f"exit status {code}" if code > 0 else f"signal {-code}"


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    said = (done.stderr.strip() or done.stdout).decode(errors="replace")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if len(lines) > LAST_LINES + 1:  # most programs end with the reason, and ffmpeg begins with it
        lines = [lines[0], "...", *lines[-LAST_LINES:]]
    return "; ".join(lines) or "it printed nothing"
