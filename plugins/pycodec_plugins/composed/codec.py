"""composed: the codec of any registered transform, quantizer and entropy model.

Its weights file says which: the "config" of the metadata is::

    {
        "transform": {"name": ..., "config": {...}},
        "quantizer": {...},
        "entropy_model": {...},
        "qualities": [1, 8],
    }

with every default spelt out. Tensors are the state of the parts that are torch modules, named
``transform.*``, ``quantizer.*`` and ``entropy_model.*``, and what the entropy model froze
(`pycodec.types.FreezableEntropyModel`), named ``frozen.*``. The fingerprint covers all of this, and not the
code of the parts: who changes what a part computes gives it another name, or another option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

import pycodec
from pycodec import Codec, weights
from pycodec.config import build, describe
from pycodec.errors import InvalidInput, MissingWeights

NAME = "composed"
FROZEN = "frozen."
QUALITIES = (1.0, 8.0)


class Parts(NamedTuple):
    """The three components, which may or may not be torch modules."""

    transform: Any
    quantizer: Any
    entropy_model: Any

    def modules(self) -> dict[str, nn.Module]:
        """Those that are, by kind."""
        return {kind: part for kind, part in self._asdict().items() if isinstance(part, nn.Module)}


def build_parts(config: Mapping[str, Any]) -> tuple[Parts, dict[str, Any]]:
    """Untrained parts, and the configuration with every default spelt out.

    Raises:
        InvalidInput: a part that is not named, or a key that is none.
        UnknownComponent: no plugin registers a name.
    """
    if unknown := sorted(config.keys() - {*Parts._fields, "qualities"}):
        raise InvalidInput(
            f"codec {NAME!r} has no option {unknown[0]!r}, expected {', '.join(Parts._fields)}, qualities"
        )
    if missing := [kind for kind in Parts._fields if config.get(kind) is None]:
        raise InvalidInput(
            f"codec {NAME!r} needs a {missing[0]}: [config.{missing[0]}] with its name in a recipe"
        )
    parts = Parts(*(build(kind, config[kind]) for kind in Parts._fields))
    full: dict[str, Any] = {"qualities": list(_checked_range(config.get("qualities", QUALITIES)))}
    for kind, part in parts._asdict().items():
        full[kind] = describe(_registered_name(kind, config[kind]["name"]), part)
    return parts, full


def create(
    weights_file: str | Path | None = None,
    *,
    transform: Mapping[str, Any] | None = None,
    quantizer: Mapping[str, Any] | None = None,
    entropy_model: Mapping[str, Any] | None = None,
    qualities: Sequence[float] = QUALITIES,
) -> Codec:
    """The codec of a weights file; or, of parts that need no training, by their descriptions.

    Args:
        weights_file: from ``pycodec train`` on a recipe of this codec.
        transform, quantizer, entropy_model: ``{"name": ..., "config": {...}}``.
        qualities: lowest and highest.

    Raises:
        MissingWeights: neither is given, or a part has weights.
    """
    named = {"transform": transform, "quantizer": quantizer, "entropy_model": entropy_model}
    if weights_file is not None:
        if any(named.values()):
            raise InvalidInput(
                f"codec {NAME!r}: the parts are in {weights_file}; name either these or the file"
            )
        tensors, metadata = weights.load(weights_file)
        return assembled(metadata["config"], tensors, bytes.fromhex(metadata["fingerprint"]))
    if not any(named.values()):
        raise MissingWeights(
            f"codec {NAME!r} comes without weights: train a recipe and give its file by --weights"
        )
    return assembled({**named, "qualities": qualities}, {})


def assembled(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], fingerprint: bytes | None = None
) -> Codec:
    """The codec of a configuration and the tensors of its parts.

    Args:
        config: see above; defaults may be left out.
        tensors: of a weights file; empty for parts that have none.
        fingerprint: of that file; without one, that of the configuration with every default spelt out.

    Raises:
        MissingWeights: there are none, and a part needs some.
        WeightsMismatch: they are not those of the parts.
    """
    parts, full = build_parts(config)
    for kind, module in parts.modules().items():
        if not tensors and module.state_dict():
            raise MissingWeights(
                f"{kind} {full[kind]['name']!r} has weights: train it by a recipe of codec {NAME!r}"
            )
        weights.load_module(module, tensors, f"{kind}.")
    if hasattr(parts.entropy_model, "load_frozen"):
        frozen = {name[len(FROZEN) :]: array for name, array in tensors.items() if name.startswith(FROZEN)}
        if not frozen:
            raise MissingWeights(
                f"these weights hold no tables of entropy_model {full['entropy_model']['name']!r}"
            )
        parts.entropy_model.load_frozen(frozen)
    return ComposedCodec(parts, full, fingerprint or weights.fingerprint(full, tensors))


class ComposedCodec(Codec):
    """A codec whose `config` names its parts."""

    def __init__(self, parts: Parts, config: Mapping[str, Any], fingerprint: bytes):
        low, high = config["qualities"]
        super().__init__(
            NAME, *parts, qualities=(low, high), default_quality=(low + high) / 2, fingerprint=fingerprint
        )
        self._config = dict(config)

    def config(self) -> dict[str, Any]:
        return {"name": NAME, **self._config}


def _checked_range(qualities: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(quality) for quality in qualities)
        if 1 / 16 <= low <= high < 16:
            return low, high
    except (TypeError, ValueError):
        pass
    raise InvalidInput(
        f"qualities are {qualities!r}, expected the lowest and the highest, within 0.0625 to 15.9"
    )


def _registered_name(kind: str, name: str) -> str:
    """An alias may be another component's tomorrow; files keep the name behind it."""
    return next(c.name for c in pycodec.components(kind) if name in (c.name, *c.aliases))


def training_task(config: Mapping[str, Any], options: Mapping[str, Any]) -> nn.Module:
    """What ``pycodec train`` trains; see `pycodec_plugins.composed.task`."""
    from .task import ComposedTask

    return ComposedTask(config, **options)


create.training_task = training_task  # type: ignore[attr-defined]
