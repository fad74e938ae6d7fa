"""The codecs res_hyper and res_context: hyperprior codecs of one rate, in eight sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pycodec import Codec
from pycodec_plugins.hyperprior import HyperpriorCodec

WEIGHTS = Path(__file__).parent / "weights"


def create_hyper(weights_file: str | Path | None = None) -> Codec:
    """Res-hyper with the weights that come with it, or those of ``weights_file``.

    Raises:
        MissingWeights: there are none.
    """
    return _created("res_hyper", weights_file)


def create_context(weights_file: str | Path | None = None) -> Codec:
    """Res-context, likewise."""
    return _created("res_context", weights_file)


def _created(name: str, weights_file: str | Path | None) -> Codec:
    return HyperpriorCodec(name, weights_file or WEIGHTS / f"{name}.safetensors", rounds=True)


def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """What ``pycodec train`` trains: `task.ResTask`, or `task.BoundTask` if the config has a posterior."""
    from .task import BoundTask, ResTask

    return (BoundTask if "posterior" in config else ResTask)(config, options)


create_hyper.training_task = training_task  # type: ignore[attr-defined]
create_context.training_task = training_task  # type: ignore[attr-defined]
