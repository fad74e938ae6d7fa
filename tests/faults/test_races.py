"""Two processes that write one file: it is always one of theirs, whole, for whoever reads it meanwhile."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from PIL import Image

import pycodec
from pycodec import cli, files
from pycodec.errors import InvalidInput
from pycodec.testing.samples import photo
from pycodec.training.log import RunLog

SIZE = 300_000
ROUNDS = 60


def write_often(path: Path, byte: int) -> None:
    for _ in range(ROUNDS):
        files.write_bytes(path, bytes([byte]) * SIZE)


def compress(source: Path, target: Path, quality: str) -> None:
    raise SystemExit(cli.main(["compress", str(source), "-o", str(target), "--quality", quality]))


@pytest.fixture
def spawn():
    return multiprocessing.get_context("spawn")


def test_a_file_is_whole_at_any_time(tmp_path: Path, spawn) -> None:
    path = tmp_path / "target"
    files.write_bytes(path, b"\0" * SIZE)
    writers = [spawn.Process(target=write_often, args=(path, byte)) for byte in (1, 2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        data = path.read_bytes()
        assert len(data) == SIZE and len(set(data)) == 1
        seen.add(data[0])
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert seen >= {0} and path.read_bytes()[0] in (1, 2)
    assert list(tmp_path.iterdir()) == [path], "temporary files are left"


def test_commands_that_write_one_file_leave_one_of_theirs(tmp_path: Path, spawn) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.pci"
    Image.fromarray(photo(64, 96)).save(source)
    qualities = ("1", "8")
    runs = [spawn.Process(target=compress, args=(source, target, quality)) for quality in qualities]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    codec = pycodec.load()
    assert target.read_bytes() in [codec.compress(source, quality=float(quality)) for quality in qualities]
    assert {p.name for p in tmp_path.iterdir()} == {"in.png", "out.pci"}


def test_one_run_trains_in_a_folder(tmp_path: Path) -> None:
    with RunLog(tmp_path, 1, 0, 1), pytest.raises(InvalidInput, match="another run trains in"):
        RunLog(tmp_path, 1, 0, 1)
    with RunLog(tmp_path, 1, 0, 1):
        pass
