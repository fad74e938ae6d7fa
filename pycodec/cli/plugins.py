"""``pycodec plugins`` and ``pycodec codecs``: what is installed, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import click

from pycodec.cli import Main
from pycodec.evaluation.printing import print_table
from pycodec.runtime import components, plugins

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.command("plugins")
@as_json
@click.pass_context
def plugins_command(ctx: click.Context, as_json: bool) -> None:
    """List the plugins that were found, what they register, and why one does not work."""
    root = ctx.find_root().command
    if isinstance(root, Main):
        root.add_plugin_commands()  # so that a plugin that fails there is reported too
    rows: list[dict[str, Any]] = []
    for plugin in plugins():
        registered: dict[str, list[str]] = {}
        for component in components():
            if component.origin == plugin.origin:
                registered.setdefault(component.kind, []).append(component.name)
        rows.append(
            {
                "name": plugin.name,
                "distribution": plugin.origin.distribution,
                "version": plugin.origin.version,
                "module": plugin.module,
                "status": plugin.status,
                "reason": plugin.reason,
                "components": registered,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    print_table(
        ("plugin", "distribution", "status", "registers, or why not"),
        [
            (
                row["name"],
                f"{row['distribution']} {row['version']}".rstrip(),
                row["status"],
                row["reason"]
                or "; ".join(f"{kind}: {', '.join(names)}" for kind, names in row["components"].items()),
            )
            for row in rows
        ],
    )


@click.command("codecs")
@as_json
def codecs_command(as_json: bool) -> None:
    """List the codecs that ``compress --codec`` takes, and what has to be there before one is usable."""
    rows: list[dict[str, Any]] = [
        {
            "name": codec.name,
            "aliases": list(codec.aliases),
            "summary": codec.summary,
            "plugin": codec.origin.plugin,
            "distribution": codec.origin.distribution,
            "version": codec.origin.version,
            "missing": codec.needs(),
        }
        for codec in components("codec")
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    print_table(
        ("codec", "aliases", "plugin", "usable", "summary"),
        [
            (row["name"], ", ".join(row["aliases"]), row["plugin"], row["missing"] or "yes", row["summary"])
            for row in rows
        ],
    )
