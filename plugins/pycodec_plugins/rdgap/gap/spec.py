"""What a gap report compares: one TOML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pycodec.errors import InvalidInput
from pycodec.evaluation.spec import parse as parse_spec
from pycodec.sweep.spec import fill
from pycodec.training.tables import build, build_all, find, parse, read_text

BOUNDS = ("bound", "optimized_bound")
"""Curves that are of the networks in ``bounds``, where a codec has such."""


@dataclass(frozen=True)
class Anchor:
    """What BD-rates are against: a codec that is measured here, or points that somebody published.

    Attributes:
        codec: as of ``pycodec eval --codecs``.
        settings: its qualities, by default those it declares.
        published: instead of a codec, a file as of ``pycodec eval --anchors``, of one codec.
    """

    codec: str | None = None
    settings: tuple[float, ...] = ()
    published: str | None = None


@dataclass(frozen=True)
class Estimators:
    """What draws each curve, as of ``pycodec bound --estimators``; a curve without one is left out. Codecs
    that have no latent model have files alone, as they write them.

    Attributes:
        operational: of files as the codec writes them.
        optimized: of files that are optimised for each image.
        bound: of the bound, as the encoder has it.
        optimized_bound: of the bound, optimised for each image.
    """

    operational: str | None = None
    optimized: str | None = None
    bound: str | None = None
    optimized_bound: str | None = None

    def given(self) -> dict[str, str]:
        """Specs by curve."""
        return {name: spec for name in CURVES if (spec := getattr(self, name))}


CURVES = tuple(one.name for one in fields(Estimators))


@dataclass(frozen=True)
class Subject:
    """A codec with its curves.

    Attributes:
        name: in figures and tables.
        files: what writes files: a spec for each lambda, or one that has several qualities.
        family: codecs of one are joined by a line, over their numbers of parameters; by default, the name.
        bounds: as ``files``, of the same networks trained with Gaussian noise in place of rounding; without
            it, bounds are of those in ``files``.
        qualities: of a codec with several.
        optimize: whether it has the curves that are optimised for each image, which take long.
    """

    name: str
    files: tuple[str, ...]
    family: str = ""
    bounds: tuple[str, ...] = ()
    qualities: tuple[float, ...] = ()
    optimize: bool = True

    def has(self, curve: str) -> bool:
        """Whether it has the curve at all."""
        return self.optimize or not curve.startswith("optimized")

    def specs(self, curve: str) -> tuple[str, ...]:
        """What a curve is of."""
        return self.bounds if curve in BOUNDS and self.bounds else self.files

    def points(self, curve: str) -> Iterator[tuple[str, float | None]]:
        """Spec and quality of each point of a curve."""
        return ((spec, quality) for spec in self.specs(curve) for quality in self.qualities or (None,))


@dataclass(frozen=True)
class Gap:
    """A report.

    Attributes:
        name: of the file, without suffix.
        text: of the file.
        anchor: what BD-rates are against.
        estimators: what draws each curve.
        codecs: whose curves they are.
        files: weights files that specs speak of as ``{NAME}``, by name; a path for each.
    """

    name: str
    text: str
    anchor: Anchor
    estimators: Estimators
    codecs: tuple[Subject, ...]
    files: Mapping[str, str] = field(default_factory=dict)


def load_gap(name: str) -> Gap:
    """That of a file by path, or by name: ``gaps/NAME.toml`` beside the module of a plugin."""
    path = find(name, "gap")
    return read_gap(read_text(path, "gap"), path.stem, str(path))


def read_gap(text: str, name: str, where: str) -> Gap:
    """A report from the text of its file.

    Raises:
        InvalidInput: names the key that is wrong.
    """
    table: dict[str, Any] = {"anchor": {}, "estimators": {}, "codec": [], **parse(text, where)}
    for key in table.keys() & {"name", "text", "codecs"}:
        raise InvalidInput(f"{where}: unknown key {key!r}; expected anchor, estimators, codec and files")
    parts = {
        "anchor": _table(Anchor, table["anchor"], "anchor", where),
        "estimators": _table(Estimators, table["estimators"], "estimators", where),
        "codecs": build_all(Subject, table.pop("codec"), "codec", where),
    }
    gap: Gap = build(Gap, {**table, **parts, "name": name, "text": text}, where)
    _check(gap, where)
    return gap


def _table(form: type, table: Any, key: str, where: str) -> Any:
    if not isinstance(table, Mapping):
        raise InvalidInput(f"{where}: {key} is {table!r}; expected a table")
    return build(form, table, f"{where}, {key}")


def _check(gap: Gap, where: str) -> None:
    if (gap.anchor.codec is None) == (gap.anchor.published is None):
        raise InvalidInput(f"{where}: expected in [anchor] a codec, or a published file, and not both")
    if not gap.estimators.given() or not gap.codecs:
        raise InvalidInput(f"{where}: expected at least one of [estimators] and one [[codec]]")
    stand_ins = dict.fromkeys(gap.files, "")
    for text in (gap.anchor.codec, gap.anchor.published):
        fill(text or "", stand_ins, where)
    names = [one.name for one in gap.codecs]
    for one in gap.codecs:
        if names.count(one.name) > 1:
            raise InvalidInput(f"{where}: codec {one.name!r} is there twice; expected every name once")
        if not one.files or (one.qualities and max(len(one.files), len(one.bounds)) > 1):
            raise InvalidInput(
                f"{where}, codec {one.name!r}: {len(one.files)} files, {len(one.bounds)} bounds and "
                f"{len(one.qualities)} qualities; expected a spec for each point, or one spec and qualities"
            )
        for spec in (*one.files, *one.bounds):
            parse_spec(fill(spec, stand_ins, where))
