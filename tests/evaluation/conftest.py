"""Results of benchmarks, for the tests of several files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmark_modules import run
from PIL import Image


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
    run("rd", "--data", images, "--anchors", "jpeg", "--json", folder / "rd_kodak.json")
    return folder
