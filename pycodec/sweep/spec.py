"""What a sweep trains and measures: one TOML file."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput, near_names
from pycodec.training.tables import build, build_all, find, parse, read_text

WEIGHTS = "weights"
"""Stands in braces for the weights file of a point."""

_NAME = re.compile(r"\{([A-Za-z_]\w*)\}")  # no inline table of TOML looks like this


@dataclass(frozen=True)
class Series:
    """Runs that a figure connects by a line; a single one if nothing varies.

    Attributes:
        name: in figures and tables.
        set: settings of its runs, as of ``pycodec train --set``.
        vary: key of the recipe that has another value in each run.
        values: those values, in the order of the line.
    """

    name: str
    set: tuple[str, ...] = ()
    vary: str | None = None
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Measure:
    """How each run is measured when it is finished.

    Attributes:
        codec: as of ``pycodec eval --codecs``; ``{weights}`` is the weights file of the run.
        metrics: as of ``pycodec eval --metrics``, at least one of single images; the first of those is the
            distortion of the plane.
        settings: qualities, one of which makes a rate; by default those the codec declares.
    """

    codec: str
    metrics: tuple[str, ...]
    settings: tuple[float, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A codec that is measured beside the runs, not trained.

    Attributes:
        name: in figures and tables.
        codec: as of ``pycodec eval --codecs``.
        settings: qualities, by default those of ``[measure]``.
    """

    name: str
    codec: str
    settings: tuple[float, ...] = ()


@dataclass(frozen=True)
class Point:
    """One training run of a sweep.

    Attributes:
        series: its name.
        vary, value: what the series varies, and its value; None if it varies nothing.
        set: all settings of the run; names in braces stand for files.
    """

    series: str
    vary: str | None
    value: Any
    set: tuple[str, ...]

    @property
    def name(self) -> str:
        """In tables, and what its folder is called."""
        return self.series if self.value is None else f"{self.series} {as_text(self.value)}"


@dataclass(frozen=True)
class Sweep:
    """A grid of runs of one recipe.

    Attributes:
        name: of the file, without suffix.
        text: of the file.
        recipe: path, or name of one that a plugin brings.
        measure: how a run is measured.
        series: the runs.
        set: settings of all runs; those of a series come on top.
        files: weights files that settings and codecs speak of as ``{NAME}``, by name.
        reference: codecs that are measured too.
    """

    name: str
    text: str
    recipe: str
    measure: Measure
    series: tuple[Series, ...]
    set: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    reference: tuple[Reference, ...] = ()

    def points(self) -> list[Point]:
        """The runs, in the order of the file."""
        found = []
        for series in self.series:
            common = (*self.set, *series.set)
            if series.vary is None:
                found.append(Point(series.name, None, None, common))
            for value in series.values:
                found.append(
                    Point(series.name, series.vary, value, (*common, f"{series.vary}={_toml(value)}"))
                )
        return found


def load_sweep(path: Path) -> Sweep:
    """Read the file of a sweep; errors as of `read_sweep`."""
    return read_sweep(read_text(path, "sweep"), path.stem, str(path))


def find_sweep(name: str) -> Path:
    """The file of a sweep by path, or by name: ``sweeps/NAME.toml`` beside the module of a plugin."""
    return find(name, "sweep")


def read_sweep(text: str, name: str, where: str) -> Sweep:
    """A sweep from the text of its file.

    Raises:
        InvalidInput: names the key that is wrong.
    """
    table = parse(text, where)
    for key in ("recipe", "measure", "series"):
        if not table.get(key):
            raise InvalidInput(f"{where}: no {key!r}; a sweep needs a recipe, [measure] and a [[series]]")
    series = build_all(Series, table["series"], "series", where)
    reference = build_all(Reference, table.get("reference", []), "reference", where)
    measure = build_all(Measure, [table["measure"]], "measure", where)[0]
    parts = {"series": series, "reference": reference, "measure": measure}
    for key in table.keys() & {"name", "text"}:
        raise InvalidInput(f"{where}: unknown key {key!r}; a sweep goes by the name of its file")
    sweep: Sweep = build(Sweep, {**table, **parts, "name": name, "text": text}, where)
    for one in series:
        _check_values(one, f"{where}, series {one.name!r}")
    if WEIGHTS not in _NAME.findall(measure.codec):
        raise InvalidInput(
            f"{where}: codec {measure.codec!r} does not say {{{WEIGHTS}}}, the weights file of a run; "
            f"expected NAME+weights_file={{{WEIGHTS}}}, for one"
        )
    points = sweep.points()
    texts = [*itertools.chain.from_iterable(p.set for p in points), *(r.codec for r in reference)]
    stand_ins = dict.fromkeys(sweep.files, "")
    for text in texts:
        fill(text, stand_ins, where)
    fill(measure.codec, {**stand_ins, WEIGHTS: ""}, where)
    varied = [one.name for one in series if one.vary]  # in figures they stand beside the others
    _check_names([*(point.name for point in points), *varied, *(one.name for one in reference)], where)
    return sweep


def fill(text: str, files: Mapping[str, str], where: str) -> str:
    """``text`` with paths in the place of the names in braces; raises InvalidInput for an unknown one."""

    def path(match: re.Match[str]) -> str:
        name = match[1]
        if name not in files:
            raise InvalidInput(
                f"{where}: {text!r} speaks of {match[0]}, expected one of {', '.join(files) or 'no file'}"
                f"{near_names(name, files)}; list it in [files]"
            )
        return files[name]

    return _NAME.sub(path, text)


def folder_name(name: str) -> str:
    """``name`` as that of a folder: letters, digits, dots and minus signs of it, joined by underscores."""
    return "_".join(re.findall(r"[\w.-]+", name.replace("/", " "))).strip(".")


def as_text(value: Any) -> str:
    """A value as figures write it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _check_values(series: Series, where: str) -> None:
    if (series.vary is None) != (not series.values):
        raise InvalidInput(f"{where}: vary and values go together; expected both of them, or neither")
    for value in series.values:
        if not isinstance(value, (int, float, str)):
            raise InvalidInput(f"{where}: value {value!r}; expected numbers or texts")


def _check_names(names: Iterable[str], where: str) -> None:
    """Every name makes a folder of its own."""
    folders: dict[str, str] = {}
    for name in names:
        folder = folder_name(name)
        if not folder or folder in folders:
            other = f"the same folder as {folders[folder]!r}" if folder else "no folder"
            raise InvalidInput(f"{where}: {name!r} has {other}; expected another name, and every value once")
        folders[folder] = name
