"""``pycodec check``: whether a component keeps the rules of its kind."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from pycodec.cli.plugins import as_json
from pycodec.errors import InvalidInput
from pycodec.evaluation.printing import print_table
from pycodec.types import KINDS


@click.command("check")
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(list(KINDS)), help="Only components of this kind.")
@click.option(
    "--plugin", metavar="DIST", help="Only components of this distribution; without NAME, all of it."
)
@click.option("--golden", type=click.Path(path_type=Path), metavar="DIR", help="Folder of golden streams.")
@click.option("--list", "listed", is_flag=True, help="List the checks instead of making them.")
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    kind: str | None,
    plugin: str | None,
    golden: Path | None,
    listed: bool,
    as_json: bool,
) -> None:
    """Check that the component NAME keeps the rules of its kind.

    The exit status is 0 if it does, 1 if a check fails.
    """
    if name is None and plugin is None and not listed:
        raise InvalidInput("nothing to check: give the NAME of a component, or --plugin, or --list")
    from pycodec import testing  # imports torch

    if listed:
        rules = testing.checks(kind)
        if as_json:
            rows = [{"kind": c.kind, "check": c.name, "summary": c.summary} for c in rules]
            click.echo(json.dumps(rows, indent=2))
        else:
            print_table(("kind", "check", "what it requires"), [(c.kind, c.name, c.summary) for c in rules])
        return
    if name is None:
        subjects = testing.installed(kind, plugin, golden)
    else:
        subjects = testing.find(name, kind, plugin, golden)
    if not subjects:
        raise InvalidInput(f"{plugin} registers no {kind or 'component'}: there is nothing to check")
    results = list(testing.run(subjects))
    failed = sum(result.status == "failed" for result in results)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(result) for result in results], indent=2))
    else:
        print_table(
            ("check", "component", "result", "why"),
            [(r.check, f"{r.kind} {r.component}", r.status, r.sentence) for r in results],
        )
        counts = {s: sum(r.status == s for r in results) for s in ("passed", "failed", "skipped")}
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items()))
    if failed:
        ctx.exit(1)
