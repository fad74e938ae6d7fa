"""Settings: keys of a recipe that have another value in one run; ``pycodec train --set KEY=VALUE``."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from pycodec.errors import InvalidInput, near_names

from .tables import tomllib


def apply_settings(
    table: Mapping[str, Any], settings: Iterable[str], where: str = "recipe"
) -> dict[str, Any]:
    """The table of a recipe with other values; whether a recipe has such keys is not looked at.

    Args:
        table: as TOML gives it.
        settings: each ``KEY=VALUE`` in TOML, a key within a table with dots: ``task.rate=0.14``. A stage goes
            by its name: ``stage.joint.steps=100``. Where two set the same key, the last one counts.
        where: name of the recipe in messages.

    Raises:
        InvalidInput: a setting that is no TOML, names no stage, or leads through what is no table.
    """
    changed = copy.deepcopy(dict(table))
    for setting in settings:
        path, value = _parse(setting)
        place = changed
        if path[0] == "stage":
            place, path = _stage(changed.get("stage", []), path, f"{where}: --set {setting}"), path[2:]
        for name in path[:-1]:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise InvalidInput(f"{where}: --set {setting}: {name!r} is no table there, but {place!r}")
        place[path[-1]] = value
    return changed


def _parse(setting: str) -> tuple[list[str], Any]:
    """The names of the key, and the value."""
    key, equals, value = setting.partition("=")
    path: list[str] = []
    try:
        place = tomllib.loads(f"{key} = 0")
        while isinstance(place, dict):
            ((name, place),) = place.items()
            path.append(name)
        ((_, found),) = tomllib.loads(f"value = {value}").items()
        return path, found
    except ValueError:  # also of what is no TOML
        hint = (
            f", in quotes if it is a text: --set '{key}=\"{value}\"'" if equals and '"' not in value else ""
        )
        raise InvalidInput(f"--set {setting}: expected KEY=VALUE, the value as in a recipe{hint}") from None


def _stage(stages: Any, path: list[str], where: str) -> dict[str, Any]:
    """The table of the stage that a key leads to."""
    tables = [stage for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []
    names = [str(stage.get("name")) for stage in tables]
    if len(path) < 3 or names.count(path[1]) != 1:
        hint = near_names(path[1], names) if len(path) > 2 else ""
        raise InvalidInput(f"{where}: expected stage.NAME.KEY with one of the names {', '.join(names)}{hint}")
    return tables[names.index(path[1])]
