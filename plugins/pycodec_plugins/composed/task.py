"""Rate-distortion training of any three parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec import weights
from pycodec.errors import InvalidInput
from pycodec.training.task import Losses, as_batch, quality_figures

from .codec import FROZEN, build_parts

CALIBRATION_IMAGES = 24
CALIBRATION_SIDE = 512  # pixels


class ComposedTask(nn.Module):
    """Trains transform, quantizer and entropy model on bpp + lambda(q) MSE, over all qualities at once.

    Every crop draws its quality q, half of the time a whole one; the loss is scaled by lambda(q)^-1/2, so
    that every rate weighs alike. The quantizer's surrogate gives what the decoder sees and the values whose
    bits count. A transform that does not look at the quality gets one rate: give such a codec one quality.

    Stages: "joint", all parts; "entropy_model", that alone, on the latents as they are. Both step the one
    optimiser "model".

    Args:
        config: see `pycodec_plugins.composed.codec`.
        lambdas: weight of the MSE (0..255 scale) against bpp at the lowest and the highest quality,
            geometric in between; with one quality, the first counts.
    """

    def __init__(self, config: Mapping[str, Any], lambdas: Sequence[float] = (0.0006, 0.15)):
        super().__init__()
        if len(lambdas) != 2 or not all(value > 0 for value in lambdas):
            raise InvalidInput(f"lambdas are {lambdas!r}, expected two positive numbers")
        self.parts, self.config = build_parts(config)
        self.stride = self.parts.transform.stride
        for kind, module in self.parts.modules().items():
            self.add_module(kind, module)
        self.low, self.high = self.config["qualities"]
        self.log_lambdas = torch.tensor(lambdas).log()
        self._check_fit()

    def _check_fit(self) -> None:
        """Pass an image through the parts: shapes that do not fit are told now, and by name."""
        transform, quantizer, entropy_model = self.parts
        x, quality = torch.zeros(1, 3, 4 * transform.stride, 4 * transform.stride), torch.tensor([self.low])
        names = ", ".join(f"{kind} {self.config[kind]['name']!r}" for kind in self.parts._fields)
        self.eval()
        try:
            with torch.no_grad():
                y = transform.analysis(x, quality)
                context, values = quantizer.surrogate(y)
                shapes = {
                    "the latent": (y.shape, (1, transform.channels, 4, 4)),
                    "the bits": (entropy_model.bits(values, context, quality).shape, y.shape),
                    "the image": (transform.synthesis(context, quality).shape, x.shape),
                }
        except Exception as error:
            raise InvalidInput(f"{names} do not fit together: {type(error).__name__}: {error}") from error
        for what, (found, expected) in shapes.items():
            if found != expected:
                raise InvalidInput(
                    f"{names} do not fit together: {what} has shape {tuple(found)}, "
                    f"expected {tuple(expected)}"
                )

    def lambda_of(self, quality: Tensor) -> Tensor:
        first, last = self.log_lambdas
        position = (quality - self.low) / max(self.high - self.low, 1e-9)
        return torch.exp(first + (last - first) * position)

    def parameter_groups(self, stage: str) -> Mapping[str, list[dict[str, Any]]]:
        trained = {"joint": self, "entropy_model": self.parts.entropy_model}
        if stage not in trained:
            raise InvalidInput(
                f"codec 'composed' has no stage {stage!r}, expected one of {', '.join(trained)}"
            )
        module = trained[stage]
        parameters = list(module.parameters()) if isinstance(module, nn.Module) else []
        if not parameters:
            raise InvalidInput(f"stage {stage!r} has nothing to train: no part of it has parameters")
        return {"model": [{"params": parameters}]}

    def training_step(self, images: Tensor, stage: str) -> Losses:
        transform, quantizer, entropy_model = self.parts
        count, _, height, width = images.shape
        quality = self.low + (self.high - self.low) * torch.rand(count)
        whole = quality.round().clamp(self.low, self.high)
        quality = torch.where(torch.rand(count) < 0.5, whole, quality).to(images.device)
        context, values = quantizer.surrogate(transform.analysis(images, quality))
        if stage == "entropy_model":
            context, values = context.detach(), values.detach()
        bpp = entropy_model.bits(values, context, quality).float().sum((1, 2, 3)) / (height * width)
        lam = self.lambda_of(quality)
        weight = (lam / 0.01) ** -0.5
        if stage == "entropy_model":
            return Losses({"model": (bpp * weight).mean()}, {"bpp": bpp.mean().item()})
        mse = (transform.synthesis(context, quality).float() - images).square().mean((1, 2, 3))
        loss = ((bpp + lam * mse) * weight).mean()
        decibels = 10 * torch.log10(255**2 / mse.detach()).mean().item()
        return Losses({"model": loss}, {"loss": loss.item(), "bpp": bpp.mean().item(), "psnr": decibels})

    def validation_step(self, image: np.ndarray, stage: str) -> dict[str, float]:
        transform, quantizer, entropy_model = self.parts
        figures = {}
        x = self._whole_blocks(image, max(image.shape)).to(self._device())
        for q in self._looked_at():
            quality = torch.tensor([q], device=x.device)
            context, values = quantizer.surrogate(transform.analysis(x, quality))
            x_hat = transform.synthesis(context, quality).float().clamp(-128, 127).round()
            bits = entropy_model.bits(values, context, quality)
            figures[f"bpp_{q:g}"] = bits.sum().item() / (x.shape[2] * x.shape[3])
            figures |= quality_figures(x_hat, x, f"{q:g}")
        return figures

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from the parts of a weights file; returns its metadata."""
        tensors, metadata = weights.load(path)
        for kind, module in self.parts.modules().items():
            weights.load_module(module, tensors, f"{kind}.")
        return metadata

    @torch.no_grad()
    def export(self, path: Path, calibration: list[np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write the parts that are torch modules, and what the entropy model freezes."""
        transform, quantizer, entropy_model = self.parts
        tensors: dict[str, np.ndarray] = {}
        if hasattr(entropy_model, "freeze"):
            symbols = [
                (quantizer.quantize(transform.analysis(x, torch.tensor([q]))), q)
                for x in (self._whole_blocks(i, CALIBRATION_SIDE) for i in calibration[:CALIBRATION_IMAGES])
                for q in self._looked_at()
            ]
            frozen = entropy_model.freeze(symbols, quantizer.dequantize)
            tensors |= {f"{FROZEN}{name}": array for name, array in frozen.items()}
        for kind, module in self.parts.modules().items():
            tensors |= {
                f"{kind}.{name}": tensor.cpu().numpy() for name, tensor in module.state_dict().items()
            }
        weights.save(path, tensors, {"config": self.config, **metadata})

    def _looked_at(self) -> list[float]:
        return sorted({self.low, (self.low + self.high) / 2, self.high})

    def _whole_blocks(self, image: np.ndarray, side: int) -> Tensor:
        stride = self.parts.transform.stride
        height, width = (stride * (min(length, side) // stride) for length in image.shape[:2])
        return as_batch(image[:height, :width])

    def _device(self) -> torch.device:
        return next((tensor.device for tensor in self.state_dict().values()), torch.device("cpu"))
