"""``pycodec weights``: the weights that this user's files are decoded with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pycodec import weight_store
from pycodec.evaluation.printing import print_table


@click.group("weights", invoke_without_command=True)
@click.pass_context
def group(ctx: click.Context) -> None:
    """Weights that files are decoded with, beside those that come with a codec.

    They are found by the fingerprint in a file: in the files and folders that PYCODEC_WEIGHTS names, then in
    the user's folder, where add puts them.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@group.command("add")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
def add_command(paths: tuple[Path, ...]) -> None:
    """Copy weights files into the user's folder."""
    for path in paths:
        stored = weight_store.add(path)
        click.echo(f"{stored.path}: codec {stored.codec}, fingerprint {stored.fingerprint[:16]}")
        if not weight_store.installed(stored.codec):
            click.echo(f"warning: {path}: codec {stored.codec!r} is not installed here", err=True)


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(as_json: bool) -> None:
    """List the weights that are found.

    A file that holds none is listed with what is wrong; files are checked as a whole when they are loaded.
    """
    rows: list[dict[str, Any]] = [
        {
            "codec": stored.codec,
            "fingerprint": stored.fingerprint,
            "bytes": stored.path.stat().st_size,
            "source": stored.source,
            "path": str(stored.path),
            "problem": stored.problem,
        }
        for stored in weight_store.every()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        print_table(
            ("codec", "fingerprint", "bytes", "source", "path, or what is wrong"),
            [
                (
                    row["codec"],
                    row["fingerprint"][:16],
                    str(row["bytes"]),
                    row["source"],
                    row["problem"] or row["path"],
                )
                for row in rows
            ],
        )
    for name in weight_store.missing_places():
        click.echo(f"warning: {weight_store.VARIABLE} names {name}, which does not exist", err=True)


@group.command("remove")
@click.argument("wanted", metavar="FINGERPRINT|NAME")
def remove_command(wanted: str) -> None:
    """Delete a file of the user's folder.

    It is named by the beginning of its fingerprint, its codec, or its name; one file only may answer to it.
    """
    click.echo(f"removed {weight_store.remove(wanted).path}")
