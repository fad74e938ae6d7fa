"""TOML files for which plugins have a folder, and dataclasses of the tables in them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput, near_names
from pycodec.runtime import get_runtime

if sys.version_info >= (3, 11):
    import tomllib as tomllib  # also for others
else:
    import tomli as tomllib


def find(name: str, kind: str) -> Path:
    """A file by path, if that ends in .toml, or by name: ``KINDs/NAME.toml`` beside the module of a plugin.

    Args:
        name: path or name.
        kind: "recipe", "sweep" or "gap".

    Raises:
        InvalidInput: no plugin brings one of that name.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return path
    found: dict[str, Path] = {}
    for plugin in get_runtime().active():  # ours come first, and nobody takes a name from them
        module = sys.modules[plugin.module.partition(":")[0]]
        if module.__file__:
            for file in sorted(Path(module.__file__).parent.glob(f"{kind}s/*.toml")):
                found.setdefault(file.stem, file)
    if name not in found:
        raise InvalidInput(
            f"no {kind} {name!r}{near_names(name, found)}: give a .toml file or one of the {kind}s that "
            f"plugins bring: {', '.join(sorted(found))}"
        )
    return found[name]


def read_text(path: Path, kind: str) -> str:
    """The text of a file; raises InvalidInput where there is none."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise InvalidInput(
            f"{path}: no such {kind}; give a .toml file or the name of one that a plugin brings"
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not a text in UTF-8, which a {kind} is: {error}") from None


def parse(text: str, where: str) -> dict[str, Any]:
    """The table of a TOML text; raises InvalidInput, with ``where`` for its name, if it is none."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, but also what it lets through
        raise InvalidInput(f"{where}: not valid TOML: {error}") from None


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _list_of(fits: Any) -> Any:
    return lambda value: isinstance(value, (list, tuple)) and all(fits(item) for item in value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _table_of(fits: Any) -> Any:
    return lambda value: isinstance(value, Mapping) and all(fits(item) for item in value.values())


_FORMS: dict[str, tuple[str, Any]] = {
    "bool": ("true or false", lambda value: type(value) is bool),
    "int": ("a whole number", lambda value: type(value) is int),
    "float": ("a number", _number),
    "float | None": ("a number", _number),
    "str": ("a text", _text),
    "str | None": ("a text", _text),
    "tuple[float, float]": ("two numbers", lambda value: _list_of(_number)(value) and len(value) == 2),
    "tuple[float, ...]": ("a list of numbers", _list_of(_number)),
    "tuple[str, ...]": ("a list of texts", _list_of(_text)),
    "tuple[Any, ...]": ("a list", _list_of(lambda item: True)),
    "Mapping[str, float]": ("a table of numbers", _table_of(_number)),
    "Mapping[str, str]": ("a table of texts", _table_of(_text)),
    "Mapping[str, Any]": ("a table", _table_of(lambda item: True)),
}
"""What a value of a field's type is, in words, and whether a value from TOML is one."""


def build(cls: type, table: Mapping[str, Any], where: str) -> Any:
    """An instance of a dataclass whose fields are the keys of ``table``; lists become tuples.

    Raises:
        InvalidInput: names the key that is unknown, missing, or has a value of another form.
    """
    known = {f.name: f for f in fields(cls)}
    if unknown := sorted(set(table) - known.keys()):
        raise InvalidInput(
            f"{where}: unknown key {unknown[0]!r}; expected one of {', '.join(sorted(known))}"
            f"{near_names(unknown[0], known)}"
        )
    for key, value in table.items():
        form, fits = _FORMS.get(str(known[key].type), ("", None))
        if fits and not fits(value):
            raise InvalidInput(f"{where}: {key} is {value!r}; expected {form}")
    try:
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in table.items()})
    except TypeError as error:
        raise InvalidInput(f"{where}: {error}; see an existing one for the form") from None


def build_all(cls: type, tables: Any, key: str, where: str) -> tuple[Any, ...]:
    """An instance of ``cls`` for each table in the list that ``key`` has; errors as of `build`."""
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise InvalidInput(f"{where}: {key} is {tables!r}; expected it as a table, see an existing one")
    return tuple(
        build(cls, table, f"{where}, {key} {i}" if len(tables) > 1 else f"{where}, {key}")
        for i, table in enumerate(tables, 1)
    )
