"""The site is built without a warning, and what is public is on one of its pages."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from pages import DOCS, ROOT

import pycodec
from pycodec import hookspecs
from pycodec.cli import COMMANDS
from pycodec.training.recipe import Recipe, Stage
from pycodec.types import KINDS

pytest.importorskip("mkdocs")
inventory = pytest.importorskip("mkdocstrings").Inventory


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; a warning, such as a link that leads nowhere, fails the build."""
    folder = tmp_path_factory.mktemp("docs")
    inherited = [str(Path(pycodec.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "-f",
            str(ROOT / "mkdocs.yml"),
            "-d",
            str(folder),
        ],
        cwd=folder,  # where there is no other pycodec
        env={**os.environ, "PYTHONPATH": os.pathsep.join(inherited), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def documented(site: Path) -> set[str]:
    """Dotted names that pages describe."""
    with (site / "objects.inv").open("rb") as file:
        return set(inventory.parse_sphinx(file))


def public(module: types.ModuleType) -> dict[str, object]:
    """What a module exports: by ``__all__``, or everything it defines without an underscore."""
    names = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__
    ]
    return {name: getattr(module, name) for name in names if not name.startswith("_")}


def is_documented(module: str, name: str, value: object, documented: set[str]) -> bool:
    """Under the name it is exported by or its own; a module by what is in it."""
    if isinstance(value, types.ModuleType):
        return any(other.startswith(f"{value.__name__}.") for other in documented)
    own = f"{getattr(value, '__module__', module)}.{getattr(value, '__qualname__', name)}"
    return bool({f"{module}.{name}", own} & documented)


MODULES = [
    "pycodec",
    "pycodec.batch",
    "pycodec.bitstream",
    "pycodec.coding",
    "pycodec.config",
    "pycodec.errors",
    "pycodec.evaluation.anchors",
    "pycodec.evaluation.curves",
    "pycodec.evaluation.environment",
    "pycodec.evaluation.metrics",
    "pycodec.evaluation.quality",
    "pycodec.evaluation.rd",
    "pycodec.evaluation.results",
    "pycodec.evaluation.run",
    "pycodec.evaluation.spec",
    "pycodec.evaluation.subject",
    "pycodec.images",
    "pycodec.ops",
    "pycodec.ops.device_context",
    "pycodec.ops.device_rans",
    "pycodec.ops.quantized",
    "pycodec.profiling",
    "pycodec.testing",
    "pycodec.training.task",
    "pycodec.types",
    "pycodec.weights",
]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_documented(module: str, documented: set[str]) -> None:
    names = public(importlib.import_module(module))
    assert names
    assert [n for n, value in names.items() if not is_documented(module, n, value, documented)] == []


def test_every_hook_is_documented(documented: set[str]) -> None:
    assert [name for name in hookspecs.HOOKS if f"pycodec.hookspecs.{name}" not in documented] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_page_with_its_contract(kind: str, documented: set[str]) -> None:
    contract = KINDS[kind]
    text = (DOCS / "guide" / f"{kind.replace('_', '-')}.md").read_text("utf-8")
    assert f"\n::: pycodec.types.{contract.__name__}\n" in text
    assert f"\ncheck_{kind}(" in text  # its example keeps the contract
    members = {*contract.__annotations__, *(n for n in vars(contract) if not n.startswith("_"))}
    assert {f"pycodec.types.{contract.__name__}.{name}" for name in members} <= documented


def test_every_command_is_in_the_reference(site: Path) -> None:
    text = (site / "cli.html").read_text("utf-8")
    assert [name for name in COMMANDS if f'id="pycodec-{name}' not in text] == []
    assert "--quality" in text


def test_shapes_behind_signatures_reach_the_pages(site: Path) -> None:
    text = (site / "guide" / "transform.html").read_text("utf-8")
    assert "[N, 3, H, W], [N] -&gt; [N, C, h, w]" in text


@pytest.mark.parametrize("form", [Recipe, Stage])
def test_every_key_of_a_recipe_is_explained(form: type, site: Path) -> None:
    text = (site / "guide" / "recipes.html").read_text("utf-8")
    for field in dataclasses.fields(form):
        name = "stage" if field.name == "stages" else field.name
        assert re.search(rf"<td>{name}</td>(\s*<td>.+</td>){{3}}", text), name


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    fetched = re.compile(
        r"<(?:script|img|iframe)[^>]*\ssrc=\"?(?:https?:)?//|<link[^>]*stylesheet[^>]*href=\"?(?:https?:)?//"
    )
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    assert [page.name for page in pages if fetched.search(page.read_text("utf-8"))] == []
