"""The tile codec as an installed plugin of this process and of those it starts, and folders of tiny images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from interpreters import add_distribution, python_path
from tile_codec import MARKS

from pycodec import runtime
from pycodec.batch import work

HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def tile(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """Environment of a process that has the tile codec; this one has it too, while the test runs."""
    site, marks = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("marks")
    add_distribution(site, "tile", tile="tile_codec")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv(MARKS, str(marks))
    monkeypatch.setattr(runtime, "_runtime", None)
    work.load_codec.cache_clear()
    yield {**os.environ, "PYTHONPATH": python_path(site, HERE), MARKS: str(marks)}
    work.load_codec.cache_clear()
