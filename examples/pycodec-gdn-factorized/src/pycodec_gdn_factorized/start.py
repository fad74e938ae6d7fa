"""A start for the transform: principal components of principal components of 2 x 2 pixels, and so on.

From random weights a network first has to learn what every transform codec knows: that neighbours are alike.
Starting there, minutes of training are enough to get somewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

NEIGHBOURS = 0.95  # correlation of adjacent pixels
COLOURS = 0.9  # of red, green and blue of a pixel


def principal_kernels(widths: Sequence[int]) -> list[Tensor]:
    """Orthonormal kernels of layers of stride 2, each taking 2 x 2 positions to their principal components.

    The components are those of a model of images, a first order Markov process in either direction.

    Args:
        widths: outputs of each layer; there are at most 4 per input, those of largest variance first.

    Returns:
        One [outputs, inputs, 2, 2] a layer, inputs being 3 and then the outputs of the layer before.
    """
    side = 2 ** len(widths)
    position = torch.arange(side, dtype=torch.float64)
    line = NEIGHBOURS ** (position[:, None] - position).abs()
    colour = COLOURS + (1 - COLOURS) * torch.eye(3, dtype=torch.float64)
    covariance = torch.einsum("ij,kl,ab->aikbjl", line, line, colour)  # of a block: [C, s, s, C, s, s]
    kernels = []
    for width in widths:
        channels, half = covariance.shape[0], side // 2
        split = covariance.reshape(channels, half, 2, half, 2, channels, half, 2, half, 2)
        patch = split[:, 0, :, 0, :, :, 0, :, 0].reshape(4 * channels, 4 * channels)
        components = torch.linalg.eigh(patch).eigenvectors.T.flip(0)[:width]
        kernel = components.reshape(-1, channels, 2, 2)
        kernels.append(kernel.float())
        covariance = torch.einsum("oapq,aipjqbkrlt,ubrt->oijukl", kernel, split, kernel)
        side = half
    return kernels


@torch.no_grad()
def start_analysis(layers: Sequence[nn.Conv2d]) -> None:
    """Put `principal_kernels` into convolutions of stride 2 and odd kernels with "same" padding.

    Outputs there is no component for keep their random weights, and no component sees them.
    """
    kernels = principal_kernels([layer.out_channels for layer in layers])
    for layer, kernel in zip(layers, kernels, strict=True):
        layer.weight[: len(kernel)] = 0
        nn.init.zeros_(layer.bias)
        _middle(layer.weight, kernel)


@torch.no_grad()
def start_synthesis(layers: Sequence[nn.ConvTranspose2d]) -> None:
    """The inverse, for transposed convolutions: an orthonormal matrix is inverted by its transpose."""
    kernels = principal_kernels([layer.in_channels for layer in reversed(layers)])
    for layer, kernel in zip(layers, reversed(kernels), strict=True):
        layer.weight[:, : kernel.shape[1]] = 0
        nn.init.zeros_(layer.bias)
        _middle(layer.weight, kernel)


def _middle(weight: Tensor, kernel: Tensor) -> None:
    """Set the taps at and after the middle, which are those of positions 2i and 2i + 1."""
    middle = weight.shape[-1] // 2
    weight[: kernel.shape[0], : kernel.shape[1], middle : middle + 2, middle : middle + 2] = kernel
