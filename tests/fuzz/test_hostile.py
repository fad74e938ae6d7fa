"""A sample of `benchmarks.hostile`, whose whole run is in benchmarks/results/hostile.json."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from pycodec import bitstream

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.hostile")


@pytest.mark.parametrize("codec", ["ctx3d", "cpm", "hyperprior", "hyperprior-illm"])
def test_damage_is_an_error_and_takes_no_more_memory(codec: str, hostile: ModuleType) -> None:
    result = hostile.attack(codec, share=0.001)
    assert hostile.failures(result) == []
    assert set(result["damage"]) == {"flips", "truncated", "corrupted", "repaired", "spliced", "declared"}
    for kind, tally in result["damage"].items():
        assert tally["tried"] == tally["identical"] + sum(tally["errors"].values()) > 0, kind


def test_what_would_be_a_failure(hostile: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another picture, an error that is none of ours, and too much memory."""
    tally, valid = hostile.Tally(), hostile.Peak(1000, 1000)
    found = iter(
        [
            (("L", (1, 1), b"\1", None), hostile.Peak()),
            (ZeroDivisionError("by zero"), hostile.Peak()),
            *2 * [(bitstream.CorruptStream("damaged"), hostile.Peak(100 << 20, 0))],  # a second look
        ]
    )
    monkeypatch.setattr(hostile, "decoded", lambda data: next(found))
    for _ in range(3):
        tally.add(b"file", [("L", (1, 1), b"\0", None)], valid)
    assert tally.failed == 3
    for failure, words in zip(
        tally.failures, ["another picture", "ZeroDivisionError", "of memory"], strict=True
    ):
        assert words in failure


def test_the_committed_run_was_whole_and_clean(hostile: ModuleType) -> None:
    document = json.loads((ROOT / "benchmarks" / "results" / "hostile.json").read_text())
    assert [r["codec"] for r in document["results"]] == list(hostile.CODECS)
    for result in document["results"]:
        damage = result["damage"]
        assert hostile.failures(result) == []
        assert damage["truncated"]["tried"] == sum(result["file_bytes"])
        assert damage["flips"]["tried"] >= 8 * sum(result["file_bytes"])
        assert damage["corrupted"]["tried"] >= 10_000 and damage["spliced"]["tried"] >= 1_000
