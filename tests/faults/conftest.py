"""One process for all commands with faults."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulted import Commands, build, prepare


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Runs commands in a folder with inputs for all of them."""
    if sys.platform != "linux" or not shutil.which("cc"):
        pytest.skip("faults need Linux and a C compiler")
    folder: Path = tmp_path_factory.mktemp("site")
    with Commands(build(tmp_path_factory.mktemp("library")), folder) as running:
        prepare(running)
        yield running
