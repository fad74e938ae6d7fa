"""Rate-distortion training of a hyperprior codec."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec import weights
from pycodec.errors import InvalidInput
from pycodec.images import padded
from pycodec.training.rate_target import RateTarget
from pycodec.training.task import Losses, as_batch, quality_figures
from pycodec_plugins.cpm import input_ranges, lambda_of, quantize
from pycodec_plugins.metrics import Distortion

from .codec import (
    LAMBDAS,
    build_parts,
    is_quantized,
    load_floats,
    qualities,
    quantized_transform,
    stored,
)
from .hyper import HyperTransform
from .quantizer import mixed

VALIDATED = (1, 3, 5, 8)
CALIBRATION_IMAGES, CALIBRATION_SIDE = 16, 512
QUALITY_STEP = 16  # integers of one unit of quality
MSE_WEIGHT = 150.0  # of images in 0..1 (Muckley et al. 2023, equation 9)


class HyperpriorTask(nn.Module):
    """Trains all parts on bpp + lambda(q) MSE, over all qualities at once.

    Every crop draws its quality q, half of the time a whole one; its loss is scaled by lambda(q)^-1/2, so
    that every rate weighs alike.

    Args:
        config: of the codec's parts.
        lambdas: weight of the MSE (0..255 scale) against bpp at the lowest and the highest quality, geometric
            in between.
        rate: bits per pixel to hold, of a codec of one quality; then weights and distortion are those of
            MS-ILLM, see `RateTarget` and `Distortion`, and ``lambdas`` are not looked at.
        perceptual, lpips_weights: of that distortion.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        lambdas: tuple[float, float] = LAMBDAS,
        rate: float | None = None,
        perceptual: str = "auto",
        lpips_weights: str | None = None,
    ):
        super().__init__()
        if rate is not None and qualities(config) != 1:
            raise InvalidInput(f"rate is {rate}, but the codec has {qualities(config)} qualities, expected 1")
        self.rate_target = None if rate is None else RateTarget(rate)
        # No submodule: the weights of LPIPS are no part of a checkpoint.
        self.distortion = None
        if rate is not None:
            self.distortion = Distortion("alex", MSE_WEIGHT, perceptual, lpips_weights)
        self.config = dict(config)
        self.parts = build_parts(config)
        self.stride = self.parts.transform.stride
        for name, module in self.parts.modules().items():
            self.add_module(name, module)
        self.lambdas = list(lambdas)
        self.whole_qualities = [float(q) for q in range(1, qualities(config) + 1)]

    def lambda_of(self, quality: Tensor) -> Tensor:
        return lambda_of(quality, self.lambdas, len(self.whole_qualities))

    def parameter_groups(self, stage: str) -> Mapping[str, list[dict[str, Any]]]:
        transform = self.parts.transform.transform
        names = ("log_gain", "log_step")
        tables = [getattr(transform, name).table for name in names if hasattr(transform, name)]
        prior = list(self.parts.entropy_model.prior.parameters())
        apart = {id(p) for p in [*tables, *prior]}
        body = [p for p in self.parameters() if id(p) not in apart]
        return {
            "model": [
                {"params": body},
                {"params": tables, "ratio": 2.0},
                {"params": prior, "ratio": 5.0},
            ]
        }

    def training_step(self, images: Tensor, stage: str) -> Losses:
        count, _, height, width = images.shape
        quality = 1 + (len(self.whole_qualities) - 1) * torch.rand(count)
        quality = torch.where(torch.rand(count) < 0.5, quality.round(), quality).to(images.device)
        transform, quantizer, entropy_model = self.parts
        latent = transform.analysis(images, quality)
        differences, means = quantizer.differences(latent)
        symbols, noisy = mixed(differences)
        bpp = entropy_model.bits(noisy, symbols, quality).sum((1, 2, 3)) / (height * width)
        x_hat = transform.synthesis(symbols + means, quality)
        mse = (x_hat - images).square().mean((1, 2, 3))
        if self.rate_target is not None and self.distortion is not None:
            with torch.no_grad():
                rounded = entropy_model.bits(symbols, symbols, quality).sum((1, 2, 3)) / (height * width)
            loss = self.rate_target(bpp, rounded) + self.distortion(x_hat, images)
        else:
            loss = lagrangian(bpp, mse, self.lambda_of(quality))
        return losses(loss, bpp, mse)

    def validation_step(self, image: np.ndarray, stage: str) -> dict[str, float]:
        transform, quantizer, entropy_model = self.parts
        x = as_batch(whole_strides(image, transform.stride, max(image.shape))).to(
            next(self.parameters()).device
        )
        figures = {}
        for q in [float(q) for q in VALIDATED if q in self.whole_qualities]:
            quality = torch.tensor([q], device=x.device)
            differences, means = quantizer.differences(transform.analysis(x, quality))
            symbols = differences.round()
            bits = entropy_model.bits(symbols, symbols, quality)
            x_hat = transform.synthesis(symbols + means, quality).clamp(-128, 127).round()
            figures[f"bpp_{q:g}"] = bits.sum().item() / (x.shape[2] * x.shape[3])
            figures |= quality_figures(x_hat, x, f"{q:g}")
        return figures

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from the weights of a file; returns its metadata."""
        tensors, metadata = weights.load(path)
        self.load(tensors)
        return metadata

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Start from the tensors of a weights file."""
        load_floats(self.parts, self.config, tensors)

    @torch.no_grad()
    def export(self, path: Path, calibration: list[np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write the weights: the integers that code files, and in half precision what is float.

        Floats that come back from the integers are not kept, see `stored`.
        """
        parts = copy.deepcopy(self.parts)
        for module in parts.modules().values():
            module.half().float()  # calibrate on the rounded weights that will be used
        tensors = {name: value.half().cpu().numpy() for name, value in stored(parts, self.config).items()}
        hyper = parts.transform.eval()
        images = calibration_pairs(calibration, hyper.stride, self.whole_qualities)
        arrays: dict[str, np.ndarray] = {}
        if is_quantized(self.config):
            arrays = quantized_arrays(self.config, hyper.transform, images)
            analysis = hyper.hyper_analysis
            built = quantized_transform(self.config, arrays)
            hyper = HyperTransform(**{**hyper.config(), "posterior": None}, built=built)
            hyper.hyper_analysis = analysis
        latents = [(hyper.analysis(x, torch.tensor([q])), q) for x, q in images]
        means = parts.quantizer.freeze([y for y, _ in latents])
        symbols = [(parts.quantizer.quantize(y), q) for y, q in latents]
        coder = parts.entropy_model.freeze(symbols, parts.quantizer.dequantize)
        for prefix, integers in (("quantized.", arrays), ("means.", means), ("coder.", coder)):
            tensors |= {prefix + name: array for name, array in integers.items()}
        card = dict(metadata.get("model_card", {}))
        if self.distortion is not None:
            card["rho"] = self.distortion.label
        own = {"config": self.config, "lambdas": self.lambdas if self.rate_target is None else None}
        weights.save(path, tensors, {**own, **metadata, "model_card": card})


def lagrangian(bpp: Tensor, mse: Tensor, lam: Tensor) -> Tensor:
    """Mean over images [N], scaled so that every rate weighs alike."""
    return ((bpp + lam * mse) * (lam / 0.01) ** -0.5).mean()


def losses(loss: Tensor, bpp: Tensor, mse: Tensor) -> Losses:
    """Of a step, with its figures."""
    decibels = 10 * torch.log10(255**2 / mse.detach()).mean().item()
    return Losses({"model": loss}, {"loss": loss.item(), "bpp": bpp.mean().item(), "psnr": decibels})


def calibration_pairs(
    images: Sequence[np.ndarray], stride: int, qualities: Sequence[float]
) -> list[tuple[Tensor, float]]:
    """What integers are fitted to: some of the images, as [1, 3, H, W], each with half of the qualities."""
    return [
        (as_batch(whole_strides(image, stride, CALIBRATION_SIDE)), q)
        for i, image in enumerate(images[:CALIBRATION_IMAGES])
        for q in qualities[i % 2 :: 2] or qualities
    ]


def quantized_arrays(
    config: Mapping[str, Any], transform: Any, images: Sequence[tuple[Tensor, float]]
) -> dict[str, np.ndarray]:
    """Arrays of the integer form of a trained transform, for all qualities of the codec."""
    steps = range(QUALITY_STEP, QUALITY_STEP * qualities(config) + 1)
    return quantize(transform, input_ranges(transform, images), steps)


def whole_strides(image: np.ndarray, stride: int, side: int) -> np.ndarray:
    """The corner of an image with whole strides, at most ``side`` pixels either way; what is smaller than one
    stride is continued.
    """
    if min(image.shape[:2]) < stride:
        image = padded(image, stride)
    height, width = (stride * (min(length, side) // stride) for length in image.shape[:2])
    return image[:height, :width]
