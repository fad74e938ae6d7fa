"""The codec ``hyperprior-illm``: the files of ``hyperprior``, and a decoder that was trained to look real."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pycodec import Codec
from pycodec_plugins.hyperprior import HyperpriorCodec

NAME = "hyperprior-illm"


def create(weights_file: str | Path | None = None, decoder: str = "illm") -> Codec:
    """As `pycodec_plugins.hyperprior.codec.create`, but for the decoder that it takes by default."""
    return HyperpriorCodec(NAME, weights_file, decoder)


def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """What ``pycodec train`` trains: the decoder alone; see `decoder_task.DecoderTask`."""
    from .decoder_task import DecoderTask

    return DecoderTask(config, **options)


create.training_task = training_task  # type: ignore[attr-defined]
