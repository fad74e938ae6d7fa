"""JSON descriptions of components: ``{"name": ..., "config": {...}}`` is enough to build one again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pycodec.errors import InvalidInput, PluginError, near_names
from pycodec.runtime import create

_KEYS = ("name", "config")


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value: sorted keys, no spaces, ASCII. Hash this, never another spelling.

    Raises:
        InvalidInput: anything JSON cannot express exactly: NaN, infinity, a key that is no string, an array.
    """
    _check_json(value, "the configuration")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _check_json(value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidInput(f"{where} has the key {key!r}, expected a string")
            _check_json(item, f"{where}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_json(item, f"{where}[{index}]")
    elif value is not None and type(value) not in (bool, int, float, str):
        raise InvalidInput(
            f"{where} is a {type(value).__name__}, expected a JSON value; convert it with int() or float()"
        )
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{where} is {value}, which JSON cannot express")


def describe(name: str, component: Any) -> dict[str, Any]:
    """Description of a component registered as ``name``; ``build`` makes an equal one of it."""
    return {"name": name, "config": component.config()}


def build(kind: str, description: Mapping[str, Any]) -> Any:
    """Make a component from its description.

    Args:
        kind: one of the seven kinds.
        description: ``{"name": str, "config": {...}}``; ``config`` may be left out when it is empty.

    Raises:
        InvalidInput: a key that is unknown or missing, or an option the component does not take.
        UnknownComponent, PluginError: as ``pycodec.create``.
    """
    if not isinstance(description, Mapping):
        raise InvalidInput(f"a {kind} is described by {{'name': ..., 'config': ...}}, found {description!r}")
    for key in description:
        if key not in _KEYS:
            raise InvalidInput(
                f"the description of a {kind} has no key {key!r}{near_names(str(key), _KEYS)}; "
                "its keys are name and config"
            )
    name, config = description.get("name"), description.get("config", {})
    if not isinstance(name, str):
        raise InvalidInput(f"the description of a {kind} needs a 'name', found {name!r}")
    if not isinstance(config, Mapping):
        raise InvalidInput(f"the 'config' of {kind} {name!r} is {config!r}, expected an object")
    return create(kind, name, **config)


def check_round_trip(kind: str, name: str, component: Any) -> None:
    """Build ``component`` again from its description and compare the two configurations.

    Raises:
        PluginError: they differ.
        InvalidInput: the configuration is no JSON, or the factory does not take it.
    """
    before = canonical_json(component.config())
    after = canonical_json(build(kind, json.loads(canonical_json(describe(name, component)))).config())
    if before != after:
        raise PluginError(
            f"{kind} {name!r} does not survive its own config(): it gave {before}, rebuilt it gives {after}"
        )
