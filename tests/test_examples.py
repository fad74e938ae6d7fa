"""The example distributions as third parties: installed beside pycodec, tested, used from the command line."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from interpreters import INSTALL, Run, own_environment, runner
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/, so that building them leaves nothing behind in ours."""
    copied = tmp_path_factory.mktemp("copies") / "examples"
    unwanted = shutil.ignore_patterns("*.egg-info", "build", "__pycache__")
    return Path(shutil.copytree(EXAMPLES, copied, ignore=unwanted))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, projects: Path) -> Run:
    """Runs Python in an environment of everything that is installed here and the examples."""
    run = runner(own_environment(tmp_path_factory.mktemp("venv")))
    run(*INSTALL, *sorted(file.parent for file in projects.glob("*/pyproject.toml")))
    return run


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth shapes and an edge, of an odd size."""
    rows, columns = np.mgrid[:171, :203]
    grey = 120 + 60 * np.sin(rows / 17) * np.cos(columns / 23) + 40 * (rows + columns > 180)
    pixels = (grey[:, :, None] + [0, 5, -10]).clip(0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("images") / "photograph.png"
    Image.fromarray(pixels).save(path)
    return path


def psnr(a: Path, b: Path) -> float:
    difference = np.asarray(Image.open(a), float) - np.asarray(Image.open(b), float)
    return float(10 * np.log10(255**2 / np.square(difference).mean()))


def test_the_tests_of_gdn_factorized_pass(run: Run, projects: Path) -> None:
    report = run("-m", "pytest", "-p", "no:cacheprovider", "-rA", cwd=projects / "pycodec-gdn-factorized")
    assert "PASSED tests/test_conformance.py::test_conformance[codec:gdn_factorized:round_trip]" in report


@pytest.mark.skipif(importlib.util.find_spec("compressai") is None, reason="CompressAI is not installed")
def test_the_tests_of_compressai_pass(run: Run, projects: Path) -> None:
    report = run("-m", "pytest", "-p", "no:cacheprovider", "-rA", cwd=projects / "pycodec-compressai")
    assert "PASSED tests/test_adapter.py::test_it_is_a_codec" in report


def test_both_are_listed(run: Run) -> None:
    listed = run("-m", "pycodec", "codecs", "--json")
    assert '"gdn_factorized"' in listed and '"compressai_factorized"' in listed


def test_an_image_there_and_back(run: Run, photograph: Path, tmp_path: Path) -> None:
    packed, restored = tmp_path / "photograph.pci", tmp_path / "restored.png"
    compress = ["-m", "pycodec", "compress", photograph, "-o", packed, "--codec", "gdn_factorized"]
    run(*compress, "--quality", "6")
    run("-m", "pycodec", "decompress", packed, "-o", restored)
    assert psnr(photograph, restored) > 34
    assert packed.stat().st_size * 8 < 0.8 * 171 * 203


def test_trained_by_its_recipe_and_used_with_the_result(run: Run, photograph: Path, tmp_path: Path) -> None:
    recipe = ["train", "gdn_factorized", "--data", photograph.parent, "--holdout", "0"]
    run("-m", "pycodec", *recipe, "--steps", "2", "--threads", "1", "--out", tmp_path / "run")
    weights = tmp_path / "run" / "gdn_factorized.safetensors"
    packed, restored = tmp_path / "photograph.pci", tmp_path / "restored.png"
    run("-m", "pycodec", "compress", photograph, "-o", packed, "--weights", weights)
    run("-m", "pycodec", "decompress", packed, "-o", restored, "--weights", weights)
    assert psnr(photograph, restored) > 25
