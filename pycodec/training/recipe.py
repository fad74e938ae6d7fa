"""Recipes: one TOML file that fixes a training run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Stage:
    """One phase of a run with its own set of trained parts and its own learning-rate schedule.

    Attributes:
        name: which phase; the codec's training task knows the names.
        steps: batches.
        learning_rate: peak rate of each optimiser of the task, by name.
        warmup_steps: linear ramp at the start.
        final_ratio: the rate at the end, as a share of the peak (cosine in between).
        batch: crops a step.
        crop: their side in pixels.
    """

    name: str
    steps: int
    learning_rate: Mapping[str, float]
    warmup_steps: int = 100
    final_ratio: float = 0.05
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


def _build(cls: type, table: Mapping[str, Any], where: str) -> Any:
    known = {f.name for f in fields(cls)}
    if unknown := sorted(set(table) - known):
        raise InvalidInput(f"{where}: unknown key {unknown[0]!r}; expected one of {', '.join(sorted(known))}")
    try:
        return cls(**table)
    except TypeError as error:
        raise InvalidInput(f"{where}: {error}; see an existing recipe for the form") from None


def parse_recipe(table: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """A recipe from a parsed TOML table; raises InvalidInput naming the key that is wrong."""
    table = dict(table)
    stages = table.pop("stage", None)
    if not stages:
        raise InvalidInput(f"{where}: no [[stage]]; a recipe needs at least one")
    built = tuple(_build(Stage, stage, f"{where}, stage {i + 1}") for i, stage in enumerate(stages))
    for i, stage in enumerate(built):
        if stage.steps < 1 or stage.batch < 1 or stage.crop < 8:
            raise InvalidInput(
                f"{where}, stage {i + 1}: steps {stage.steps}, batch {stage.batch}, crop {stage.crop}; "
                "expected at least 1, 1 and 8"
            )
    if "scale" in table:
        table["scale"] = tuple(table["scale"])
    return _build(Recipe, {**table, "stages": built}, where)


def read_recipe(text: str, where: str = "recipe") -> Recipe:
    """A recipe from the text of its file."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{where}: not valid TOML: {error}") from None
    return parse_recipe(table, where)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise InvalidInput(
            f"{path}: no such recipe; give a .toml file or the name of one that a plugin brings"
        ) from None
    return read_recipe(text, str(path))
