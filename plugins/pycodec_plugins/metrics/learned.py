"""Metrics whose value for an image is that of a torch module, LPIPS or DISTS."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .common import MeanOverImages, require_side
from .weights import RANDOM


def tensor(picture: np.ndarray, device: str) -> Tensor:  # [H, W, 3] uint8 -> [1, 3, H, W], minus 128
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32) - 128).to(device)


def path_text(weights: str | os.PathLike[str] | None) -> str | None:
    """A path as JSON has it."""
    return None if weights is None else os.fspath(weights)


class LearnedMetric(MeanOverImages):
    """Mean over images of the distance that a module gives.

    Args:
        title: for tables.
        module: with ``min_side`` in pixels, and ``identity`` of its weights.
        config: of the metric.
    """

    higher_is_better = False

    def __init__(self, title: str, module: nn.Module, config: dict[str, Any]):
        super().__init__()
        self.label = f"{title}, random weights" if module.identity == RANDOM else title
        self._module, self._config = module, config
        self._device = "cpu"

    def to(self, device: str) -> LearnedMetric:
        """Work on ``device`` from now on."""
        self._module.to(device)
        self._device = device
        return self

    @torch.no_grad()
    def value(self, picture_hat: np.ndarray, picture: np.ndarray) -> float:
        require_side(self.label, picture, self._module.min_side, "use PSNR for small images")
        return float(self._module(tensor(picture_hat, self._device), tensor(picture, self._device)))

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    def info(self) -> dict[str, Any]:
        return {**super().info(), "weights": self._module.identity}
