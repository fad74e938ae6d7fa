"""Output files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from pycodec.errors import InvalidInput
from pycodec.files import lock, open_output, read_bytes, write_bytes


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "out.pci"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(ZeroDivisionError), open_output(path) as file:
        file.write(b"half of it")
        file.flush()
        assert (path.read_bytes() if path.exists() else None) == old
        raise ZeroDivisionError
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == ({} if old is None else {"out.pci": old})


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.pci"
    write_bytes(path, b"new")
    assert read_bytes(path) == b"new" and os.listdir(tmp_path) == ["out.pci"]
    usual = tmp_path / "usual"
    usual.touch()
    assert path.stat().st_mode == usual.stat().st_mode


def test_permissions_and_links_of_an_older_file_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "out.pci", tmp_path / "link.pci"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_bytes(link, b"new")
    assert link.is_symlink() and path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_device_is_written_not_replaced() -> None:
    write_bytes("/dev/null", b"data")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize(("name", "words"), [("", "is a directory"), ("none/out.pci", "does not exist")])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        write_bytes(tmp_path / name, b"data")


def test_a_dash_is_standard_input_and_output(python) -> None:
    program = "from pycodec.files import *; write_bytes('-', read_bytes('-').upper())"
    done = python("-c", program, stdin="abc")
    assert (done.returncode, done.stdout) == (0, "ABC")


def test_a_lock_is_held_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("a") as first, path.open("a") as second:
        assert lock(first) and not lock(second)
        first.close()
        assert lock(second)


def test_without_locks_nobody_is_known_to_hold_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / "lock").open("a") as file:
        assert lock(file)
