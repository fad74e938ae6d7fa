"""Figures of matplotlib as SVG inside an HTML page: its colours, its fonts, no style attributes.

A strict Content-Security-Policy allows no ``style`` attribute, and a dark page no black text. So what
matplotlib writes as styles becomes attributes, ink becomes ``currentColor``, and the lines of a series lose
their colour to the style sheet, which finds them by ``data-series``.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, FONT_SIZE = 420, 300, 11.5  # in units of the viewBox
INK, GRID, SERIES = "#010101", "#020202", "#030303"  # replaced below
_SVG = "{http://www.w3.org/2000/svg}"
_COLOURS = {INK: "currentColor", GRID: "currentColor"}  # what makes a grid faint is its opacity
_DROPPED = {"font", "font-family", "font-weight", "font-style"}  # the page's


def new_axes(margins: tuple[float, float, float, float] = (0.09, 0.14, 0.985, 0.97)) -> Axes:
    """Axes of a new figure, drawn in ink; margins are left, bottom, right, top in shares of the figure."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    left, bottom, right, top = margins
    with rc_context({"font.size": FONT_SIZE, "axes.linewidth": 0.8}):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72)
        axes = figure.add_axes((left, bottom, right - left, top - bottom))
        for spine in ("top", "right", "left"):
            axes.spines[spine].set_visible(False)
        axes.spines["bottom"].set(color=INK, alpha=0.4)
        axes.tick_params(which="both", colors=INK, length=0, pad=5)
        axes.grid(True, color=GRID, alpha=0.14, linewidth=0.8)
        axes.set_axisbelow(True)
    return axes


def place(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """Where a point of the data lies in the viewBox."""
    across, up = axes.transData.transform((x, y))
    return round(float(across), 2), round(HEIGHT - float(up), 2)


def inline(figure: Figure, prefix: str, label: str, points: Markup) -> Markup:
    """The figure as an ``<svg>`` element; lines whose gid is ``series-N`` get ``data-series="N"``.

    Args:
        prefix: of every id, different for each figure of a page.
        label: accessible name.
        points: elements drawn on top.
    """
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=metadata)
    root = ElementTree.fromstring(out.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (_SVG + "metadata", _SVG + "style"):
                parent.remove(child)
    for element in root.iter():
        _plain(element, prefix)
    body = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    body = re.sub(r' xmlns:ns0="[^"]*"|ns0:', "", body)
    body = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", body))
    # Escaped by ElementTree, apart from the label and the points, which are escaped here and by the caller.
    return (
        Markup('<svg class="figure" viewBox="0 0 {} {}" role="group" aria-label="{}">').format(
            WIDTH, HEIGHT, label
        )
        + Markup(body)
        + points
        + Markup("</svg>")
    )


def _plain(element: ElementTree.Element, prefix: str) -> None:
    attributes = dict(element.attrib)
    element.attrib.clear()
    for declaration in attributes.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name and name not in _DROPPED:
            attributes[name] = value.removesuffix("px")
    for name, value in attributes.items():
        name = name.rpartition("}")[2]  # xlink:href is href today
        if name == "id" and value.startswith("series-"):
            element.set("class", "line")
            element.set("data-series", value.removeprefix("series-"))
        elif name == "id" and element.tag not in (_SVG + "path", _SVG + "clipPath"):
            continue  # nothing refers to it
        elif name == "id":
            element.set("id", f"{prefix}-{value}")
        elif value == SERIES:
            continue
        else:
            value = re.sub(r"#(?=[mp][0-9a-f]{10}\b)", f"#{prefix}-", value)
            element.set(name, _COLOURS.get(value, value))
