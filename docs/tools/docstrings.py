"""Griffe extension: our docstrings as the pages show them.

Shapes stand in the code as a comment behind a signature, where pages would lose them; here they enter the
docstring. Literal blocks and doctests become code blocks, and names of pycodec links.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_SIGNATURE_END = re.compile(r":\s*(?:#\s*(?P<comment>.*))?$")
_LITERAL = re.compile(r"(?P<text>\S)?::\n\n(?P<code>(?:(?:[ ]{4}.*)?\n?)+)")
_DOCTEST = re.compile(r"(?P<code>(?:^[ ]*(?:>>>|\.\.\.).*\n?(?:^[ ]*(?!>>>)\S.*\n?)*)+)", re.MULTILINE)
_SEVERAL = re.compile(
    r"^(?P<margin>[ ]+)(?P<names>\w+(?:, \w+)+): (?P<text>.*\n?(?:(?P=margin)[ ]+\S.*\n?)*)", re.MULTILINE
)
_SHAPE = re.compile(r"[ ]{2,}# (\([^)]*\))$", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?([\w.]+)`")
_NAME = re.compile(r"(?<!`)(`{1,2})(pycodec(?:\.\w+)+)\1(?!`)")


def shapes(lines: list[str]) -> str:
    """The comment behind a signature if it gives shapes: ``[N, 3, H, W] -> [N]``."""
    for line in lines:
        if found := _SIGNATURE_END.search(line):
            comment = found["comment"] or ""
            return comment if "[" in comment and "ignore" not in comment else ""
        if line.rstrip().endswith("..."):
            break
    return ""


def markdown(text: str, given_shapes: str = "") -> str:
    """A docstring in Markdown."""
    text = _SEVERAL.sub(_one_by_one, text)
    text = _ROLE.sub(r"`\1`", text)
    text = _DOCTEST.sub(lambda m: f"```pycon\n{_dedent(m['code'])}\n```\n", text)
    text = _SHAPE.sub(r" `\1`", text)
    text = _LITERAL.sub(
        lambda m: (f"{m['text']}:\n\n" if m["text"] else "") + f"```python\n{_dedent(m['code'])}\n```\n\n",
        text,
    )
    text = _NAME.sub(r'<autoref identifier="\2" optional><code>\2</code></autoref>', text)
    if given_shapes:
        first, _, rest = text.partition("\n\n")
        text = f"{first}\n\nShapes: `{given_shapes}`\n\n{rest}"
    return text


def _one_by_one(item: re.Match[str]) -> str:
    """``a, b: what`` as an item for each of them: sections know arguments by single names."""
    text = item["text"] if item["text"].endswith("\n") else item["text"] + "\n"
    return "".join(f"{item['margin']}{name}: {text}" for name in item["names"].split(", "))


def _dedent(code: str) -> str:
    lines = code.strip("\n").splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[margin:] for line in lines)


class Docstrings(griffe.Extension):
    """Applies `markdown` to every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            given = shapes(obj.lines) if obj.is_function else ""
            obj.docstring.value = markdown(obj.docstring.value, given)
