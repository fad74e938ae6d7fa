"""What a sweep trades for what, drawn from its document alone (Muckley et al. 2023, Figs. 1, 3 and A2)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycodec.errors import InvalidInput
from pycodec.evaluation.drawing import COLOURS, MARKERS, legend, name_axes, new_figure, write
from pycodec.evaluation.report.curves import Scale

from .spec import as_text, folder_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KEYS = ("sweep", "dataset", "metrics", "points", "codecs", "mean_points", "set_metrics")
_GREYS, _DASHES = ("0.2", "0.45", "0.65"), ("--", ":", "-.")  # of references
_SAME_RATE = 0.01  # by this share more or fewer bits
_NEAR = 1.5  # references are drawn up to rates this many times those of the runs

Rate = tuple[int, float]
"""Number of the document, setting: where the points of several runs have about as many bits."""


@dataclass(frozen=True)
class Curve:
    """A run, or a reference, at every rate.

    Attributes:
        name: of the point.
        series: its name, None of a reference.
        vary, value: what the series varies, if it does.
        measured: bpp and the values of metrics, by rate.
    """

    name: str
    series: str | None
    vary: str | None
    value: Any
    measured: dict[Rate, dict[str, Any]]


def read_document(path: Path) -> dict[str, Any]:
    """The document of a sweep; raises InvalidInput if the file holds none."""
    try:
        document = json.loads(path.read_text("utf-8"))
        whole = isinstance(document, dict) and all(key in document for key in _KEYS)
    except ValueError:
        whole = False
    if not whole:
        raise InvalidInput(f"{path} is no document of a sweep; expected the sweep.json of pycodec sweep")
    return dict(document)


def draw(documents: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write the figures as SVG and PNG: ``rates``, and ``plane_METRIC`` for each metric of sets.

    Args:
        documents: see `figures_of`.
        folder: made if need be.

    Returns:
        The files.
    """
    figures = figures_of(documents)
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write(figure, folder / f"{name}.{kind}")
        for name, figure in figures.items()
        for kind in ("svg", "png")
    ]


def figures_of(documents: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """The figures by name.

    Several documents are drawn together, as where each is of models of one rate: runs of one name are then
    one curve.

    Raises:
        InvalidInput: no point is measured, or not the same in all documents.
    """
    dataset, metrics = documents[0]["dataset"], documents[0]["metrics"]
    for document in documents:
        if not document["points"]:
            raise InvalidInput(
                f"no point of the sweep {document['sweep']!r} is measured yet; there is nothing to draw"
            )
        if document["dataset"] != dataset or document["metrics"].keys() != metrics.keys():
            raise InvalidInput("these sweeps are measured on different images or by different metrics")
    curves = curves_of(documents)
    scales = [Scale.of(name, declared) for name, declared in metrics.items()]
    of_sets = {
        name for document in documents for own in document["set_metrics"].values() for e in own for name in e
    }
    of_images = [scale for scale in scales if scale.name not in of_sets]
    figures = {"rates": rates(curves, scales)}
    for scale in scales:
        if scale.name in of_sets:
            figures[f"plane_{folder_name(scale.name)}"] = plane(curves, of_images[0], scale)
    return figures


def curves_of(documents: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """The runs and references of the documents, in their order."""
    found: dict[str, Curve] = {}
    for number, document in enumerate(documents):
        points = {point["name"]: point for point in document["points"]}
        for name, means in document["mean_points"].items():
            point = points.get(name, {})
            new = Curve(name, point.get("series"), point.get("vary"), point.get("value"), {})
            curve = found.setdefault(name, new)
            sets = {entry["setting"]: entry for entry in document["set_metrics"].get(name, [])}
            for mean in means:
                curve.measured[number, mean["setting"]] = {**mean, **sets.get(mean["setting"], {})}
    return list(found.values())


def plane(curves: Sequence[Curve], across: Scale, up: Scale) -> Figure:
    """Distortion against statistical fidelity: axes for each rate, a line for each series over its values.

    References are in those axes whose runs have as many bits.
    """
    runs = [curve for curve in curves if curve.series is not None]
    panels = sorted({rate for curve in runs for rate in curve.measured})
    figure, axes = new_figure(len(panels))
    looks = _looks(curves)
    for axis, rate in zip(axes, panels, strict=True):
        bpp = [curve.measured[rate]["bpp"] for curve in runs if rate in curve.measured]
        low, high = min(bpp), max(bpp)
        lines: dict[str, list[tuple[float, float]]] = {}
        for curve in curves:
            for place in _places(curve, rate, low, high, across, up):
                lines.setdefault(curve.series or curve.name, []).append(place)
                if curve.value is not None:
                    text = as_text(curve.value)
                    axis.annotate(text, place, (5, -10), textcoords="offset points", fontsize=7, color="0.25")
        for curve in curves:
            label = curve.series or curve.name
            if label in lines:  # of a series, once
                own = lines.pop(label)
                varied = f" ({curve.vary.rpartition('.')[2]})" if curve.vary else ""
                axis.plot(
                    [x for x, _ in own],
                    [y for _, y in own],
                    label=label + varied,
                    **looks[curve.name] | {"alpha": 1},
                )
        texts = sorted({f"{low:.3f}", f"{high:.3f}"})
        axis.set_title(f"{' to '.join(texts)} bpp", fontsize=10)
        name_axes(axis, _titled(across), _titled(up))
    legend(figure, axes)
    return figure


def rates(curves: Sequence[Curve], scales: Sequence[Scale]) -> Figure:
    """Each metric against the rate, a line for each run; darker for later values of a series."""
    figure, axes = new_figure(len(scales))
    looks = _looks(curves)
    bpp = [one["bpp"] for curve in curves if curve.series is not None for one in curve.measured.values()]
    for axis, scale in zip(axes, scales, strict=True):
        for curve in curves:
            near = [
                one for one in curve.measured.values() if min(bpp) / _NEAR <= one["bpp"] <= max(bpp) * _NEAR
            ]
            found = sorted((one["bpp"], value) for one in near if (value := _value(scale, one)) is not None)
            axis.plot([x for x, _ in found], [y for _, y in found], label=curve.name, **looks[curve.name])
        name_axes(axis, "bits per pixel", _titled(scale))
    legend(figure, axes)
    return figure


def _looks(curves: Sequence[Curve]) -> dict[str, dict[str, Any]]:
    """How each curve is drawn, by its name."""
    series: dict[str, list[str]] = {}
    for curve in curves:
        if curve.series is not None:
            series.setdefault(curve.series, []).append(curve.name)
    looks: dict[str, dict[str, Any]] = {}
    for i, names in enumerate(series.values()):
        style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        for k, name in enumerate(names):
            looks[name] = {**style, "linewidth": 1.6, "markersize": 5, "alpha": (k + 2) / (len(names) + 1)}
    for i, curve in enumerate(curve for curve in curves if curve.series is None):
        style = {"color": _GREYS[i % len(_GREYS)], "linestyle": _DASHES[i % len(_DASHES)]}
        looks[curve.name] = {**style, "linewidth": 1.2, "markersize": 6, "marker": "X"}
    return looks


def _places(
    curve: Curve, rate: Rate, low: float, high: float, across: Scale, up: Scale
) -> list[tuple[float, float]]:
    """Where a curve is in the axes of a rate, whose runs have ``low`` to ``high`` bits per pixel."""
    one = curve.measured.get(rate)
    if not one or not (1 - _SAME_RATE) * low <= one["bpp"] <= (1 + _SAME_RATE) * high:
        return []
    x, y = _value(across, one), _value(up, one)
    return [] if x is None or y is None else [(x, y)]


def _value(scale: Scale, measured: Mapping[str, Any]) -> float | None:
    return scale(measured.get(scale.name))


def _titled(scale: Scale) -> str:
    """Name, unit and direction of a metric."""
    name = f"{scale.label}, {scale.unit}" if scale.unit else scale.label
    return f"{name} ({'higher' if scale.higher_is_better else 'lower'} is better)"
