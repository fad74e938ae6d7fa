"""The pages that a reader sees as they are in the repository, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block; one with a title is a file that the reader writes, and the title is its path."""

    language: str
    title: str
    code: str


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The blocks of a page, in order; of one language, or all."""
    found = [Block(*groups) for groups in _BLOCK.findall(page.read_text("utf-8"))]
    return [block for block in found if language in (None, block.language)]


def code_spans(page: Path) -> list[str]:
    """What stands between single backticks in the prose of a page."""
    prose = _FENCED.sub("", page.read_text("utf-8"))
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def identifier(page: Path) -> str:
    """A short name of a page for the names of tests."""
    return page.relative_to(ROOT).as_posix()
