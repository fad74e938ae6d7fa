"""The hyperprior codec: a transform of stride 16, and latents that are Gaussian given a hyper-latent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from pycodec import Codec

from pycodec_plugins.cpm import ResidualDCT

from .entropy import ScaleHyperprior
from .hyper import HyperTransform
from .quantizer import ZeroCentered

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
    transform = ResidualDCT(qualities=QUALITIES, **{**LIGHT, **config.get("transform", {})})
    hyper = {"hyper_channels": 48, "width": 96, **config.get("hyper", {})}
    return Parts(
        HyperTransform(transform, **hyper),
        ZeroCentered(transform.channels, hyper["hyper_channels"], **config.get("quantizer", {})),
        ScaleHyperprior(transform.channels, hyper["hyper_channels"], **config.get("entropy_model", {})),
    )


def create(weights_file: str | Path | None = None) -> Codec:
    """The codec with the weights that come with it, or those of ``weights_file``."""
    raise NotImplementedError


def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """What ``pycodec train`` trains; see `task.HyperpriorTask`."""
    from .task import HyperpriorTask

    return HyperpriorTask(config, **options)


create.training_task = training_task  # type: ignore[attr-defined]
