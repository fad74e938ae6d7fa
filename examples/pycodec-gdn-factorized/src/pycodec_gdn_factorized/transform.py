"""The transform: four convolutions of stride 2 with GDN between them, and back (Ballé et al. 2017)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from .gdn import GDN
from .quality import at_quality
from .start import start_analysis, start_synthesis

UNIT = 64.0  # grey levels; the networks see and give numbers of the size of 1


class GDNTransform(nn.Module):
    """Analysis and synthesis of stride 16, with a quantisation step per channel and quality.

        x -> conv -> GDN -> conv -> GDN -> conv -> GDN -> conv -> / step(quality) -> y
        y -> x step(quality) -> deconv -> IGDN -> deconv -> IGDN -> deconv -> IGDN -> deconv -> x_hat

    Latents are in units of steps, so that rounding them is the quantizer.

    Args:
        width: channels inside.
        latents: channels of the latent.
        qualities: whole qualities with steps of their own.
        steps: initial step of the lowest and of the highest quality, in grey levels.
    """

    stride = 16

    def __init__(
        self,
        width: int = 40,
        latents: int = 128,
        qualities: int = 8,
        steps: tuple[float, float] = (80.0, 10.0),
    ):
        super().__init__()
        self.channels = latents
        self._config = {"width": width, "latents": latents, "qualities": qualities, "steps": list(steps)}
        widths = 3, width, width, width, latents
        down = [nn.Conv2d(a, b, 5, 2, padding=2) for a, b in pairwise(widths)]
        up = [
            nn.ConvTranspose2d(a, b, 5, 2, padding=2, output_padding=1) for a, b in pairwise(reversed(widths))
        ]
        start_analysis(down)
        start_synthesis(up)
        self.encoder = nn.Sequential(down[0], GDN(width), down[1], GDN(width), down[2], GDN(width), down[3])
        self.decoder = nn.Sequential(
            up[0], GDN(width, True), up[1], GDN(width, True), up[2], GDN(width, True), up[3]
        )
        ramp = torch.linspace(math.log(steps[0] / UNIT), math.log(steps[1] / UNIT), qualities)
        self.log_step = nn.Parameter(ramp[:, None].repeat(1, latents))
        self.to(memory_format=torch.channels_last)

    def config(self) -> dict:
        return dict(self._config)

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:
        """Latents [N, latents, H / 16, W / 16] of images [N, 3, H, W] in -128..127; quality is [N]."""
        return self.encoder(x / UNIT) * torch.exp(-at_quality(self.log_step, quality))

    def synthesis(self, y: Tensor, quality: Tensor) -> Tensor:
        """Images [N, 3, 16 h, 16 w] in -128..127, not clipped, of latents [N, latents, h, w]."""
        return self.decoder(y * torch.exp(at_quality(self.log_step, quality))) * UNIT
