"""A disk that is full or gone, a kill, memory that ends: the old file or the new one is there, and a sentence.

A sample; every fault of every command is tried by ``python tests/faults/exhaustive.py``, in a quarter of an hour.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from faulted import CASES, INTERRUPT, KILL, TERMINATE, Commands, Faults, contents
from PIL import Image

SAMPLE = {
    "compress again": [("open", 1, errno.EROFS), ("write", 1, errno.ENOSPC), ("fsync", 1, errno.EIO), ("rename", 1, KILL),
                       ("open", 1, INTERRUPT), ("write", 1, TERMINATE)],
    "decompress": [("write", 1, errno.EIO), ("rename", 1, errno.EIO)],
    "weights add": [("write", 1, KILL)],
    "train on": [("write", 1, errno.ENOSPC), ("rename", 1, KILL), ("rename", 1, errno.EIO),
                 ("write", 1, TERMINATE)],
    "eval": [("write", 1, errno.ENOSPC), ("write", 2, KILL)],
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE)
def test_a_fault_leaves_the_old_file_or_the_new_one(commands: Commands, name: str) -> None:
    faults = Faults(commands, CASES[name])
    for fault in SAMPLE[name]:
        reached, problems = faults.wrong(*fault)
        assert reached and not problems, (fault, problems)


def test_the_file_is_named_and_why(commands: Commands) -> None:
    Faults(commands, CASES["compress"])
    (commands.out / "a.pci").unlink()
    answer, _ = commands.run_with_fault(CASES["compress"], "write", 1, errno.ENOSPC)
    assert (answer["status"], answer["err"]) == (
        2,
        "error: out/a.pci: not written: No space left on device\n",
    )


@pytest.mark.parametrize("mebibytes", [1, 30])
@pytest.mark.parametrize("direction", ["compress", "decompress"])
def test_memory_that_ends_is_one_sentence(commands: Commands, direction: str, mebibytes: int) -> None:
    side = 2048
    large = commands.folder / "large.png"
    if not large.exists():
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(large)
        assert commands.run(("compress", "large.png"))["status"] == 0
    for path in commands.out.iterdir():
        path.unlink() if path.is_file() else None
    source = "large.png" if direction == "compress" else "large.pci"
    answer = commands.run((direction, source, "-o", "out/large.png" if direction == "decompress" else "out/l.pci"),
                          memory=mebibytes << 20)  # fmt: skip
    assert answer["status"] == 2 and answer["err"].count("\n") == 1, answer
    assert answer["err"].startswith("error: ") and "memory" in answer["err"]
    assert not [name for name in contents(commands.out) if "l.pci" in name or "large" in name]


def test_a_link_stays_and_the_file_behind_it_is_new(commands: Commands) -> None:
    """As Pillow's save does, and a shell's redirection."""
    behind, link = commands.folder / "behind.pci", commands.folder / "link.pci"
    link.symlink_to(behind.name)
    assert commands.run(("compress", "in.png", "-o", "link.pci"))["status"] == 0
    assert link.is_symlink() and stat.S_ISREG(os.lstat(behind).st_mode)
    assert behind.read_bytes() == (commands.folder / "in.pci").read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what is read-only")
def test_a_read_only_file_is_refused(commands: Commands) -> None:
    path: Path = commands.folder / "mine.pci"
    path.write_bytes(b"precious")
    path.chmod(0o444)
    answer = commands.run(("compress", "in.png", "-o", "mine.pci"))
    assert answer["status"] == 2 and "read-only" in answer["err"] and path.read_bytes() == b"precious"
