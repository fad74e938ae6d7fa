"""The sweeps that ship: every setting is one that recipe, task, discriminator and codec know."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import pycodec_plugins.illm as illm
from pycodec.evaluation.spec import parse
from pycodec.runtime import get_runtime
from pycodec.sweep.spec import WEIGHTS, fill, find_sweep, load_sweep
from pycodec.training.recipe import find_recipe, load_recipe
from pycodec_plugins.illm.decoder_task import STAGES, DecoderTask
from pycodec_plugins.illm.unet import NORMS

SWEEPS = {"hyperprior_illm": 1 + 4 + 4, "illm_norms": 4, "illm_labels": 4}
SWEEPS |= {f"hyperprior_{name}": count for name, count in SWEEPS.items() if name.startswith("illm_")}


def takes(kind: str, name: str, options: dict[str, Any]) -> None:
    """Raise TypeError for an option that the factory of a component does not have."""
    inspect.signature(get_runtime().find(kind, name).load_factory()).bind(**options)


def test_they_are_all_here() -> None:
    folder = find_sweep("hyperprior_illm").parent
    assert folder.parent.samefile(illm.__path__[0])
    assert {path.stem for path in folder.glob("*.toml")} == SWEEPS.keys()


@pytest.mark.parametrize("name", SWEEPS)
def test_every_setting_is_known(name: str) -> None:
    sweep = load_sweep(find_sweep(name))
    files = {file: f"{file}.safetensors" for file in sweep.files}
    points = sweep.points()
    assert len(points) == SWEEPS[name]
    recipes = []
    for point in points:
        recipe = load_recipe(find_recipe(sweep.recipe), [fill(one, files, name) for one in point.set])
        recipes.append(recipe)
        assert all(stage.name in STAGES for stage in recipe.stages)
        inspect.signature(DecoderTask).bind(recipe.config, **recipe.task)
        critic = recipe.task["discriminator"]
        takes("discriminator", critic["name"], critic.get("config", {}))
    assert len({repr(recipe) for recipe in recipes}) == len(points)
    for codec in (sweep.measure.codec, *(one.codec for one in sweep.reference)):
        takes("codec", *parse(fill(codec, {**files, WEIGHTS: "x.safetensors"}, name)))


def test_table_1_is_complete() -> None:
    sweep = load_sweep(find_sweep("illm_norms"))
    assert [one.name for one in sweep.series] == [*NORMS, "PatchGAN"]
