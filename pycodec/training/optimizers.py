"""The optimisers of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pycodec.errors import InvalidInput

from .recipe import Optimizer, Stage

KINDS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def make_optimizers(
    stage: Stage, groups: Mapping[str, list[dict[str, Any]]]
) -> dict[str, torch.optim.Optimizer]:
    """What steps the parameter groups that a task gives for ``stage``, by the names the task uses.

    A group may say "weight_decay" for itself, and "ratio", by which the learning rate is scaled.

    Raises:
        InvalidInput: the stage has no learning rate for one, or speaks of one there is not.
    """
    for name in groups.keys() - stage.learning_rate.keys():
        raise InvalidInput(
            f"stage {stage.name!r}: no learning_rate for {name!r}; expected {', '.join(groups)}"
        )
    for name in stage.optimizer.keys() - groups.keys():
        raise InvalidInput(
            f"stage {stage.name!r}: no optimizer {name!r}; expected one of {', '.join(groups)}"
        )
    built = {}
    for name, own in groups.items():
        chosen = stage.optimizer.get(name, Optimizer())
        built[name] = KINDS[chosen.name](
            [{"ratio": 1.0, **group} for group in own],
            lr=1.0,  # set at each step
            betas=chosen.betas,
            weight_decay=chosen.weight_decay,
            fused=True,  # one pass over all tensors, on the CPU and on CUDA
        )
    return built
