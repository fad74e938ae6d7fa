"""Real distributions for the tests: small projects, installed by pip, seen by fresh interpreters."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from distributions import PARTS, PLUGINS, PROJECT

import pycodec


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed every distribution of PLUGINS."""
    target = tmp_path_factory.mktemp("site")
    projects = []
    for name, source in PLUGINS.items():
        project = tmp_path_factory.mktemp(name)
        module = f"{name.replace('-', '_')}_plugin"
        modules = [module]
        (project / f"{module}.py").write_text(textwrap.dedent(source).strip() + "\n")
        if name == "acme":
            modules.append("acme_parts")
            (project / "acme_parts.py").write_text(PARTS)
        (project / "pyproject.toml").write_text(PROJECT.format(name=name, module=module, modules=modules))
        projects.append(str(project))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    done = subprocess.run([*pip, *options, *projects], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


Interpreter = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def python() -> Interpreter:
    """Runs a fresh interpreter; ``path`` comes first in its search, other keywords go to its environment."""

    def run(
        *arguments: str, path: Path | None = None, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PYCODEC_")}
        inherited = [str(Path(pycodec.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        search = os.pathsep.join([*([str(path)] if path else []), *inherited])
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=Path(__file__).parent,  # where there is no other pycodec
            env={**clean, "PYTHONPATH": search, **environment},
            input=stdin,
            capture_output=True,
            text=True,
        )

    return run
