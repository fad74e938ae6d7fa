"""What the tables of a report say: comparisons, speed and codecs of a results document, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pycodec.evaluation.report.curves import Point, Scale, Series

Document = Mapping[str, Any]
SPEED_BPP = 0.5  # the speed table takes each codec's setting nearest to it
_SHOWN_FIRST = ("psnr", "ms_ssim")


@dataclass(frozen=True)
class Interval:
    """A BD-rate with its confidence, and where both lie on a small axis of 0..100 with its zero at 50."""

    text: str
    range_text: str
    fewer: bool
    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class ComparisonRow:
    """A codec against one anchor in one metric."""

    anchor: Series
    rate: Interval | None
    quality: str
    images: str


@dataclass(frozen=True)
class Comparison:
    """A codec against its anchors in one metric."""

    test: Series
    metric: str
    rows: tuple[ComparisonRow, ...]


@dataclass(frozen=True)
class Sets:
    """A table of metrics of whole sets of images."""

    header: tuple[str, ...]
    rows: tuple[tuple[Series, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Matrix:
    """BD-rate of every codec against every other in one metric."""

    metric: str
    names: tuple[Series, ...]
    cells: tuple[tuple[str, ...], ...]


def scales(document: Document) -> list[Scale]:
    """Metrics that have curves, in their order."""
    of_sets = {key for rows in document["set_metrics"].values() for row in rows for key in row}
    return [Scale.of(name, entry) for name, entry in document["metrics"].items() if name not in of_sets]


def is_learned(entry: Mapping[str, Any]) -> bool:
    """Whether a codec of the document has weights, not a library, that say which it is."""
    return entry.get("fingerprint") is not None and entry["version"] == entry["fingerprint"]


def series_of(document: Document) -> dict[str, Series]:
    """Mean points of every codec, learned ones first."""
    entries, names = document["codecs"], [scale.name for scale in scales(document)]
    order = sorted(entries, key=lambda spec: not is_learned(entries[spec]))
    return {
        spec: Series(
            index,
            entries[spec]["label"],
            is_learned(entries[spec]),
            tuple(_point(p, p, names) for p in document["mean_points"].get(spec, ())),
        )
        for index, spec in enumerate(order)
    }


def points_of_image(document: Document, spec: str, image: str) -> tuple[Point, ...]:
    """What one picture measured, by rising rate."""
    names = [scale.name for scale in scales(document)]
    rows = [r for r in document["rows"] if r["codec"] == spec and r["image"] == image]
    return tuple(sorted((_point(r, r["metrics"], names) for r in rows), key=lambda p: p.bpp))


def subjects(series: Mapping[str, Series]) -> list[str]:
    """The codecs a report is about: the learned ones, or the first where there are none."""
    return [spec for spec, one in series.items() if one.learned] or list(series)[:1]


def comparisons(
    document: Document, metrics: Sequence[Scale], series: Mapping[str, Series]
) -> list[Comparison]:
    """Each codec the report is about against all others, in every metric."""
    found = []
    for test in subjects(series):
        for scale in metrics:
            entries = {a: e[scale.name] for a, e in document["comparisons"].get(test, {}).items()}
            rows = tuple(
                ComparisonRow(
                    series[anchor],
                    _interval(entries[anchor]["bd_rate"]),
                    _quality(entries[anchor]["bd_quality"], scale),
                    _images(entries[anchor]["bd_rate"]),
                )
                for anchor in sorted(series, key=lambda spec: series[spec].learned)
                if anchor in entries
            )
            if rows:
                found.append(Comparison(series[test], scale.label, rows))
    return found


def matrices(document: Document, metrics: Sequence[Scale], series: Mapping[str, Series]) -> list[Matrix]:
    """BD-rate of every codec (row) against every other (column)."""

    def cell(test: str, anchor: str, metric: str) -> str:
        if test == anchor:
            return ""
        rate = document["comparisons"].get(test, {}).get(anchor, {}).get(metric, {}).get("bd_rate")
        return f"{signed(rate['percent'])} %" if rate else "–"

    return [
        Matrix(
            scale.label,
            tuple(series.values()),
            tuple(tuple(cell(test, anchor, scale.name) for anchor in series) for test in series),
        )
        for scale in metrics
    ]


def highlights(document: Document, series: Mapping[str, Series]) -> list[tuple[str, str]]:
    """The first codec against others in PSNR: a large figure and what it means."""
    test = subjects(series)[0]
    found = []
    for anchor, entry in document["comparisons"].get(test, {}).items():
        rate = entry.get("psnr", {}).get("bd_rate")
        if rate and not series[anchor].learned:
            word = "fewer" if rate["percent"] < 0 else "more"
            text = f"{word} bits than {series[anchor].label} at equal PSNR ({series[test].label})"
            found.append((f"{abs(rate['percent']):.1f} %", text))
    return found[:4]


def left_out(document: Document, series: Mapping[str, Series]) -> list[str]:
    """What is missing from the results, a sentence each: images without a row, images not compared."""
    found = []
    rows = document["rows"]
    images = dict.fromkeys(r["image"] for r in rows)
    measured: dict[tuple[str, float], set[str]] = {}
    for r in rows:
        measured.setdefault((r["codec"], r["setting"]), set()).add(r["image"])
    for (spec, setting), done in measured.items():
        if missing := [image for image in images if image not in done]:
            what = f"{series[spec].label} at setting {setting:g}"
            found.append(f"{what} is not measured on {', '.join(missing)}.")
    for test in subjects(series):
        for anchor, entry in document["comparisons"].get(test, {}).items():
            for metric, figures in entry.items():
                if names := (figures["bd_rate"] or {}).get("left_out"):
                    label = document["metrics"][metric]["label"]
                    found.append(
                        f"{series[test].label} against {series[anchor].label} by {label}: no common interval "
                        f"of quality on {', '.join(names)}."
                    )
    return found


def speeds(document: Document, series: Mapping[str, Series]) -> list[tuple[Series, tuple[str, ...]]]:
    """Setting, rate, encode and decode milliseconds of each codec, at its setting nearest to SPEED_BPP."""
    found: list[tuple[Series, tuple[str, ...]]] = []
    for spec in series:
        points = document["mean_points"].get(spec, ())
        timed = [p for p in points if p["encode_seconds"] is not None and p["decode_seconds"] is not None]
        if timed:
            p = min(timed, key=lambda p: abs(math.log(p["bpp"] / SPEED_BPP)))
            cells = f"{p['setting']:g}", f"{p['bpp']:.3f}", _ms(p["encode_seconds"]), _ms(p["decode_seconds"])
            found.append((series[spec], cells))
    return found


def sets(document: Document, series: Mapping[str, Series]) -> Sets | None:
    """Metrics of whole sets of images, such as FID, setting by setting."""
    measured = document["set_metrics"]
    names = list(
        dict.fromkeys(k for rows in measured.values() for r in rows for k in r if k in document["metrics"])
    )
    if not names:
        return None
    labels = [document["metrics"][name]["label"] for name in names]
    rows = [
        (series[spec], (f"{r['setting']:g}", *("–" if r.get(n) is None else f"{r[n]:.4g}" for n in names)))
        for spec, found in measured.items()
        for r in found
    ]
    return Sets(("setting", *labels), tuple(rows))


def codecs(document: Document, series: Mapping[str, Series]) -> list[tuple[Series, tuple[str, ...]]]:
    """Specification, description, version, settings, date and machine of each codec."""
    found: list[tuple[Series, tuple[str, ...]]] = []
    for spec, one in series.items():
        entry = document["codecs"][spec]
        environment = entry.get("environment") or {}
        machine = environment.get("machine") or {}
        threads = f"{entry['threads']} threads" if entry.get("threads") else ""
        device = entry.get("device") or ""
        cores = f"{machine['cores']} cores" if machine.get("cores") else ""
        where = ", ".join(str(part) for part in (machine.get("cpu"), cores, device, threads) if part)
        settings = ", ".join(f"{s:g}" for s in entry["settings"])
        when = str(environment.get("date") or "")
        found.append((one, (spec, entry["description"], str(entry["version"])[:16], settings, when, where)))
    return found


def _point(entry: Mapping[str, Any], values: Mapping[str, Any], names: Sequence[str]) -> Point:
    return Point(float(entry["setting"]), float(entry["bpp"]), {name: values.get(name) for name in names})


def _interval(rate: Mapping[str, Any] | None) -> Interval | None:
    if rate is None:
        return None
    percent = float(rate["percent"])
    low, high = (percent if rate[end] is None else float(rate[end]) for end in ("low", "high"))
    text = "of mean curves" if rate["of_means"] else ""
    if rate["low"] is not None:
        text = f"{signed(low)} to {signed(high)} %"
    places = (_place(value) for value in (low, percent, high))
    return Interval(f"{signed(percent)} %", text, percent < 0, *places)


def _place(percent: float) -> float:
    """Place of a rate difference on an axis of 0 to 100: the ratio's logarithm, a quarter to four times."""
    ratio = math.log2(max(1 + percent / 100, 0.25))
    return round(50 + 25 * max(-2.0, min(2.0, ratio)), 2)


def signed(value: float) -> str:
    """A number with its sign, one decimal, and a minus as wide as a plus."""
    return f"{value:+.1f}".replace("-", "−")


def _quality(entry: Mapping[str, Any] | None, scale: Scale) -> str:
    if entry is None:
        return "–"
    value = f"{entry['difference']:+.2f}" if scale.unit == "dB" else f"{entry['difference']:+.3g}"
    return f"{value} {scale.unit}".replace("-", "−").rstrip()


def _images(rate: Mapping[str, Any] | None) -> str:
    if rate is None:
        return "nothing in common"
    used, missing = len(rate["per_image"]), len(rate["left_out"])
    return f"{used} of {used + missing}, {100 * rate['overlap']:.0f} % of the curve"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"
