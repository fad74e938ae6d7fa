"""The scripts under benchmarks: figures come from the results files, and anchors are measured once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


def run(script: str, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with JPEG measured on two small images."""
    folder = tmp_path_factory.mktemp("results")
    images = folder / "tiny"
    images.mkdir()
    y, x = np.mgrid[:176, :176]
    for k in (1, 2):
        wave = 128 + 80 * np.sin(x / (5 * k)) * np.cos(y / 11)
        Image.fromarray(np.repeat(wave[..., None], 3, 2).astype(np.uint8)).save(images / f"{k}.png")
    run("bench_rd.py", "--data", images, "--anchors", "jpeg", "--out", folder / "rd_kodak.json")
    return folder


def test_anchors_are_kept(results: Path) -> None:
    out = results / "rd_kodak.json"
    document = json.loads(out.read_text())
    assert len(document["rows"]) == 2 * len(document["codecs"]["jpeg"]["settings"])
    assert document["codecs"]["jpeg"]["environment"]["versions"]["numpy"] == np.__version__
    # A second run with another codec measures that one alone: a changed row survives.
    document["rows"][0]["encode_seconds"] = 12345.0
    out.write_text(json.dumps(document))
    run("bench_rd.py", "--data", results / "tiny", "--anchors", "jpeg,webp", "--out", out)
    after = json.loads(out.read_text())
    assert set(after["codecs"]) == {"jpeg", "webp"}
    assert sum(row["encode_seconds"] == 12345.0 for row in after["rows"]) == 1


def test_other_images_are_refused(results: Path, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "other.png")
    done = run("bench_rd.py", "--data", tmp_path, "--out", results / "rd_kodak.json", status=2)
    assert "results of other images" in done.stderr
    assert "Traceback" not in done.stderr


def test_render_writes_and_checks(results: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results:ms-ssim -->\nold\n<!-- /results:ms-ssim -->\nafter\n")
    options = ("--readme", readme, "--results", results, "--figures", tmp_path)
    stale = run("render.py", *options, "--check", status=1)
    assert "README.md is not up to date" in stale.stderr and "rd_kodak.svg is not" in stale.stderr
    run("render.py", *options)
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| JPEG |" in text
    assert (tmp_path / "rd_kodak.svg").read_text().startswith("<?xml")
    run("render.py", *options, "--check")
    readme.write_text(text.replace("| JPEG |", "| JPEG! |"))
    run("render.py", *options, "--check", status=1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<!-- results:nothing -->\n<!-- /results:nothing -->\n", "no table results:nothing"),
        ("<!-- results:rd -->\n", "1 tables are opened"),
        ("<!-- results:speed -->\n<!-- /results:speed -->\n", "codec_speed.json is missing"),
    ],
)
def test_render_says_what_is_wrong(results: Path, tmp_path: Path, text: str, sentence: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    done = run("render.py", "--readme", readme, "--results", results, "--figures", tmp_path, status=2)
    assert sentence in done.stderr
    assert readme.read_text() == text
