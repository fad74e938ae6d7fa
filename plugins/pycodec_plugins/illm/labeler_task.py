"""Training of the labeler (Muckley et al. 2023, section A.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pycodec import weights
from pycodec.errors import InvalidInput
from pycodec.training.task import Losses, as_batch, psnr, quality_figures
from pycodec_plugins.metrics import Distortion

from .labeler import VQVAE

STAGE = "vqvae"


class LabelerTask(nn.Module):
    """Trains a VQ-VAE on eq. 10: rho_weight rho + embedding loss + beta commitment loss.

    rho is MSE + LPIPS (VGG16), or its substitute, see `Distortion`; the decoder sees the codebook's vectors,
    and the encoder gets the decoder's gradient as if it saw its own (straight-through). Embedding and
    commitment losses are mean squares (van den Oord et al. 2017, eq. 3).

    One stage, "vqvae", steps the optimiser "model".

    Args:
        config: keyword arguments of `Labeler`, as the one entry "labeler".
        rho_weight: lambda_rho.
        beta: of the commitment loss.
        patience: batches without use after which a code is revived, see `codebook.Codebook`.
        mse_weight, perceptual, lpips_weights: of `Distortion`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        rho_weight: float = 1.0,
        beta: float = 0.25,
        patience: int = 50,
        mse_weight: float = 1.0,
        perceptual: str = "auto",
        lpips_weights: str | None = None,
    ):
        super().__init__()
        if unknown := sorted(config.keys() - {"labeler"}):
            raise InvalidInput(f"[config] of a labeler has {unknown[0]!r}, expected [config.labeler] alone")
        self.model = VQVAE(**config.get("labeler", {}))
        self.stride = self.model.labeler.stride
        self.rho_weight, self.beta, self.patience = rho_weight, beta, patience
        # No submodule: its weights are no part of a checkpoint.
        self.distortion = Distortion("vgg", mse_weight, perceptual, lpips_weights)

    def parameter_groups(self, stage: str) -> Mapping[str, list[dict[str, Any]]]:
        if stage != STAGE:
            raise InvalidInput(f"a labeler has no stage {stage!r}, expected {STAGE!r}")
        return {"model": [{"params": list(self.model.parameters())}]}

    def training_step(self, images: Tensor, stage: str) -> Losses:
        labeler = self.model.labeler
        codebook = labeler.codebook
        z = labeler.embed(images)
        revived = codebook.revive(z, self.patience)
        with torch.autocast(images.device.type, enabled=False):
            labels = codebook.nearest(z.detach())
            vectors = codebook.lookup(labels)
            codebook.count(labels)
            embedding = F.mse_loss(vectors, z.detach())
            commitment = F.mse_loss(z, vectors.detach())
        x_hat = self.model.decode(z + (vectors - z).detach())
        rho = self.distortion(x_hat, images)
        loss = self.rho_weight * rho + embedding + self.beta * commitment
        scalars = {
            "loss": loss.item(),
            "rho": rho.item(),
            "embedding": embedding.item(),
            "used": len(labels.unique()) / labeler.codes,
            "revived": float(revived),
            "psnr": psnr(x_hat.detach().clamp(-128, 127), images),
        }
        return Losses({"model": loss}, scalars)

    @torch.no_grad()
    def validation_step(self, image: np.ndarray, stage: str) -> dict[str, float]:
        """PSNR and MS-SSIM of the reconstruction, and the share of codes that this one image uses."""
        labeler = self.model.labeler
        x = whole_labels(image, labeler.stride).to(labeler.project.weight.device)
        x_hat, labels = self.model.reconstruct(x)
        return {**quality_figures(x_hat, x, "image"), "used_by_image": len(labels.unique()) / labeler.codes}

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from the weights of a file; returns its metadata."""
        tensors, metadata = weights.load(path)
        weights.load_module(self.model, tensors)
        return metadata

    @torch.no_grad()
    def export(self, path: Path, calibration: list[np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write the weights, floats in half precision; the model card says what rho was, and how many codes
        the calibration images use.
        """
        tensors = {
            name: value.half() if value.is_floating_point() else value
            for name, value in self.model.state_dict().items()
        }
        figures = measure(self.model, calibration)
        card = {
            **metadata.get("model_card", {}),
            "rho": self.distortion.label,
            "training_images": {"images": len(calibration), **figures._asdict()},
        }
        config = {"labeler": self.model.labeler.config()}
        weights.save(path, tensors, {**metadata, "config": config, "model_card": card})


class Measured(NamedTuple):
    """What a labeler makes of a set of images."""

    used: float
    """Share of the codes that some position of some image takes."""
    perplexity: float
    """Of their histogram: as many equally frequent codes would say as much."""
    psnr: float
    """Of the reconstructions, mean over images, dB."""


@torch.no_grad()
def measure(model: VQVAE, images: Iterable[np.ndarray]) -> Measured:
    """Code use and reconstruction of RGB arrays [H, W, 3] uint8."""
    labeler = model.labeler
    counts = torch.zeros(labeler.codes)
    decibels = []
    for image in images:
        x = whole_labels(image, labeler.stride).to(labeler.project.weight.device)
        x_hat, labels = model.reconstruct(x)
        counts += torch.bincount(labels.flatten().cpu(), minlength=labeler.codes)
        decibels.append(quality_figures(x_hat, x, "image")["psnr_image"])
    shares = counts[counts > 0] / counts.sum()
    perplexity = (-(shares * shares.log()).sum()).exp()
    return Measured(len(shares) / labeler.codes, float(perplexity), float(np.mean(decibels)))


def whole_labels(image: np.ndarray, stride: int) -> Tensor:
    """The corner of an image [H, W, 3] uint8 with whole labels, as a batch of one."""
    height, width = (stride * (length // stride) for length in image.shape[:2])
    if not height or not width:
        raise InvalidInput(
            f"an image of {image.shape[1]} x {image.shape[0]} pixels, expected {stride} at least"
        )
    return as_batch(image[:height, :width])
