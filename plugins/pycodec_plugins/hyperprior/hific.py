"""The autoencoder of HiFiC, which MS-ILLM uses (Mentzer et al. 2020; Muckley et al. 2023, section A.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

PIXEL_UNIT = 128.0  # grey levels that the networks see as 1


class ChannelNorm(nn.Module):
    """Normalises each position over its channels, then scales and shifts each channel.

    The mean and the unbiased variance are those of one position alone: unlike instance normalisation it does
    not depend on the size of an image.
    """

    EPSILON = 1e-3

    def __init__(self, channels: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:  # [N, channels, H, W]
        variance, mean = torch.var_mean(x, 1, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + self.EPSILON) * self.gain + self.bias


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, each normalised, around which the input is carried."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            ChannelNorm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            ChannelNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class HificAutoencoder(nn.Module):
    """Analysis and synthesis of stride 16 for one rate: the quality is not looked at.

    Args:
        channels: of the latent.
        widths: of the encoder from full resolution to stride 16; the decoder has them in reverse.
        depth: residual blocks of the decoder.
    """

    stride = 16

    def __init__(self, channels: int = 220, widths: Sequence[int] = (60, 120, 240, 480, 960), depth: int = 9):
        super().__init__()
        self.channels = channels
        self._config = {"channels": channels, "widths": list(widths), "depth": depth}
        first, last = widths[0], widths[-1]
        encoder: list[nn.Module] = [
            nn.Conv2d(3, first, 7, padding=3, padding_mode="reflect"),
            ChannelNorm(first),
            nn.ReLU(),
        ]
        for inputs, outputs in pairwise(widths):
            encoder += [nn.Conv2d(inputs, outputs, 3, 2, padding=1), ChannelNorm(outputs), nn.ReLU()]
        self.encoder = nn.Sequential(*encoder, nn.Conv2d(last, channels, 3, padding=1))
        self.head = nn.Sequential(
            ChannelNorm(channels), nn.Conv2d(channels, last, 3, padding=1), ChannelNorm(last)
        )
        self.blocks = nn.Sequential(*(ResidualBlock(last) for _ in range(depth)))
        decoder: list[nn.Module] = []
        for inputs, outputs in pairwise(widths[::-1]):
            up = nn.ConvTranspose2d(inputs, outputs, 3, 2, padding=1, output_padding=1)
            decoder += [up, ChannelNorm(outputs), nn.ReLU()]
        self.tail = nn.Sequential(*decoder, nn.Conv2d(first, 3, 7, padding=3, padding_mode="reflect"))

    def config(self) -> dict:
        return dict(self._config)

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:  # [N, 3, H, W] -> [N, channels, H / 16, W / 16]
        """Latents of images in -128..127."""
        y: Tensor = self.encoder(x / PIXEL_UNIT)
        return y.float()

    def synthesis(self, y: Tensor, quality: Tensor) -> Tensor:  # [N, channels, h, w] -> [N, 3, 16 h, 16 w]
        """Images, not clipped, of latents."""
        first = self.head(y)
        x: Tensor = self.tail(first + self.blocks(first))
        return x.float() * PIXEL_UNIT
