"""``pycodec new-plugin``: what it writes, and what it refuses."""

from __future__ import annotations

import datetime
import importlib.metadata
import shutil
import subprocess
from pathlib import Path

import pytest

from pycodec import new_plugin
from pycodec.cli import main
from pycodec.training.recipe import load_recipe
from pycodec.training.tables import tomllib
from pycodec.types import KINDS

AUTHOR = 'Zoë "Q" O\'Hara \\ <zoe@example.org>'
SHORTEST, LONGEST = "q", "a-component_with-long-na"  # which decide how lines of code break


@pytest.mark.parametrize("kind", KINDS)
def test_the_distribution_is_whole(tmp_path: Path, kind: str) -> None:
    assert (
        main(["new-plugin", "my_first-one", "--kind", kind, "--output", str(tmp_path), "--author", AUTHOR])
        == 0
    )
    (folder,) = tmp_path.iterdir()
    assert folder.name == "pycodec-my-first-one"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found >= {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        ".gitignore",
        ".github/workflows/test.yml",
        "src/pycodec_my_first_one/__init__.py",
        "src/pycodec_my_first_one/plugin.py",
        f"src/pycodec_my_first_one/{kind}.py",
        "tests/test_conformance.py",
        f"tests/test_{kind}.py",
    }
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "pycodec-my-first-one"
    assert project["authors"] == [{"name": AUTHOR}]
    assert project["entry-points"] == {"pycodec": {"my_first-one": "pycodec_my_first_one.plugin"}}
    (requirement,) = project["dependencies"]
    assert requirement.startswith("pycodec>=") and "<" in requirement
    assert f"(c) {datetime.date.today().year}, {AUTHOR}\n" in (folder / "LICENSE").read_text("utf-8")
    if kind == "codec":
        recipe = load_recipe(folder / "src/pycodec_my_first_one/recipes/my_first-one.toml")
        assert recipe.codec == "my_first-one"


def test_what_comes_next_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-plugin", "mine", "--kind", "entropy_model", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"cd {tmp_path / 'pycodec-mine'} && pip install" in printed
    assert "pycodec check mine --kind entropy_model" in printed


@pytest.mark.skipif(not shutil.which("ruff"), reason="ruff is not installed; it comes with the extra dev")
@pytest.mark.parametrize("name", [SHORTEST, LONGEST])
def test_the_code_is_formatted_and_free_of_lint(tmp_path: Path, name: str) -> None:
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        folder = new_plugin.create(name, kind, tmp_path / kind)
        for command in (["check"], ["format", "--check", "--diff"]):
            done = subprocess.run(["ruff", *command, "."], cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_every_component_can_be_made_from_the_source(tmp_path: Path, python) -> None:
    """Quickly, without installing: the plugin module registers factories that make what their kind asks for."""
    for kind in KINDS:
        new_plugin.create(f"quick_{kind}", kind, tmp_path)
    program = """
import importlib, sys
from importlib.metadata import EntryPoint
from pycodec.runtime import Runtime
from pycodec.types import KINDS
kinds = list(KINDS)
sys.path[:0] = [f"{sys.argv[1]}/pycodec-quick-{kind.replace('_', '-')}/src" for kind in kinds]
found = [EntryPoint(f"quick_{kind}", f"pycodec_quick_{kind}.plugin", "pycodec") for kind in kinds]
host = Runtime(found)
assert [plugin.reason for plugin in host.plugins] == [""] * len(kinds)
assert "torch" not in sys.modules, "a plugin module imports torch"
for kind in kinds:
    component = host.find(kind, f"quick_{kind}").create()
    print(kind, component.config())
"""
    done = python("-c", program, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(KINDS)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("", "metric", "'' is no name for a plugin"),
        ("My Codec", "codec", "'My Codec' is no name for a plugin"),
        ("a--b", "metric", "expected at most 24 of a-z and 0-9"),
        ("-a", "metric", "no"),
        ("naïve", "metric", "'naïve' is no name"),
        ("../up", "metric", "'../up' is no name"),
        (LONGEST + "e", "metric", "at most 24"),
        ("ctx3d", "codec", "codec 'ctx3d' is already taken by plugin 'cpm' of pycodec"),
        ("default", "codec", "codec 'default' is already taken"),
        ("integer_rounding", "quantizer", "quantizer 'integer_rounding' is already taken"),
        ("integer_rounding", "codec", "quantizer 'integer_rounding' is already taken"),
        ("cpm", "metric", "the name 'cpm' is already taken by plugin 'cpm' of pycodec"),
        ("plugins", "metric", "package pycodec_plugins is already installed"),
        ("good", "kodec", "'kodec' is not one of 'transform'"),
    ],
)
def test_names_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str, words: str
) -> None:
    assert main(["new-plugin", "--kind", kind, "--output", str(tmp_path), "--", name]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("author", ["", "  ", "two\nlines", "a tab\tinside"])
def test_an_author_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], author: str) -> None:
    assert (
        main(["new-plugin", "mine", "--kind", "metric", "--output", str(tmp_path), "--author", author]) == 2
    )
    assert "expected one line of text" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = new_plugin.create("mine", "metric", tmp_path)
    (folder / "README.md").write_text("my own words")
    assert main(["new-plugin", "mine", "--kind", "transform", "--output", str(tmp_path)]) == 2
    assert f"{folder} exists already" in capsys.readouterr().err
    assert (folder / "README.md").read_text() == "my own words"
    assert [path.name for path in tmp_path.iterdir()] == ["pycodec-mine"]


def test_the_output_folder_has_to_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-plugin", "mine", "--kind", "metric", "--output", str(tmp_path / "typo")]) == 2
    assert "typo does not exist; make it first" in capsys.readouterr().err


def test_a_failure_on_the_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def render(kind, variables):
        yield "README.md", "half a distribution"
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(new_plugin, "render", render)
    assert main(["new-plugin", "mine", "--kind", "metric", "--output", str(tmp_path)]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("version", "requirement"),
    [
        ("0.1.0", "pycodec>=0.1.0,<1"),
        ("2.3", "pycodec>=2.3,<3"),
        ("1.4.0.dev1+local", "pycodec>=1.4.0.dev1,<2"),
    ],
)
def test_the_requirement_follows_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, requirement: str
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    folder = new_plugin.create("mine", "metric", tmp_path)
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["dependencies"] == [requirement]
