"""Commands that write, with a fault at each call by which they do; and what has to be true of their files then."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
CALLS = {"open": (errno.EROFS, errno.EIO), "write": (errno.ENOSPC, errno.EIO)} | {
    name: (errno.EIO,) for name in ("fsync", "rename", "truncate")
}
KILL, INTERRUPT, TERMINATE = -signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM
SIGNALS = (KILL, INTERRUPT, TERMINATE)
TEMPORARY = re.compile(r"\..+\.[0-9a-z_]{8}(\.tmp)?|\.tmp[0-9A-Za-z]{6}")
"""Files, folders of new-plugin, and files of safetensors, that a killed process may leave."""

RECIPE = """
codec = "levels"
precision = "32-true"
[[stage]]
name = "only"
steps = 2
learning_rate = { model = 3.0 }
warmup_steps = 1
batch = 1
crop = 16
"""
SWEEP = """
recipe = "recipe.toml"
[[series]]
name = "towards"
vary = "task.target"
values = [4.0]
[measure]
codec = "levels+weights_file={weights}"
settings = [1]
metrics = ["psnr"]
"""
GAP = """
[anchor]
codec = "jpeg"
settings = [10, 40, 80]
[estimators]
operational = "operational_rd"
[[codec]]
name = "blocks"
files = ["jpeg"]
qualities = [20, 60]
optimize = false
"""


@dataclass(frozen=True)
class Case:
    """A command that writes into the folder ``out``; everything else is beside it.

    Attributes:
        arguments: of pycodec, relative to the folder above ``out``.
        before: makes what is in ``out`` before, by commands and by hand.
        resume: arguments that go on with what a fault has left; by default the same.
        lines: files that grow by lines, each whole line of which is JSON.
        loose: names of files of other libraries, about which nothing is promised.
        environment: beside that of the fault.
        below: how the names begin that faults are for.
        finishes: an interruption may be too late to change anything.
    """

    arguments: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    resume: tuple[str, ...] | None = None
    lines: tuple[str, ...] = ()
    loose: str = "events.out.tfevents"
    environment: dict[str, str] = field(default_factory=dict)
    below: str = "out"
    finishes: bool = False


TRAIN = ("train", "recipe.toml", "--data", "photographs", "--holdout", "1", "--out", "out/run")
BATCH = ("batch", "one", "-o", "out/batch", "--jobs", "1", "--quality", "3")
SWEEPING = (
    "sweep",
    "sweep.toml",
    "--data",
    "photographs",
    "--images",
    "one",
    "--holdout",
    "1",
    "--out",
    "out/sweep",
)
CASES = {
    "compress": Case(("compress", "in.png", "-o", "out/a.pci")),
    "compress again": Case(
        ("compress", "in.png", "-o", "out/a.pci", "--quality", "8"),
        (("compress", "in.png", "-o", "out/a.pci"),),
    ),
    "decompress": Case(("decompress", "in.pci", "-o", "out/a.png"), (("decompress", "grey.pci", "-o", "out/a.png"),)),
    "weights add": Case(("weights", "add", "mine.safetensors"), environment={"XDG_DATA_HOME": "out"}),
    "view": Case(("view", "in.pci", "-o", "out/a.html")),
    "new-plugin": Case(("new-plugin", "mine", "--kind", "quantizer", "--output", "out")),
    "train": Case(TRAIN, resume=(*TRAIN, "--resume"), lines=("log.jsonl",)),
    "train on": Case(
        (*TRAIN, "--resume", "--steps", "4"), (TRAIN,), lines=("log.jsonl",)
    ),
    "export": Case(("export", "out/run"), (TRAIN,), lines=("log.jsonl",)),
    "eval": Case(
        ("eval", "one", "--codecs", "jpeg,webp", "--settings", "jpeg=50", "--settings", "webp=50", "--metrics", "psnr",
         "--shown", "0", "--out", "out/eval"),
        lines=("rows.jsonl",),
    ),
    "bound": Case(
        ("bound", "one", "--codec", "ctx3d", "--estimators", "operational_rd", "--qualities", "3", "--out", "out/bound"),
        lines=("estimates.jsonl",),
    ),
    "sweep": Case(SWEEPING, lines=("log.jsonl", "rows.jsonl")),
    "plane": Case(("plane", "out/sweep/sweep.json", "-o", "out/plane"), (SWEEPING,)),
    "gap": Case(
        ("gap", "gap.toml", "--images", "photographs", "--out", "out/gap"),
        lines=("rows.jsonl", "estimates.jsonl"),
    ),
    "demo": Case(("demo", "--image", "in.png", "--out", "out")),
    "batch": Case(BATCH, resume=(*BATCH, "--resume"), lines=("manifest.jsonl",), below="out/batch/manifest",
                  finishes=True),
    "batch worker": Case(BATCH, resume=(*BATCH, "--resume"), lines=("manifest.jsonl",), below="out/batch/.",
                         finishes=True),
}  # fmt: skip


def build(folder: Path) -> Path:
    """The library of faults."""
    library = folder / "faults.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, HERE / "faults.c", "-ldl"]
    subprocess.run(command, check=True)
    return library


class Commands:
    """Runs commands in ``folder``; a context manager, which ends the process that does."""

    def __init__(self, library: Path, folder: Path):
        self.folder = folder
        environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, HERE / "faulty.py"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None and self.process.stdout.readline() == "ready\n"
        self.count = 0

    def __enter__(self) -> Commands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def run(
        self, arguments: tuple[str, ...], environment: dict[str, str] | None = None, memory: int | None = None
    ) -> dict[str, Any]:
        """What faulty.run answers."""
        assert self.process.stdin is not None and self.process.stdout is not None
        asked = {"arguments": arguments, "environment": environment or {}, "memory": memory}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def run_with_fault(self, case: Case, call: str, at: int, error: int) -> tuple[dict[str, Any], bool]:
        """The answer, and whether the fault was reached."""
        self.count += 1
        mark = self.folder / f"reached{self.count}"
        fault = {
            "CALL": call,
            "AT": at,
            "ERRNO": error,
            "CASE": self.count,
            "MARK": mark,
            "FOLDER": self.folder / case.below,
        }
        named = {f"FAULT_{name}": str(value) for name, value in fault.items()}
        answer = self.run(case.arguments, {**self.environment_of(case), **named})
        return answer, mark.exists()

    def environment_of(self, case: Case) -> dict[str, str]:
        return {name: str(self.folder / value) for name, value in case.environment.items()}

    @property
    def out(self) -> Path:
        return self.folder / "out"


def prepare(commands: Commands) -> None:
    """The inputs of all cases."""
    folder = commands.folder
    (folder / "photographs").mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (24, 24 + i, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photographs" / f"{i}.png")
    (folder / "one").mkdir()
    for name in ("in.png", "one/0.png"):
        shutil.copy(folder / "photographs/0.png", folder / name)
    Image.fromarray(pixels[..., 0]).save(folder / "grey.png")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "sweep.toml").write_text(SWEEP)
    (folder / "gap.toml").write_text(GAP)
    (folder / "out").mkdir()
    for arguments in (("compress", "in.png"), ("compress", "grey.png"), TRAIN):
        done = commands.run(arguments)
        assert done["status"] == 0, done
    shutil.move(folder / "out/run/recipe.safetensors", folder / "mine.safetensors")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name relative to it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Faults:
    """A case with what is there before it and after it.

    Args:
        commands: which run it.
        case: the command.
    """

    def __init__(self, commands: Commands, case: Case):
        self.commands, self.case = commands, case
        shutil.rmtree(commands.out)
        commands.out.mkdir()
        for arguments in case.before:
            done = commands.run(arguments, commands.environment_of(case))
            assert done["status"] == 0, done
        self.kept = commands.folder / "kept"
        shutil.rmtree(self.kept, ignore_errors=True)
        shutil.copytree(commands.out, self.kept)
        self.before = contents(commands.out)
        done = commands.run(case.arguments, commands.environment_of(case))
        assert done["status"] == 0, done
        self.after = contents(commands.out)

    def points(self, calls: dict[str, tuple[int, ...]] | None = None) -> Iterator[tuple[str, int, list[str]]]:
        """Call and number of every fault that the command reaches, and what is wrong after it: nothing, by rights."""
        for call, errors in (calls or CALLS).items():
            at, reached = 1, True
            while reached:
                for error in (*errors, *SIGNALS):
                    reached, problems = self.wrong(call, at, error)
                    if not reached:
                        break
                    name = signal.Signals(-error).name if error < 0 else errno.errorcode[error]
                    yield f"{call} {name}", at, problems
                at += 1

    def wrong(self, call: str, at: int, error: int) -> tuple[bool, list[str]]:
        """Whether the fault was reached, and what is wrong after it."""
        shutil.rmtree(self.commands.out)
        shutil.copytree(self.kept, self.commands.out)
        answer, reached = self.commands.run_with_fault(self.case, call, at, error)
        if not reached:
            return False, []
        problems = [*self._wrong_answer(answer, error), *self._wrong_files(error)]
        again = self.commands.run(
            self.case.resume or self.case.arguments, self.commands.environment_of(self.case)
        )
        missing = self.after.keys() - contents(self.commands.out).keys()
        if missing := [name for name in missing if self.case.loose not in name]:
            problems.append(f"afterwards it does not make {missing}: {again['err']}")
        return True, problems

    def _wrong_answer(self, answer: dict[str, Any], error: int) -> Iterator[str]:
        if error == KILL:
            if answer["status"] not in (-9, 1, 2):  # a worker of a batch is made anew, or the file's error
                yield f"killed, it ends with {answer}"
            return
        lines = answer["err"].splitlines()
        if error in SIGNALS:
            said = (answer["status"], lines[-1:])
            # A batch finishes what it has begun, perhaps all; its workers leave interruptions to it.
            if said != (130, ["interrupted"]) and not (self.case.finishes and answer["status"] in (0, 1)):
                yield f"interrupted, it ends with {answer}"
            return
        if answer["status"] not in (1, 2) or "Traceback" in answer["err"]:
            yield f"it ends with status {answer['status']} and says {answer['err'][-600:]}"
        elif not any(line.startswith(("error: ", "failed: ")) for line in lines[-1:]):
            yield f"it says {answer['err'][-600:]}"
        elif not any(words in answer["err"] for words in (os.strerror(error), "StorageFull", "Input/output")):
            yield f"it does not say why: {answer['err'][-300:]}"

    def _wrong_files(self, error: int) -> Iterator[str]:
        now = contents(self.commands.out)
        for name in self.before.keys() - now.keys():
            yield f"{name} is gone"
        for name, data in now.items():
            parts = Path(name).parts
            if self.case.loose in name:
                continue
            if any(TEMPORARY.fullmatch(part) for part in parts) and name not in self.after:
                if error != KILL:
                    yield f"{name} is left"
            elif parts[-1] in self.case.lines:
                yield from _wrong_lines(name, self.before.get(name, b""), data)
            elif data in (self.before.get(name), self.after.get(name)):
                continue
            elif not _whole(name, data):
                yield f"{name} is neither the old file nor the new one"


def _wrong_lines(name: str, before: bytes, now: bytes) -> Iterator[str]:
    if not now.startswith(before):
        yield f"{name} lost lines"
    for line in now[: now.rfind(b"\n") + 1].splitlines():
        try:
            json.loads(line)
        except ValueError:
            yield f"{name} has the line {line[:60]!r}"


def _whole(name: str, data: bytes) -> bool:
    """Whether a file that holds times, and so differs from run to run, is whole."""
    suffix = Path(name).suffix
    if suffix == ".safetensors":
        from safetensors.numpy import load

        load(data)
        return True
    ends: dict[str, Callable[[bytes], bool]] = {
        ".json": lambda data: bool(json.loads(data)),
        ".html": lambda data: data.rstrip().endswith(b"</html>"),
        ".csv": lambda data: data.endswith(b"\n"),
        ".svg": lambda data: data.rstrip().endswith(b"</svg>"),
    }
    return suffix in ends and ends[suffix](data)
