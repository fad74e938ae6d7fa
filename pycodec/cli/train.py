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
@click.option("--minutes", type=float, default=math.inf, help="Stop (and checkpoint) after this time.")
@click.option("--steps", type=int, help="Steps of the last stage instead of the recipe's.")
@click.option("--first-stage", help="Skip the stages before this one (with --init).")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=int, help="CPU threads of torch.")
@click.option("--workers", type=int, default=0, show_default=True, help="Processes that prepare crops.")
@click.option("--holdout", type=int, default=4, show_default=True, help="Images kept apart for validation.")
def command(
    recipe: str,
    data: Path,
    out: Path | None,
    resume: bool,
    init: Path | None,
    minutes: float,
    steps: int | None,
    first_stage: str | None,
    device: str,
    threads: int | None,
    workers: int,
    holdout: int,
) -> None:
    """Train the codec that RECIPE (a .toml file, or the name of one that a plugin brings) describes.

    The run's folder holds the checkpoint, log.jsonl, TensorBoard scalars and, at the end or when the time is
    over, the weights file NAME.safetensors.
    """
    import torch

    from pycodec.runtime import get_runtime
    from pycodec.training.data import center_crop, find_images, load_images
    from pycodec.training.export import Record, export
    from pycodec.training.loop import Run, RunOptions
    from pycodec.training.recipe import load_recipe
    from pycodec.training.task import make_task

    if threads:
        torch.set_num_threads(threads)
    path = find_recipe(recipe)
    plan = load_recipe(path)
    if first_stage:
        names = [stage.name for stage in plan.stages]
        if first_stage not in names:
            raise InvalidInput(f"{path}: no stage {first_stage!r}; expected one of {', '.join(names)}")
        plan = dataclasses.replace(plan, stages=plan.stages[names.index(first_stage) :])
    if steps is not None:
        last = dataclasses.replace(plan.stages[-1], steps=steps)
        plan = dataclasses.replace(plan, stages=(*plan.stages[:-1], last))
    torch.manual_seed(plan.seed)
    _, task = make_task(plan)
    images = load_images(find_images(data))
    click.echo(f"{len(images)} images, {sum(i.size for i in images) / 3e6:.0f} megapixels")
    history = task.initialize(init).get("model_card", {}).get("runs", []) if init is not None else []
    directory = out or Path("runs") / path.stem
    options = RunOptions(directory, resume, minutes, device, workers, get_runtime().training_event)
    if not 0 <= holdout < len(images):
        raise InvalidInput(
            f"--holdout is {holdout}, expected 0 to {len(images) - 1}: {data} has {len(images)} images"
        )
    kept = len(images) - holdout
    validation = [center_crop(image, VALIDATION_SIDE) for image in images[kept:]]
    stages = [stage.name for stage in plan.stages]
    record = Record(
        path.stem, path.read_text("utf-8"), stages, str(data.resolve()), len(images), holdout, device
    )
    run = Run(plan, task, images[:kept], validation, options, history, record.to_json())
    finished = run.train()
    weights = export(directory)
    state = "finished" if finished else f"stopped at step {run.step} of {plan.steps}; go on with --resume"
    click.echo(f"{state}: {weights}")
