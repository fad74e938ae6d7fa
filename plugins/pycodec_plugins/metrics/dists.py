"""DISTS, "Image quality assessment: unifying structure and texture similarity" (Ding et al. 2020)."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .learned import LearnedMetric, path_text
from .networks import BACKBONES, MEAN, STD, features, vgg16
from .weights import Weights

_STABILITY = 1e-6  # c1 and c2 of eq. 4 and 5


class L2Pool(nn.Module):
    """Halves a feature map by the root of a Hann-weighted mean of squares (eq. 2)."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("window", torch.outer(taps, taps)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        window = self.window.expand(x.shape[1], 1, 3, 3)
        return (F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


class DISTS(nn.Module):
    """Distance of images in structure and texture; as a loss, ``DISTS(weights=...)(x_hat, x).mean()``.

    One minus the weighted mean of eq. 4 and 5 over the channels of the image itself and of five stages of
    VGG16, at the images' own size.

    Args:
        weights: path of ``dists.safetensors``; without it, that file in the folder PYCODEC_METRIC_WEIGHTS;
            "random" for a narrow network that measures nothing.

    Raises:
        MissingWeights, WeightsMismatch: no such file, or one of other weights.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None):
        super().__init__()
        source = Weights("dists", weights)
        channels = source.width(64)
        self.taps, self.min_side = BACKBONES["vgg"].taps, BACKBONES["vgg"].min_side
        self.features = vgg16(channels, pool=L2Pool)
        self.widths = [3, *(n * channels for n in BACKBONES["vgg"].widths)]
        self.alpha = nn.Parameter(torch.zeros(sum(self.widths)))
        self.beta = nn.Parameter(torch.zeros(sum(self.widths)))
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.identity = source.fill(self)
        """Of the weights: sha256, or "random"."""

    def forward(self, x_hat: Tensor, x: Tensor) -> Tensor:  # [N, 3, H, W] in -128..127, twice -> [N]
        """Distances of reconstructions from their originals; differentiable, sides at least ``min_side``."""
        texture, structure = [], []  # [N, C] of every stage
        for a, b in zip(self._stages(x_hat), self._stages(x), strict=True):
            mean_a, mean_b = a.mean((2, 3), keepdim=True), b.mean((2, 3), keepdim=True)
            a, b = a - mean_a, b - mean_b
            mean_a, mean_b = mean_a[..., 0, 0], mean_b[..., 0, 0]
            texture.append((2 * mean_a * mean_b + _STABILITY) / (mean_a**2 + mean_b**2 + _STABILITY))
            variances = (a * a).mean((2, 3)) + (b * b).mean((2, 3))
            structure.append((2 * (a * b).mean((2, 3)) + _STABILITY) / (variances + _STABILITY))
        similarity = torch.cat(texture, 1) @ self.alpha + torch.cat(structure, 1) @ self.beta
        return 1 - similarity / (self.alpha.sum() + self.beta.sum())

    def _stages(self, x: Tensor) -> list[Tensor]:
        x = (x + 128) / 255
        return [x, *features(self.features, (x - self.mean) / self.std, self.taps)]


class DISTSMetric(LearnedMetric):
    """Mean over images of `DISTS`, whose ``weights`` it takes."""

    def __init__(self, weights: str | os.PathLike[str] | None = None):
        super().__init__("DISTS", DISTS(weights), {"weights": path_text(weights)})
