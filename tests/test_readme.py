"""What the README shows works: its Python runs, its commands and options exist, its links lead somewhere."""

import re
from pathlib import Path

import click
import pytest

from pycodec.cli import cli
from pycodec.registry import resolve

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("code", [code for language, code in BLOCKS if language == "python"])
def test_python_runs(code):
    exec(compile(code, "README.md", "exec"), {})


def test_commands_and_options_exist():
    lines = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]
    shown = [re.sub(r"\s+#.*", "", line) for line in lines if "pycodec " in line]
    assert len(shown) > 5
    for line in shown:
        _, name, *arguments = line[line.index("pycodec ") :].split()
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, line
        options = {o for p in resolve(command.target).params for o in p.opts}
        for argument in arguments:
            assert not argument.startswith("-") or argument in options, line


def test_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert [t for t in targets if not t.startswith("http") and not (ROOT / t).exists()] == []
