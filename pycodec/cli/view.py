"""``pycodec view``: the page of one file."""

from __future__ import annotations

from pathlib import Path

import click

from pycodec import bitstream, files
from pycodec.cli.compare import page_options, page_path, present
from pycodec.cli.info import as_rows, read_fields
from pycodec.cli.large import max_pixels_option


@click.command()
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--original", type=click.Path(path_type=Path), metavar="IMAGE", help="What it was made of.")
@max_pixels_option
@page_options
def command(source: Path, original: Path | None, output: Path | None, show: bool) -> None:
    """Write a page that shows a .pci file: picture, header, where its bits are, and its latent channels.

    With --original it compares the two as `pycodec compare` does, and shows the importance map where the
    codec has one. FILE may be any other image too.
    """
    from pycodec.evaluation.report import write_view

    page = page_path(output, [source, *([original] if original else [])])
    data = files.read_bytes(source)
    facts = as_rows(read_fields(data)) if data.startswith(bitstream.MAGIC) else []
    write_view(source, page, original=original, facts=facts)
    present(page, show)
