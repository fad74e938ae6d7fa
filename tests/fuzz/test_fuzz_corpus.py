"""The corpora of docs/fuzzing.md, replayed without a fuzzer: native targets by programs of the ordinary compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

import ninja
import pytest
from python_targets import TARGETS, run

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).resolve().parent / "corpus"
NATIVE = sorted(p.stem for p in (ROOT / "csrc" / "fuzz").glob("*.cpp") if p.stem != "replay")


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of the targets' programs, linked with the objects of the extension that is built here."""
    built = sorted(ROOT.glob("build/*/build.ninja"), key=lambda file: file.stat().st_mtime)
    if not built:
        pytest.skip("the extension was not built in this tree; python setup.py build_ext --inplace")
    command = [str(Path(ninja.BIN_DIR) / "ninja"), "-C", str(built[-1].parent), "fuzz"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout
    return built[-1].parent / "fuzz"


# Threads that wait for one another take minutes on a busy machine: make sanitize replays those.
@pytest.mark.parametrize("target", [target for target in NATIVE if target != "context_threads"])
def test_native_corpus(target: str, programs: Path) -> None:
    command = [programs / target, CORPUS / target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{len(list((CORPUS / target).iterdir()))} inputs")


def test_a_replay_of_nothing_fails(programs: Path, tmp_path: Path) -> None:
    done = subprocess.run([programs / NATIVE[0], tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no inputs" in done.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_python_corpus(target: str) -> None:
    inputs = sorted((CORPUS / target).iterdir())
    assert inputs
    for file in inputs:
        run(target, file.read_bytes())


def test_every_corpus_has_its_target_and_all_are_small() -> None:
    assert {p.name for p in CORPUS.iterdir()} == {*NATIVE, *TARGETS}
    assert sum(p.stat().st_size for p in CORPUS.rglob("*")) < 200_000
