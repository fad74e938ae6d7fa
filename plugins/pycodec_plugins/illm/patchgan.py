"""The discriminator of HiFiC (Mentzer et al. 2020), the baseline of MS-ILLM."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from .critic import SLOPE, Conditioned, binary_critic_loss, binary_generator_loss, fixed, halves


class PatchGAN(nn.Module):
    """Says of every patch whether it looks real: 4 x 4 convolutions of stride 2 with spectral normalisation.

    Args:
        channels: of the latent.
        widths: channels of the layers, each of half the resolution of the one before.
        context: planes that are made of the latent.
        disjoint: see `critic.halves`.
        saturating: the generator minimises eq. 5 as it is printed, instead of -log D.
        detail: see `critic.Conditioned`.
    """

    def __init__(
        self,
        channels: int = 220,
        widths: Sequence[int] = (64, 128, 256, 512),
        context: int = 12,
        disjoint: bool = False,
        saturating: bool = False,
        detail: float = 0.0,
    ):
        super().__init__()
        self._config = {
            "channels": channels,
            "widths": list(widths),
            "context": context,
            "disjoint": disjoint,
            "saturating": saturating,
            "detail": detail,
        }
        self.channels, self.disjoint, self.saturating = channels, disjoint, saturating
        self.conditioned = Conditioned(channels, context, detail)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([self.conditioned.planes, *widths]):
            layer = nn.Conv2d(inputs, outputs, 4, 2, padding=1, padding_mode="reflect")
            layers += [spectral_norm(layer), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 1))
        self._multiple = 2 ** len(widths)

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # [N, 3, H, W], [N, C, h, w] -> [N, 1, H', W']
        """Logits of the patches, positive where they look real."""
        logits: Tensor = self.layers(self.conditioned(x, y))
        return logits

    def critic_loss(self, x: Tensor, x_hat: Tensor, y: Tensor) -> Tensor:
        self.conditioned.check(x, x_hat, y, self._multiple)
        real, of_real, fake, of_fake = halves(x, x_hat, y, self.disjoint)
        return binary_critic_loss(self(real, of_real), self(fake, of_fake))

    def generator_loss(self, x: Tensor, x_hat: Tensor, y: Tensor) -> Tensor:
        self.conditioned.check(x, x_hat, y, self._multiple)
        with fixed(self):
            return binary_generator_loss(self(x_hat, y), self.saturating)
