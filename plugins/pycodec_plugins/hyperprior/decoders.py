"""Decoders for the files of a codec, besides the one it was trained with.

A decoder is the synthesis transform alone, trained on while the encoder and the entropy model stay as they
are: what it is made of decides what a file looks like, never what is in it. Its weights are a file of their
own, that names the weights it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pycodec import weights
from pycodec.errors import InvalidInput, WeightsMismatch

FOLDER = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"
SYNTHESIS = ("quantized.decoder.", "quantized.inverse_dct.", "quantized.step", "transform.transform.")
"""Beginnings of the names of tensors that a decoder may replace."""


def names(codec: str) -> list[str]:
    """Decoders that come with a codec, beside its own."""
    return sorted(path.name.split(".")[1] for path in FOLDER.glob(f"{codec}.*{SUFFIX}"))


def tensors_of(codec: str, decoder: str, base: str) -> dict[str, np.ndarray]:
    """Tensors of a decoder that take the place of those in the weights file of its codec.

    Args:
        codec: name of the codec.
        decoder: name of one that comes with it, or the path of a file.
        base: fingerprint of the codec's weights.

    Raises:
        InvalidInput: there is no such decoder.
        WeightsMismatch: it belongs to other weights, or the file holds none.
    """
    path = Path(decoder) if decoder.endswith(SUFFIX) else FOLDER / f"{codec}.{decoder}{SUFFIX}"
    if not decoder.endswith(SUFFIX) and not path.is_file():
        known = ", ".join(["mse", *names(codec)])
        raise InvalidInput(
            f"codec {codec!r} has no decoder {decoder!r}, expected one of {known}, or a {SUFFIX} file"
        )
    tensors, metadata = weights.load(path)
    if (found := metadata.get("base")) != base:
        raise WeightsMismatch(
            f"the decoder {path} belongs to weights {str(found)[:8]}, these are {base[:8]}; "
            "take the weights it was trained for"
        )
    if foreign := sorted(name for name in tensors if not name.startswith(SYNTHESIS)):
        raise WeightsMismatch(f"the decoder {path} holds {foreign[0]!r}, which is no part of a synthesis")
    return tensors


def save(path: Path, tensors: Mapping[str, np.ndarray], base: str, metadata: Mapping[str, Any]) -> bytes:
    """Write a decoder for the weights of fingerprint ``base``: those of ``tensors`` that belong to one."""
    own = {name: array for name, array in tensors.items() if name.startswith(SYNTHESIS)}
    return weights.save(path, own, {"config": {}, **metadata, "base": base})
