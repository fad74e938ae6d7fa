"""What the tables of a report say: comparisons, speed and codecs of a results document, ready to be written."""

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
    """A BD figure with its confidence, and where the two lie on a small axis of 0..100."""

    text: str
    range_text: str
    fewer: bool
    low: float
    middle: float
    high: float
    zero: float


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


def scales(document: Document) -> list[Scale]:
    """Metrics that have curves, PSNR and MS-SSIM first."""
    declared = document.get("metrics") or {}
    rows = document.get("rows") or []
    names = dict.fromkeys([*_SHOWN_FIRST, *declared, *(rows[0].get("metrics", {}) if rows else ())])
    present = [n for n in names if any((r.get("metrics") or {}).get(n) is not None for r in rows)]
    known = {"psnr": {"label": "PSNR", "unit": "dB"}, "ms_ssim": {"label": "MS-SSIM"}}
    return [Scale.of(name, {**known.get(name, {}), **declared.get(name, {})}) for name in present]


def series_of(document: Document) -> dict[str, Series]:
    """Mean points of every codec, those that are compared with anchors first."""
    comparisons = document.get("comparisons") or {}
    order = sorted(document["codecs"], key=lambda spec: spec not in comparisons)
    found = {}
    for index, spec in enumerate(order):
        points = tuple(_point(p) for p in document["mean_points"].get(spec, ()))
        found[spec] = Series(index, label_of(document, spec), spec in comparisons, points)
    return found


def label_of(document: Document, spec: str) -> str:
    """A codec's name in tables; two options of one codec are told apart by the specification."""
    codecs = document["codecs"]
    label = codecs[spec].get("label") or spec
    same = [other for other in codecs if (codecs[other].get("label") or other) == label]
    if len(same) == 1:
        return str(label)
    options = spec.partition("+")[2]
    return f"{label} {options}".strip()


def points_of_image(document: Document, spec: str, image: str) -> tuple[Point, ...]:
    """What one picture measured, by rising rate."""
    rows = [r for r in document["rows"] if r["codec"] == spec and r["image"] == image]
    return tuple(sorted((_point(r) for r in rows), key=lambda p: p.bpp))


def comparisons(document: Document, metrics: Sequence[Scale], series: Mapping[str, Series]) -> list[Comparison]:
    """Every compared codec in every metric."""
    found = []
    for test, anchors in (document.get("comparisons") or {}).items():
        for scale in metrics:
            rows = [
                ComparisonRow(
                    series[anchor],
                    _interval(entry[scale.name].get("bd_rate")),
                    _quality(entry[scale.name].get("bd_quality"), scale),
                    _images(entry[scale.name].get("bd_rate")),
                )
                for anchor, entry in anchors.items()
                if entry.get(scale.name)
            ]
            if rows:
                found.append(Comparison(series[test], scale.label, tuple(rows)))
    return found


def highlights(document: Document, series: Mapping[str, Series]) -> list[tuple[str, str]]:
    """The first codec against each anchor in PSNR: a large figure and what it means."""
    for test, anchors in (document.get("comparisons") or {}).items():
        found = []
        for anchor, entry in anchors.items():
            percent = ((entry.get("psnr") or {}).get("bd_rate") or {}).get("percent")
            if percent is not None:
                word = "fewer" if percent < 0 else "more"
                text = f"{word} bits than {series[anchor].label} at equal PSNR ({series[test].label})"
                found.append((f"{abs(percent):.1f} %", text))
        return found[:4]
    return []


def left_out(document: Document, series: Mapping[str, Series]) -> list[str]:
    """Images that a comparison could not use, and rows that could not be measured, a sentence each."""
    found = []
    for test, anchors in (document.get("comparisons") or {}).items():
        for anchor, entry in anchors.items():
            for metric, figures in entry.items():
                names = ((figures or {}).get("bd_rate") or {}).get("left_out") or ()
                if names:
                    found.append(
                        f"{series[test].label} against {series[anchor].label}, {metric}: no common interval of "
                        f"quality on {', '.join(names)}."
                    )
    for row in document.get("errors") or ():
        found.append(f"{row.get('codec', '')} {row.get('setting', '')} {row.get('image', '')}: {row.get('error')}")
    return found


def speeds(document: Document, series: Mapping[str, Series]) -> list[tuple[Series, tuple[str, ...]]]:
    """Setting, rate, encode and decode milliseconds of each codec, at its setting nearest to SPEED_BPP."""
    found = []
    for spec, points in document["mean_points"].items():
        timed = [p for p in points if p.get("encode_seconds") is not None and p["bpp"] > 0]
        if timed and spec in series:
            p = min(timed, key=lambda p: abs(math.log(p["bpp"] / SPEED_BPP)))
            cells = f"{p['setting']:g}", f"{p['bpp']:.3f}", _ms(p["encode_seconds"]), _ms(p["decode_seconds"])
            found.append((series[spec], cells))
    return found


def sets(document: Document, series: Mapping[str, Series]) -> Sets | None:
    """Metrics of whole sets of images, such as FID, setting by setting."""
    declared = document.get("metrics") or {}
    measured = {spec: rows for spec, rows in (document.get("set_metrics") or {}).items() if spec in series}
    names = list(dict.fromkeys(k for rows in measured.values() for r in rows for k in r if k != "setting"))
    if not names:
        return None
    labels = [(declared.get(name) or {}).get("label") or name for name in names]
    rows = [
        (series[spec], (f"{r['setting']:g}", *("–" if r.get(n) is None else f"{r[n]:.4g}" for n in names)))
        for spec, found in measured.items()
        for r in found
    ]
    return Sets(("setting", *labels), tuple(rows))


def codecs(document: Document, series: Mapping[str, Series]) -> list[tuple[Series, tuple[str, ...]]]:
    """Specification, description, version, settings, date and machine of each codec."""
    found = []
    for spec, one in series.items():
        entry = document["codecs"][spec]
        environment = entry.get("environment") or {}
        machine = environment.get("machine") or {}
        cores = f"{machine['cores']} cores" if machine.get("cores") else ""
        where = ", ".join(str(part) for part in (machine.get("cpu"), cores, machine.get("simd")) if part)
        version = entry.get("version") or str(entry.get("fingerprint") or "")[:16]
        settings = ", ".join(f"{s:g}" for s in entry.get("settings") or ())
        when = str(environment.get("date") or "")
        found.append((one, (spec, entry.get("description") or "", str(version), settings, when, where)))
    return found


def _point(entry: Mapping[str, Any]) -> Point:
    return Point(float(entry["setting"]), float(entry["bpp"]), entry.get("metrics") or {})


def _interval(rate: Mapping[str, Any] | None) -> Interval | None:
    if not rate or rate.get("percent") is None:
        return None
    percent = float(rate["percent"])
    low, high = (float(rate[k]) if rate.get(k) is not None else percent for k in ("low", "high"))
    text = "" if low == high == percent else f"{_signed(low)} to {_signed(high)} %"
    places = (_place(v) for v in (low, percent, high, 0.0))
    return Interval(f"{_signed(percent)} %", text, percent < 0, *places)


def _place(percent: float) -> float:
    """-100 % to +100 % on the left two thirds of the axis by the logarithm of the ratio, clipped at 4 times."""
    ratio = math.log2(max(1 + percent / 100, 0.25))
    return round(50 + 25 * max(-2.0, min(2.0, ratio)), 2)


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _quality(entry: Mapping[str, Any] | None, scale: Scale) -> str:
    if not entry or entry.get("difference", entry.get("value")) is None:
        return ""
    value = float(entry.get("difference", entry.get("value")))
    return f"{value:+.2f} {scale.unit}".replace("-", "−").rstrip()


def _images(rate: Mapping[str, Any] | None) -> str:
    if not rate:
        return "nothing in common"
    used, missing = len(rate.get("per_image") or ()), len(rate.get("left_out") or ())
    share = f", {100 * rate['overlap']:.0f} % of the curve" if rate.get("overlap") is not None else ""
    return f"{used} of {used + missing}{share}"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"
