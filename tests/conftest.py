"""Fixtures every folder of tests may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from pycodec.native import native

# Images in tests are tiny: more threads only wait for one another, badly so on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Interpreters that tests start look for modules where they are started, and here a pycodec may lie that is
    not built.
    """
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(before)


def pytest_configure(config: pytest.Config) -> None:
    """With several processes (pytest -n), each takes whole files, so that what a file prepares is made once."""
    if getattr(config.option, "dist", "") == "load":
        config.option.dist = "loadfile"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and (missing := missing_for_cuda()):
        pytest.skip(missing)
    if item.get_closest_marker("slow") and not os.environ.get("PYCODEC_SLOW"):
        pytest.skip("takes minutes; PYCODEC_SLOW=1 runs it")


@cache
def missing_for_cuda() -> str:
    """What tests marked cuda lack here; empty if nothing."""
    import torch

    if not torch.cuda.is_available():
        return "there is no CUDA device here"
    return "" if native().build_info()["cuda"] else "the extension is built without CUDA"


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def coding_device(request: pytest.FixtureRequest) -> str:
    """Where the kernels of a device's coder run: on the CPU as plain loops, and on a GPU where there is one."""
    return request.param


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Image data that is not in the repository: PYCODEC_DATA, by default ../shared/data beside it."""
    folder = Path(os.environ.get("PYCODEC_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no image data at {folder}; name its folder in PYCODEC_DATA")
    return folder


@pytest.fixture(scope="session")
def kodak(data_folder: Path) -> list[Path]:
    """The 24 Kodak photographs, as PNG files."""
    files = sorted((data_folder / "kodak").glob("*.png"))
    if not files:
        pytest.skip(f"no Kodak photographs in {data_folder / 'kodak'}; name the folder above in PYCODEC_DATA")
    return files
