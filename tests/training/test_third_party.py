"""A plugin outside the repository: trained by the name of its recipe and by a file, exported, used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from interpreters import add_distribution, python_path
from PIL import Image

from pycodec import weights

ROOT = Path(__file__).resolve().parents[2]

RECIPE = """
codec = "brick"
precision = "32-true"
checkpoint_every = 2
[config]
colour = "red"
[task]
start = 1.5
[[stage]]
name = "only"
steps = 5
learning_rate = { model = 1e-2 }
batch = 1
crop = 16
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Three small images."""
    folder = tmp_path_factory.mktemp("Bilder und mehr")
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (24, 24 + i, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def pycodec(tmp_path_factory):
    """Runs pycodec in a process of its own, where a plugin is installed: exit status, output, errors."""
    site = tmp_path_factory.mktemp("site")
    for module in ("brick_codec", "toy_codec"):
        shutil.copy(ROOT / "tests" / "codec" / f"{module}.py", site)
    (site / "recipes").mkdir()
    (site / "recipes" / "wall.toml").write_text(RECIPE)
    add_distribution(site, "brick", brick="brick_codec")
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(site),
        "PYCODEC_DISABLE_PLUGINS": "cpm,composed",
        "XDG_DATA_HOME": str(site),
    }

    def run(*arguments):
        command = [sys.executable, "-m", "pycodec", *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def finished(pycodec, photographs, tmp_path_factory):
    """Folder of a run."""
    folder = tmp_path_factory.mktemp("runs") / "mein Lauf"
    status, out, err = pycodec("train", "wall", "--data", photographs, "--out", folder, "--holdout", 1)
    assert (status, err) == (0, "")
    assert f"finished: {folder / 'wall.safetensors'}" in out
    return folder


def test_the_recipe_of_a_plugin_trains_its_codec(finished):
    tensors, metadata = weights.load(finished / "wall.safetensors")
    assert 1.5 < tensors["gain"] < 2
    assert tensors["seen"].tolist() == [[24, 24, 3], [24, 25, 3]]  # calibrated on what was not held out
    assert metadata["codec"] == "brick"
    assert metadata["config"] == {"colour": "red"}
    (run,) = metadata["model_card"]["runs"]
    assert (run["recipe"], run["steps"], run["images"]) == (RECIPE, 5, 3)


def test_a_recipe_file_does_the_same(pycodec, photographs, finished, tmp_path):
    (tmp_path / "wall.toml").write_text(RECIPE.replace('"brick"', '"default"'))  # its alias
    status, _, err = pycodec(
        "train", tmp_path / "wall.toml", "--data", photographs, "--out", tmp_path / "run", "--holdout", 1
    )
    assert (status, err) == (0, "")
    same = weights.read_metadata(tmp_path / "run" / "wall.safetensors")
    assert same["fingerprint"] == weights.read_metadata(finished / "wall.safetensors")["fingerprint"]
    assert same["codec"] == "brick"


def test_the_trained_codec_there_and_back(pycodec, photographs, finished, tmp_path):
    stream = tmp_path / "a.pci"
    file = finished / "wall.safetensors"
    assert pycodec("compress", photographs / "1.png", "--weights", file, "-o", stream)[0] == 0
    assert pycodec("decompress", stream)[0] == 2
    assert pycodec("weights", "add", file)[0] == 0
    assert pycodec("decompress", stream)[0] == 0
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (25, 24)


def test_a_run_is_exported_as_it_stands(pycodec, photographs, finished, tmp_path):
    status, out, err = pycodec("export", finished, "-o", tmp_path / "again.safetensors")
    assert (status, out, err) == (0, f"{tmp_path / 'again.safetensors'}\n", "")
    assert (tmp_path / "again.safetensors").read_bytes() == (finished / "wall.safetensors").read_bytes()
    run = tmp_path / "short"
    arguments = ["wall", "--data", photographs, "--out", run, "--holdout", 1]
    assert pycodec("train", *arguments, "--minutes", 0)[0] == 0
    (run / "wall.safetensors").unlink()
    assert pycodec("export", run)[0] == 0
    early = weights.load(run / "wall.safetensors")[0]["gain"]
    assert 1.5 < early < weights.load(finished / "wall.safetensors")[0]["gain"]
    # Exporting in between changes nothing for the run.
    assert pycodec("train", *arguments, "--resume")[0] == 0
    ends = [weights.read_metadata(r / "wall.safetensors")["fingerprint"] for r in (run, finished)]
    assert ends[0] == ends[1]


def test_a_run_that_is_resumed_keeps_its_stages_and_images(pycodec, photographs, tmp_path):
    recipe = tmp_path / "two.toml"
    stage = RECIPE[RECIPE.index("[[stage]]") :]
    recipe.write_text(RECIPE.replace("only", "first") + stage.replace("only", "second"))
    arguments = ["train", recipe, "--data", photographs, "--out", tmp_path / "run"]
    assert pycodec(*arguments, "--first-stage", "second", "--holdout", 1, "--minutes", 0)[0] == 0
    for option, given, own in (("--first-stage", "first", "second"), ("--holdout", 2, 1)):
        status, _, err = pycodec(*arguments, "--resume", option, given)
        assert status == 2 and f"{option} is {given}, expected {own}" in err
    status, out, err = pycodec(*arguments, "--resume")
    assert (status, err) == (0, "") and "finished" in out and "first" not in out
    (more := tmp_path / "more").mkdir()
    for i, path in enumerate([*photographs.iterdir()] * 2):
        (more / f"{i}{path.suffix}").write_bytes(path.read_bytes())
    arguments[3] = more
    status, _, err = pycodec(*arguments, "--resume")
    assert status == 2 and "images, expected the" in err


def test_two_processes_and_settings(pycodec, photographs, tmp_path):
    arguments = ["train", "wall", "--data", photographs, "--out", tmp_path / "run", "--holdout", 1]
    settings = ["stage.only.batch=2", "task.start=1.0"]
    given = [word for setting in settings for word in ("--set", setting)]
    status, out, err = pycodec(*arguments, *given, "--devices", 2, "--minutes", 0)
    assert (status, err, out.count("3 images"), out.count("stopped at step 1 of 5")) == (0, "", 1, 1)
    later = ["--set", "stage.only.learning_rate.model=0.5", "--set", "stage.only.warmup_steps=0"]
    status, _, err = pycodec(*arguments, *later, "--resume")  # with what was set before
    assert (status, err) == (0, "")
    tensors, metadata = weights.load(tmp_path / "run" / "wall.safetensors")
    assert 1.5 < tensors["gain"] < 2.5
    (run,) = metadata["model_card"]["runs"]
    assert run["settings"] == [*settings, *later[1::2]]
    assert run["recipe"] == RECIPE
    status, out, err = pycodec(*arguments[:5], tmp_path / "other", "--holdout", 1, "--devices", 2)
    assert (status, err.count("\n"), out.count("\n")) == (2, 1, 1)
    assert "a batch of 1 cannot be shared equally by 2 processes" in err


def test_photographs_that_moved(pycodec, photographs, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(photographs, here)
    assert pycodec("train", "wall", "--data", here, "--out", tmp_path / "run", "--holdout", 1)[0] == 0
    here.rename(there)
    status, _, err = pycodec("export", tmp_path / "run", "-o", tmp_path / "a.safetensors")
    assert status == 2
    assert f"{here}: not a folder; --data needs a folder of images" in err
    status, _, err = pycodec("export", tmp_path / "run", "-o", tmp_path / "a.safetensors", "--data", there)
    assert (status, err) == (0, "")


def test_mistakes_are_one_sentence(pycodec, photographs, tmp_path):
    plain = RECIPE.replace('"brick"', '"plain"')
    (tmp_path / "plain.toml").write_text(plain)
    (tmp_path / "option.toml").write_text(RECIPE.replace("start", "stop"))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"none")
    for arguments, sentence in (
        (["train", "wal", "--data", photographs], "no recipe 'wal'; did you mean 'wall'?"),
        (
            ["train", tmp_path / "plain.toml", "--data", photographs],
            "codec 'plain' of plugin 'brick' of brick 0.1 cannot be trained: its factory offers no training_task",
        ),
        (
            ["train", tmp_path / "option.toml", "--data", photographs],
            "codec 'brick' does not take [config] or [task] of this recipe",
        ),
        (["export", photographs], "holds no checkpoint.safetensors; expected the folder of a run"),
        (["export", tmp_path], "not a pycodec checkpoint"),
    ):
        status, out, err = pycodec(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert sentence in err
