"""The convolutions of AlexNet and VGG16, with the names torchvision gives their tensors.

Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks"; Simonyan & Zisserman 2015,
"Very deep convolutional networks for large-scale image recognition". torchvision itself cannot be relied on:
its wheels fit one version and build of torch, and one that does not fit breaks torchmetrics too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, RGB in 0..1."""


@dataclass(frozen=True)
class Backbone:
    """How the layers of a network are made, and where its features are taken.

    Attributes:
        title: its name in print.
        layers: makes them from the channels of the first one.
        taps: indexes of the layers whose outputs are the features.
        widths: channels of the features, in units of the first layer's.
        min_side: of images, in pixels.
    """

    title: str
    layers: Callable[[int], nn.Sequential]
    taps: tuple[int, ...]
    widths: tuple[int, ...]
    min_side: int


def features(layers: nn.Sequential, x: Tensor, taps: Sequence[int]) -> list[Tensor]:
    """Outputs of the layers ``taps``; none behind the last is run."""
    found = []
    for i, layer in enumerate(layers[: max(taps) + 1]):
        x = layer(x)
        if i in taps:
            found.append(x)
    return found


def alexnet(width: int) -> nn.Sequential:
    """Layers 0 to 11 of ``torchvision.models.alexnet().features``, where ``width`` is 64."""
    return nn.Sequential(
        nn.Conv2d(3, width, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(width, 3 * width, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(3 * width, 6 * width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(6 * width, 4 * width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4 * width, 4 * width, 3, padding=1),
        nn.ReLU(),
    )


def vgg16(width: int, pool: Callable[[], nn.Module] = lambda: nn.MaxPool2d(2)) -> nn.Sequential:
    """Layers 0 to 29 of ``torchvision.models.vgg16().features``, where ``width`` is 64."""
    layers: list[nn.Module] = []
    channels = 3
    for out, depth in ((width, 2), (2 * width, 2), (4 * width, 3), (8 * width, 3), (8 * width, 3)):
        layers += [pool()] if layers else []
        for _ in range(depth):
            layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
            channels = out
    return nn.Sequential(*layers)


BACKBONES = {
    "alex": Backbone("AlexNet", alexnet, (1, 4, 7, 9, 11), (1, 3, 6, 4, 4), min_side=31),
    "vgg": Backbone("VGG16", vgg16, (3, 8, 15, 22, 29), (1, 2, 4, 8, 8), min_side=16),
}
