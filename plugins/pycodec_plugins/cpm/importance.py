"""The importance map (Mentzer et al. 2018, section 3.4): how many latent channels each position may use."""

from __future__ import annotations

import torch
from torch import Tensor


def expand_importance(importance: Tensor, channels: int) -> Tensor:
    """Mask of eq. 14: 1 below the importance, 0 above, linear in the channel at the transition.

    Args:
        importance: [N, 1, H, W] in 0..channels.
        channels: K, depth of the mask.

    Returns:
        [N, channels, H, W] in 0..1.
    """
    k = torch.arange(channels, device=importance.device, dtype=importance.dtype)[:, None, None]
    return (importance - k).clamp(0, 1)


def ceil_identity(mask: Tensor) -> Tensor:
    """The binary mask ceil(m) in the forward pass, the identity in the backward pass."""
    return mask + (mask.ceil() - mask).detach()
