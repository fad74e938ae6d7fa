"""The figures of a report, drawn from its document alone (Zhang & Liu 2025, Figs. 2 to 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycodec.evaluation.drawing import COLOURS, MARKERS, legend, name_axes, new_figure, write
from pycodec.evaluation.rd import Row, mean_points

from .decomposition import curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Document = Mapping[str, Any]
Compared = Callable[[Mapping[str, Any]], "Mapping[str, Any] | None"]
"""Of what the document says of a codec, one of its BD-rates."""

LABELS = {
    "operational": "files",
    "optimized": "files, optimised",
    "bound": "bound",
    "optimized_bound": "bound, optimised",
}
TITLES = {
    "bound": "BD-rate of the bound over parameters",
    "operational": "BD-rate of files over parameters",
    "gain": "What optimising for each image gains, over parameters",
    "gap": "BD-rate of the bound against files, over parameters",
    "rates": "PSNR against bits per pixel",
}
"""Of the figures, by name."""

_LOOKS: dict[str, dict[str, Any]] = {  # solid for files, open for bounds, dashed where optimised
    "operational": {"color": "tab:blue", "marker": "o"},
    "optimized": {"color": "tab:blue", "marker": "s", "linestyle": "--"},
    "bound": {"color": "tab:orange", "marker": "o", "markerfacecolor": "white"},
    "optimized_bound": {"color": "tab:orange", "marker": "s", "markerfacecolor": "white", "linestyle": "--"},
}
_FIRST, _SECOND = {"linestyle": "-"}, {"linestyle": "--", "markerfacecolor": "white"}


def draw(document: Document, folder: Path) -> list[Path]:
    """Write the figures as SVG and PNG; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write(figure, folder / f"{name}.{kind}")
        for name, figure in figures_of(document).items()
        for kind in ("svg", "png")
    ]


def figures_of(document: Document) -> dict[str, Figure]:
    """The figures by name; those of which there is nothing to draw are left out."""
    against = f"BD-rate against {document['anchor']['label']}, %"

    def bd_rates(*curves: str) -> dict[str, Compared]:
        return {LABELS[curve]: lambda codec, name=curve: codec["bd_rates"].get(name) for curve in curves}

    def gain(kind: str) -> Compared:
        return lambda codec: (codec["amortisation"][kind] or {}).get("bd_rate")

    def gap(kind: str) -> Compared:
        return lambda codec: codec["digitisation"][kind]

    drawn: dict[str, tuple[str, dict[str, Compared]]] = {
        "bound": (against, bd_rates("bound", "optimized_bound")),
        "operational": (against, bd_rates("operational", "optimized")),
        "gain": ("BD-rate of optimised against not, %", {"files": gain("files"), "bound": gain("bound")}),
        "gap": (
            "BD-rate of bound against files, %",
            {"not optimised": gap("plain"), "optimised": gap("optimized")},
        ),
    }
    figures = {
        name: figure
        for name, (title, lines) in drawn.items()
        if (figure := _over_parameters(document, title, lines)) is not None
    }
    return {**figures, "rates": rates(document)} if document["rows"] else figures


def _over_parameters(document: Document, title: str, lines: Mapping[str, Compared]) -> Figure | None:
    """BD-rates over the size of the transforms: two lines for each family, the second dashed."""
    figure, (axis,) = new_figure(1)
    families = list(dict.fromkeys(codec["family"] for codec in document["codecs"]))
    for number, family in enumerate(families):
        look = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        for (name, value), style in zip(lines.items(), (_FIRST, _SECOND), strict=True):
            points = sorted(
                (codec["parameters"]["transforms"] / 1e6, found["percent"])
                for codec in document["codecs"]
                if codec["family"] == family and codec["parameters"]
                if (found := value(codec)) is not None and found["percent"] is not None
            )
            if points:
                axis.plot(*zip(*points, strict=True), label=f"{family}, {name}", **look, **style)
    if not axis.lines:
        return None
    axis.set_xscale("log")
    ticks = sorted({line for drawn in axis.lines for line in drawn.get_xdata()})
    axis.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    axis.set_xticks([], minor=True)
    name_axes(axis, "parameters of the transforms, millions", title)
    axis.legend(fontsize=8)
    return figure


def rates(document: Document) -> Figure:
    """Means over images at each point: axes for each codec, with the anchor in all of them."""
    rows = document["rows"]
    anchor = [Row(**row) for row in document["anchor_rows"]]
    names = [codec["name"] for codec in document["codecs"] if any(r["codec"] == codec["name"] for r in rows)]
    figure, axes = new_figure(len(names))
    for axis, name in zip(axes, names, strict=True):
        grey = {"color": "0.45", "linestyle": ":", "marker": "X"}
        axis.plot(*_means(anchor), label=document["anchor"]["label"], **grey)
        for kind, look in _LOOKS.items():
            own = [row for row in rows if row["codec"] == name and row["curve"] == kind]
            if own:
                axis.plot(*_means(curve(own)), label=LABELS[kind], **look)
        axis.set_title(name, fontsize=10)
        name_axes(axis, "bits per pixel", "PSNR, dB")
    legend(figure, axes)
    return figure


def _means(rows: list[Row]) -> tuple[list[float], list[float]]:
    points = [point for point in mean_points(rows) if point["psnr"] is not None]
    return [point["bpp"] for point in points], [point["psnr"] for point in points]
