"""What figures have in common: axes in rows, one legend above them, colours, files."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycodec.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:purple", "tab:brown", "tab:pink", "tab:cyan")
MARKERS = "osD^vP*"
_SIDE = 3.4  # of axes, in inches
_COLUMNS = 3


def name_axes(axis: Axes, across: str, up: str) -> None:
    """Name both axes, and make room around what is drawn."""
    axis.set_xlabel(across)
    axis.set_ylabel(up)
    axis.grid(alpha=0.3)
    axis.margins(0.12)


def new_figure(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with so many axes, in rows."""
    from matplotlib.figure import Figure

    columns = min(count, _COLUMNS)
    rows = math.ceil(count / columns)
    size = _SIDE * 1.2 * columns, _SIDE * rows + 0.6
    figure = Figure(size, facecolor="white", layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One for all axes, above them."""
    shown: dict[Any, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            shown.setdefault(label, handle)
    rows = math.ceil(len(shown) / (1 + 2 * len(axes)))
    figure.legend(
        list(shown.values()),
        list(shown),
        loc="outside upper center",
        ncols=math.ceil(len(shown) / rows),
        frameon=False,
        fontsize=9,
    )


def write(figure: Figure, path: Path) -> Path:
    """Write a figure; the suffix of ``path``, .svg or .png, says as what."""
    from matplotlib import rc_context

    out = io.BytesIO()
    kind = path.suffix.removeprefix(".")
    with rc_context({"svg.hashsalt": "pycodec", "svg.fonttype": "none"}):
        figure.savefig(out, format=kind, dpi=144, metadata={"Date": None} if kind == "svg" else None)
    write_bytes(path, out.getvalue())
    return path
