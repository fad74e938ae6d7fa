"""The order in which a latent is coded, in four passes (Li et al. 2023, DCVC-DC).

In each square of 2 x 2 positions and each group of four channels, every pass codes four of the 16 values: one
position of each channel, one channel of each position.

    channel      0      1      2      3
    passes     0 3    3 0    2 1    1 2
               2 1    1 2    0 3    3 0

So what is coded last has all its neighbours around it, in its own channel and in those beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PASSES = 4


def passes(channels: int, height: int, width: int) -> Tensor:  # [channels, height, width] int64
    """The pass that codes each value."""
    place = 2 * (torch.arange(height)[:, None] % 2) + torch.arange(width) % 2
    return -(torch.arange(channels)[:, None, None] % PASSES ^ place) % PASSES


def walk(
    prior: Tensor,
    predict: Callable[[int, Tensor, Tensor], Tensor],
    learn: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """What is told of each value before it is coded: a mean, or a scale.

    Args:
        prior: [..., C, H, W], what is told of all values at first, and of the first pass.
        predict: of pass 1 to 3, the prior and what is known, 0 where nothing is, gives what is to be added to
            the prior. Only its values in that pass are looked at.
        learn: of a pass, as a mask [C, H, W], and what is told, gives what is known once the pass is coded.
            Only its values in that pass are looked at.

    Returns:
        What is told, of the prior's shape.
    """
    order = passes(*prior.shape[-3:]).to(prior.device)
    told, known = prior, torch.zeros_like(prior)
    for number in range(PASSES):
        here = order == number
        if number:
            told = torch.where(here, prior + predict(number, prior, known), told)
        known = torch.where(here, learn(here, told), known)
    return told
