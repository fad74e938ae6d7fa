"""ctx3d, the default codec: residual DCT transform, integer latents, parametric 3D context model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec import Codec, weights
from pycodec.errors import InvalidInput
from pycodec.training.task import Losses, as_batch, ms_ssim, quality_figures

from .entropy import ParametricContext, logistic_bits
from .latent_model import ContextLatentModel
from .quality import QualityTable, error_weight, lambda_of
from .quantize_dct import input_ranges, load_quantized, quantize
from .quantized_dct import QUALITY_STEPS, QuantizedResidualDCT
from .residual_dct import ResidualDCT
from .rounding import IntegerRounding

NAME = "ctx3d"
NAME_MSSSIM = "ctx3d-msssim"
WEIGHTS = Path(__file__).parent / "weights" / "ctx3d.safetensors"
WEIGHTS_MSSSIM = WEIGHTS.with_name("ctx3d-msssim.safetensors")
QUALITIES = 8
LAMBDAS = 0.0006, 0.15  # weights of the squared error (0..255 scale) at the lowest and the highest quality
MSE, MS_SSIM = "mse", "ms_ssim"  # what they weigh
VALIDATED = (1.0, 3.0, 5.0, 8.0)
CALIBRATED = tuple(float(q) for q in range(1, QUALITIES + 1))
CALIBRATION_IMAGES = 24  # for the ranges of the activations; the tables are fitted to all that are given


def parts(config: Mapping[str, Any]) -> tuple[ResidualDCT, IntegerRounding, ParametricContext]:
    """Untrained components; ``config`` holds "transform" and "entropy_model" tables of keyword arguments."""
    transform = ResidualDCT(qualities=QUALITIES, **config.get("transform", {}))
    entropy_model = ParametricContext(
        transform.channels, qualities=QUALITIES, **config.get("entropy_model", {})
    )
    return transform, IntegerRounding(), entropy_model


def load_floats(
    transform: ResidualDCT, entropy_model: ParametricContext, tensors: Mapping[str, np.ndarray]
) -> None:
    """Set components to the weights of a file, to train on: the transform's from its integers, which are as
    fine as half precision but in one layer of a decoder's blocks.
    """
    load_quantized(transform, weights.under(tensors, "quantized."))
    weights.load_module(entropy_model.network, tensors, "network.")


def restored(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> tuple[ResidualDCT, IntegerRounding, ParametricContext]:
    """Components with the weights of a file, in floats; without the integers that files are coded with."""
    transform, quantizer, entropy_model = parts(config)
    load_floats(transform, entropy_model, tensors)
    return transform.eval(), quantizer, entropy_model


def create(weights_file: str | Path | None = None) -> Ctx3dCodec:
    """The codec with the weights that come with it, or those of ``weights_file``."""
    return _created(NAME, Path(weights_file or WEIGHTS))


def create_msssim(weights_file: str | Path | None = None) -> Ctx3dCodec:
    """The codec whose weights are trained for MS-SSIM; else as `create`."""
    return _created(NAME_MSSSIM, Path(weights_file or WEIGHTS_MSSSIM))


def _created(name: str, source: Path) -> Ctx3dCodec:
    tensors, metadata = weights.load(source)
    config = metadata["config"]
    transform = quantized_transform(config, tensors)
    entropy_model = ParametricContext(
        transform.channels, qualities=QUALITIES, **config.get("entropy_model", {})
    )
    weights.load_module(entropy_model.network, tensors, "network.")
    entropy_model.load_integer_tensors(tensors, "context.")
    return Ctx3dCodec(
        source,
        name,
        transform,
        IntegerRounding(),
        entropy_model,
        qualities=(1.0, float(QUALITIES)),
        fingerprint=bytes.fromhex(metadata["fingerprint"]),
        error_weight=_error_weight(metadata),
    )


def _error_weight(metadata: Mapping[str, Any]) -> Callable[[int], float] | None:
    """Of weights with this metadata; None if they were trained for another distortion."""
    if metadata.get("distortion", MSE) != MSE:  # the first weights do not say, nor their lambdas
        return None
    return error_weight(metadata.get("lambdas", LAMBDAS), QUALITIES)


class Ctx3dCodec(Codec):
    """A `pycodec.types.DifferentiableCodec`.

    Args:
        source: its weights file, which has its networks in floats too.
        parts, options: of `pycodec.Codec`.
    """

    def __init__(self, source: Path, *parts: Any, **options: Any):
        super().__init__(*parts, **options)
        self._source = source

    def latent_model(self, quality: float | None = None) -> ContextLatentModel:
        """The float networks at a quality; their only latent is y.

        Raises:
            InvalidInput: a quality that it does not have.
        """
        q = self.quality_step(quality) / 16
        tensors, metadata = weights.load(self._source)
        transform, _, entropy_model = restored(metadata["config"], tensors)
        weight = _error_weight(metadata)
        lam = None if weight is None else weight(self.quality_step(quality))
        return ContextLatentModel(transform, entropy_model, q, lam).requires_grad_(False).eval()

    def latent_symbols(self, latents: Sequence[Tensor]) -> np.ndarray:
        return self.quantizer.quantize(latents[0])


def quantized_transform(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> QuantizedResidualDCT:
    """The transform of a weights file in integers."""
    options = {"qualities": QUALITIES, **config.get("transform", {})}
    return QuantizedResidualDCT(weights.under(tensors, "quantized."), options)


def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> Ctx3dTask:
    """What ``pycodec train`` trains; see :class:`Ctx3dTask`."""
    return Ctx3dTask(config, **options)


create.training_task = create_msssim.training_task = training_task  # type: ignore[attr-defined]


class FactorizedPrior(nn.Module):
    """A logistic per plane and quality: the rate of the first stage, before there is a context model."""

    def __init__(self, planes: int):
        super().__init__()
        self.mean = QualityTable(torch.zeros(QUALITIES, planes))
        self.log_scale = QualityTable(torch.zeros(QUALITIES, planes))

    def bits(self, values: Tensor, quality: Tensor) -> Tensor:
        mean, log_scale = (t(quality)[:, :, None, None] for t in (self.mean, self.log_scale))
        return logistic_bits(values, mean.expand_as(values), log_scale.expand_as(values))


class Ctx3dTask(nn.Module):
    """Rate-distortion training over all qualities at once.

    Stages: "transform" (against a factorized prior), "context" (the context model on fixed latents), and
    "joint" (both; the transform learns to rely on the context model).

    Every crop draws its quality q, half of the time a whole one; its loss is (bpp + lambda(q) D)
    lambda(q)^-1/2 up to a constant, so that every rate weighs alike.

    Args:
        config: of the codec's components.
        lambdas: weight of the distortion D against bpp at the lowest and the highest quality, geometric in
            between.
        distortion: D, "mse" on the 0..255 scale, or "ms_ssim", 1 - MS-SSIM.
    """

    def __init__(
        self, config: Mapping[str, Any], lambdas: tuple[float, float] = LAMBDAS, distortion: str = MSE
    ):
        super().__init__()
        if distortion not in (MSE, MS_SSIM):
            raise InvalidInput(f"distortion is {distortion!r}; expected {MSE!r} or {MS_SSIM!r}")
        self.config = dict(config)
        self.transform, self.quantizer, self.entropy_model = parts(config)
        self.stride = self.transform.stride
        self.prior = FactorizedPrior(self.transform.channels)
        self.lambdas, self.distortion = list(lambdas), distortion

    def parameter_groups(self, stage: str) -> Mapping[str, list[dict[str, Any]]]:
        tables = [self.transform.log_gain.table, self.transform.log_step.table]
        table_ids = {id(p) for p in tables}
        body = [p for p in self.transform.parameters() if id(p) not in table_ids]
        network = [p for p in self.entropy_model.network.parameters()]
        groups = {
            "transform": [
                {"params": body},
                {"params": [*tables, *self.prior.parameters()], "ratio": 5.0},
            ],
            "context": [{"params": network}],
            "joint": [{"params": body}, {"params": tables, "ratio": 2.0}, {"params": network}],
        }
        return {"model": groups[stage]}

    def training_step(self, images: Tensor, stage: str) -> Losses:
        count, _, height, width = images.shape
        quality = 1 + (QUALITIES - 1) * torch.rand(count)
        quality = torch.where(torch.rand(count) < 0.5, quality.round(), quality).to(images.device)
        y = self.transform.analysis(images, quality)
        rounded, noisy = self.quantizer.surrogate(y)
        if stage == "transform":
            bits = self.prior.bits(noisy, quality)
        elif stage == "context":
            bits = self.entropy_model.bits(rounded.detach(), rounded.detach(), quality)
        else:
            bits = self.entropy_model.bits(noisy, rounded, quality)
        bpp = bits.sum((1, 2, 3)) / (height * width)
        lam = lambda_of(quality, self.lambdas, QUALITIES)
        weight = (lam / math.prod(self.lambdas) ** 0.5) ** -0.5
        if stage == "context":
            return Losses({"model": (bpp * weight).mean()}, {"bpp": bpp.mean().item()})
        x_hat = self.transform.synthesis(rounded, quality)
        mse = (x_hat - images).square().mean((1, 2, 3))
        distortion = mse if self.distortion == MSE else 1 - ms_ssim(x_hat, images, each=True)
        loss = ((bpp + lam * distortion) * weight).mean()
        decibels = 10 * torch.log10(255**2 / mse.detach()).mean().item()
        return Losses({"model": loss}, {"loss": loss.item(), "bpp": bpp.mean().item(), "psnr": decibels})

    def validation_step(self, image: np.ndarray, stage: str) -> dict[str, float]:
        figures = {}
        device = self.transform.analysis_dct.device
        height, width = (n - n % 8 for n in image.shape[:2])
        x = as_batch(image[:height, :width]).to(device)
        for q in VALIDATED:
            quality = torch.tensor([q], device=device)
            y = self.transform.analysis(x, quality).round()
            x_hat = self.transform.synthesis(y, quality).clamp(-128, 127).round()
            bits = (
                self.prior.bits(y, quality)
                if stage == "transform"
                else self.entropy_model.bits(y, y, quality)
            )
            figures[f"bpp_{q:g}"] = bits.sum().item() / (height * width)
            figures |= quality_figures(x_hat, x, f"{q:g}")
        return figures

    def initialize(self, path: Path) -> dict[str, Any]:
        """Start from the transform and the context network of a weights file instead of from the DCT. Blocks
        that only this transform has start as nothing, and so do the weights of earlier planes if only this
        network sees them.

        Returns:
            The metadata of the file.
        """
        tensors, metadata = weights.load(path)
        if (earlier := self.entropy_model.network.earlier_planes) is not None:
            tensors.setdefault("network.earlier_planes.weight", np.zeros(earlier.weight.shape, np.float16))
        given, _, _ = parts(self.config | {"transform": metadata["config"].get("transform", {})})
        load_floats(given, self.entropy_model, tensors)
        self.transform.start_from(given)
        return metadata

    @torch.no_grad()
    def export(self, path: Path, calibration: list[np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write the weights: the integers of transform and context model, and of the latter those in half
        precision that it can be trained on with.
        """
        network = self.entropy_model.network.state_dict()
        tensors = {f"network.{key}": value.half().cpu().numpy() for key, value in network.items()}
        transform, quantizer, entropy_model = parts(self.config)
        transform.load_state_dict(self.transform.state_dict())
        # Calibrated on the rounded weights that will be used.
        weights.load_module(entropy_model.network, tensors, "network.")

        def inputs(images: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, float]]:
            for i, image in enumerate(images):
                height, width = (8 * (min(side, 512) // 8) for side in image.shape[:2])
                x = as_batch(image[:height, :width])
                for q in CALIBRATED[i % 2 :: 2]:
                    yield x, q

        ranges = input_ranges(transform, inputs(calibration[:CALIBRATION_IMAGES]))
        arrays = quantize(transform, ranges, range(QUALITY_STEPS, QUALITY_STEPS * QUALITIES + 1))
        tensors |= {f"quantized.{name}": array for name, array in arrays.items()}
        integer_transform = quantized_transform(self.config, tensors)

        def latents(images: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, float]]:
            for x, q in inputs(images):
                yield quantizer.quantize(integer_transform.analysis(x, torch.tensor([q]))), q

        entropy_model.export(latents(calibration[:CALIBRATION_IMAGES]))
        entropy_model.fit_tables(latents(calibration))
        tensors |= entropy_model.integer_tensors("context.")
        own = {"config": self.config, "lambdas": self.lambdas, "distortion": self.distortion}
        weights.save(path, tensors, {**own, **metadata})
