"""`pycodec bound`: estimators on a folder of images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pycodec.cli import main
from pycodec.evaluation.estimates import means
from pycodec.testing.samples import photo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(photo(32, 48, seed)).save(folder / f"{seed}.png")
    return folder


def bound(folder: Path, out: Path, *more: str) -> int:
    return main(
        ["bound", str(folder), "--codec", "jpeg", "--estimators", "operational_rd", "--out", str(out), *more]
    )


def test_a_row_for_each_image_and_the_means(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    assert bound(folder, tmp_path / "out", "--qualities", "20,80") == 0
    document = json.loads((tmp_path / "out" / "estimates.json").read_text())
    assert [(r["image"], r["quality"]) for r in document["rows"]] == [
        ("0.png", 20), ("1.png", 20), ("0.png", 80), ("1.png", 80),
    ]  # fmt: skip
    first, second = document["means"]
    assert first["images"] == 2 and first["rate_bpp"] < second["rate_bpp"]
    assert first["rate_bpp"] == pytest.approx(sum(r["rate_bpp"] for r in document["rows"][:2]) / 2)
    assert document["estimators"] == {"operational_rd": {}}
    printed = capfd.readouterr().out.splitlines()
    assert printed[0].split()[:4] == ["estimator", "quality", "images", "rate_bpp"]
    assert len([line for line in printed if line.startswith("operational_rd")]) == 2


def test_what_is_known_is_not_asked_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert bound(folder, out, "--qualities", "20") == 0
    journal = out / "estimates.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text(lines[0] + "\n" + lines[1][:20])  # killed while it wrote the second
    assert bound(folder, out, "--qualities", "20,50") == 0
    again = journal.read_text().splitlines()
    assert again[0] == lines[0] and len(again) == 4
    Image.fromarray(photo(32, 48, 5)).save(folder / "0.png")  # another image of that name
    assert bound(folder, out, "--qualities", "20") == 0
    assert len(journal.read_text().splitlines()) == 5


def test_errors_of_averages_shrink_and_missing_figures_are_left_out() -> None:
    row = {"estimator": "e", "quality": None, "rate_bpp": 1.0, "rate_error_bpp": 0.3}
    rows = [{**row, "image": "a", "psnr_db": 30.0}, {**row, "image": "b", "rate_error_bpp": 0.4}]
    assert means(rows) == [
        {"estimator": "e", "quality": None, "images": 2, "rate_bpp": 1.0, "rate_error_bpp": 0.25}
    ]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--qualities", "x"], "expected numbers"),
        (["--estimators", "operational_rd+qualty=3"], "has no option 'qualty'"),
        (["--estimators", "operatonal_rd"], "did you mean"),
        (["--codec", "no_such"], "no_such"),
    ],
)
def test_wrong_options_are_refused(more, sentence, folder: Path, tmp_path: Path, capfd) -> None:
    assert bound(folder, tmp_path / "out", *more) == 2
    assert sentence in capfd.readouterr().err
