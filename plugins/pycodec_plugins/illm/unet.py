"""The discriminator of MS-ILLM, which tells labels (Muckley et al. 2023, sections 4.2 and 4.4)."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from pycodec.errors import InvalidInput, near_names

from .critic import SLOPE, Conditioned, binary_critic_loss, binary_generator_loss, fixed, halves
from .labeler import Labeler, load_labeler

NORMS = ("none", "spectral", "instance")  # Table 1


class UNet(nn.Module):
    """Tells each position of an original by its label, and those of a reconstruction as fake.

    The critic learns the labels of originals and "fake", class 0, for reconstructions (eq. 6); the codec,
    that its reconstructions are told by the labels of their originals (eq. 7). Both are means over positions.
    Residual blocks halve the resolution and double it again, up to that of the labels. Unlike other U-Nets it
    carries nothing from its way down to its way up.

    Args:
        labeler: a weights file of ``pycodec train illm_labeler``; "illm_labeler", the one that comes with
            this plugin; keyword arguments of an untrained `Labeler`, whose weights are loaded with those of
            the rest; or None for a critic without labels, which says of each position whether it looks real
            (eq. 4).
        channels: of the latent.
        widths: channels of the blocks on the way down, each of half the resolution of the one before.
        features: channels of the last block.
        context: planes that are made of the latent.
        norm: "none" as in the paper, "spectral" or "instance" (Table 1).
        stride: pixels per position of the output where no labeler says it.
        disjoint: see `critic.halves`.
        saturating: without labels, the generator minimises eq. 5 as it is printed, instead of -log D.
        detail: see `critic.Conditioned`.

    Raises:
        InvalidInput: options that do not go together.
        MissingWeights, WeightsMismatch: no such file, or one that is no labeler's.
    """

    def __init__(
        self,
        labeler: str | os.PathLike[str] | Mapping[str, Any] | None,
        channels: int = 220,
        widths: Sequence[int] = (128, 128, 256, 256, 512, 512),
        features: int = 64,
        context: int = 16,
        norm: str = "none",
        stride: int = 8,
        disjoint: bool = False,
        saturating: bool = False,
        detail: float = 0.0,
    ):
        super().__init__()
        self._config = {
            "labeler": os.fspath(labeler) if isinstance(labeler, os.PathLike) else labeler,
            "channels": channels,
            "widths": list(widths),
            "features": features,
            "context": context,
            "norm": norm,
            "stride": stride,
            "disjoint": disjoint,
            "saturating": saturating,
            "detail": detail,
        }
        if norm not in NORMS:
            raise InvalidInput(
                f"norm is {norm!r}{near_names(norm, NORMS)}, expected one of {', '.join(NORMS)}"
            )
        self.labeler = None if labeler is None else _as_buffers(_labeler(labeler))
        if self.labeler is not None and saturating:
            raise InvalidInput("saturating is eq. 5, of a critic without labels: leave one of the two out")
        self.output_stride = self.labeler.stride if self.labeler else stride
        ups = len(widths) - math.log2(self.output_stride)
        if ups != int(ups) or ups < 1:
            raise InvalidInput(
                f"{len(widths)} widths and an output stride of {self.output_stride}, expected a stride that "
                "is a power of 2, and more halvings than it has"
            )
        self.channels, self.disjoint, self.saturating = channels, disjoint, saturating
        self.conditioned = Conditioned(channels, context, detail)
        down = [self.conditioned.planes, *widths]
        up = [widths[-1], *(widths[-2 - i] for i in range(int(ups) - 1)), features]
        blocks = [
            _Block(*pair, norm, nn.AvgPool2d(2), leading=i > 0) for i, pair in enumerate(pairwise(down))
        ]
        blocks += [_Block(*pair, norm, nn.Upsample(scale_factor=2)) for pair in pairwise(up)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(features, self.labeler.codes + 1 if self.labeler else 1, 1)
        # The coarsest map has to be of whole positions, of which instance normalisation needs several.
        self._multiple = 2 ** len(widths)
        self._least = self._multiple * (2 if norm == "instance" else 1)

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # [N, 3, H, W], [N, C, h, w] -> [N, classes, H', W']
        """Logits of the classes, fake before the labels; without labels, of looking real."""
        logits: Tensor = self.head(self.blocks(self.conditioned(x, y)))
        return logits

    def critic_loss(self, x: Tensor, x_hat: Tensor, y: Tensor) -> Tensor:
        self._check(x, x_hat, y)
        real, of_real, fake, of_fake = halves(x, x_hat, y, self.disjoint)
        on_real, on_fake = self(real, of_real), self(fake, of_fake)
        if self.labeler is None:
            return binary_critic_loss(on_real, on_fake)
        as_fake = on_fake.new_zeros(len(fake), *on_fake.shape[2:], dtype=torch.int64)
        return F.cross_entropy(on_real.float(), self.labeler.labels(real) + 1) + F.cross_entropy(
            on_fake.float(), as_fake
        )

    def generator_loss(self, x: Tensor, x_hat: Tensor, y: Tensor) -> Tensor:
        self._check(x, x_hat, y)
        with fixed(self):
            logits = self(x_hat, y)
        if self.labeler is None:
            return binary_generator_loss(logits, self.saturating)
        return F.cross_entropy(logits.float(), self.labeler.labels(x) + 1)

    def _check(self, x: Tensor, x_hat: Tensor, y: Tensor) -> None:
        self.conditioned.check(x, x_hat, y, self._multiple)
        if min(x.shape[2:]) < self._least:
            raise InvalidInput(
                f"images of {x.shape[2]} x {x.shape[3]} pixels, expected sides of at least {self._least}"
            )

    @staticmethod
    def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> nn.Module:
        """What ``pycodec train`` trains of it alone: its labeler, see `labeler_task.LabelerTask`."""
        from .labeler_task import LabelerTask

        return LabelerTask(config, **options)


class _Block(nn.Module):
    """Two 3 x 3 convolutions behind LeakyReLU, and a shortcut; both halve or double the resolution.

    It is halved at the end, and doubled in front of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, norm: str, resize: nn.Module, leading: bool = True):
        super().__init__()
        activation = nn.LeakyReLU(SLOPE)
        behind = isinstance(resize, nn.AvgPool2d)
        self.body = nn.Sequential(
            *([_normalisation(inputs, norm), activation] if leading else []),
            nn.Identity() if behind else resize,
            _convolution(inputs, outputs, 3, norm),
            _normalisation(outputs, norm),
            activation,
            _convolution(outputs, outputs, 3, norm),
            resize if behind else nn.Identity(),
        )
        widen = nn.Identity() if inputs == outputs else _convolution(inputs, outputs, 1, norm)
        self.shortcut = nn.Sequential(widen, resize)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.body(x)
        return y


def _convolution(inputs: int, outputs: int, kernel: int, norm: str) -> nn.Module:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return spectral_norm(layer) if norm == "spectral" else layer


def _normalisation(channels: int, norm: str) -> nn.Module:
    return nn.InstanceNorm2d(channels) if norm == "instance" else nn.Identity()


def _labeler(given: str | os.PathLike[str] | Mapping[str, Any]) -> Labeler:
    return Labeler(**given) if isinstance(given, Mapping) else load_labeler(given)


def _as_buffers(module: Labeler) -> Labeler:
    """Its parameters as buffers of the same names: whoever trains the critic does not find them."""
    for part in module.modules():
        for name, value in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, value.detach())
    return module.eval()
