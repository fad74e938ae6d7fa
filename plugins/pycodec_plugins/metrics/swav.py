"""The ResNet-50 that SwAV trained without labels (Caron et al. 2020), for FID and KID.

He et al. 2016, "Deep residual learning for image recognition", its stride in the 3x3 convolutions; tensors
have torchvision's names. FID over these features sees less of ImageNet's classes (Kynkäänniemi et al. 2023;
Muckley et al. 2023, appendix).
"""

from __future__ import annotations

import os
from collections import OrderedDict

import torch
from torch import Tensor, nn

from .weights import Weights

_MEAN, _STD = (0.485, 0.456, 0.406), (0.228, 0.224, 0.225)  # 0.228, not ImageNet's 0.229: as SwAV was trained


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, inner: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, 4 * inner, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * inner)
        self.downsample = nn.Sequential()
        if channels != 4 * inner:
            self.downsample.append(nn.Conv2d(channels, 4 * inner, 1, stride, bias=False))
            self.downsample.append(nn.BatchNorm2d(4 * inner))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()


class SwAV(nn.Sequential):
    """Features of 8-bit images for FID and KID: the 2048 channels of the last average pool.

    Args:
        weights: path of ``swav.safetensors``, None or "random", as `Weights` takes it.
    """

    preprocessing = "at their own size, ImageNet's mean and deviation"
    min_side = 32

    def __init__(self, weights: str | os.PathLike[str] | None = None):
        source = Weights("swav", weights)
        inner = channels = source.width(64)
        modules: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(3, channels, 7, 2, 3, bias=False),
            bn1=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
            maxpool=nn.MaxPool2d(3, 2, 1),
        )
        for i, depth in enumerate((3, 4, 6, 3)):
            layer = nn.Sequential()
            for k in range(depth):
                layer.append(_Bottleneck(channels, inner, stride=2 if i and not k else 1))
                channels = 4 * inner
            modules[f"layer{i + 1}"] = layer
            inner *= 2
        super().__init__(modules)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1), persistent=False)
        self.identity = source.fill(self)

    def forward(self, images: Tensor) -> Tensor:  # [N, 3, H, W] uint8 -> [N, 2048]
        return super().forward((images / 255 - self.mean) / self.std).mean((2, 3))
