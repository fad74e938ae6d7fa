"""MkDocs hook: text that pages take from the code, where they say ``<!-- generate: WHAT -->``.

What is said once in the code is not typed again: commands, recipe keys, components, checks, other files.
"""

from __future__ import annotations

import dataclasses
import inspect
import os.path
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import griffe

from pycodec import types
from pycodec.cli import LazyCommand, cli
from pycodec.registry import resolve
from pycodec.runtime import BUILT_IN, components
from pycodec.sweep.spec import Measure, Reference, Series, Sweep
from pycodec.testing import checks
from pycodec.training.recipe import Optimizer, Recipe, Stage
from pycodec.types import KINDS
from pycodec_plugins.rdgap.gap.spec import Anchor, Estimators, Subject

ROOT = Path(__file__).resolve().parents[2]
DIRECTIVE = re.compile(r"<!-- generate: (\w+)(?: (.*?))? -->")
INCLUDED = {"README.md": "index.md", "benchmarks/README.md": "benchmarks.md", "CHANGELOG.md": "changelog.md"}
"""Files outside docs/ to the page that has their text."""


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """MkDocs calls this with the source of every page."""
    return DIRECTIVE.sub(lambda m: GENERATORS[m[1]](*filter(None, [m[2]])), markdown)


def walk_commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command below ``command`` with the words that call it."""
    if isinstance(command, LazyCommand):
        command = resolve(command.target)
    context = click.Context(command, info_name=path)
    if not isinstance(command, click.Group):
        yield path, command, context
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from walk_commands(below, f"{path} {name}")


def commands() -> str:
    """Usage, help and options of every command."""
    return "\n\n".join(
        f"## {path}\n\n{inspect.cleandoc(command.help or '')}\n\n"
        f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n\n{options(command, context)}"
        for path, command, context in walk_commands(cli, "pycodec")
    )


def options(command: click.Command, context: click.Context) -> str:
    """The options of a command as a table."""
    listed = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    rows = [
        (f"`{left}`", right) for left, right in filter(None, (p.get_help_record(context) for p in listed))
    ]
    return table(("option", "meaning"), rows) if rows else ""


def recipe() -> str:
    """The keys of a recipe, of its stages and of their optimisers."""
    titles = ((Recipe, "Keys"), (Stage, "Keys of a `[[stage]]`"), (Optimizer, "Keys of an optimizer"))
    return "\n\n".join(f"## {title}\n\n{keys(form)}" for form, title in titles)


def sweep() -> str:
    """The keys of a sweep, and of the tables in it."""
    tables = ((Series, "`[[series]]`"), (Measure, "`[measure]`"), (Reference, "`[[reference]]`"))
    parts = [f"## Keys of {title}\n\n{keys(form)}" for form, title in tables]
    return "\n\n".join([f"## Keys\n\n{keys(Sweep, ('name', 'text'))}", *parts])


def gap() -> str:
    """The keys of the tables in a gap report."""
    tables = ((Anchor, "`[anchor]`"), (Estimators, "`[estimators]`"), (Subject, "`[[codec]]`"))
    return "\n\n".join(f"### Keys of {title}\n\n{keys(form)}" for form, title in tables)


def keys(form: type, without: Sequence[str] = ()) -> str:
    """Fields of a dataclass as a table; their meaning is in its docstring."""
    meaning = {
        item.name: item.description
        for section in griffe.Docstring(inspect.getdoc(form) or "").parse("google", warnings=False)
        if isinstance(section, griffe.DocstringSectionAttributes)
        for item in section.value
    }
    return table(
        ("key", "type", "default", "meaning"),
        [
            ("stage" if f.name == "stages" else f.name, f"`{f.type}`", default_of(f), meaning[f.name])
            for f in dataclasses.fields(form)
            if f.name not in without
        ],
    )


def default_of(field: dataclasses.Field[Any]) -> str:
    """The default of a dataclass field, or that it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()}`"
    return "required" if field.default is dataclasses.MISSING else f"`{field.default!r}`"


def built_in() -> str:
    """Components that come with pycodec, by kind."""
    parts = []
    for kind in KINDS:
        rows = [
            (f"`{c.name}`", c.summary, takes(c.load_factory()))
            for c in components(kind)
            if c.origin.distribution == BUILT_IN
        ]
        title = kind.replace("_", " ").capitalize()
        parts.append(
            f"## {title}\n\n{table(('name', 'what it is', 'options'), rows) if rows else 'None yet.'}"
        )
    return "\n\n".join(parts)


def takes(factory: Callable[..., Any]) -> str:
    """The options of a factory, with their defaults."""
    return ", ".join(
        f"`{p.name}`" if p.default is p.empty else f"`{p.name} = {p.default!r}`"
        for p in inspect.signature(factory).parameters.values()
    )


def optional(contract: str) -> str:
    """Protocols that a component may keep besides its contract: what they are is in their names."""
    names = [name for name in vars(types) if name.endswith(contract) and name != contract]
    return "\n\n".join(f"::: pycodec.types.{name}" for name in names)


def kit(kind: str = "") -> str:
    """The conformance checks of a kind; without one, those that concern several, with the kinds."""
    if kind:
        rows = [(f"`{c.name}`", c.summary) for c in checks(kind) if not c.common]
        return table(("check", "what it requires"), rows)
    kinds: dict[tuple[str, str], list[str]] = {}
    for c in checks():
        if c.common:
            kinds.setdefault((c.name, c.summary), []).append(c.kind)
    rows = [(f"`{n}`", s, "all" if len(k) == len(KINDS) else ", ".join(k)) for (n, s), k in kinds.items()]
    return table(("check", "what it requires", "kinds"), rows)


def metric_weights() -> str:
    """Weights files of metrics, and where they come from: the rows of a table."""
    from pycodec_plugins.metrics.weights import PUBLISHED

    users = {
        "lpips_alex": "`lpips`",
        "lpips_vgg": '`lpips`, `network="vgg"`',
        "dists": "`dists`",
        "inception": "`fid`, `kid`",
        "swav": '`fid`, `kid`, `network="swav"`',
    }
    return "\n".join(
        f"| `{name}.safetensors` | {users[name]} | [{p.file}]({p.url}) | {p.licence} |"
        for name, p in PUBLISHED.items()
    )


def include(argument: str) -> str:
    """``FILE`` or ``FILE#Heading``: a file of the repository, or one section of it, without its heading."""
    name, _, heading = argument.partition("#")
    text = (ROOT / name).read_text("utf-8")
    if heading:
        text = re.split(rf"^## {re.escape(heading)}\n", text, flags=re.MULTILINE)[1]
        text = re.split(r"^## ", text, flags=re.MULTILINE)[0]
    else:
        text = re.sub(r"\A# .*\n", "", text)
    return re.sub(r"\[([^\]]*)\]\(([^)]+)\)", lambda m: link(m[1], m[2], os.path.dirname(name)), text)


def link(text: str, target: str, folder: str) -> str:
    """A link of a file in ``folder``, as it reads on a page beside index.md; plain text if no page has it."""
    path = os.path.normpath(os.path.join(folder, target))
    if target.startswith(("http", "#")):
        return f"[{text}]({target})"
    if path in INCLUDED:
        return f"[{text}]({INCLUDED[path]})"
    return f"[{text}]({path.removeprefix('docs/')})" if path.startswith("docs/") else f"`{path}`"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table. A bar within a cell has to stand in code, where it is no border."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *rows))


GENERATORS: dict[str, Callable[..., str]] = {
    "commands": commands,
    "recipe": recipe,
    "sweep": sweep,
    "gap": gap,
    "built_in": built_in,
    "optional": optional,
    "kit": kit,
    "metric_weights": metric_weights,
    "include": include,
}
