"""``pycodec sweep`` and ``pycodec plane``: many runs of a recipe, and what they trade for what."""

from __future__ import annotations

import math
from pathlib import Path

import click

from pycodec.cli.compress import use_threads
from pycodec.cli.eval import print_failures, print_points
from pycodec.evaluation.printing import progress


@click.command("sweep")
@click.argument("sweep", metavar="SWEEP")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Folder of training photographs."
)
@click.option(
    "--images", required=True, type=click.Path(path_type=Path), help="Folder of images to measure on."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the sweep [default: runs/SWEEP].")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="NAME=PATH",
    help="Where a weights file is that the sweep speaks of; may be repeated.",
)
@click.option(
    "--minutes", type=float, default=math.inf, help="Stop training (and checkpoint) after this time."
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: as torch decides].")
@click.option("--workers", type=int, default=0, show_default=True, help="Processes that prepare crops.")
@click.option("--holdout", type=int, default=4, show_default=True, help="Images kept apart for validation.")
@click.pass_context
def command(
    ctx: click.Context,
    sweep: str,
    data: Path,
    images: Path,
    out: Path | None,
    files: tuple[str, ...],
    minutes: float,
    device: str,
    threads: int | None,
    workers: int,
    holdout: int,
) -> None:
    """Train and measure every point of SWEEP (a .toml file, or the name of one that a plugin brings).

    Each point is a run of pycodec train in a folder of its own, measured as pycodec eval does. What is done
    is not done again: a sweep that was stopped goes on with the same command, and several commands at once
    share the points. OUT gets sweep.json with all that was trained and measured, and the figures that
    pycodec plane draws of it. What could not be done is named, and the exit status is then 1.
    """
    from pycodec.sweep.figures import draw
    from pycodec.sweep.files import named_paths
    from pycodec.sweep.run import DOCUMENT, Options, run
    from pycodec.sweep.spec import find_sweep, load_sweep

    path = find_sweep(sweep)
    found, folder = load_sweep(path), out or Path("runs") / path.stem
    use_threads(threads)
    options = Options(data, images, folder, named_paths(files), minutes, device, threads, workers, holdout)
    with progress() as watcher:
        result = run(found, options, watcher, click.echo)
    written = [folder / DOCUMENT]
    if result.document["codecs"]:
        print_points(result.document)
    if result.document["points"]:
        written += draw([result.document], folder)
    click.echo(f"\nwrote {', '.join(map(str, written))}")
    for name, reason in result.missing.items():
        click.echo(f"{name} is missing: {reason}")
    if result.failures:
        print_failures(result.failures)
    if result.failures or result.diverged:
        ctx.exit(1)


@click.command("plane")
@click.argument("documents", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", default=".", type=click.Path(path_type=Path), help="Folder [default: this one]."
)
def plane_command(documents: tuple[Path, ...], output: Path) -> None:
    """Draw the figures of sweeps from their FILEs, sweep.json each, as SVG and PNG.

    rates has every metric against bits per pixel, and plane_METRIC, for each metric of sets, distortion
    against statistical fidelity at each rate. Several FILEs, each of models of one rate for one, are drawn
    together.
    """
    from pycodec.sweep.figures import draw, read_document

    for file in draw([read_document(path) for path in documents], output):
        click.echo(file)
