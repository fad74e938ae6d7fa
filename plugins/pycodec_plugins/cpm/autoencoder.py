"""The residual autoencoder of Mentzer et al. 2018, Fig. 2, with one or several importance maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput

from .importance import ceil_identity, expand_importance

# Channel statistics of ImageNet crops, RGB 0..255, as the authors use them (shifted to -128..127 below).
MEAN = torch.tensor([121.85369873, 113.58860779, 100.63715363]) - 128
STD = torch.tensor([4746.37695312, 4454.13964844, 4812.234375]).sqrt()


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution with "same" padding, batch norm and, by default, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


def deconvolution(inputs: int, outputs: int, kernel: int, relu: bool = True) -> nn.Sequential:
    """Transposed convolution of stride 2 that doubles the size, batch norm and, by default, ReLU."""
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(inputs, outputs, kernel, 2, padding=kernel // 2, output_padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around an identity; no ReLU after the sum."""

    def __init__(self, channels: int, relu: bool = True):
        super().__init__()
        self.layers = nn.Sequential(
            convolution(channels, channels, 3, relu=relu), convolution(channels, channels, 3, relu=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResidualGroup(nn.Module):
    """Three residual blocks with a skip around them."""

    def __init__(self, channels: int):
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.blocks(x)


class Trunk(nn.Module):
    """B residual groups and one last block without ReLU, with a skip around all of them."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.layers = nn.Sequential(
            *(ResidualGroup(channels) for _ in range(groups)), ResidualBlock(channels, relu=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResidualAutoencoder(nn.Module):
    """Encoder and decoder of Fig. 2, stride 8, with the masked bottleneck of section 3.4.

    Args:
        channels: K, latent channels.
        width: n, channels of the trunk; 128 in the paper.
        groups: B, residual groups; 5 in the paper.
        maps: importance maps, one per quality 1..maps ("Multiple compression rates" of the supplement).
    """

    stride = 8

    def __init__(self, channels: int = 32, width: int = 128, groups: int = 5, maps: int = 5):
        super().__init__()
        self.channels, self.width, self.groups, self.maps = channels, width, groups, maps
        self.encoder = nn.Sequential(
            convolution(3, width // 2, 5, 2),
            convolution(width // 2, width, 5, 2),
            Trunk(width, groups),
            convolution(width, channels + maps, 5, 2, relu=False),
        )
        self.decoder = nn.Sequential(
            deconvolution(channels, width, 3),
            Trunk(width, groups),
            deconvolution(width, width // 2, 5),
            deconvolution(width // 2, 3, 5, relu=False),
        )
        # Map i starts at i / maps of the channels (less 5 %): from one common start they take long to part.
        share = 0.95 * torch.arange(1, maps + 1) / maps
        with torch.no_grad():
            self.encoder[-1][1].bias[:maps] = torch.logit(share)
        self.register_buffer("mean", MEAN[:, None, None], persistent=False)
        self.register_buffer("std", STD[:, None, None], persistent=False)
        self.to(memory_format=torch.channels_last)

    def config(self) -> dict:
        return {"channels": self.channels, "width": self.width, "groups": self.groups, "maps": self.maps}

    def masked_analysis(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Masked latent z * ceil(m) and the smooth mask m, both [N, channels, H / 8, W / 8]."""
        z, importance = self._bottleneck(x, quality)
        mask = expand_importance(importance, self.channels)
        return z * ceil_identity(mask), mask

    def importance(self, x: Tensor, quality: Tensor) -> Tensor:
        """Share of the channels that each position may use, [N, H / 8, W / 8] in 0..1."""
        return self._bottleneck(x, quality)[1][:, 0] / self.channels

    def _bottleneck(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Latent before the mask, and the importance [N, 1, H / 8, W / 8] in 0..channels."""
        if x.shape[1] != 3:  # one plane would be broadcast to three
            raise InvalidInput(f"images of shape {tuple(x.shape)}, expected (N, 3, H, W)")
        bottleneck = self.encoder((x - self.mean) / self.std).float()
        z, logits = bottleneck[:, self.maps :], bottleneck[:, : self.maps]
        index = (quality.round().long() - 1).clamp(0, self.maps - 1)
        return z, self.channels * torch.sigmoid(logits[torch.arange(len(index)), index][:, None])

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:
        """Masked latent of images ``x`` [N, 3, H, W] in -128..127; quality [N] names the nearest map."""
        return self.masked_analysis(x, quality)[0]

    def synthesis(self, z: Tensor, quality: Tensor) -> Tensor:
        """Images [N, 3, 8 H, 8 W] in -128..127 (not clipped) of quantised latents; one decoder serves all
        qualities.
        """
        return self.decoder(z).float() * self.std + self.mean
