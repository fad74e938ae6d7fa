"""``pycodec batch``: folders of images compressed, or folders of .pci files decompressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from pycodec.cli.large import max_pixels_option

if TYPE_CHECKING:
    from pycodec.batch import Progress, Summary

SHOWN = 20
"""Errors that are listed at the end; the manifest has all of them."""


@click.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True)
@click.option("-o", "--output", "out", metavar="OUT/", required=True, help="Folder of the outputs.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes [default: one a CPU; one with cuda].")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--address", help="Of the Ray cluster [default: RAY_ADDRESS, or the one on this machine].")
@click.option("--resume", is_flag=True, help="Go on with what an earlier run has begun in OUT.")
@click.option("--compress", "direction", flag_value="compress", help="Leave .pci files out.")
@click.option("--decompress", "direction", flag_value="decompress", help="Leave images out.")
@click.option("--codec", help="One of pycodec codecs [default: default, or that of --weights].")
@click.option("--weights", "weights_file", metavar="FILE", help="Weights of your own.")
@click.option("--quality", type=float, help="From 1 to 8 in steps of 1/16; the codec has its own default.")
@click.option("--bpp", type=float, help="Best quality whose file has at most so many bits per pixel.")
@click.option(
    "--effort",
    type=click.IntRange(min=0),
    help="How often symbols are chosen anew, for smaller files; 0 is fastest [default: 1].",
)
@click.option(
    "--format",
    "image_format",
    metavar="SUFFIX",
    help="Of decompressed images: png, webp, ... [default: png].",
)
@max_pixels_option
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def command(
    inputs: tuple[str, ...], out: str, direction: Literal["compress", "decompress"] | None, **options: Any
) -> int:
    """Compress the images IN to .pci files in OUT, or decompress the .pci files IN to images in OUT.

    A folder stands for all images or .pci files in it, which keep their places below OUT. A file that fails
    is listed at the end (exit status 1) and does not stop the others. OUT/manifest.jsonl says what became of
    every file; after Ctrl-C or a crash, the same command with --resume goes on.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from pycodec import batch

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(state: Progress) -> None:
            files = f"{state.done}/{state.total} files"
            bar.update(task, description=files, total=state.total_bytes, completed=state.done_bytes)

        try:
            summary = batch.run(inputs, out, direction=direction, progress=show, **options)
        except KeyboardInterrupt:
            bar.stop()
            click.echo(f"what is finished is in {out}; go on with --resume", err=True)
            raise
    report(summary, Path(out))
    return 1 if summary.errors else 0


def report(summary: Summary, out: Path) -> None:
    """One line about all, then one for each error."""
    parts = [f"{summary.made} files {summary.direction}ed"]
    if summary.kept:
        parts.append(f"{summary.kept} kept of an earlier run")
    if summary.errors:
        parts.append(f"{len(summary.errors)} failed")
    if summary.left_out:
        parts.append(f"{summary.left_out} of the other kind left out")
    sizes = f"{summary.source_bytes} bytes to {summary.target_bytes}"
    click.echo(f"{out}: {', '.join(parts)}; {sizes}; {summary.manifest.name} has all of it")
    for record in summary.errors[:SHOWN]:
        click.echo(f"failed: {record.source}: {record.error}", err=True)
    if len(summary.errors) > SHOWN:
        click.echo(f"and {len(summary.errors) - SHOWN} more in {summary.manifest}", err=True)
