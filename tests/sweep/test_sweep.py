"""``pycodec sweep`` as a user meets it: points, going on, what it refuses; and ``pycodec plane``."""

from __future__ import annotations

import fcntl
import json
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import toy_swept
from PIL import Image

from pycodec import cli, runtime, weights
from pycodec.errors import InvalidInput
from pycodec.sweep import figures
from pycodec.sweep.spec import read_sweep

DRAW = figures.draw

RECIPE = """
codec = "levels"
precision = "32-true"
ema = 0.5
[[stage]]
name = "only"
steps = 3
learning_rate = { model = 3.0 }
warmup_steps = 1
batch = 1
crop = 16
"""

SWEEP = """
recipe = "{recipe}"
set = ["seed=3"]

[[series]]
name = "one step"
set = ["stage.only.steps=1"]

[[series]]
name = "towards"
vary = "task.target"
values = [4.0, 40]

[measure]
codec = "levels+weights_file={weights}"
settings = [1, 3]
metrics = ["psnr", "worst"]

[[reference]]
name = "the coarse one"
codec = "levels+weights_file={coarse}"
settings = [1]

[files]
coarse = "coarse.safetensors"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a recipe, a sweep, photographs and a weights file; and the plugin they need."""
    found = [EntryPoint("toy", "toy_swept", "pycodec")]
    monkeypatch.setattr(runtime, "_runtime", runtime.Runtime(found, ()))
    monkeypatch.chdir(tmp_path)
    for folder in ("photographs", "images"):
        (tmp_path / folder).mkdir()
        for i in range(2):
            pixels = np.random.default_rng(i).integers(0, 256, (24, 24 + i, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    coarse("coarse.safetensors", 90)
    (tmp_path / "quick.toml").write_text(RECIPE)
    (tmp_path / "grid.toml").write_text(SWEEP.replace("{recipe}", "quick.toml"))
    return tmp_path


def coarse(path: str, step: float) -> None:
    weights.save(path, {"step": np.array(step, np.float32)}, {"codec": "levels", "config": {}})


@pytest.fixture
def sweep(site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs pycodec sweep, without figures, which take longer than all else: exit status, output, errors."""
    monkeypatch.setattr(figures, "draw", lambda documents, folder: [])

    def run(*arguments: object) -> tuple[int, str, str]:
        common = ["--data", "photographs", "--images", "images", "--out", "out", "--holdout", "0"]
        status = cli.main(["sweep", "grid.toml", *common, *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def document() -> dict:
    return json.loads(Path("out/sweep.json").read_text())


def work(sweep, *arguments: object) -> tuple[int, int, str]:
    """Steps that are trained and images that are coded by a sweep, and what it says."""
    trained, coded = toy_swept.steps_trained, toy_swept.coded
    status, out, err = sweep(*arguments)
    assert status == 0, err
    return toy_swept.steps_trained - trained, toy_swept.coded - coded, out + err


def test_every_point_is_trained_and_measured(sweep) -> None:
    status, out, err = sweep()
    assert status == 0, err
    found = document()
    assert found["sweep"] == "grid" and found["recipe"] == RECIPE and found["missing"] == []
    assert [(p["name"], p["series"], p["value"]) for p in found["points"]] == [
        ("one step", "one step", None),
        ("towards 4", "towards", 4.0),
        ("towards 40", "towards", 40),
    ]
    assert [p["set"] for p in found["points"]] == [
        ["seed=3", "stage.only.steps=1"],
        ["seed=3", "task.target=4.0"],
        ["seed=3", "task.target=40"],
    ]
    assert [p["trained"]["steps"] for p in found["points"]] == [1, 3, 3]
    assert all(p["trained"]["cpu_seconds"] >= 0 for p in found["points"])
    file = Path("out/towards_40/quick.safetensors")
    assert found["points"][2]["weights"] == weights.read_metadata(file)["fingerprint"]
    assert found["codecs"]["towards 40"]["fingerprint"] == found["points"][2]["weights"]
    assert found["files"] == {"coarse": weights.read_metadata("coarse.safetensors")["fingerprint"]}
    assert {name: [m["setting"] for m in means] for name, means in found["mean_points"].items()} == {
        **{name: [1, 3] for name in ("one step", "towards 4", "towards 40")},
        "the coarse one": [1],
    }
    # The further the step, the worse: what was trained is what was measured.
    psnr = {name: means[0]["psnr"] for name, means in found["mean_points"].items()}
    assert psnr["towards 4"] > psnr["towards 40"] > psnr["the coarse one"]
    worst = found["set_metrics"]["towards 40"][0]
    assert worst["worst"] > 5 and worst["info"] == {"worst": {"images": 2}}
    assert found["metrics"]["worst"]["higher_is_better"] is False
    assert found["dataset"]["images"] == 2 and "cpu" in found["codecs"]["one step"]["environment"]["machine"]
    assert "towards 40" in out and "worst error" in out


def test_nothing_of_this_machine_is_in_the_document(sweep, site) -> None:
    sweep()
    assert str(site) not in Path("out/sweep.json").read_text()


def test_what_is_done_is_not_done_again(sweep, site) -> None:
    assert work(sweep)[0] == 1 + 3 + 3
    first = document()
    assert work(sweep)[:2] == (0, 0)
    assert document() == first
    grid = site / "grid.toml"
    grid.write_text(grid.read_text().replace("[4.0, 40]", "[4.0, 25, 40]"))
    trained, coded, _ = work(sweep)
    assert (trained, coded) == (3, 2 * 2 + 1)  # two images at two settings, and one that is not timed
    assert [p["name"] for p in document()["points"]] == ["one step", "towards 4", "towards 25", "towards 40"]


def test_a_sweep_that_was_stopped_goes_on(sweep, monkeypatch) -> None:
    sweep("--minutes", 0)
    assert document()["points"] == []
    assert list(document()["codecs"]) == ["the coarse one"]
    trained, _, said = work(sweep, "--minutes", 0.0001)  # one step of a run is always done
    assert trained == 1 and "towards 40 is missing: not trained yet" in said
    assert document()["missing"] == ["towards 4", "towards 40"]
    assert work(sweep)[0] == 3 + 3
    assert document()["missing"] == []


def test_half_a_run_is_resumed(sweep, site, monkeypatch) -> None:
    grid = site / "grid.toml"
    grid.write_text(
        grid.read_text().replace('name = "one step"\nset = ["stage.only.steps=1"]', 'name = "one step"')
    )
    with monkeypatch.context() as patch:  # each step takes an hour
        real, before = time.monotonic, toy_swept.steps_trained
        patch.setattr(time, "monotonic", lambda: real() + 3600 * (toy_swept.steps_trained - before))
        trained, _, said = work(sweep, "--minutes", 30)
    assert trained == 1 and "one step is missing: its training is not finished" in said
    assert Path("out/one_step/quick.safetensors").exists()  # of the run as it stands: not measured
    assert "one step" in document()["missing"]
    assert work(sweep)[0] == 2 + 3 + 3


def test_other_settings_or_files_are_refused(sweep, site) -> None:
    sweep()
    before = document()
    grid, recipe = site / "grid.toml", site / "quick.toml"
    for path, old, new, sentence in (
        (
            grid,
            "seed=3",
            "seed=4",
            "one_step holds a run with settings ['seed=3', 'stage.only.steps=1'], now ['seed=4'",
        ),
        (
            recipe,
            "ema = 0.5",
            "ema = 0.6",
            "one_step holds a run with recipe of another text: delete that folder",
        ),
    ):
        text = path.read_text()
        path.write_text(text.replace(old, new))
        status, out, err = sweep()
        assert (status, out) == (2, "") and sentence in err
        path.write_text(text)
    Image.new("RGB", (24, 24)).save(site / "photographs" / "new.png")
    assert "holds a run with images 2, now 3" in sweep()[2]
    (site / "photographs" / "new.png").unlink()
    Path("coarse.safetensors").rename("old.safetensors")
    coarse("coarse.safetensors", 91)
    status, out, err = sweep()
    assert (status, out) == (2, "") and "out was begun with a coarse of fingerprint" in err
    assert document() == before
    assert work(sweep, "--file", "coarse=old.safetensors")[0] == 0


def test_files_are_in_settings_too(sweep, site) -> None:
    grid = site / "grid.toml"
    grid.write_text(grid.read_text().replace('"seed=3"', """'task.start="{coarse}"'"""))
    assert work(sweep)[0] == 7
    assert document()["points"][0]["set"][0] == 'task.start="{coarse}"'
    assert weights.load("out/one_step/quick.safetensors")[0]["step"] > 80
    Path("coarse.safetensors").rename("moved.safetensors")
    status, _, err = sweep()
    assert status == 2
    assert "no file coarse.safetensors, which this sweep calls 'coarse'; make it, or say where" in err
    assert work(sweep, "--file", "coarse=moved.safetensors")[0] == 0


def test_one_point_that_diverges_leaves_the_others(sweep, site) -> None:
    grid = site / "grid.toml"
    grid.write_text(grid.read_text().replace('"stage.only.steps=1"', '"task.diverges=true"'))
    status, out, _ = sweep()
    assert status == 1
    assert "one step is missing: the loss is not finite at step 0" in out
    assert [p["name"] for p in document()["points"]] == ["towards 4", "towards 40"]


def test_points_of_another_process_are_left_to_it(sweep) -> None:
    Path("out/towards_4").mkdir(parents=True)
    with Path("out/towards_4/.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        trained, _, said = work(sweep)
    assert trained == 1 + 3 and "towards 4 is missing: another process works on it" in said
    assert document()["missing"] == ["towards 4"]
    assert work(sweep)[0] == 3


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"seed=3"', '"sede=3"', "unknown key 'sede'"),
        ("task.target", "task.tagret", "does not take [config] or [task]"),
        ("stage.only.steps=1", 'stage.only.name=\\"last\\"', "no stage 'last'"),
        ('recipe = "quick.toml"', 'recipe = "quack"', "no recipe 'quack'"),
        ('["psnr", "worst"]', '["worst"]', "measures worst alone, expected a metric of images"),
        ('["psnr", "worst"]', '["psnr", "wurst"]', "unknown metric 'wurst'; did you mean 'worst'"),
    ],
)
def test_mistakes_are_found_before_anything_is_trained(sweep, site, old, new, sentence) -> None:
    grid = site / "grid.toml"
    assert old in grid.read_text()
    grid.write_text(grid.read_text().replace(old, new))
    before = toy_swept.steps_trained
    status, out, err = sweep()
    assert (status, out, err.count("\n")) == (2, "", 1) and sentence in err
    assert toy_swept.steps_trained == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--file", "coarse"], "--file 'coarse', expected NAME=PATH"),
        (["--file", "fine=x"], "sweep 'grid' has no file 'fine', expected one of coarse"),
        (["--file", "coarse=x"], "no file x, which this sweep calls 'coarse'"),
        (["--images", "out"], "out is no folder"),
        (["--data", "nowhere"], "nowhere: not a folder"),
    ],
)
def test_wrong_options_are_one_sentence(sweep, arguments, sentence) -> None:
    status, out, err = sweep(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1) and sentence in err


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('recipe = "r"', "", "no 'recipe'; a sweep needs a recipe, [measure] and a [[series]]"),
        ('recipe = "r"', 'recipe = "r"\nname = "x"', "unknown key 'name'"),
        ('recipe = "r"', "recipe = 1", "recipe is 1; expected a text"),
        ("set =", "sets =", "unknown key 'sets'; expected one of .*; did you mean 'set'"),
        ('vary = "a.b"', "", "series 's': vary and values go together"),
        ("values = [1, 2]", "values = [1, 1]", "'s 1' has the same folder as 's 1'"),
        ("values = [1, 2]", "values = [[1], 2]", "series 's': value [1]; expected numbers or texts"),
        ("{weights}", "weights", "does not say {weights}"),
        ('"c=\\"{f}\\""', '"c=\\"{g}\\""', "speaks of {g}, expected one of f; list it in [files]"),
        ("[1, 2.5]", '["1"]', "measure: settings is ['1']; expected a list of numbers"),
        ('name = "r"', 'name = "S 1"', None),
        ('name = "r"', 'name = "s 1"', "'s 1' has the same folder as 's 1'"),
        ('name = "r"', 'name = "s"', "'s' has the same folder as 's'"),
        ('name = "r"', 'name = "/"', "'/' has no folder"),
        ("[measure]", "[[measure]]", "measure is "),
        ("[[series]]", "[series]", "series is "),
    ],
)
def test_the_file_of_a_sweep(old: str, new: str, sentence: str | None) -> None:
    text = """
recipe = "r"
set = ["c=\\"{f}\\""]
[[series]]
name = "s"
vary = "a.b"
values = [1, 2]
[measure]
codec = "x+weights_file={weights}"
metrics = ["psnr"]
settings = [1, 2.5]
[[reference]]
name = "r"
codec = "x"
[files]
f = "f.safetensors"
"""
    read_sweep(text, "g", "g.toml")
    assert old in text
    if sentence is None:
        read_sweep(text.replace(old, new, 1), "g", "g.toml")
        return
    with pytest.raises(InvalidInput) as found:
        read_sweep(text.replace(old, new, 1), "g", "g.toml")
    assert sentence.replace(".*", "") in str(found.value) or all(
        part in str(found.value) for part in sentence.split(".*")
    )


def test_figures_come_from_the_document_alone(sweep, site, capsys, monkeypatch) -> None:
    monkeypatch.setattr(figures, "draw", DRAW)
    sweep()
    Path("out/sweep.json").rename("kept.json")
    assert cli.main(["plane", "kept.json", "-o", "drawn"]) == 0
    assert capsys.readouterr().out.split() == [
        *("drawn/rates.svg", "drawn/rates.png", "drawn/plane_worst.svg", "drawn/plane_worst.png")
    ]
    for name in ("rates.svg", "plane_worst.svg"):
        assert Path("drawn", name).read_bytes() == Path("out", name).read_bytes()
    plane, rates = (Path("drawn", name).read_text() for name in ("plane_worst.svg", "rates.svg"))
    for label in (
        "one step",
        "towards (target)",
        "PSNR, dB (higher is better)",
        "worst error (lower is better)",
        ">40<",
    ):
        assert label in plane
    assert plane.count(" bpp<") == 2  # axes for each rate
    for label in ("one step", "towards 4", "towards 40", "the coarse one", "bits per pixel"):
        assert f">{label}<" in rates
    assert "the coarse one" not in plane  # it has fewer bits than any run


def test_a_reference_of_as_many_bits_is_in_the_plane(sweep, capsys, monkeypatch) -> None:
    sweep()
    found = document()
    found["mean_points"]["the coarse one"][0]["bpp"] = found["mean_points"]["towards 40"][0]["bpp"]
    Path("same.json").write_text(json.dumps(found))
    monkeypatch.setattr(figures, "draw", DRAW)
    assert cli.main(["plane", "same.json"]) == 0
    assert "the coarse one" in Path("plane_worst.svg").read_text()


def test_sweeps_of_one_rate_each_are_one_figure(sweep, capsys, monkeypatch) -> None:
    sweep()
    monkeypatch.setattr(figures, "draw", DRAW)
    first = document()
    other = json.loads(json.dumps(first))
    for means in other["mean_points"].values():
        for mean in means:
            mean["bpp"] /= 2
    curves = {curve.name: curve for curve in figures.curves_of([first, other])}
    rates = [one["bpp"] for one in curves["towards 40"].measured.values()]
    assert len(rates) == 4 and rates[0] == 2 * rates[2]
    other["dataset"]["sha256"] = "0"
    Path("other.json").write_text(json.dumps(other))
    assert cli.main(["plane", "out/sweep.json", "other.json"]) == 2
    assert "measured on different images" in capsys.readouterr().err
    Path("other.json").write_text("[]")
    assert cli.main(["plane", "other.json"]) == 2
    assert "other.json is no document of a sweep" in capsys.readouterr().err
