"""The toys as a plugin, in this process and in others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from interpreters import add_distribution, python_path

from pycodec import runtime
from pycodec.testing import workers

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder in which the toys are an installed distribution, toy-box."""
    site = tmp_path_factory.mktemp("site")
    add_distribution(site, "toy-box", toys="toy_plugin")
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
    return {**os.environ, "PYTHONPATH": python_path(site, HERE)}
