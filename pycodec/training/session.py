"""One session of a run, from a recipe file and a folder of photographs to a weights file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from pycodec.errors import InvalidInput, ProcessFailed, ProcessLost
from pycodec.runtime import get_runtime

from .checkpoint import CHECKPOINT, recorded
from .data import center_crop, find_images, load_images
from .export import Record, export
from .loop import Run, RunOptions
from .optimizers import make_optimizers
from .parallel import launch
from .recipe import Recipe, load_recipe
from .task import make_task

HOLDOUT = 4  # images
VALIDATION_SIDE = 512  # pixels of the held-out images that are looked at, so that validation takes seconds


Value = TypeVar("Value", int, str)


@dataclass(frozen=True)
class Trained:
    """Where a session ended."""

    weights: Path
    step: int
    steps: int
    """Of the whole recipe."""

    @property
    def finished(self) -> bool:
        return self.step >= self.steps


def train(
    recipe: Path,
    data: Path,
    directory: Path,
    *,
    settings: Iterable[str] = (),
    resume: bool = False,
    init: Path | None = None,
    minutes: float = math.inf,
    steps: int | None = None,
    first_stage: str | None = None,
    device: str = "cpu",
    devices: int | None = None,
    threads: int | None = None,
    workers: int = 0,
    holdout: int | None = None,
    say: Callable[[str], None] = print,
) -> Trained | None:
    """Train until the recipe or the time is over, and export: what ``pycodec train`` does.

    Args:
        recipe: its file.
        data: folder of photographs.
        directory: of the run.
        settings: ``KEY=VALUE``, on top of those of the run so far if it is resumed.
        resume: go on from the last checkpoint, if there is one.
        init: weights file to start from.
        minutes: of this session.
        steps: of the last stage, instead of the recipe's.
        first_stage: stages before it are skipped; a run that is resumed keeps its own.
        device, devices: see `parallel.launch`.
        threads: of torch, in each process.
        workers: processes that prepare crops.
        holdout: images kept apart for validation, the last ones; 4, or as many as the run that is resumed.
        say: told how many images there are.

    Returns:
        None in all processes but the first.

    Raises:
        InvalidInput: no recipe, no photographs, or settings that do not go together.
        TrainingDiverged, ProcessFailed: as `loop.Run.train`.
        WeightsMismatch, MissingWeights, PluginError: as `export.export` and `task.make_task`.
    """
    before = recorded(directory / CHECKPOINT) if resume else {}
    every_setting = [*before.get("settings", ()), *settings]
    if before:
        first_stage = _kept("--first-stage", first_stage, before["stages"][0])
        holdout = _kept("--holdout", holdout, before["holdout"])
    holdout = HOLDOUT if holdout is None else holdout
    plan = _shortened(load_recipe(recipe, every_setting), recipe, steps, first_stage)

    def prepared() -> Run:
        torch.manual_seed(plan.seed)
        _, task = make_task(plan)
        images = load_images(find_images(data))
        if not 0 <= holdout < len(images):
            raise InvalidInput(
                f"--holdout is {holdout}, expected 0 to {len(images) - 1}: {data} has {len(images)} images"
            )
        if before and len(images) != before["images"]:
            raise InvalidInput(
                f"{data} has {len(images)} images, expected the {before['images']} of the run that is resumed"
            )
        if processes.first:
            say(f"{len(images)} images, {sum(i.size for i in images) / 3e6:.3g} megapixels in all")
        history = task.initialize(init).get("model_card", {}).get("runs", []) if init is not None else []
        options = RunOptions(directory, resume, minutes, processes, workers, get_runtime().training_event)
        kept = len(images) - holdout
        validation = [center_crop(image, VALIDATION_SIDE) for image in images[kept:]]
        record = Record(
            name=recipe.stem,
            recipe=recipe.read_text("utf-8"),
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
            run.train()
    except ProcessFailed as error:
        if processes.first or isinstance(error, ProcessLost):
            raise
        return None  # the first process says it
    if not processes.first:
        return None
    step = run.step
    del run  # an export holds the model again
    return Trained(export(directory), step, plan.steps)


def check(plan: Recipe) -> None:
    """Raise what training would raise at once: no such codec, options or stages, files that are missing."""
    _, task = make_task(plan)
    for stage in plan.stages:
        make_optimizers(stage, task.parameter_groups(stage.name))


def _kept(option: str, given: Value | None, own: Value) -> Value:
    """What a run that is resumed was started with."""
    if given not in (None, own):
        raise InvalidInput(
            f"{option} is {given}, expected {own}, with which the run that is resumed was started"
        )
    return own


def _shortened(plan: Recipe, path: Path, steps: int | None, first_stage: str | None) -> Recipe:
    if first_stage:
        names = [stage.name for stage in plan.stages]
        if first_stage not in names:
            raise InvalidInput(f"{path}: no stage {first_stage!r}; expected one of {', '.join(names)}")
        plan = dataclasses.replace(plan, stages=plan.stages[names.index(first_stage) :])
    if steps is not None:
        last = dataclasses.replace(plan.stages[-1], steps=steps)
        plan = dataclasses.replace(plan, stages=(*plan.stages[:-1], last))
    return plan
