"""cpm: the codec of Mentzer et al. 2018, and its concurrent training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec import Codec, weights
from pycodec.errors import InvalidInput
from pycodec.optimization.latents import Watcher
from pycodec.optimization.target import ImageTarget
from pycodec.training.task import Losses, as_batch, ms_ssim, quality_figures

from .autoencoder import ResidualAutoencoder
from .centers import LearnedCenters
from .dct_start import start_as_dct
from .entropy import CategoricalContext
from .optimize import SymbolModel

if TYPE_CHECKING:
    from pycodec.images import ImageLike

NAME = "cpm"
WEIGHTS = Path(__file__).parent / "weights" / "cpm.safetensors"
CALIBRATION_IMAGES = 24  # for the ranges of the context network's activations


def parts(config: Mapping[str, Any]) -> tuple[ResidualAutoencoder, LearnedCenters, CategoricalContext]:
    """Untrained components; ``config`` holds "transform", "quantizer" and "entropy_model" tables of
    arguments.
    """
    transform = ResidualAutoencoder(**config.get("transform", {}))
    quantizer = LearnedCenters(**config.get("quantizer", {}))
    entropy_model = CategoricalContext(transform.channels, quantizer.count, **config.get("entropy_model", {}))
    return transform, quantizer, entropy_model


def stored(
    transform: ResidualAutoencoder, quantizer: LearnedCenters, entropy_model: CategoricalContext
) -> dict[str, nn.Module]:
    """The modules that a weights file holds, by the prefix of their tensors."""
    return {"transform": transform, "quantizer": quantizer, "network": entropy_model.network}


def restored(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> tuple[ResidualAutoencoder, LearnedCenters, CategoricalContext]:
    """Components with the float weights of a file; the integer model is not touched."""
    transform, quantizer, entropy_model = parts(config)
    for prefix, module in stored(transform, quantizer, entropy_model).items():
        weights.load_module(module, tensors, f"{prefix}.")
    entropy_model.centers.copy_(quantizer.centers.detach())
    return transform.eval(), quantizer, entropy_model


def create(weights_file: str | Path | None = None) -> Codec:
    """The codec with the light weights that come with it, or those of ``weights_file``."""
    tensors, metadata = weights.load(weights_file or WEIGHTS)
    transform, quantizer, entropy_model = restored(metadata["config"], tensors)
    entropy_model.load_integer_tensors(tensors, "context.")
    return CpmCodec(
        NAME,
        transform,
        quantizer,
        entropy_model,
        qualities=(1.0, float(transform.maps)),
        default_quality=float(transform.maps),
        fingerprint=bytes.fromhex(metadata["fingerprint"]),
    )


class CpmCodec(Codec):
    """A `pycodec.types.OptimizableCodec`."""

    def optimized_symbols(
        self,
        image: ImageLike,
        lam: float,
        steps: int,
        quality: float | None = None,
        device: str = "cpu",
        seed: int = 0,
        watcher: Watcher = lambda done, loss: None,
    ) -> np.ndarray:
        self._move(device)
        model = SymbolModel(
            self.transform, self.quantizer, self.entropy_model, self.quality_step(quality) / 16
        )
        target = ImageTarget(image, self.transform.stride, device)
        return model.optimized(target, lam, steps, torch.Generator(device).manual_seed(seed), watcher)


def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> CpmTask:
    """What ``pycodec train`` trains; see :class:`CpmTask`."""
    return CpmTask(config, **options)


create.training_task = training_task  # type: ignore[attr-defined]


class CpmTask(nn.Module):
    """Concurrent training of section 3.3: the autoencoder and the context model, each with its own loss and
    optimiser.

    Autoencoder, centres: d(x, x_hat) + max(beta t_i, beta MC), MC the masked coding cost (eq. 19) in bits per
    symbol, t_i = i / maps * t the target of importance map i, drawn for each image ("rate clipping"). For
    each image, not for each batch: the statistics that batch norms learn are those of all maps.
    Context model: the coding cost C (eq. 13). The gradient of MC reaches the encoder through the context
    model, by the soft assignment, and through the mask.

    Args:
        config: of the codec's components.
        target_bpp: t, the rate of the highest map.
        beta: weight of the rate, per bit per symbol, against the distortion (500 / 50 in the authors' code).
        distortion: "ms_ssim", 100 (1 - MS-SSIM), or "mse" on the 0..255 scale.
        regularization: weight of the L2 norm of the convolutions; ``center_regularization``: of the centres.
        start: "random", as the paper, or "dct", see `dct_start`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        target_bpp: float = 1.0,
        beta: float = 10.0,
        distortion: str = "ms_ssim",
        regularization: float = 1e-4,
        center_regularization: float = 0.002,
        start: str = "random",
    ):
        super().__init__()
        if distortion not in ("ms_ssim", "mse"):
            raise InvalidInput(f"distortion is {distortion!r}; expected 'ms_ssim' or 'mse'")
        if start not in ("random", "dct"):
            raise InvalidInput(f"start is {start!r}; expected 'random' or 'dct'")
        self.config = dict(config)
        self.transform, self.quantizer, self.entropy_model = parts(config)
        if start == "dct":
            start_as_dct(self.transform, self.quantizer)
        self.stride = self.transform.stride
        self.target_bpp, self.beta, self.distortion_name = target_bpp, beta, distortion
        self.regularization, self.center_regularization = regularization, center_regularization

    def parameter_groups(self, stage: str) -> Mapping[str, list[dict[str, Any]]]:
        """Stages: "concurrent" (the paper's); "frozen", the same with the statistics that batch norms have
        learned by then; for the ablation "autoencoder" without a rate, "context".
        """
        autoencoder = [{"params": [*self.transform.parameters(), *self.quantizer.parameters()]}]
        context = [{"params": list(self.entropy_model.network.parameters())}]
        return {
            "concurrent": {"autoencoder": autoencoder, "context": context},
            "frozen": {"autoencoder": autoencoder, "context": context},
            "autoencoder": {"autoencoder": autoencoder},
            "context": {"context": context},
        }[stage]

    def distortion(self, x: Tensor, x_hat: Tensor) -> Tensor:
        if self.distortion_name == "mse":
            return (x_hat - x).square().mean()
        return 100 * (1 - ms_ssim(x_hat, x))

    def training_step(self, images: Tensor, stage: str) -> Losses:
        count, _, height, width = images.shape
        pixels = height * width
        # What a batch norm makes of a crop depends on the others of its batch.
        self.transform.train(stage not in ("frozen", "context"))
        quality = torch.randint(1, self.transform.maps + 1, (count,)).to(images)
        z, mask = self.transform.masked_analysis(images, quality)
        z_hat, symbols = self.quantizer.surrogate(z)
        losses: dict[str, Tensor] = {}
        scalars: dict[str, float] = {}
        bits = None
        if stage != "autoencoder":
            bits = self.entropy_model.bits(symbols, z_hat, quality)
            scalars["bpp"] = bits.detach().sum().item() / (count * pixels)
        if stage != "context":
            d = self.distortion(images, self.transform.synthesis(z_hat, quality))
            penalty = self.center_regularization * self.quantizer.centers.square().sum()
            for module in self.transform.modules():
                if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                    penalty = penalty + self.regularization * module.weight.square().sum()
            loss = d + penalty
            if bits is not None:
                ceil_mask = mask + (mask.ceil() - mask).detach()
                masked_cost = (ceil_mask * bits).mean((1, 2, 3))
                target = self.target_bpp * quality / self.transform.maps * pixels / bits[0].numel()
                loss = loss + self.beta * torch.maximum(masked_cost, target).mean()
            losses["autoencoder"] = loss
            scalars |= {"distortion": d.item(), "loss": loss.item()}
        if bits is not None:
            losses["context"] = bits.mean()
        return Losses(losses, scalars)

    def validation_step(self, image: np.ndarray, stage: str) -> dict[str, float]:
        figures = {}
        device = self.transform.mean.device
        height, width = (n - n % 8 for n in image.shape[:2])
        x = as_batch(image[:height, :width]).to(device)
        for index in range(1, self.transform.maps + 1):
            quality = torch.tensor([float(index)], device=device)
            symbols = self.quantizer.assign(self.transform.analysis(x, quality))
            z_hat = self.quantizer.centers[symbols]
            x_hat = self.transform.synthesis(z_hat, quality).clamp(-128, 127).round()
            bits = self.entropy_model.bits(symbols, z_hat, quality)
            uniform = symbols.numel() * math.log2(self.quantizer.count)
            rate = uniform if stage == "autoencoder" else bits.sum().item()
            figures[f"bpp_{index}"] = rate / (height * width)
            figures |= quality_figures(x_hat, x, str(index))
        return figures

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from a weights file instead of from random values; returns the metadata of the file."""
        tensors, metadata = weights.load(path)
        for prefix, module in stored(self.transform, self.quantizer, self.entropy_model).items():
            weights.load_module(module, tensors, f"{prefix}.")
        return metadata

    @torch.no_grad()
    def export(self, path: Path, calibration: list[np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write the weights: transforms, centres, float context network (to train on), integers."""
        modules = stored(self.transform, self.quantizer, self.entropy_model)
        tensors = {
            f"{prefix}.{key}": value.cpu().numpy()
            for prefix, module in modules.items()
            for key, value in module.state_dict().items()
        }
        transform, quantizer, entropy_model = restored(self.config, tensors)
        latents = []
        for image in calibration[:CALIBRATION_IMAGES]:
            height, width = (8 * (min(side, 512) // 8) for side in image.shape[:2])
            x = as_batch(image[:height, :width])
            for index in (1, transform.maps):
                z = transform.analysis(x, torch.tensor([float(index)]))
                latents.append((quantizer.quantize(z), float(index)))
        entropy_model.export(latents)
        tensors |= entropy_model.integer_tensors("context.")
        weights.save(path, tensors, {"config": self.config, **metadata})
