"""What a codec, or another component, provides so that ``pycodec train`` can train it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec.registry import Component
from pycodec.runtime import get_runtime

from .recipe import Recipe


@dataclass
class Losses:
    """One loss per optimiser to step, and figures to log (bpp, psnr, ...)."""

    by_optimizer: dict[str, Tensor]
    scalars: dict[str, float]


class TrainingTask(Protocol):
    """A torch module with the parts in training, and these methods.

    A factory offers one as its attribute ``training_task(config, options) -> TrainingTask``: that of a
    codec, or of another component with something to train on its own, as the labeler of a discriminator.

    It need not know whether several processes share a batch. They reach what one reaches where

    * losses are means over images. What concerns all images of a step at once, such as the statistics of
      batch normalisation or a bound on their mean, is that of each process's share;
    * random numbers are drawn by torch, either one for all images or a tensor whose first dimension is the
      number of images. Those are drawn for the whole batch, of which each process gets its part.

    An attribute ``stride``, where there is one, is what the sides of crops are multiples of.

    What ``training_step`` changes by hand, buffers or parameters, is as in the first process after each step.
    State that has to outlast a run that stops, such as a count of batches, is a buffer.
    """

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from a weights file; returns its metadata."""

    def parameter_groups(self, stage: str) -> Mapping[str, list[dict[str, Any]]]:
        """Groups of each optimiser that ``stage`` steps: "params", and where wanted "ratio", which scales the
        recipe's learning rate, and "weight_decay" instead of the recipe's.
        """

    def training_step(self, images: Tensor, stage: str) -> Losses:
        """Losses of ``images`` [N, 3, H, W] in -128..127; runs under autocast."""

    def validation_step(self, image: np.ndarray, stage: str) -> dict[str, float]:
        """Figures of one image (H, W, 3) uint8: bpp by the float model, psnr, ms_ssim, keyed by quality."""

    def export(self, path: Path, calibration: list[np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write the weights file: of a codec, transforms, and integer tables of the float entropy model.

        Args:
            path: of the file; ``weights.save(path, tensors, {"config": ..., **metadata})`` writes it.
            calibration: RGB photographs [H, W, 3] uint8, of those it was trained on.
            metadata: what the file has to say besides: "codec", see `name_in_weights`, and "model_card".
        """


def make_task(recipe: Recipe) -> tuple[Component, Any]:
    """The component of a recipe, and its training task.

    ``recipe.codec`` is the name of a codec, or "kind:name" of another component.

    Raises:
        UnknownComponent, PluginError: there is no such component, or it cannot be imported.
        InvalidInput: no such kind; it offers no training, or does not take the recipe's options.
    """
    kind, colon, name = recipe.codec.rpartition(":")
    component = get_runtime().find(kind if colon else "codec", name)
    factory = component.load_factory()
    if not hasattr(factory, "training_task"):
        raise InvalidInput(
            f"{component.kind} {component.name!r} of {component.origin} cannot be trained: its factory "
            "offers no training_task; parts of a codec can be trained by a recipe of the codec 'composed'"
        )
    try:
        task = factory.training_task(recipe.config, recipe.task)
    except TypeError as error:
        raise InvalidInput(
            f"{component.kind} {component.name!r} does not take [config] or [task] of this recipe: {error}"
        ) from error
    for stage in recipe.stages:
        if stage.crop % (stride := getattr(task, "stride", 1)):
            raise InvalidInput(
                f"stage {stage.name!r}: crop is {stage.crop}, expected a multiple of {stride}, "
                "the transform's stride"
            )
    return component, task


def name_in_weights(component: Component) -> str:
    """What a weights file has as its "codec": the name of a codec, or "kind:name" of another component."""
    return component.name if component.kind == "codec" else f"{component.kind}:{component.name}"


def as_batch(image: np.ndarray) -> Tensor:
    """[1, 3, H, W] float in -128..127 of an RGB array (H, W, 3) uint8."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() - 128


def psnr(x_hat: Tensor, x: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of images in -128..127, 255 peak."""
    return 10 * math.log10(255**2 / (x_hat - x).square().mean().item())


def ms_ssim(x_hat: Tensor, x: Tensor, each: bool = False) -> Tensor:
    """MS-SSIM (Wang et al. 2003) of images [N, 3, H, W] in -128..127, sides >= 176; differentiable.

    The mean over the images, or with ``each`` their values [N].

    In float32 under autocast too: it takes differences of squares, of which bfloat16 leaves little.
    """
    # Takes longer to import than a picture to code, and codecs are in one module with their training.
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    pair = x_hat.float() + 128, x.float() + 128
    with torch.autocast(x.device.type, enabled=False):
        value = multiscale_structural_similarity_index_measure(
            *pair, data_range=255.0, reduction="none" if each else "elementwise_mean"
        )
    return torch.as_tensor(value)


def quality_figures(x_hat: Tensor, x: Tensor, label: str) -> dict[str, float]:
    """``psnr_LABEL`` and, where the image is large enough for it, ``ms_ssim_LABEL``."""
    figures = {f"psnr_{label}": psnr(x_hat, x)}
    if min(x.shape[2:]) >= 176:
        figures[f"ms_ssim_{label}"] = ms_ssim(x_hat, x).item()
    return figures
