"""Training of a decoder alone: the second stage of MS-ILLM (Muckley et al. 2023, sections 3.3 and A.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pycodec
from pycodec.errors import InvalidInput
from pycodec.training.task import Losses, as_batch, quality_figures
from pycodec_plugins.hyperprior import Decoder
from pycodec_plugins.metrics import Distortion

STAGES = ("distortion", "adversarial")


class DecoderTask(nn.Module):
    """Trains the synthesis of a codec on rho + adversarial_weight times a discriminator's loss.

    Encoder and entropy model stay as they are, in the integers that files are made with: so the decoder
    learns from the very latents that it will see, and every file of the codec can be decoded by it.

    Stages: "adversarial", which steps the optimisers "model" and "critic", and "distortion", without the
    discriminator, "model" alone.

    Args:
        config: of the codec: "weights_file", by default that of ``hyperprior``.
        qualities: each crop draws one of these; one that is listed twice is drawn twice as often.
        discriminator: ``{"name": ..., "config": {...}}`` of a registered one; its "channels" are set here.
        adversarial_weight: lambda_d of eq. 3; at 0 the critic only looks on, and the decoder is that of
            "distortion": No-GAN, in the words of the paper.
        mse_weight, perceptual, lpips_weights: of rho, see `Distortion`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        qualities: Sequence[float] = (1.0, 2.0, 3.0),
        discriminator: Mapping[str, Any] | None = None,
        adversarial_weight: float = 0.008,
        mse_weight: float = 150.0,
        perceptual: str = "auto",
        lpips_weights: str | None = None,
    ):
        super().__init__()
        self.config = dict(config)
        self.decoder = Decoder(**config)
        self.stride = self.decoder.stride
        self.qualities = torch.tensor([float(q) for q in qualities])
        self._each = sorted(set(self.qualities.tolist()))
        self.adversarial_weight = adversarial_weight
        self.critic: nn.Module | None = None
        if discriminator is not None:
            options = {"channels": self.decoder.channels, **discriminator.get("config", {})}
            critic = pycodec.create("discriminator", discriminator["name"], **options)
            self.critic = critic.to(memory_format=torch.channels_last)  # as batches are: a third faster
        # No submodule: its weights are no part of a checkpoint.
        self.distortion = Distortion("alex", mse_weight, perceptual, lpips_weights)

    def parameter_groups(self, stage: str) -> Mapping[str, list[dict[str, Any]]]:
        if stage not in STAGES or (stage == "adversarial" and self.critic is None):
            raise InvalidInput(
                f"stage {stage!r}, expected one of {', '.join(STAGES)}, the latter with a discriminator"
            )
        groups = {"model": [{"params": self.decoder.trained()}]}
        if stage == "adversarial" and self.critic is not None:
            groups["critic"] = [{"params": list(self.critic.parameters())}]
        return groups

    def training_step(self, images: Tensor, stage: str) -> Losses:
        quality = self.qualities[torch.randint(len(self.qualities), (len(images),))].to(images.device)
        y = self.decoder.latents(images, quality)
        x_hat = self.decoder(y, quality)
        rho = self.distortion(x_hat, images)
        mse = (x_hat.detach() - images).square().mean()
        scalars = {"rho": rho.item(), "psnr": 10 * torch.log10(255**2 / mse).item()}
        if stage != "adversarial" or self.critic is None:
            return Losses({"model": rho}, scalars)
        critic = self.critic.critic_loss(images, x_hat.detach(), y)
        scalars["critic"] = critic.item()
        if self.adversarial_weight == 0:
            return Losses({"model": rho, "critic": critic}, scalars)
        generator = self.critic.generator_loss(images, x_hat, y)
        scalars["generator"] = generator.item()
        return Losses({"model": rho + self.adversarial_weight * generator, "critic": critic}, scalars)

    def validation_step(self, image: np.ndarray, stage: str) -> dict[str, float]:
        x = as_batch(self.decoder.whole(image)).to(self.qualities.device)
        figures = {}
        for q in self._each:
            quality = torch.tensor([q], device=x.device)
            x_hat = self.decoder(self.decoder.latents(x, quality), quality).clamp(-128, 127).round()
            figures |= quality_figures(x_hat, x, f"{q:g}")
        return figures

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from a decoder that was trained before; returns its metadata."""
        return self.decoder.load(path)

    @torch.no_grad()
    def export(self, path: Path, calibration: list[np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write the decoder's weights; the model card says what rho was."""
        card = {**metadata.get("model_card", {}), "rho": self.distortion.label}
        self.decoder.save(path, calibration, self._each, {**metadata, "model_card": card})
