"""Every template as its author meets it: rendered, installed, tested, checked and used by name.

All seven are installed into one environment, as ``pip install -e`` does it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from interpreters import INSTALL, Run, own_environment, runner
from PIL import Image

from pycodec import new_plugin
from pycodec.types import KINDS


def name_of(kind: str) -> str:
    return f"my-{kind}"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A distribution of each kind."""
    output = tmp_path_factory.mktemp("plugins")
    return {kind: new_plugin.create(name_of(kind), kind, output, author="A Tester") for kind in KINDS}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path]) -> Run:
    """Runs Python in an environment with all of them and everything that is installed here; gives its output."""
    run = runner(own_environment(tmp_path_factory.mktemp("venv")))
    run(*INSTALL, *(word for folder in folders.values() for word in ("-e", folder)))
    return run


def test_all_are_listed_with_their_component(run: Run) -> None:
    listed = {plugin["name"]: plugin for plugin in json.loads(run("-m", "pycodec", "plugins", "--json"))}
    for kind in KINDS:
        plugin = listed[name_of(kind)]
        assert plugin["status"] == "active", plugin["reason"]
        assert plugin["distribution"] == f"pycodec-{name_of(kind).replace('_', '-')}"
        assert plugin["components"][kind] == [name_of(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass(run: Run, folders: dict[str, Path], kind: str) -> None:
    """The conformance checks of ``tests/test_conformance.py`` are among them."""
    report = run("-m", "pytest", "-p", "no:cacheprovider", "-rA", cwd=folders[kind])
    assert "PASSED tests/test_conformance.py::test_conformance" in report
    assert f"PASSED tests/test_{kind}.py" in report


@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_the_check_of_the_command_line(run: Run, kind: str) -> None:
    run("-m", "pycodec", "check", name_of(kind), "--kind", kind)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "codec"])
def test_the_example_in_its_readme_runs(run: Run, folders: dict[str, Path], kind: str) -> None:
    """It makes the component by name."""
    text = (folders[kind] / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert f'pycodec.create("{kind}", "{name_of(kind)}"' in code
    run("-W", "error", "-c", code)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A picture with edges and slopes, 96 x 80."""
    y, x = np.mgrid[0:80, 0:96]
    pixels = np.stack([2 * x, 3 * y, np.where((x // 16 + y // 16) % 2, 200, 40)], -1).astype(np.uint8)
    path = tmp_path / "photograph.png"
    Image.fromarray(pixels).save(path)
    return path


def test_the_codec_compresses_and_restores_files(run: Run, photograph: Path) -> None:
    coded, restored = photograph.with_suffix(".pci"), photograph.with_name("restored.png")
    run("-m", "pycodec", "compress", photograph, "-o", coded, "--codec", name_of("codec"), "--quality", "8")
    run("-m", "pycodec", "decompress", coded, "-o", restored)
    before, after = (np.asarray(Image.open(path), np.int64) for path in (photograph, restored))
    assert before.shape == after.shape and np.square(before - after).mean() < 8
    assert coded.stat().st_size < before.size / 4


def test_the_codec_trains_and_then_uses_what_it_learned(
    run: Run, folders: dict[str, Path], photograph: Path, tmp_path: Path
) -> None:
    name = name_of("codec")
    data = tmp_path / "photographs"
    data.mkdir()
    for i in range(3):
        Image.open(photograph).resize((192 + i, 160)).save(data / f"{i}.png")
    options = ["--data", data, "--out", tmp_path / "run", "--steps", "3", "--holdout", "1"]
    run("-m", "pycodec", "train", name, *options)
    before, after = tmp_path / "before.pci", tmp_path / "after.pci"
    compress = ["-m", "pycodec", "compress", photograph, "--codec", name, "-o"]
    run(*compress, before)
    shipped = folders["codec"] / "src/pycodec_my_codec/weights" / f"{name}.safetensors"
    shipped.parent.mkdir()
    try:
        (tmp_path / "run" / f"{name}.safetensors").rename(shipped)
        run(*compress, after)
        run("-m", "pycodec", "decompress", after, "-o", tmp_path / "after.png")
    finally:
        shipped.unlink()
    assert before.read_bytes() != after.read_bytes()
