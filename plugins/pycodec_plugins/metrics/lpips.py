"""LPIPS, "The unreasonable effectiveness of deep features as a perceptual metric" (Zhang et al. 2018)."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput, near_names

from .learned import LearnedMetric, path_text
from .networks import BACKBONES, features
from .weights import Weights

# What the published heads were trained behind; LPIPS takes images in -1..1.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-8


class LPIPS(nn.Module):
    """Distance of images in the features of a network; as a loss, ``LPIPS(weights=...)(x_hat, x).mean()``.

    Eq. 1 of the paper, version 0.1 of the heads. The features' norm is sqrt(epsilon + sum of squares): with
    epsilon outside the root, as published, the gradient is not finite where the squares of all channels
    vanish.

    Args:
        network: "alex" or "vgg".
        weights: path of ``lpips_alex.safetensors`` or ``lpips_vgg.safetensors``; without it, that file in the
            folder PYCODEC_METRIC_WEIGHTS; "random" for a narrow network that measures nothing.

    Raises:
        InvalidInput: no such network.
        MissingWeights, WeightsMismatch: no such file, or one of other weights.
    """

    def __init__(self, network: str = "alex", weights: str | os.PathLike[str] | None = None):
        super().__init__()
        if network not in BACKBONES:
            raise InvalidInput(
                f"lpips has no network {network!r}{near_names(network, BACKBONES)} "
                f"(networks: {', '.join(BACKBONES)})"
            )
        backbone = BACKBONES[network]
        source = Weights(f"lpips_{network}", weights)
        channels = source.width(64)
        self.taps, self.min_side = backbone.taps, backbone.min_side
        self.features = backbone.layers(channels)
        self.heads = nn.ParameterList(torch.zeros(n * channels) for n in backbone.widths)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(3, 1, 1), persistent=False)
        self.identity = source.fill(self)
        """Of the weights: sha256, or "random"."""

    def forward(self, x_hat: Tensor, x: Tensor) -> Tensor:  # [N, 3, H, W] in -128..127, twice -> [N]
        """Distances of reconstructions from their originals; differentiable, sides at least ``min_side``."""
        distance = x.new_zeros(len(x))
        for head, a, b in zip(self.heads, self._normalised(x_hat), self._normalised(x), strict=True):
            distance = distance + ((a - b).square() * head[:, None, None]).sum(1).mean((1, 2))
        return distance

    def _normalised(self, x: Tensor) -> list[Tensor]:
        x = ((x + 128) / 127.5 - 1 - self.shift) / self.scale
        return [
            f / (f.square().sum(1, keepdim=True) + _EPSILON).sqrt()
            for f in features(self.features, x, self.taps)
        ]


class LPIPSMetric(LearnedMetric):
    """Mean over images of `LPIPS`, whose ``network`` and ``weights`` it takes."""

    def __init__(self, network: str = "alex", weights: str | os.PathLike[str] | None = None):
        module = LPIPS(network, weights)
        title = f"LPIPS ({BACKBONES[network].title})"
        super().__init__(title, module, {"network": network, "weights": path_text(weights)})
