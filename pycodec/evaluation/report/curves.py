"""Rate-distortion curves of a results document, as figures with points one can point at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pycodec.evaluation.metrics import decibels
from pycodec.evaluation.report import svg
from pycodec.evaluation.spec import parse

COLOURS = 10  # --series-0 to --series-9 in the style sheet; then dashes tell them apart
_TICKS = [m * 10.0**e for e in range(-3, 3) for m in (1, 2, 5)]
_RATES = (0.05, 2.5)  # bits per pixel drawn; what lies beyond is in the table of values


@dataclass(frozen=True)
class Scale:
    """How a metric is drawn and written.

    Attributes:
        name: as in the rows.
        label: "PSNR".
        unit: "dB", or nothing.
        higher_is_better: which way is up.
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool

    @classmethod
    def of(cls, name: str, declared: Mapping[str, Any]) -> Scale:
        """That of a metric in the document; MS-SSIM is shown as -10 log10(1 - x), in dB."""
        unit = "dB" if _is_ms_ssim(name) else declared["unit"]
        return cls(name, declared["label"], unit, declared["higher_is_better"])

    def __call__(self, value: float | None) -> float | None:
        """Where a value lies on the axis; None if it has no place there."""
        if value is None:
            return None
        value = decibels(value) if _is_ms_ssim(self.name) else value
        return value if math.isfinite(value) else None

    def text(self, value: float | None) -> str:
        """A value as the tables have it."""
        if value is None:
            return "–"
        if _is_ms_ssim(self.name):
            return f"{value:.4f}"
        return f"{value:.2f} {self.unit}" if self.unit == "dB" else f"{value:.4g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Point:
    """One setting of a codec."""

    setting: float
    bpp: float
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class Series:
    """A codec's points, and how it looks in figures and legends."""

    index: int
    label: str
    learned: bool
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """A figure and the same values as a table."""

    title: str
    figure: Markup
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def chart(
    scale: Scale, series: Sequence[Series], prefix: str, marked: Mapping[int, Point] | None = None
) -> Chart:
    """The curves of one metric.

    Args:
        prefix: of the ids in the figure.
        marked: by the index of a series, a point with a ring around it.
    """
    drawn = [(one, _visible(scale, one.points)) for one in series]
    axes = _axes(scale, drawn)
    dots = Markup().join(
        Markup('<g data-series="{}">{}{}</g>').format(
            one.index,
            Markup().join(_circle(axes, one, p, value, scale) for p, value in points),
            _ring(axes, (marked or {}).get(one.index), scale),
        )
        for one, points in reversed(drawn)
    )
    title = f"{scale.label}, {scale.unit}" if scale.unit else scale.label
    if _is_ms_ssim(scale.name):
        title = f"{scale.label}, −10 log₁₀(1 − x), dB"
    if not scale.higher_is_better:
        title += " (lower is better: the axis points down)"
    figure = svg.inline(axes.figure, prefix, f"{title} against bits per pixel", dots)
    header = ("codec", "setting", "bpp", scale.label, *(("in dB",) if _is_ms_ssim(scale.name) else ()))
    rows = [
        (one.label, f"{p.setting:g}", f"{p.bpp:.4f}", *_texts(scale, p)) for one in series for p in one.points
    ]
    return Chart(title, figure, header, tuple(rows))


def _axes(scale: Scale, drawn: Sequence[tuple[Series, list[tuple[Point, float]]]]) -> Any:
    """Axes with the lines of all series; better is up."""
    axes = svg.new_axes()
    rates = [p.bpp for _, points in drawn for p, _ in points] or [0.1, 1.0]
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 1.06, max(rates) * 1.06)
    ticks = [tick for tick in _TICKS if min(rates) <= tick <= max(rates)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("bits per pixel", color=svg.INK, labelpad=4, fontsize=svg.FONT_SIZE)
    for one, points in drawn:
        axes.plot(
            [p.bpp for p, _ in points],
            [value for _, value in points],
            color=svg.SERIES,
            linewidth=2.4 if one.learned else 1.6,
            zorder=3 - one.index / 100,  # the first codec on top
            linestyle="-" if one.index < COLOURS else "--",
            gid=f"series-{one.index}",
        )
    axes.margins(y=0.04)
    axes.autoscale_view(scalex=False)  # now: the places of points depend on it
    if not scale.higher_is_better:
        axes.invert_yaxis()
    return axes


def _visible(scale: Scale, points: Iterable[Point]) -> list[tuple[Point, float]]:
    found = ((p, scale(p.metrics.get(scale.name))) for p in points if _RATES[0] <= p.bpp <= _RATES[1])
    return [(p, value) for p, value in found if value is not None]


def _circle(axes: Any, one: Series, point: Point, value: float, scale: Scale) -> Markup:
    across, down = svg.place(axes, point.bpp, value)
    return Markup('<circle class="point" cx="{}" cy="{}" r="3.2"><title>{}</title></circle>').format(
        across,
        down,
        f"{one.label}, setting {point.setting:g}: {point.bpp:.3f} bpp, {' = '.join(_texts(scale, point))}",
    )


def _ring(axes: Any, point: Point | None, scale: Scale) -> Markup:
    value = scale(point.metrics.get(scale.name)) if point else None
    if point is None or value is None:
        return Markup()
    ring = Markup('<circle class="mark" cx="{}" cy="{}" r="6.5"/>')
    return ring.format(*svg.place(axes, point.bpp, value))


def _texts(scale: Scale, point: Point) -> tuple[str, ...]:
    value = point.metrics.get(scale.name)
    if not _is_ms_ssim(scale.name):
        return (scale.text(value),)
    in_decibels = scale(value)
    return scale.text(value), "–" if in_decibels is None else f"{in_decibels:.2f} dB"


def _is_ms_ssim(name: str) -> bool:
    return parse(name)[0] == "ms_ssim"
