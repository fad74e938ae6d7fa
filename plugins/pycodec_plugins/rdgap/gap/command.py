"""``pycodec gap``: how far codecs are from the limit, as tables and figures."""

from __future__ import annotations

from pathlib import Path

import click

from pycodec.errors import InvalidInput


@click.command("gap")
@click.argument("gap", metavar="GAP")
@click.option("--images", required=True, type=click.Path(path_type=Path), help="Folder of images.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="OUT", help="Folder of results."
)
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="NAME=PATH",
    help="Where a weights file is that GAP speaks of; may be repeated.",
)
@click.option("--only", multiple=True, metavar="CODEC_NAME", help="Of GAP's codecs; may be repeated.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: as torch decides].")
@click.pass_context
def command(
    ctx: click.Context,
    gap: str,
    images: Path,
    out: Path,
    files: tuple[str, ...],
    only: tuple[str, ...],
    threads: int | None,
) -> None:
    """Report on the codecs of GAP (a .toml file, or the name of one that a plugin brings): BD-rates of real
    files and of upper bounds of the rate-distortion function against an anchor, and what coder, encoder and
    rounding cost.

    Every answer is kept as it comes: a run that was stopped goes on with the same command, and what is known
    is not asked again. OUT gets gap.json with the figures of every image, and report/ with tables and figures
    of them. Weights that are missing are named, and the exit status is then 1.
    """
    import torch

    from pycodec.evaluation.printing import print_table, progress
    from pycodec.sweep.files import named_paths

    from .report import bd_lines, write_report
    from .run import DOCUMENT, Options, run
    from .spec import load_gap

    found = load_gap(gap)
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out} is a file, expected the name of a folder for the results")
    if threads:
        torch.set_num_threads(threads)
    with progress() as watcher:
        result = run(found, Options(images, out, named_paths(files), only, threads), watcher)
    print_table(*bd_lines(result.document))
    page, *_ = write_report(result.document, out / "report")
    click.echo(f"\nwrote {out / DOCUMENT}, {page} and its figures")
    for name, reason in result.missing.items():
        click.echo(f"missing: {name}: {reason}", err=True)
    if result.missing:
        ctx.exit(1)
