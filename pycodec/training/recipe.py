"""Recipes: one TOML file that fixes a training run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput, near_names

from .schedule import SCHEDULES
from .settings import apply_settings
from .tables import build, find, parse, read_text


@dataclass(frozen=True)
class Optimizer:
    """How one optimiser of a stage steps.

    Attributes:
        name: "adam" or "adamw".
        betas: decay of the averages of the gradient and of its square.
        weight_decay: of "adamw", in units of the learning rate (Loshchilov and Hutter 2019).
    """

    name: str = "adam"
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Stage:
    """One phase of a run with its own set of trained parts and its own learning-rate schedule.

    Attributes:
        name: which phase; the codec's training task knows the names.
        steps: batches.
        learning_rate: peak rate of each optimiser of the task, by name.
        schedule: "cosine", "ramp_cosine" (a quarter of a period, or less) or "constant".
        warmup_steps: linear ramp at the start, in batches.
        final_ratio: the rate at the end, as a share of the peak, 0 to 1; not for "constant".
        optimizer: settings of each optimiser that shall not have the defaults, by name.
        clip_norm: largest gradient norm of one optimiser's parameters, if not that of the recipe.
        batch: crops a step, of all processes together.
        crop: their side in pixels.
    """

    name: str
    steps: int
    learning_rate: Mapping[str, float]
    schedule: str = "cosine"
    warmup_steps: int = 100
    final_ratio: float = 0.05
    optimizer: Mapping[str, Optimizer] = field(default_factory=dict)
    clip_norm: float | None = None
    batch: int = 8
    crop: int = 128


@dataclass(frozen=True)
class Recipe:
    """What a run trains, on what and for how long.

    Attributes:
        codec: registered name of the codec; its factory also provides the training task.
        config: keyword arguments of the codec's factory.
        task: options of the training task (rate-distortion weights, loss, ...).
        stages: phases, one after the other.
        seed: of everything drawn at random.
        precision: Lightning Fabric precision, e.g. "bf16-mixed" or "32-true".
        clip_norm: largest gradient norm of one optimiser's parameters.
        ema: decay of the weight average that is validated and exported.
        scale: range of the random down-scaling of training images.
        native: share of the crops that are not scaled.
        validate_every: steps between two looks at the images held out.
        checkpoint_every: steps between two checkpoints.
    """

    codec: str
    stages: tuple[Stage, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    precision: str = "bf16-mixed"
    clip_norm: float = 2.0
    ema: float = 0.999
    scale: tuple[float, float] = (0.5, 0.75)
    native: float = 0.25
    validate_every: int = 1000
    checkpoint_every: int = 500

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> tuple[int, int]:
        """Index of the stage of ``step`` (from 0, over the whole run), and the step inside that stage."""
        for index, stage in enumerate(self.stages):
            if step < stage.steps:
                return index, step
            step -= stage.steps
        raise IndexError("step is past the end of the recipe")


def _one_of(value: str, known: Sequence[str], what: str, where: str) -> None:
    if value not in known:
        raise InvalidInput(
            f"{where}: {what} {value!r}; expected one of {', '.join(known)}{near_names(value, known)}"
        )


def _stage(table: Mapping[str, Any], where: str) -> Stage:
    given = table.get("optimizer", {})
    if not isinstance(given, Mapping) or not all(isinstance(v, Mapping) for v in given.values()):
        raise InvalidInput(
            f"{where}: optimizer is {given!r}; expected a table for each optimiser, such as "
            '{ model = { name = "adamw", weight_decay = 5e-5 } }'
        )
    optimizer = {name: _optimizer(own, f"{where}, optimizer {name!r}") for name, own in given.items()}
    stage: Stage = build(Stage, {**table, "optimizer": optimizer}, where)
    if stage.steps < 1 or stage.batch < 1 or stage.crop < 8:
        raise InvalidInput(
            f"{where}: steps {stage.steps}, batch {stage.batch}, crop {stage.crop}; "
            "expected at least 1, 1 and 8"
        )
    _one_of(stage.schedule, SCHEDULES, "schedule", where)
    if not 0 <= stage.final_ratio <= 1 or stage.warmup_steps < 0:
        raise InvalidInput(
            f"{where}: final_ratio {stage.final_ratio}, warmup_steps {stage.warmup_steps}; "
            "expected 0 to 1, and at least 0"
        )
    if stage.clip_norm is not None and not stage.clip_norm > 0:
        raise InvalidInput(f"{where}: clip_norm is {stage.clip_norm}; expected more than 0")
    return stage


def _optimizer(table: Mapping[str, Any], where: str) -> Optimizer:
    optimizer: Optimizer = build(Optimizer, table, where)
    _one_of(optimizer.name, ("adam", "adamw"), "name", where)
    if not all(0 <= beta < 1 for beta in optimizer.betas):
        raise InvalidInput(
            f"{where}: betas are {list(optimizer.betas)}; expected two numbers from 0 to below 1"
        )
    if optimizer.weight_decay < 0 or (optimizer.weight_decay and optimizer.name == "adam"):
        raise InvalidInput(
            f"{where}: weight_decay is {optimizer.weight_decay} for {optimizer.name!r}; "
            "expected at least 0, and more only for 'adamw'"
        )
    return optimizer


def parse_recipe(table: Mapping[str, Any], where: str = "recipe", settings: Iterable[str] = ()) -> Recipe:
    """A recipe from a parsed TOML table.

    Args:
        table: what the file says.
        where: name of the recipe in messages.
        settings: ``KEY=VALUE``, instead of what the table says; see `settings.apply_settings`.

    Raises:
        InvalidInput: names the key that is wrong.
    """
    given = apply_settings(table, settings, where)
    stages = given.pop("stage", None)
    if not stages:
        raise InvalidInput(f"{where}: no [[stage]]; a recipe needs at least one")
    if not isinstance(stages, list) or not all(isinstance(stage, Mapping) for stage in stages):
        raise InvalidInput(f"{where}: stage is {stages!r}; expected tables, each under [[stage]]")
    built = tuple(_stage(stage, f"{where}, stage {i + 1}") for i, stage in enumerate(stages))
    recipe: Recipe = build(Recipe, {**given, "stages": built}, where)
    low, high = recipe.scale
    for fits, name, expected in (
        (0 <= recipe.seed < 1 << 31, "seed", "0 to 2^31 - 1"),
        (recipe.clip_norm > 0, "clip_norm", "more than 0"),
        (0 <= recipe.ema < 1, "ema", "0 to below 1"),
        (0 < low <= high <= 1, "scale", "two numbers above 0 and up to 1, the lower first"),
        (0 <= recipe.native <= 1, "native", "0 to 1"),
        (recipe.validate_every >= 1, "validate_every", "at least 1"),
        (recipe.checkpoint_every >= 1, "checkpoint_every", "at least 1"),
    ):
        if not fits:
            raise InvalidInput(f"{where}: {name} is {getattr(recipe, name)}; expected {expected}")
    return recipe


def read_recipe(text: str, where: str = "recipe", settings: Iterable[str] = ()) -> Recipe:
    """A recipe from the text of its file; arguments and errors as of `parse_recipe`."""
    return parse_recipe(parse(text, where), where, settings)


def load_recipe(path: Path, settings: Iterable[str] = ()) -> Recipe:
    """Read a recipe file; settings and errors as of `parse_recipe`."""
    return read_recipe(read_text(path, "recipe"), str(path), settings)


def find_recipe(name: str) -> Path:
    """A recipe file by path, or by name: ``recipes/NAME.toml`` beside the module of a plugin."""
    return find(name, "recipe")
