"""Learning-rate schedules: the share of a stage's peak rate at each of its batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .recipe import Stage

SCHEDULES = ("cosine", "ramp_cosine", "constant")


def learning_rate_factor(stage: Stage, step: int) -> float:
    """Learning rate of a batch over ``stage.learning_rate``; ``step`` counts batches from the stage's start.

    All begin with a linear ramp of ``stage.warmup_steps``.

    * "cosine": half a period of a cosine over the whole stage, from 1 to ``stage.final_ratio``; the ramp
      multiplies its beginning.
    * "ramp_cosine": after the ramp, the cosine of an angle that grows from 0 until ``stage.final_ratio`` is
      reached at the end: cos(pi/2 t) for a final ratio of 0. The code of Muckley et al. 2023 ends at 0.718,
      see the recipe ``illm_pretrain``.
    * "constant": 1 after the ramp.
    """
    ramp = min(1.0, (step + 1) / max(1, stage.warmup_steps))
    if stage.schedule == "cosine":
        cosine = 0.5 * (1 + math.cos(math.pi * step / stage.steps))
        return ramp * (stage.final_ratio + (1 - stage.final_ratio) * cosine)
    if stage.schedule == "ramp_cosine" and step > stage.warmup_steps:
        done = (step - stage.warmup_steps) / (stage.steps - stage.warmup_steps)
        return math.cos(done * math.acos(stage.final_ratio))
    return ramp
