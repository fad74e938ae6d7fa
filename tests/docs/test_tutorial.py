"""A reader follows the tutorial: every block, in order, in one shell."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from interpreters import clean_variables, own_environment
from pages import TUTORIAL, blocks
from PIL import Image


def program(page: Path) -> str:
    """The page as one shell program: files are written, shell blocks run."""
    parts = ["set -euxo pipefail"]
    for block in blocks(page):
        if block.title:
            parts.append(f"cat > {block.title} <<'END OF FILE'\n{block.code}END OF FILE")
        elif block.language == "sh":
            parts.append(block.code)
    return "\n".join(parts)


def photograph(seed: int) -> Image.Image:
    """Soft shapes with an edge and a little grain, 256 x 192."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(
        (256, 192), Image.Resampling.BICUBIC
    )
    pixels = np.asarray(coarse) + rng.normal(0, 2, (192, 256, 3))
    pixels[:, 100 + 10 * seed :] /= 2
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The folder a reader starts in, with what the tutorial asks for."""
    for folder, seeds in (("photographs", range(5)), ("originals", (7, 8))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            photograph(seed).save(tmp_path / folder / f"{seed}.png")
    photograph(9).save(tmp_path / "photo.png")
    return tmp_path


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which python, pip and pycodec are those of a reader, who sees what is installed here.

    The reader has a virtual environment of their own, so that nothing is installed into this one; no network.
    """
    home = tmp_path_factory.mktemp("reader")
    python = own_environment(home / "venv")
    commands = home / "bin"
    commands.mkdir()
    for name, arguments in {
        "python": "",
        "pip": "-m pip",
        "pytest": "-m pytest",
        "pycodec": "-m pycodec",
    }.items():
        (commands / name).write_text(f'#!/bin/sh\nexec "{python}" {arguments} "$@"\n')
        (commands / name).chmod(0o755)
    return {
        **clean_variables(),
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "MPLBACKEND": "svg",
        "PIP_NO_INDEX": "1",
        "PIP_QUIET": "1",
        "PIP_NO_BUILD_ISOLATION": "false",  # pip reads this as "no isolation"
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def test_the_tutorial_can_be_followed_literally(desk: Path, shell: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", program(TUTORIAL)],
        cwd=desk,
        env=shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    project = desk / "pycodec-waves"
    with Image.open(project / "photo.png") as picture:
        assert picture.size == (256, 192)
    assert "waves against jpeg: " in done.stdout
    assert "<svg" in (project / "curve.svg").read_text()
    (wheel,) = (project / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"pycodec_waves/weights/waves.safetensors", "pycodec_waves/polished.py"} <= set(names)
