"""Encoder and decoder of VQ-GAN (Esser et al. 2021) as MS-ILLM has them (Muckley et al. 2023, section 4.3).

Normalisation is HiFiC's, of each position over its channels, instead of GroupNorm: what a part of an image
becomes does not depend on the rest of it. Attention is that of XCiT, between channels instead of positions:
its cost grows with the area of an image, not with the square of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pycodec_plugins.hyperprior import ChannelNorm


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions behind normalisation and swish; a 1 x 1 shortcut where the width changes."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(
            ChannelNorm(inputs),
            nn.SiLU(),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            ChannelNorm(outputs),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.body(x)
        return y


class CrossCovarianceAttention(nn.Module):
    """Attention of XCiT (El-Nouby et al. 2021, eq. 4) with one head, around which the input is carried.

    Queries and keys of a channel are its values over all positions, scaled to unit length; the softmax of
    their products, over a learned temperature, mixes the channels of each position.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.temperature = nn.Parameter(torch.ones(()))
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W]
        q, k, v = self.qkv(self.norm(x)).flatten(2).chunk(3, 1)  # [N, C, H W] each
        covariance = F.normalize(q.float(), dim=2) @ F.normalize(k.float(), dim=2).transpose(1, 2)
        mixed = (covariance * self.temperature).softmax(2).to(v.dtype) @ v
        y: Tensor = x + self.project(mixed.view_as(x))
        return y


def encoder(widths: Sequence[int], blocks: int, stem: int, outputs: int) -> nn.Sequential:
    """Images [N, 3, H, W] to features [N, outputs, h, w], of stride ``stem * 2 ** (len(widths) - 1)``.

    Args:
        widths: channels of each level, from fine to coarse; the coarsest has attention.
        blocks: residual blocks a level.
        stem: side of the squares of pixels that are one position of the first level.
        outputs: channels of the features.
    """
    layers: list[nn.Module] = [
        nn.PixelUnshuffle(stem),
        nn.Conv2d(3 * stem**2, widths[0], 3, padding=1),
    ]
    width = widths[0]
    for level, following in enumerate(widths):
        if level:  # padded behind only, so that the stride is exactly 2
            layers += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(width, width, 3, 2)]
        layers += _level(width, following, blocks, attention=level == len(widths) - 1)
        width = following
    layers += [*_middle(width), ChannelNorm(width), nn.SiLU(), nn.Conv2d(width, outputs, 3, padding=1)]
    return nn.Sequential(*layers)


def decoder(widths: Sequence[int], blocks: int, stem: int, inputs: int) -> nn.Sequential:
    """The way back; arguments as for `encoder`, of which it has one residual block more a level."""
    width = widths[-1]
    layers: list[nn.Module] = [nn.Conv2d(inputs, width, 3, padding=1), *_middle(width)]
    layers += _level(width, width, blocks + 1, attention=True)
    for coarse, fine in pairwise(widths[::-1]):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(coarse, coarse, 3, padding=1)]
        layers += _level(coarse, fine, blocks + 1, attention=False)
    last = [ChannelNorm(widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 3 * stem**2, 3, padding=1)]
    return nn.Sequential(*layers, *last, nn.PixelShuffle(stem))


def _level(inputs: int, outputs: int, blocks: int, attention: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i in range(blocks):
        layers.append(ResidualBlock(inputs if i == 0 else outputs, outputs))
        if attention:
            layers.append(CrossCovarianceAttention(outputs))
    return layers


def _middle(width: int) -> list[nn.Module]:
    return [ResidualBlock(width, width), CrossCovarianceAttention(width), ResidualBlock(width, width)]
