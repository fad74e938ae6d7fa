"""The network that predicts a pass of a latent from those before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .quadtree import PASSES

INPUT_LIMIT = 127.9375  # of values as the network sees them


class DepthwiseBlock(nn.Module):
    """Residual block: pointwise, 3 x 3 depth-wise, pointwise (Chollet 2017; Zhang and Liu 2025, IV.A)."""

    def __init__(self, width: int):
        super().__init__()
        self.expand = nn.Conv2d(width, width, 1)
        self.spatial = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.project = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:  # [N, width, H, W]
        hidden = torch.relu(self.spatial(torch.relu(self.expand(x))))
        y: Tensor = x + self.project(hidden)
        return y


class ContextNetwork(nn.Module):
    """What to add to a prior, given what is known; see `quadtree.walk`.

        squash(prior, known) -- layer of the pass -- depth-wise blocks -- head (starts as 0)

    Only the first layer is different in each pass, as in DCVC-DC.

    Args:
        channels: of the latent.
        width, depth: of the blocks.
    """

    def __init__(self, channels: int, width: int = 128, depth: int = 2):
        super().__init__()
        self.adapt = nn.ModuleList(nn.Conv2d(2 * channels, width, 1) for _ in range(PASSES - 1))
        self.blocks = nn.Sequential(*(DepthwiseBlock(width) for _ in range(depth)))
        self.head = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.head.weight), nn.init.zeros_(self.head.bias)

    def forward(self, number: int, prior: Tensor, known: Tensor) -> Tensor:
        """Of pass ``number``, all [N, channels, H, W]."""
        if not prior.numel():  # convolutions refuse it
            return torch.zeros_like(prior)
        with torch.autocast(prior.device.type, enabled=False):
            x = self.adapt[number - 1](squash(torch.cat([prior.float(), known.float()], 1)))
            result: Tensor = self.head(self.blocks(x))
        return result


def squash(x: Tensor) -> Tensor:
    """Magnitudes span three orders; near 0, a value itself."""
    return torch.asinh(x.clamp(-INPUT_LIMIT, INPUT_LIMIT))
