"""Vectors indexed by quality: one network serves a range of rates through small per-quality tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class QualityTable(nn.Module):
    """One learned vector per whole quality, linear in between (training-time twin of a stored table).

    Args:
        initial: [qualities, channels] start values.
    """

    def __init__(self, initial: Tensor):
        super().__init__()
        self.table = nn.Parameter(initial.clone().float())

    def forward(self, quality: Tensor) -> Tensor:
        """Vectors for ``quality`` [N] in 1..qualities, as [N, channels]."""
        position = (quality - 1).clamp(0, self.table.shape[0] - 1)
        low = position.floor().long().clamp(max=self.table.shape[0] - 2)
        fraction = (position - low)[:, None]
        return self.table[low] * (1 - fraction) + self.table[low + 1] * fraction


def lambda_of(quality: Tensor, lambdas: Sequence[float], count: int) -> Tensor:
    """Weight of the squared error (0..255 scale) against bits per pixel, geometric between the ``lambdas`` of
    the lowest and the highest of so many qualities.
    """
    low, high = torch.tensor(lambdas, dtype=quality.dtype).log()
    return torch.exp(low + (high - low) * (quality - 1) / max(1, count - 1))


def error_weight(lambdas: Sequence[float], count: int) -> Callable[[int], float]:
    """`lambda_of` by the quality step, the same on every machine, whatever its exp rounds to."""

    def weight(step: int) -> float:
        quality = torch.tensor(step / 16, dtype=torch.float64)
        return float(f"{lambda_of(quality, lambdas, count).item():.6g}")

    return weight
