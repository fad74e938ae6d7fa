"""``pycodec compare``: versions of one picture on a page with a slider."""

from __future__ import annotations

import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pycodec.cli.compress import refuse_same_file


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that writes a page."""
    output = click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        metavar="OUT.html",
        help="The page [default: a file in the folder for temporary files].",
    )
    show = click.option(
        "--open/--no-open", "show", default=True, help="Open it in a browser [default: open]."
    )
    return output(show(command))


def page_path(output: Path | None, sources: list[Path]) -> Path:
    """Where the page goes; never over one of its sources."""
    if output is None:
        return Path(tempfile.mkdtemp(prefix="pycodec-")) / f"{sources[0].stem}.html"
    for source in sources:
        refuse_same_file(str(source), str(output))
    return output


def present(page: Path, show: bool) -> None:
    """Say where the page is, and open it."""
    click.echo(f"{page}: {page.stat().st_size / 1e6:.1f} MB")
    if show and not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser was found to open it with", err=True)


@click.command()
@click.argument("reference", metavar="REFERENCE", type=click.Path(path_type=Path))
@click.argument("versions", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@page_options
def command(reference: Path, versions: tuple[Path, ...], output: Path | None, show: bool) -> None:
    """Write a page that shows versions of a picture over one another, with a slider.

    Each FILE is an image of any format Pillow reads, or a .pci file, as is REFERENCE, against which PSNR and
    MS-SSIM are taken. The page is one file that needs no network.
    """
    from pycodec.evaluation.report import write_comparison

    page = page_path(output, [reference, *versions])
    write_comparison([reference, *versions], page)
    present(page, show)
