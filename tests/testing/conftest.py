"""The toys as a plugin, in this process and in others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import pycodec
import pycodec_plugins
from pycodec import runtime
from pycodec.testing import workers

HERE = Path(__file__).resolve().parent
PACKAGES = [str(Path(package.__path__[0]).parent) for package in (pycodec, pycodec_plugins)]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder in which the toys are an installed distribution, toy-box."""
    site = tmp_path_factory.mktemp("site")
    meta = site / "toy_box-0.1.dist-info"
    meta.mkdir()
    meta.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: toy-box\nVersion: 0.1\n")
    meta.joinpath("entry_points.txt").write_text("[pycodec]\ntoys = toy_plugin\n")
    return site


@pytest.fixture(scope="module")
def toys(site):
    """The toys are installed in this process and those it spawns, for as long as the tests of a module run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setattr(runtime, "_runtime", None)
        workers.stop()
        yield
    workers.stop()


@pytest.fixture
def installed(site):
    """Environment of a process in which they are."""
    path = [str(site), str(HERE), *PACKAGES, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
