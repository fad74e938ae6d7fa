"""Training of Res-hyper and Res-context."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pycodec import weights
from pycodec.errors import InvalidInput
from pycodec.optimization.channels import GaussianNoise, transmit
from pycodec.optimization.target import ImageTarget
from pycodec.training.task import Losses
from pycodec_plugins.hyperprior import HyperpriorModel, HyperpriorTask, lagrangian, losses

from .sizes import config_of, start_step

LAMBDAS = (0.0018, 0.0054, 0.0162, 0.0483)  # of the paper
MAY_BE_NEW = ("quantizer.context.", "entropy_model.context.", "transform.posterior.")


class ResTask(HyperpriorTask):
    """Trains all parts on bpp + lambda MSE, for one lambda.

    Args:
        config: see `sizes.config_of`.
        options: "lambda", weight of the MSE (0..255 scale); by default the paper's third.
    """

    def __init__(self, config: Mapping[str, Any], options: Mapping[str, Any]):
        lam = options.get("lambda", LAMBDAS[2])
        if options.keys() - {"lambda"} or type(lam) not in (int, float) or not 0 < lam < 100:
            raise InvalidInput(
                f"[task] is {dict(options)}, expected lambda alone, above 0 and below 100; the paper's are "
                + ", ".join(f"{value:g}" for value in LAMBDAS)
            )
        super().__init__(config_of(config, lam), lambdas=(lam, lam))

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from the weights of a file; a Res-context also from those of a Res-hyper of its size, which
        it equals until its context networks, whose heads start as 0, have learnt something; a bound from
        those of the codec. If they were trained for another lambda, quantisation steps are as much finer or
        coarser as they would be at the start of a training.
        """
        tensors, metadata = weights.load(path)
        for part in MAY_BE_NEW:
            if not any(name.startswith(part) for name in tensors):
                own = {name: tensor for name, tensor in self.state_dict().items() if name.startswith(part)}
                tensors |= {name: tensor.cpu().numpy() for name, tensor in own.items()}
        self.load(tensors)
        if lambdas := metadata.get("lambdas"):
            ratio = start_step(self.lambdas[0]) / start_step(lambdas[0])
            transform = self.parts.transform.transform
            with torch.no_grad():
                transform.log_step.table += math.log(ratio)
                transform.log_gain.table -= math.log(ratio)
        return metadata


class BoundTask(ResTask):
    """Trains the same networks, and scales to draw from, for the upper bound of the rate-distortion function:
    latents are drawn from Gaussians, whose divergence from the prior is the rate (Zhang & Liu 2025, equation
    10). Nothing is rounded; the weights still make a codec, which nobody trained to be one.

    Args:
        config, options: as those of `ResTask`; the config has a "posterior".
    """

    def training_step(self, images: Tensor, stage: str) -> Losses:
        height, width = images.shape[-2:]
        model = self.latent_model()
        x_hat, bits = transmit(model, model.encode(images), GaussianNoise())
        bpp, mse = bits / (height * width), (x_hat - images).square().mean((1, 2, 3))
        return losses(lagrangian(bpp, mse, images.new_full((), self.lambdas[0])), bpp, mse)

    def validation_step(self, image: np.ndarray, stage: str) -> dict[str, float]:
        """Of one sample, always the same."""
        device = next(self.parameters()).device.type
        model = self.latent_model()
        target = ImageTarget(image, model.stride, device)
        noise = GaussianNoise(torch.Generator(device).manual_seed(0))
        x_hat, bits = transmit(model, model.encode(target.x), noise)
        mse = target.measured_mse(x_hat).item()
        return {"bpp_1": bits.item() / target.units, "psnr_1": 10 * math.log10(255**2 / max(mse, 1e-9))}

    def latent_model(self) -> HyperpriorModel:
        """The networks in training, as estimators see those of a codec."""
        model = self.parts.entropy_model.model_class()(self.parts, 1.0, self.lambdas[0])
        return model.to(next(self.parameters()).device)
