"""The toy codec as an installed plugin, and seeded images."""

from __future__ import annotations

import functools
import os
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import toy_codec
from interpreters import add_distribution, python_path

import pycodec
from pycodec import runtime
from pycodec.errors import MissingWeights, UnknownComponent

HERE = Path(__file__).resolve().parent


@pytest.fixture
def toy(monkeypatch):
    """The toy codec; the runtime knows it and the classical ones alone for as long as the test runs."""
    found = [
        EntryPoint("toy", "toy_codec", "pycodec"),
        EntryPoint("classical", "pycodec_plugins.classical.plugin", "pycodec"),
    ]
    monkeypatch.setattr(runtime, "_runtime", runtime.Runtime(found, ()))
    return pycodec.load("toy")


@functools.cache
def _default():
    return pycodec.load("default")


@pytest.fixture(params=["toy", "default"])
def codec(request):
    """The toy codec, then the one users get."""
    if request.param == "toy":
        return request.getfixturevalue("toy")
    try:
        return _default()
    except (MissingWeights, UnknownComponent) as error:
        pytest.skip(f"the default codec does not load: {error}")


@pytest.fixture
def other_toy():
    """The toy codec with other weights."""
    return toy_codec.make("second")


@pytest.fixture
def photo():
    """Makes an image [height, width, 3] uint8: smooth, with an edge and some noise."""

    def make(width: int, height: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng([seed, width, height])
        down, across = np.mgrid[0:height, 0:width]
        waves = np.stack([np.sin(across / 9 + c) + np.cos(down / (7 + c)) for c in range(3)], 2)
        image = 120 + 50 * waves + 20 * (across > down)[:, :, None] + rng.normal(0, 4, waves.shape)
        return image.clip(0, 255).astype(np.uint8)

    return make


@pytest.fixture
def installed(tmp_path_factory):
    """Environment of a process in which the toy codec is installed and the built-in codecs are off."""
    site = tmp_path_factory.mktemp("site")
    add_distribution(site, "toy", toy="toy_codec")
    return {**os.environ, "PYTHONPATH": python_path(site, HERE), "PYCODEC_DISABLE_PLUGINS": "cpm"}
