"""The hyperprior codec: a transform of stride 16, and latents that are Gaussian given a hyper-latent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from pycodec import Codec, weights
from pycodec_plugins.cpm import QuantizedResidualDCT, ResidualDCT

from .entropy import ScaleHyperprior, under
from .hyper import HyperTransform
from .quantizer import ZeroCentered

NAME = "hyperprior"
WEIGHTS = Path(__file__).parent / "weights" / "hyperprior.safetensors"
QUALITIES = 8


class Parts(NamedTuple):
    """What the codec is made of, as it is trained."""

    transform: HyperTransform
    quantizer: ZeroCentered
    entropy_model: ScaleHyperprior

    def modules(self) -> dict[str, nn.Module]:
        """By the prefix of their tensors in a weights file."""
        return self._asdict()


LIGHT = {
    "luma": 160,
    "chroma": 32,
    "steps": [125.0, 14.0],
    "fine": 128,
    "coarse": 256,
    "fine_depth": 3,
    "encoder_depth": 3,
    "decoder_depth": 4,
    "block": 16,
}


def build_parts(config: Mapping[str, Any]) -> Parts:
    """Untrained parts.

    Args:
        config: tables of keyword arguments, each of which may be left out: "transform" of `ResidualDCT`,
            "hyper" of `HyperTransform`, "quantizer" of `ZeroCentered`, "entropy_model" of `ScaleHyperprior`.
    """
    return _parts(config, ResidualDCT(**transform_config(config)))


def transform_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of the transform that ``config`` describes."""
    return {"qualities": QUALITIES, **LIGHT, **config.get("transform", {})}


def _parts(config: Mapping[str, Any], transform: Any) -> Parts:
    hyper = {"hyper_channels": 48, "width": 96, **config.get("hyper", {})}
    shape = transform.channels, hyper["hyper_channels"]
    return Parts(
        HyperTransform(transform, **hyper),
        ZeroCentered(*shape, **config.get("quantizer", {})),
        ScaleHyperprior(*shape, qualities=QUALITIES, **config.get("entropy_model", {})),
    )


def frozen_parts(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Parts:
    """Parts that code files, from the tensors of a weights file."""
    transform = QuantizedResidualDCT(under(tensors, "quantized."), transform_config(config))
    parts = _parts(config, transform)
    weights.load_module(parts.transform.hyper_analysis, tensors, "transform.hyper_analysis.")
    parts.quantizer.load_frozen(under(tensors, "means."))
    parts.entropy_model.load_frozen(under(tensors, "coder."))
    return parts


def create(weights_file: str | Path | None = None) -> Codec:
    """The codec with the weights that come with it, or those of ``weights_file``."""
    tensors, metadata = weights.load(weights_file or WEIGHTS)
    return Codec(
        NAME,
        *frozen_parts(metadata["config"], tensors),
        qualities=(1.0, float(QUALITIES)),
        fingerprint=bytes.fromhex(metadata["fingerprint"]),
    )


def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """What ``pycodec train`` trains; see `task.HyperpriorTask`."""
    from .task import HyperpriorTask

    return HyperpriorTask(config, **options)


create.training_task = training_task  # type: ignore[attr-defined]
