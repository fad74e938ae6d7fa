"""``pycodec new-plugin``: a distribution of one's own to start from."""

from __future__ import annotations

import shlex

import click

from pycodec.types import KINDS


@click.command()
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(list(KINDS)), help="What it is going to be.")
@click.option("--output", default=".", show_default=True, metavar="DIR", help="Where the new folder goes.")
@click.option("--author", metavar="TEXT", help="For licence and metadata.")
def command(name: str, kind: str, output: str, author: str | None) -> None:
    """Write a distribution pycodec-NAME with a working component NAME, its tests and its packaging.

    Change the component to what you have in mind; its tests tell when it keeps to pycodec's contract.
    """
    from pycodec import new_plugin

    folder = new_plugin.create(name, kind, output, author)
    click.echo(f"{folder}: the {kind.replace('_', ' ')} {name!r}, which works as it is; next:")
    click.echo(f'  cd {shlex.quote(str(folder))} && pip install -e ".[test]" && pytest')
    click.echo(f"  pycodec check {name} --kind {kind}")
