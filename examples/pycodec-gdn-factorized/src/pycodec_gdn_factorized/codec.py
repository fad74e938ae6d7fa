"""The codec: its parts, its weights, and how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pycodec
from pycodec import Codec, weights
from pycodec.training.task import Losses, as_batch, quality_figures

from .prior import FactorizedPrior
from .transform import GDNTransform

NAME = "gdn_factorized"
WEIGHTS = Path(__file__).parent / "weights" / f"{NAME}.safetensors"
TABLES = "tables."
QUALITIES = 8
VALIDATED = (1.0, 4.0, 8.0)


def parts(config: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Untrained transform and prior, by the prefix of their tensors in a weights file."""
    transform = GDNTransform(**{"qualities": QUALITIES, **config})
    return {"transform": transform, "prior": FactorizedPrior(transform.channels, QUALITIES)}


def load_parts(modules: Mapping[str, nn.Module], tensors: Mapping[str, np.ndarray]) -> None:
    """Copy the float weights of a file into its parts."""
    for prefix, module in modules.items():
        weights.load_module(module, tensors, f"{prefix}.")


def create(weights_file: str | Path | None = None) -> Codec:
    """The codec with the weights that come with it, or those of ``weights_file``."""
    tensors, metadata = weights.load(weights_file or WEIGHTS)
    modules = parts(metadata["config"])
    load_parts(modules, tensors)
    tables = {name[len(TABLES) :]: array for name, array in tensors.items() if name.startswith(TABLES)}
    modules["prior"].load_frozen(tables)
    return Codec(
        NAME,
        modules["transform"],
        pycodec.create("quantizer", "integer_rounding"),
        modules["prior"],
        qualities=(1.0, float(QUALITIES)),
        fingerprint=bytes.fromhex(metadata["fingerprint"]),
    )


class Task(nn.Module):
    """Rate-distortion training of all qualities at once: what ``pycodec train`` trains.

    Every crop draws its quality q. Its loss is (bpp + lambda(q) MSE) / sqrt(lambda(q)), so that the rates
    weigh about alike.

    Args:
        config: of the transform.
        lambdas: weight of the MSE (0..255 scale) against bpp at the lowest and the highest quality, geometric
            in between.
    """

    def __init__(self, config: Mapping[str, Any], lambdas: tuple[float, float]):
        super().__init__()
        self.modules_by_prefix = parts(config)
        self.transform, self.prior = self.modules_by_prefix.values()
        self.config = self.transform.config()  # with every default spelt out
        self.quantizer = pycodec.create("quantizer", "integer_rounding")
        self.log_lambdas = torch.tensor(lambdas).log()

    def parameter_groups(self, stage: str) -> Mapping[str, list[dict[str, Any]]]:
        """Steps and densities learn faster: there are few of them, and they follow the convolutions."""
        tables = [self.transform.log_step, *self.prior.parameters()]
        kernels = [p for p in self.transform.parameters() if p is not self.transform.log_step]
        return {"model": [{"params": kernels}, {"params": tables, "ratio": 5.0}]}

    def training_step(self, images: Tensor, stage: str) -> Losses:
        count, _, height, width = images.shape
        position = torch.rand(count, device=images.device)
        quality = 1 + (QUALITIES - 1) * position
        low, high = self.log_lambdas
        lam = torch.exp(low + (high - low) * position)
        rounded, noisy = self.quantizer.surrogate(self.transform.analysis(images, quality))
        bpp = self.prior.bits(noisy, rounded, quality).sum((1, 2, 3)) / (height * width)
        mse = (self.transform.synthesis(rounded, quality) - images).square().mean((1, 2, 3))
        loss = ((bpp + lam * mse) * lam.rsqrt()).mean()
        psnr = 10 * torch.log10(255**2 / mse.detach()).mean()
        return Losses({"model": loss}, {"loss": loss.item(), "bpp": bpp.mean().item(), "psnr": psnr.item()})

    def validation_step(self, image: np.ndarray, stage: str) -> dict[str, float]:
        figures = {}
        height, width = (n - n % self.transform.stride for n in image.shape[:2])
        x = as_batch(image[:height, :width]).to(self.transform.log_step.device)
        for q in VALIDATED:
            quality = torch.tensor([q], device=x.device)
            y = self.transform.analysis(x, quality).round()
            x_hat = self.transform.synthesis(y, quality).clamp(-128, 127).round()
            figures[f"bpp_{q:g}"] = self.prior.bits(y, y, quality).sum().item() / (height * width)
            figures |= quality_figures(x_hat, x, f"{q:g}")
        return figures

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from a weights file; returns its metadata."""
        tensors, metadata = weights.load(path)
        load_parts(self.modules_by_prefix, tensors)
        return metadata

    def export(self, path: Path, calibration: list[np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write the weights in half precision, and the integer tables that files are coded with."""
        tensors = {
            f"{prefix}.{name}": value.half().cpu().numpy()
            for prefix, module in self.modules_by_prefix.items()
            for name, value in module.state_dict().items()
        }
        stored = parts(self.config)
        load_parts(stored, tensors)  # tables of the rounded weights, which the codec will have
        tables = stored["prior"].freeze([], self.quantizer.dequantize)
        tensors |= {TABLES + name: array for name, array in tables.items()}
        weights.save(path, tensors, {"codec": NAME, "config": self.config, **metadata})


def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> Task:
    """What ``pycodec train`` asks for: see `pycodec.training.task.TrainingTask`."""
    return Task(config, **options)


create.training_task = training_task
