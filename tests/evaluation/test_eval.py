"""``pycodec eval`` as a user meets it: files, resuming, errors that do not end it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import toy_measured
from interpreters import add_distribution, python_path
from PIL import Image

import pycodec
from pycodec import cli, runtime
from pycodec.evaluation.metrics import psnr

HERE = Path(__file__).resolve().parent
SETTINGS = (4, 16, 64)


def image(path: Path, width: int, height: int, mode: str = "RGB") -> None:
    rng = np.random.default_rng(width)
    y, x = np.mgrid[:height, :width]
    waves = 128 + 70 * np.sin(x[..., None] / 9 + np.arange(3)) * np.cos(y[..., None] / 7)
    pixels = (waves + rng.normal(0, 5, waves.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, the last of them too small for MS-SSIM."""
    found = tmp_path / "images"
    found.mkdir()
    for name, size in {"a": (176, 180), "b": (190, 176), "c": (70, 50)}.items():
        image(found / f"{name}.png", *size)
    return found


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, folder):
    """Runs pycodec eval in this process: exit status, standard output, standard error."""
    found = [EntryPoint("toy", "toy_measured", "pycodec")]
    monkeypatch.setattr(runtime, "_runtime", runtime.Runtime(found, ()))

    def run(*arguments: object, out: str = "out") -> tuple[int, str, str]:
        common = ["--no-report", "--out", str(tmp_path / out)]
        status = cli.main(["eval", str(folder), *map(str, arguments), *common])
        return status, *capsys.readouterr()

    return run


def document(tmp_path: Path, out: str = "out") -> dict:
    return json.loads((tmp_path / out / "results.json").read_text())


def lines(tmp_path: Path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]


def calls(run, *arguments: object) -> tuple[int, str]:
    """Images that a run codes, and what it says."""
    before = toy_measured.coded
    status, out, err = run(*arguments)
    assert status == 0, err
    return toy_measured.coded - before, out + err


def test_results_are_of_real_files(run, folder, tmp_path) -> None:
    status, out, err = run("--codecs", "steps,coarse+level=1", "--settings", "coarse+level=1=8,32")
    assert status == 0, err
    found = document(tmp_path)
    assert found["dataset"]["name"] == "images" and found["dataset"]["images"] == 3
    assert {name: entry["settings"] for name, entry in found["codecs"].items()} == {
        "steps": [4, 16, 64],
        "coarse+level=1": [8, 32],
    }
    assert found["codecs"]["coarse+level=1"]["label"] == "Coarse, level=1"
    assert found["codecs"]["steps"]["environment"]["versions"]["numpy"] == np.__version__
    assert found["metrics"]["psnr"] == {"label": "PSNR", "unit": "dB", "higher_is_better": True, "config": {}}
    assert len(found["rows"]) == 3 * (3 + 2)
    row = next(r for r in found["rows"] if (r["codec"], r["image"], r["setting"]) == ("steps", "b.png", 16))
    codec, pixels = pycodec.load("steps"), np.asarray(Image.open(folder / "b.png"))
    data = codec.compress(pixels, 16)
    assert row["bytes"] == len(data) and row["bpp"] == 8 * len(data) / (190 * 176)
    assert row["metrics"]["psnr"] == psnr(pixels, np.asarray(codec.decompress(data)))
    assert row["encode_seconds"] > 0 and row["decode_seconds"] > 0
    assert all((r["metrics"]["ms_ssim"] is None) == (r["image"] == "c.png") for r in found["rows"])
    assert "note: c.png: no MS-SSIM: MS-SSIM needs both sides to be at least 176 pixels" in err
    entry = found["comparisons"]["steps"]["coarse+level=1"]["psnr"]["bd_rate"]
    assert set(entry["per_image"]) == {"a.png", "b.png", "c.png"} and entry["low"] <= entry["percent"]
    with (tmp_path / "out" / "rows.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [int(r["bytes"]) for r in table] == [r["bytes"] for r in found["rows"]]
    assert {r["ms_ssim"] for r in table if r["image"] == "c.png"} == {""}
    assert "BD-rate, % of bits at equal PSNR" in out and "15 rows measured, 0 kept" in out


def test_a_second_run_measures_what_is_new_alone(run, folder, tmp_path) -> None:
    assert calls(run, "--codecs", "steps")[0] == 9
    count, said = calls(run, "--codecs", "steps")
    assert count == 0 and "0 rows measured, 9 kept" in said
    assert calls(run, "--codecs", "steps", "--settings", "steps=4,32")[0] == 3
    assert calls(run, "--codecs", "coarse,steps")[0] == 9
    assert list(document(tmp_path)["codecs"]) == ["coarse", "steps"]
    image(folder / "d.png", 80, 60)
    assert calls(run, "--codecs", "steps")[0] == 3
    assert calls(run, "--codecs", "steps", "--metrics", "psnr")[0] == 0
    assert set(document(tmp_path)["rows"][0]["metrics"]) == {"psnr"}


def test_rows_of_something_else_are_not_reused(run, folder, tmp_path, monkeypatch) -> None:
    assert calls(run, "--codecs", "steps")[0] == 9
    image(folder / "a.png", 182, 178)
    count, said = calls(run, "--codecs", "steps")
    assert count == 3 and "3 earlier rows are measured anew: they are of another image of that name" in said
    monkeypatch.setenv("PYCODEC_TOY_VERSION", "2")
    count, said = calls(run, "--codecs", "steps")
    assert count == 9 and "9 earlier rows are measured anew: they are of another version of the codec" in said
    count, said = calls(run, "--codecs", "steps", "--metrics", "psnr,distance")
    assert count == 9 and "they are of other metrics" in said
    assert calls(run, "--codecs", "steps+level=1")[0] == 9
    monkeypatch.setenv("PYCODEC_TOY_VERSION", "1")  # its rows are still there, but for those of the old a.png
    assert calls(run, "--codecs", "steps")[0] == 0
    assert len(lines(tmp_path)) == 9 + 3 + 9 + 9 + 9


def test_a_run_that_was_killed_goes_on(folder, tmp_path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    add_distribution(site, "toy", toy="toy_measured")
    variables = {**os.environ, "PYTHONPATH": python_path(site, HERE), "PYCODEC_DISABLE_PLUGINS": ""}

    def run(out: str, kill: int = 0) -> int:
        arguments = ["eval", folder, "--codecs", "steps", "--no-report", "--out", tmp_path / out]
        done = subprocess.run(
            [sys.executable, "-m", "pycodec", *map(str, arguments)],
            env={**variables, "PYCODEC_TOY_KILL": str(kill)},
            capture_output=True,
            check=False,
        )
        return done.returncode

    for kill_at, kept in ((3, 2), (4, 5)):  # the first run, then the second
        assert run("out", kill_at) == -signal.SIGKILL
        assert len(lines(tmp_path)) == kept
        assert not (tmp_path / "out" / "results.json").exists()
    rows = tmp_path / "out" / "rows.jsonl"
    rows.write_bytes(rows.read_bytes()[:-40])  # a machine that lost its power
    assert run("out") == run("whole") == 0
    resumed, whole = (document(tmp_path, out)["rows"] for out in ("out", "whole"))
    for row in resumed + whole:
        del row["encode_seconds"], row["decode_seconds"]
    assert resumed == whole
    assert len(lines(tmp_path)) == 9


def test_errors_are_collected_and_the_rest_is_measured(run, folder, tmp_path) -> None:
    (folder / "broken.png").write_bytes(b"no image")
    status, _, err = run("--codecs", "steps,coarse+fails_on=190")
    assert status == 1
    assert "4 could not be measured" in err
    assert "image, broken.png: cannot read" in err
    assert "coarse+fails_on=190 at 16, b.png: no image 190 pixels wide" in err
    found = document(tmp_path)
    assert found["dataset"]["images"] == 3
    assert len([r for r in found["rows"] if r["codec"] == "steps"]) == 9
    assert len([r for r in found["rows"] if r["codec"] != "steps"]) == 6
    assert {p["images"] for p in found["mean_points"]["coarse+fails_on=190"]} == {2}
    assert run("--codecs", "steps")[0] == 1  # the broken image is still there


def test_a_codec_that_always_fails_leaves_the_others(run, tmp_path) -> None:
    means = tmp_path / "means.csv"
    means.write_text("codec,bpp,psnr\npaper,1,30\npaper,2,40\n")
    options = ("--codecs", "steps,coarse", "--settings", "coarse=0", "--anchors", means)
    status, out, err = run(*options)
    assert status == 1 and "coarse at 0, a.png: ZeroDivisionError" in err
    found = document(tmp_path)
    assert found["mean_points"]["coarse"] == []
    assert found["comparisons"]["coarse"]["paper"]["psnr"] == {"bd_rate": None, "bd_quality": None}
    assert found["comparisons"]["steps"]["paper"]["psnr"]["bd_rate"] is not None
    assert "9 rows measured" in out


def test_grey_and_transparent_images_are_measured_as_colours(run, folder, tmp_path) -> None:
    image(folder / "grey.png", 80, 60, "L")
    image(folder / "glass.png", 90, 60, "RGBA")
    glass = Image.open(folder / "glass.png")
    glass.putalpha(100)
    glass.save(folder / "glass.png")
    status, _, err = run("--codecs", "steps")
    assert status == 0, err
    assert "glass.png: codecs are given its colours alone, without transparency" in err
    assert len(document(tmp_path)["rows"]) == 15


def test_any_metric_is_a_quality(run, tmp_path) -> None:
    pytest.importorskip("torch")
    status, out, err = run("--codecs", "steps,coarse", "--metrics", "distance,spread")
    assert status == 0, err
    found = document(tmp_path)
    assert found["metrics"]["distance"]["higher_is_better"] is False
    means = {p["setting"]: p["distance"] for p in found["mean_points"]["steps"]}
    assert means[64] < means[16] < means[4]
    bd = found["comparisons"]["steps"]["coarse"]["distance"]
    assert (bd["bd_rate"]["percent"] < 0) == (bd["bd_quality"]["difference"] < 0)
    assert set(found["rows"][0]["metrics"]) == {"distance"}
    spread = found["set_metrics"]["steps"]
    assert [point["setting"] for point in spread] == [4, 16, 64]
    worst = max(r["metrics"]["distance"] for r in found["rows"] if (r["codec"], r["setting"]) == ("steps", 4))
    assert spread[0]["spread"] == pytest.approx(worst)
    assert spread[0]["info"] == {"spread": {"images": 3}}
    assert "spread" in out


def test_values_of_a_set_are_kept_and_never_of_half_a_set(run, folder, tmp_path) -> None:
    pytest.importorskip("torch")
    options = ("--codecs", "steps", "--metrics", "psnr,spread")
    assert calls(run, *options)[0] == 9
    first = document(tmp_path)["set_metrics"]
    assert calls(run, *options)[0] == 0
    assert document(tmp_path)["set_metrics"] == first
    rows = tmp_path / "out" / "rows.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(True)[:-1]))  # the last setting lacks an image
    assert calls(run, *options)[0] == 3
    assert document(tmp_path)["set_metrics"] == first
    image(folder / "d.png", 80, 60)
    assert calls(run, *options)[0] == 12
    assert run("--codecs", "steps+fails_on=190", "--metrics", "spread")[0] == 1
    assert {point["spread"] for point in document(tmp_path)["set_metrics"]["steps+fails_on=190"]} == {None}


def test_published_curves_are_compared(run, tmp_path) -> None:
    assert run("--codecs", "steps")[0] == 0
    own = document(tmp_path)
    per_image = tmp_path / "images.csv"
    with per_image.open("w") as file:
        file.write("codec,bpp,psnr,image,source\n")
        for row in own["rows"]:
            file.write(f"theirs,{row['bpp'] / 2},{row['metrics']['psnr']},{row['image']},a paper\n")
        file.write("theirs,1,30,another.png,a paper\n")
    means = tmp_path / "means.csv"
    with means.open("w") as file:
        file.write("codec,bpp,psnr\n")
        for point in own["mean_points"]["steps"]:
            file.write(f"paper,{point['bpp'] * 1.25},{point['psnr']}\n")
    status, out, err = run("--codecs", "steps", "--anchors", per_image, "--anchors", means)
    assert status == 0, err
    found = document(tmp_path)
    against = found["comparisons"]["steps"]
    assert against["theirs"]["psnr"]["bd_rate"]["percent"] == pytest.approx(100)
    assert not against["theirs"]["psnr"]["bd_rate"]["of_means"]
    assert against["theirs"]["ms_ssim"]["bd_rate"] is None
    assert against["paper"]["psnr"]["bd_rate"]["percent"] == pytest.approx(-20)
    assert against["paper"]["psnr"]["bd_rate"]["of_means"]
    assert found["codecs"]["paper"]["published"]["mean_only"]
    assert "-20.0 *" in out and "* between mean curves" in out
    assert len(found["rows"]) == 9


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--codecs", ","], "names nothing"),
        (["--codecs", "step"], "unknown codec 'step'; did you mean 'steps'?"),
        (["--codecs", "steps,steps"], "steps is named twice"),
        (["--codecs", "steps+level"], "'steps+level' names nothing, expected NAME or NAME+KEY=VALUE"),
        (["--codecs", "steps+speed=1"], "codec 'steps' has no option 'speed'"),
        (["--codecs", "steps+level=1+level=2"], "gives the option 'level' twice"),
        (["--codecs", "steps", "--metrics", "psnr,vmaf"], "unknown metric 'vmaf'"),
        (["--codecs", "steps", "--settings", "jpeg=1"], "is for 'jpeg', expected SPEC=N,N"),
        (["--codecs", "steps", "--settings", "steps=1,x"], "expected numbers like 10,50,90"),
        (["--codecs", "steps", "--settings", "steps=4,65"], "steps has no setting 65; expected 0 to 64"),
        (["--codecs", "steps", "--anchors", "none.csv"], "none.csv: No such file"),
    ],
)
def test_bad_arguments_are_one_sentence(run, tmp_path, arguments, sentence) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert sentence in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has the columns none, expected codec, bpp and one of psnr, ms_ssim"),
        ("codec,bpp,vmaf\nx,1,90\n", "has the columns codec, bpp, vmaf"),
        ("codec,bpp,psnr\nx,1,good\n", "line 2: psnr is 'good', expected a number"),
        ("codec,bpp,psnr\nx,0,30\n", "line 2: bpp '0', expected a positive number"),
        ("codec,bpp,psnr\n,1,30\n", "line 2: no codec"),
        ("codec,bpp,psnr,image\nx,1,30,z.png\n", "no point of an image that is measured here"),
        ("codec,bpp,psnr\nsteps,1,30\n", "steps is named twice"),
    ],
)
def test_bad_anchors_are_one_sentence(run, tmp_path, text, sentence) -> None:
    path = tmp_path / "anchors.csv"
    path.write_text(text)
    status, _, err = run("--codecs", "steps", "--anchors", path)
    assert status == 2 and sentence in err


def test_a_damaged_journal_is_named(run, tmp_path) -> None:
    assert run("--codecs", "steps")[0] == 0
    rows = tmp_path / "out" / "rows.jsonl"
    whole = rows.read_text()
    for damaged in ("{\n" + whole, '{"image": "a.png"}\n' + whole):
        rows.write_text(damaged)
        status, _, err = run("--codecs", "steps")
        assert status == 2 and "delete" in err
        assert rows.read_text() == damaged


def test_only_unreadable_images_are_an_error(run, folder) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"")
    status, _, err = run("--codecs", "steps")
    assert status == 2 and "none of the 3 images can be read" in err
