"""The Inception V3 of FID, with the names torch-fidelity gives its tensors.

Szegedy et al. 2016, "Rethinking the Inception architecture", in the variant of the TensorFlow graph of
2015-12-05 whose features FID is defined by (Heusel et al. 2017): borders do not count in average pooling, the
last block pools by the maximum, and images are resized as TensorFlow 1 did. torch-fidelity's own class cannot
be used: it is imported with torchvision only, and it unpickles its weights.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from .weights import Weights

SIDE = 299


class _AvgPool(nn.AvgPool2d):
    def __init__(self) -> None:
        super().__init__(3, stride=1, padding=1, count_include_pad=False)


_MaxPool = partial(nn.MaxPool2d, 3, stride=1, padding=1)
_HalvingPool = partial(nn.MaxPool2d, 3, stride=2)

_1x1, _3x3, _5x5, _1x7, _7x1, _1x3, _3x1 = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1), (1, 3), (3, 1)


class _Convolution(nn.Sequential):
    """Convolution without bias, normalisation, ReLU; a stride of 2 goes without padding."""

    def __init__(
        self, channels: int, out: int, kernel: tuple[int, int], stride: int = 1, padded: bool = True
    ):
        padding = (kernel[0] // 2, kernel[1] // 2) if padded and stride == 1 else (0, 0)
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(channels, out, kernel, stride, padding, bias=False),
                bn=nn.BatchNorm2d(out, eps=1e-3),
                relu=nn.ReLU(inplace=True),
            )
        )


class _Mixed(nn.Module):
    """Branches of one input, their channels put together.

    A branch is a chain of steps: a pooling, a convolution as (name, channels, kernel) with its stride if that
    is not 1, or a list of convolutions of the same input. ``unit`` scales the channels.
    """

    def __init__(self, channels: int, unit: float, branches: list[list]):
        super().__init__()
        self.paths: list[list[list[str]]] = []  # of every branch: of every step: names of modules
        self.out = 0
        for i, branch in enumerate(branches):
            path, inner = [], channels
            for step in branch:
                if callable(step):
                    self.add_module(f"pool{i}", step())
                    path.append([f"pool{i}"])
                    continue
                fork = step if isinstance(step, list) else [step]
                for name, out, *kernel_and_stride in fork:
                    self.add_module(name, _Convolution(inner, round(out * unit), *kernel_and_stride))
                path.append([name for name, *_ in fork])
                inner = sum(round(out * unit) for _, out, *_ in fork)
            self.paths.append(path)
            self.out += inner

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for path in self.paths:
            y = x
            for names in path:
                y = torch.cat([self.get_submodule(name)(y) for name in names], 1)
            found.append(y)
        return torch.cat(found, 1)


def _a(pooled: int) -> list[list]:
    return [
        [("branch1x1", 64, _1x1)],
        [("branch5x5_1", 48, _1x1), ("branch5x5_2", 64, _5x5)],
        [("branch3x3dbl_1", 64, _1x1), ("branch3x3dbl_2", 96, _3x3), ("branch3x3dbl_3", 96, _3x3)],
        [_AvgPool, ("branch_pool", pooled, _1x1)],
    ]


_B: list[list] = [
    [("branch3x3", 384, _3x3, 2)],
    [("branch3x3dbl_1", 64, _1x1), ("branch3x3dbl_2", 96, _3x3), ("branch3x3dbl_3", 96, _3x3, 2)],
    [_HalvingPool],
]


def _c(inner: int) -> list[list]:
    return [
        [("branch1x1", 192, _1x1)],
        [("branch7x7_1", inner, _1x1), ("branch7x7_2", inner, _1x7), ("branch7x7_3", 192, _7x1)],
        [
            ("branch7x7dbl_1", inner, _1x1),
            ("branch7x7dbl_2", inner, _7x1),
            ("branch7x7dbl_3", inner, _1x7),
            ("branch7x7dbl_4", inner, _7x1),
            ("branch7x7dbl_5", 192, _1x7),
        ],
        [_AvgPool, ("branch_pool", 192, _1x1)],
    ]


_D: list[list] = [
    [("branch3x3_1", 192, _1x1), ("branch3x3_2", 320, _3x3, 2)],
    [
        ("branch7x7x3_1", 192, _1x1),
        ("branch7x7x3_2", 192, _1x7),
        ("branch7x7x3_3", 192, _7x1),
        ("branch7x7x3_4", 192, _3x3, 2),
    ],
    [_HalvingPool],
]


def _e(pool) -> list[list]:
    return [
        [("branch1x1", 320, _1x1)],
        [("branch3x3_1", 384, _1x1), [("branch3x3_2a", 384, _1x3), ("branch3x3_2b", 384, _3x1)]],
        [
            ("branch3x3dbl_1", 448, _1x1),
            ("branch3x3dbl_2", 384, _3x3),
            [("branch3x3dbl_3a", 384, _1x3), ("branch3x3dbl_3b", 384, _3x1)],
        ],
        [pool, ("branch_pool", 192, _1x1)],
    ]


_BLOCKS = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": _B,
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": _D,
    "Mixed_7b": _e(_AvgPool),
    "Mixed_7c": _e(_MaxPool),
}


class Inception(nn.Sequential):
    """Features of 8-bit images for FID and KID: the 2048 channels of the last average pool.

    Args:
        weights: path of ``inception.safetensors``, None or "random", as `Weights` takes it.
    """

    preprocessing = f"resized to {SIDE} x {SIDE} as TensorFlow 1 does, bilinear without antialiasing"
    min_side = 1

    def __init__(self, weights: str | os.PathLike[str] | None = None):
        source = Weights("inception", weights)
        unit = source.width(32) / 32
        a, b, c, d = (round(out * unit) for out in (32, 64, 80, 192))
        modules: OrderedDict[str, nn.Module] = OrderedDict(
            Conv2d_1a_3x3=_Convolution(3, a, _3x3, stride=2),
            Conv2d_2a_3x3=_Convolution(a, a, _3x3, padded=False),
            Conv2d_2b_3x3=_Convolution(a, b, _3x3),
            MaxPool_1=_HalvingPool(),
            Conv2d_3b_1x1=_Convolution(b, c, _1x1),
            Conv2d_4a_3x3=_Convolution(c, d, _3x3, padded=False),
            MaxPool_2=_HalvingPool(),
        )
        channels = d
        for name, branches in _BLOCKS.items():
            modules[name] = block = _Mixed(channels, unit, branches)
            channels = block.out
        super().__init__(modules)
        self.identity = source.fill(self)

    def forward(self, images: Tensor) -> Tensor:  # [N, 3, H, W] uint8 -> [N, 2048]
        return super().forward(resized(images.float()) / 128 - 1).mean((2, 3))


def resized(x: Tensor) -> Tensor:  # [N, 3, H, W] -> [N, 3, SIDE, SIDE]
    """Bilinear, the first pixels on one another and no antialiasing: TensorFlow 1, align_corners false."""
    down, across = (_interpolation(size).to(x) for size in x.shape[2:])
    return down @ x @ across.T


def _interpolation(size: int) -> Tensor:  # -> [SIDE, size]
    """Weights of the pixels of a row in one of SIDE pixels."""
    place = torch.arange(SIDE, dtype=torch.float64) * size / SIDE
    first = place.floor().long()
    second = (first + 1).clamp(max=size - 1)
    share = (place - first)[:, None]
    one_hot = torch.eye(size, dtype=torch.float64)
    return (1 - share) * one_hot[first] + share * one_hot[second]
