"""``pycodec train``: a recipe and a folder of photographs in, a weights file out."""

from __future__ import annotations

import math
from pathlib import Path

import click


@click.command()
@click.argument("recipe")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Folder of training photographs."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run [default: runs/RECIPE].")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@click.option("--init", type=click.Path(path_type=Path), help="Start from this weights file.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another value of a key of the recipe: task.rate=0.14, stage.NAME.batch=4. May be repeated.",
)
@click.option("--minutes", type=float, default=math.inf, help="Stop (and checkpoint) after this time.")
@click.option("--steps", type=click.IntRange(min=1), help="Steps of the last stage instead of the recipe's.")
@click.option("--first-stage", help="Skip the stages before this one (with --init).")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    help="Processes that share each batch, one for each GPU [default: 1, or as many as torchrun started].",
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of torch, of each process.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Processes that prepare crops.",
)
@click.option(
    "--holdout",
    type=click.IntRange(min=0),
    help="Images kept apart for validation [default: 4].",
)
def command(
    recipe: str,
    data: Path,
    out: Path | None,
    resume: bool,
    init: Path | None,
    settings: tuple[str, ...],
    minutes: float,
    steps: int | None,
    first_stage: str | None,
    device: str,
    devices: int | None,
    threads: int | None,
    workers: int,
    holdout: int | None,
) -> None:
    """Train the codec that RECIPE (a .toml file, or the name of one that a plugin brings) describes.

    The run's folder holds the checkpoint, log.jsonl, TensorBoard scalars and, at the end or when the time is
    over, the weights file NAME.safetensors. A run that is resumed keeps what was --set before, its first
    stage and the images that it held out.
    """
    from pycodec.training.recipe import find_recipe
    from pycodec.training.session import train

    path = find_recipe(recipe)
    trained = train(
        path,
        data,
        out or Path("runs") / path.stem,
        settings=settings,
        resume=resume,
        init=init,
        minutes=minutes,
        steps=steps,
        first_stage=first_stage,
        device=device,
        devices=devices,
        threads=threads,
        workers=workers,
        holdout=holdout,
        say=click.echo,
    )
    if trained:
        state = (
            "finished"
            if trained.finished
            else f"stopped at step {trained.step} of {trained.steps}; go on with --resume"
        )
        click.echo(f"{state}: {trained.weights}")
