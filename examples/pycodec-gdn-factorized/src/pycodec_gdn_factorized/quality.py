"""Tables by quality: how one network serves every rate."""

from __future__ import annotations

from torch import Tensor


def at_quality(table: Tensor, quality: Tensor) -> Tensor:  # [Q, C], [N] -> [N, C, 1, 1]
    """Rows of ``table``, whose first is that of quality 1; linear between whole qualities."""
    position = (quality - 1).clamp(0, len(table) - 1)
    low = position.long().clamp(max=len(table) - 2)
    rows = table[low].lerp(table[low + 1], (position - low)[:, None])
    return rows[:, :, None, None]
