"""Trained weights on disk: safetensors with JSON metadata and a fingerprint; no pickle, and no torch needed.

A codec ships its weights as ``weights/<codec>.safetensors`` beside the module of its factory (`shipped`). The
fingerprint is a sha256 over the configuration and the tensors: two codecs of one fingerprint decode each
other's files. The model card and other metadata do not enter it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from pycodec.errors import InvalidInput, MissingWeights, WeightsMismatch
from pycodec.files import write_bytes

if TYPE_CHECKING:
    import torch

_KEY = "pycodec"  # safetensors metadata maps strings to strings; all of ours is one JSON text under this key
_FINGERPRINT = re.compile("[0-9a-f]{64}")
_NOT_OURS = (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError)
_LISTED = 4


def fingerprint(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray | torch.Tensor]) -> bytes:
    """sha256 of a configuration and its tensors.

    The hash runs over the configuration as JSON with sorted keys and no spaces, then, by name, over each
    tensor's ``[name, dtype, shape]`` as JSON and its bytes in C order, little-endian; every JSON text ends
    with a newline.

    Args:
        config: JSON-ready.
        tensors: numpy arrays or torch tensors.
    """
    digest = hashlib.sha256(_json(config) + b"\n")
    for name, array in sorted(_arrays(tensors).items()):
        digest.update(_json([name, array.dtype.name, array.shape]) + b"\n")
        digest.update(array.tobytes())
    return digest.digest()


def save(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray | torch.Tensor],
    metadata: Mapping[str, Any],
) -> bytes:
    """Write weights, all or nothing, and return their fingerprint.

    Args:
        path: of the safetensors file.
        tensors: numpy arrays or torch tensors of a type numpy has.
        metadata: JSON-ready, with a ``"config"``, which enters the fingerprint, and by rule the ``"codec"``
            that reads the file, by its registered name. ``"fingerprint"`` is added.

    Raises:
        InvalidInput: no ``"config"``, metadata that is not JSON, or a tensor type numpy does not have.
    """
    if "config" not in metadata:
        raise InvalidInput(f"metadata of weights has {sorted(metadata)}, expected a 'config' among them")
    arrays = _arrays(tensors)
    digest = fingerprint(metadata["config"], arrays)
    text = _json({**metadata, "fingerprint": digest.hex()}).decode()
    write_bytes(path, to_safetensors(arrays, metadata={_KEY: text}))
    return digest


def load(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and metadata that `save` wrote; ``metadata["fingerprint"]`` is checked.

    Raises:
        MissingWeights: no such file.
        WeightsMismatch: not such a file, or a damaged one.
    """
    path = Path(path)
    try:
        with _opened(path) as file:
            metadata = _metadata(file)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        computed = fingerprint(metadata["config"], tensors).hex()
    except _NOT_OURS as error:
        raise _no_weights(path, error) from error
    if computed != (stored := metadata["fingerprint"]):
        raise WeightsMismatch(
            f"{path} is damaged: its fingerprint is {computed[:16]}, expected {stored[:16]}"
        )
    return tensors, metadata


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Metadata that `save` wrote, without reading the tensors: ``"fingerprint"`` is not checked.

    Raises:
        MissingWeights: no such file.
        WeightsMismatch: not such a file.
    """
    path = Path(path)
    try:
        with _opened(path) as file:
            return _metadata(file)
    except _NOT_OURS as error:
        raise _no_weights(path, error) from error


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise MissingWeights(f"no weights at {path}; train them with pycodec train, or install them there")
    return safe_open(path, framework="numpy")


def _metadata(file: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = json.loads((file.metadata() or {})[_KEY])
    if not _FINGERPRINT.fullmatch(metadata["fingerprint"]):
        raise ValueError("its 'fingerprint' is none")
    if not isinstance(codec := metadata.get("codec", ""), str):
        raise ValueError(f"its 'codec' is {codec!r}, expected a name")
    return metadata


def _no_weights(path: Path, error: Exception) -> WeightsMismatch:
    return WeightsMismatch(f"{path} holds no weights of pycodec: {type(error).__name__} {error}")


def shipped(module: str, codec: str) -> Path:
    """Where the weights of ``codec`` lie, whose factory is in ``module``; the module itself is not imported.

    Raises:
        MissingWeights: there is no such module.
    """
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:  # of a package above it
        spec = None
    if spec is None or spec.origin is None:
        raise MissingWeights(f"no weights of {codec!r}: its module {module} cannot be found")
    return Path(spec.origin).parent / "weights" / f"{codec}.safetensors"


def under(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The tensors whose names begin with ``prefix``, by the rest of their names.

    >>> under({"net.weight": 1, "net.bias": 2, "prior": 3}, "net.")
    {'weight': 1, 'bias': 2}
    """
    return {name[len(prefix) :]: array for name, array in tensors.items() if name.startswith(prefix)}


def load_module(module: torch.nn.Module, tensors: Mapping[str, np.ndarray], prefix: str = "") -> None:
    """Copy the tensors whose names begin with ``prefix`` into a torch module.

    Raises:
        WeightsMismatch: names the module lacks or expects, and shapes that differ, a few of each.
    """
    import torch

    given = under(tensors, prefix)
    own = module.state_dict()
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(given.keys() & own.keys())
        if tuple(given[name].shape) != tuple(own[name].shape)
    ]
    problems = [
        f"{what} {', '.join(names[:_LISTED])}"
        + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        for what, names in (
            ("missing", sorted(own.keys() - given.keys())),
            ("unexpected", sorted(given.keys() - own.keys())),
            ("wrong shape", shapes),
        )
        if names
    ]
    if problems:
        raise WeightsMismatch(f"weights do not fit {type(module).__name__}: {'; '.join(problems)}")
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in given.items()})


def _arrays(tensors: Mapping[str, np.ndarray | torch.Tensor]) -> dict[str, np.ndarray]:
    """Contiguous little-endian numpy arrays."""
    arrays = {}
    for name, tensor in tensors.items():
        try:
            array = tensor if isinstance(tensor, np.ndarray) else tensor.detach().cpu().numpy()
        except TypeError as error:
            raise InvalidInput(
                f"tensor {name!r} is {tensor.dtype}, which numpy lacks; store float32 or float16"
            ) from error
        arrays[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
    return arrays


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"not JSON-ready: {error}") from error
