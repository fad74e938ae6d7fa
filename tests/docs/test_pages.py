"""What pages show works: their Python runs, their TOML is read, commands and options exist, links lead somewhere."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from interpreters import runner
from pages import DOCS, PAGES, ROOT, TUTORIAL, blocks, code_spans, identifier

from pycodec.cli import LazyCommand, cli
from pycodec.registry import resolve
from pycodec.sweep.spec import read_sweep
from pycodec.training.recipe import parse_recipe
from pycodec_plugins.rdgap.gap.spec import read_gap

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

each_page = pytest.mark.parametrize("page", PAGES, ids=identifier)


@pytest.fixture(scope="session")
def files_of_the_guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Python files that the pages on plugins show."""
    folder = tmp_path_factory.mktemp("guide")
    for page in (DOCS / "guide").glob("*.md"):
        for block in blocks(page, "python"):
            if block.title:
                (folder / block.title).parent.mkdir(exist_ok=True)
                (folder / block.title).write_text(block.code)
    return folder


@pytest.mark.parametrize("page", [p for p in PAGES if p != TUTORIAL and blocks(p, "python")], ids=identifier)
def test_python_runs(
    page: Path, files_of_the_guide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks of a page go on from one another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(files_of_the_guide)
    namespace: dict[str, object] = {"__name__": "page"}
    for block in blocks(page, "python"):
        if block.title:
            importlib.import_module(block.title.removesuffix(".py").replace("/", "."))
        else:
            exec(compile(block.code, identifier(page), "exec"), namespace)


def test_the_lines_for_pillow_need_nothing_but_what_is_installed(tmp_path: Path) -> None:
    """Those of the README, in an interpreter of their own."""
    use = blocks(ROOT / "README.md", "python")[:2]
    assert ["import pycodec.pillow" in block.code for block in use] == [False, True]
    runner(Path(sys.executable))("-W", "error", "-c", "".join(block.code for block in use), cwd=tmp_path)
    assert (tmp_path / "photo.pci").read_bytes()[1:4] == b"PCI"


@each_page
def test_toml_is_read(page: Path) -> None:
    for block in blocks(page, "toml"):
        table = tomllib.loads(block.code)
        if "stage" in table:
            parse_recipe(table)
        if "series" in table:
            read_sweep(block.code, "page", identifier(page))
        if "estimators" in table:
            read_gap(block.code, "page", identifier(page))


def shown_commands(page: Path) -> Iterator[list[str]]:
    """The words behind ``pycodec`` wherever a page calls it."""
    lines = [line for block in blocks(page, "sh") for line in block.code.replace("\\\n", " ").splitlines()]
    for text in [*lines, *(span for span in code_spans(page) if span.startswith("pycodec "))]:
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)  # drops comments
        lexer.whitespace_split = True
        words = list(lexer)
        ends = [i for i, word in enumerate(words) if set(word) <= set("&|;<>()")] + [len(words)]
        for start, end in zip([-1, *ends], ends, strict=False):
            if words[start + 1 : start + 2] == ["pycodec"] and end > start + 2:
                yield words[start + 2 : end]


def unknown_words(words: list[str]) -> list[str]:
    """The command or options among ``words`` that pycodec does not have."""
    command: click.Command = cli
    options = {option for p in cli.params for option in p.opts} | {"--help"}
    for word in words:
        if word.startswith("-"):
            if word.partition("=")[0] not in options:
                return [word]
        elif isinstance(command, click.Group) and word.islower():  # CAPITALS stand for something
            found = command.get_command(click.Context(command), word)
            if found is None:
                return [word]
            command = resolve(found.target) if isinstance(found, LazyCommand) else found
            options |= {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    return []


@each_page
def test_commands_and_options_exist(page: Path) -> None:
    assert [words for words in shown_commands(page) if unknown_words(words)] == []


def test_commands_are_found_and_wrong_ones_noticed() -> None:
    assert sum(1 for page in PAGES for _ in shown_commands(page)) > 15
    assert unknown_words(["compress", "a.png", "--quality", "5"]) == []
    assert unknown_words(["compres", "a.png"]) == ["compres"]
    assert unknown_words(["compress", "a.png", "--qualty=5"]) == ["--qualty=5"]


def test_options_in_prose_exist() -> None:
    known = {"--help"}
    todo: list[click.Command] = [cli]
    while todo:
        command = todo.pop()
        command = resolve(command.target) if isinstance(command, LazyCommand) else command
        known |= {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
        if isinstance(command, click.Group):
            names = command.list_commands(click.Context(command))
            todo += filter(None, (command.get_command(click.Context(command), name) for name in names))
    for page in PAGES:
        shown = {span.split()[0] for span in code_spans(page) if span.startswith("--")}
        assert shown <= known, identifier(page)


def test_environment_variables_are_documented() -> None:
    """Those that the package and its build read."""
    sources = [*(ROOT / "pycodec").rglob("*.py"), ROOT / "setup.py"]
    pattern = re.compile(
        r"environ(?:\.get\(|\[)\s*\"(PYCODEC_\w+)\"|envvar=\"(PYCODEC_\w+)\"|\"(PYCODEC_[A-Z_]+)\"$"
    )
    read = {
        name
        for path in sources
        for line in path.read_text("utf-8").splitlines()
        for groups in pattern.findall(line)
        for name in groups
        if name
    }
    assert {"PYCODEC_DEBUG", "PYCODEC_CUDA"} <= read
    text = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    assert [name for name in sorted(read) if f"`{name}`" not in text] == []


def test_links_of_the_readme_lead_somewhere() -> None:
    """Those within docs/ are checked when the pages are built."""
    targets = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert [t for t in targets if not t.startswith("http") and not os.path.exists(ROOT / t)] == []
