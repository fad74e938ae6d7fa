"""Interpreters that tests start: where they find the pycodec of this one, and what is installed for them alone."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pycodec
import pycodec_plugins

PACKAGES = [str(Path(package.__path__[0]).parent) for package in (pycodec, pycodec_plugins)]
"""Folders of the pycodec in use, which need not be that of the source tree."""
INSTALL = (
    *("-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
    *("--no-index", "--no-deps", "--no-build-isolation"),
)
"""Arguments for Python that install distributions from the disk."""
Run = Callable[..., str]


def python_path(*first: str | os.PathLike[str]) -> str:
    """PYTHONPATH of a process that sees these folders, the pycodec in use and what this process sees."""
    found = [*map(str, first), *PACKAGES, os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(filter(None, found))


def add_distribution(folder: Path, name: str, **plugins: str) -> None:
    """Make whoever has ``folder`` on the path take these modules for plugins of an installed distribution."""
    meta = folder / f"{name.replace('-', '_')}-0.1.dist-info"
    meta.mkdir()
    meta.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    meta.joinpath("entry_points.txt").write_text(
        "[pycodec]\n" + "".join(f"{entry} = {module}\n" for entry, module in plugins.items())
    )


def clean_variables() -> dict[str, str]:
    """Environment variables without settings of pycodec, and with the path to it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYCODEC_")}
    return {**kept, "PYTHONPATH": python_path()}


def own_environment(folder: Path) -> Path:
    """The Python of a new virtual environment, which also sees all that is installed here."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Also where this interpreter is of a virtual environment itself; with the .pth files in there.
    here = "".join(f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages())
    (packages / "outer.pth").write_text(here)
    return folder / "bin" / "python"


def runner(python: Path) -> Run:
    """Calls that run that Python, which has to succeed, and give what it prints."""

    def run(*arguments: str | Path, cwd: Path = python.parent) -> str:
        command = [str(python), *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, env=clean_variables(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
