"""What stands behind a point of a curve: how large its networks are, and how they were trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

import pycodec
from pycodec import weight_store, weights
from pycodec.errors import PycodecError
from pycodec.evaluation.spec import parse
from pycodec.training.recipe import read_recipe


def parameters(parts: Any) -> dict[str, int] | None:
    """How many parameters networks have; None where there are none to count.

    Args:
        parts: a codec or its latent model.

    Returns:
        "transforms", of what turns pixels into a latent and back, and "all", of all parts.
    """
    modules = {name: getattr(parts, name, None) for name in ("transform", "quantizer", "entropy_model")}
    counts = {name: _count(module) for name, module in modules.items()}
    transform = modules["transform"]  # with the analysis of the hyper-latent, if there is such
    transforms = _count(getattr(transform, "transform", transform))
    return {"transforms": transforms, "all": sum(counts.values())} if transforms else None


def training(spec: str) -> list[dict[str, Any]] | None:
    """The runs that trained a codec's weights, first to last, from their model card; None if nobody knows.

    Returns:
        Of each run: steps, how many images, and of its stages batch and crop, as far as the card says.
    """
    try:
        runs = _metadata(spec)["model_card"]["runs"]
    except (PycodecError, KeyError):
        return None
    return [{"steps": run["steps"], "images": run["images"], "stages": _stages(run)} for run in runs]


def _count(module: Any) -> int:
    return sum(p.numel() for p in module.parameters()) if isinstance(module, nn.Module) else 0


def _metadata(spec: str) -> dict[str, Any]:
    name, options = parse(spec)
    if path := options.get("weights_file"):
        return weights.read_metadata(path)
    component = next(one for one in pycodec.components("codec") if name in (one.name, *one.aliases))
    shipped = weight_store.shipped(component)
    return weights.read_metadata(shipped.path) if shipped else {}


def _stages(run: Mapping[str, Any]) -> list[dict[str, int]]:
    try:
        recipe = read_recipe(run["recipe"], settings=run.get("settings", ()))
    except (PycodecError, KeyError):  # of another version
        return []
    return [{"batch": stage.batch, "crop": stage.crop} for stage in recipe.stages]
