"""``pycodec doctor``: versions, the build, the SIMD level, the driver, the plugins, and what is off."""

from __future__ import annotations

import json
from typing import Any

import click

from pycodec.doctor import report
from pycodec.runtime import plugins


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def command(as_json: bool) -> None:
    """Show versions, the build and what is missing."""
    found = report()
    found["plugins"] = {plugin.name: plugin.status for plugin in plugins()}
    found["problems"] += [f"plugin {p.name} does not work: {p.reason}" for p in plugins() if p.reason]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    sections = {"python": found["python"], "platform": found["platform"]}
    for title, values in [
        ("", sections),
        *((k, found[k]) for k in ("versions", "native", "cuda", "plugins")),
    ]:
        click.echo(title and f"\n{title}")
        for name, value in (values or {"": "none"}).items():
            click.echo(f"  {name:18} {_text(value)}".rstrip())
    click.echo("\nproblems" if found["problems"] else "\nno problems found")
    for problem in found["problems"]:
        click.echo(f"  {problem}")


def _text(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)
