"""``pycodec export``: a weights file from a run's checkpoint, without training on."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Weights file [default: in RUN].")
@click.option("--data", type=click.Path(path_type=Path), help="Its photographs, if they moved.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of torch.")
def command(run: Path, output: Path | None, data: Path | None, threads: int | None) -> None:
    """Write the weights that a training run, whose folder is RUN, has reached.

    Integer tables are fitted to some of the photographs that it was trained on. A run that is still going on
    may be exported too: its last checkpoint counts.
    """
    from pycodec.cli.compress import use_threads
    from pycodec.training.export import export

    use_threads(threads)
    click.echo(export(run, output, data))
