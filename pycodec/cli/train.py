"""``pycodec train``: a recipe and a folder of photographs in, a weights file out."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path

import click

from pycodec.errors import InvalidInput, near_names

VALIDATION_SIDE = 512  # pixels of the held-out images that are looked at, so that validation takes seconds


def find_recipe(name: str) -> Path:
    """A recipe file by path, or by name: ``recipes/NAME.toml`` beside the module of a plugin."""
    path = Path(name)
    if path.suffix == ".toml":
        return path
    from pycodec.runtime import get_runtime

    found: dict[str, Path] = {}
    for plugin in get_runtime().active():  # ours come first, and nobody takes a name from them
        module = sys.modules[plugin.module.partition(":")[0]]
        if module.__file__:
            for file in sorted(Path(module.__file__).parent.glob("recipes/*.toml")):
                found.setdefault(file.stem, file)
    if name not in found:
        raise InvalidInput(
            f"no recipe {name!r}{near_names(name, found)}: give a .toml file or one of the recipes that "
            f"plugins bring: {', '.join(sorted(found))}"
        )
    return found[name]


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
@click.option("--steps", type=int, help="Steps of the last stage instead of the recipe's.")
@click.option("--first-stage", help="Skip the stages before this one (with --init).")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    help="Processes that share each batch, one for each GPU [default: 1, or as many as torchrun started].",
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of torch, of each process.")
@click.option("--workers", type=int, default=0, show_default=True, help="Processes that prepare crops.")
@click.option("--holdout", type=int, default=4, show_default=True, help="Images kept apart for validation.")
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
    holdout: int,
) -> None:
    """Train the codec that RECIPE (a .toml file, or the name of one that a plugin brings) describes.

    The run's folder holds the checkpoint, log.jsonl, TensorBoard scalars and, at the end or when the time is
    over, the weights file NAME.safetensors. A run that is resumed keeps what was --set before.
    """
    import torch

    from pycodec.errors import ProcessFailed, ProcessLost
    from pycodec.runtime import get_runtime
    from pycodec.training.checkpoint import CHECKPOINT, recorded_settings
    from pycodec.training.data import center_crop, find_images, load_images
    from pycodec.training.export import Record, export
    from pycodec.training.loop import Run, RunOptions
    from pycodec.training.parallel import launch
    from pycodec.training.recipe import load_recipe
    from pycodec.training.task import make_task

    path = find_recipe(recipe)
    directory = out or Path("runs") / path.stem
    every_setting = [*(recorded_settings(directory / CHECKPOINT) if resume else ()), *settings]
    plan = load_recipe(path, every_setting)
    if first_stage:
        names = [stage.name for stage in plan.stages]
        if first_stage not in names:
            raise InvalidInput(f"{path}: no stage {first_stage!r}; expected one of {', '.join(names)}")
        plan = dataclasses.replace(plan, stages=plan.stages[names.index(first_stage) :])
    if steps is not None:
        last = dataclasses.replace(plan.stages[-1], steps=steps)
        plan = dataclasses.replace(plan, stages=(*plan.stages[:-1], last))

    def prepared() -> Run:
        torch.manual_seed(plan.seed)
        _, task = make_task(plan)
        images = load_images(find_images(data))
        if not 0 <= holdout < len(images):
            raise InvalidInput(
                f"--holdout is {holdout}, expected 0 to {len(images) - 1}: {data} has {len(images)} images"
            )
        if processes.first:
            click.echo(f"{len(images)} images, {sum(i.size for i in images) / 3e6:.0f} megapixels")
        history = task.initialize(init).get("model_card", {}).get("runs", []) if init is not None else []
        options = RunOptions(directory, resume, minutes, processes, workers, get_runtime().training_event)
        kept = len(images) - holdout
        validation = [center_crop(image, VALIDATION_SIDE) for image in images[kept:]]
        record = Record(
            name=path.stem,
            recipe=path.read_text("utf-8"),
            stages=[stage.name for stage in plan.stages],
            data=str(data.resolve()),
            images=len(images),
            holdout=holdout,
            device=device if processes.count == 1 else f"{processes.count} x {device}",
            settings=every_setting,
        )
        return Run(plan, task, images[:kept], validation, options, history, record.to_json())

    processes = launch(device, devices, plan.precision)
    if threads:
        torch.set_num_threads(threads)
    try:
        with processes.together():
            run = prepared()
            finished = run.train()
    except ProcessFailed as error:
        if processes.first or isinstance(error, ProcessLost):
            raise
        return  # the first process says it
    if processes.first:
        weights = export(directory)
        state = "finished" if finished else f"stopped at step {run.step} of {plan.steps}; go on with --resume"
        click.echo(f"{state}: {weights}")
