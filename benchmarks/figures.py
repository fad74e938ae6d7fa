"""The figures of the pages, as SVG with the same bytes for the same results and matplotlib."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pycodec.evaluation.metrics import decibels
from pycodec.sweep import figures as planes
from pycodec_plugins.rdgap.gap import figures as gaps

from .goals import MET, describe, score
from .tables import is_learned


def digest(shown: Any) -> str:
    """Identifies what a figure shows; stored in it, as its bytes depend on the version of matplotlib."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def rate_distortion(document: dict[str, Any]) -> tuple[str, Callable[[], bytes]]:
    """Mean rate-distortion points of all codecs: PSNR, and MS-SSIM in dB."""
    mean_points, codecs = document["mean_points"], document["codecs"]

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 2)
        for name, points in mean_points.items():
            learned = is_learned(codecs[name])
            style = {"linewidth": 2.0} if learned else {"linewidth": 1.0, "linestyle": "--"}
            for axis, metric in zip(axes, ("psnr", "ms_ssim"), strict=True):
                shown = [(p["bpp"], p[metric]) for p in points if p[metric] is not None and p["bpp"] <= 2.1]
                values = [value if metric == "psnr" else decibels(value) for _, value in shown]
                axis.plot(
                    [bpp for bpp, _ in shown],
                    values,
                    marker="o",
                    markersize=3,
                    label=codecs[name]["label"],
                    **style,
                )
        for axis, title in zip(axes, ("PSNR, dB", "MS-SSIM, -10 log10(1 - x), dB"), strict=True):
            axis.set(xlabel="bits per pixel", ylabel=title, xlim=(0, 2.1))
            axis.grid(alpha=0.3)
        axes[0].legend(loc="lower right")

    key = digest(mean_points)
    return key, lambda: svg((9, 3.8), draw, key)


def speed(documents: Sequence[dict[str, Any]]) -> tuple[str, Callable[[], bytes]]:
    """Every goal that was measured, as the factor by which it is met or missed."""
    bars: list[Any] = []  # [text, factor, value, met]
    for document in documents:
        for goal in document["goals"]:
            factor = score(goal)
            if factor is not None:
                what, bound, value, verdict = describe(goal)
                bars.append([f"{what} {bound}", factor, value, verdict == MET])

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        places = range(len(bars), 0, -1)
        colours = ["tab:green" if met else "tab:orange" for *_, met in bars]
        # A bar begins at the goal; on a logarithmic axis its width is the difference.
        axis.barh(places, [factor - 1 for _, factor, *_ in bars], left=1, color=colours)
        for place, (_, factor, value, _) in zip(places, bars, strict=True):
            side = "left" if factor >= 1 else "right"
            axis.annotate(
                value,
                (factor, place),
                (4 if factor >= 1 else -4, 0),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize=7,
            )
        axis.axvline(1, color="black", linewidth=1)
        axis.set_xscale("log")
        axis.set_yticks(list(places), [name for name, *_ in bars], fontsize=7)
        axis.margins(x=0.15, y=0.01)
        axis.set_xlabel("times better than the goal; right of the line it is met")
        axis.grid(axis="x", alpha=0.3)

    key = digest(bars)
    return key, lambda: svg((9, 1 + 0.2 * len(bars)), draw, key)


def sweep(document: dict[str, Any]) -> dict[str, tuple[str, Callable[[], bytes]]]:
    """The figures of ``pycodec plane``, by file name."""
    key = digest([document[part] for part in ("mean_points", "set_metrics", "points")])

    def drawn(name: str) -> bytes:
        return saved(planes.figures_of([document])[name], key)

    return {f"{document['sweep']}_{name}.svg": (key, partial(drawn, name)) for name in ("plane_swd", "rates")}


def context_training(document: dict[str, Any]) -> tuple[str, Callable[[], bytes]]:
    """Learning curves of context networks: mean of the qualities, against the first network in the end."""
    curves = {name: variant["curve"] for name, variant in document["variants"].items()}
    last = next(iter(curves.values()))[-1]["bpp"]

    def percent(rates: dict[str, float]) -> float:
        return 100 * (sum(rates[q] / last[q] for q in last) / len(last) - 1)

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        for name, curve in curves.items():
            points = [(at["step"], percent(at["bpp"])) for at in curve if at["step"] > 0]
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
        axis.set(xlabel="steps", ylabel="bits, % over the first in the end", ylim=(None, 12))
        axis.grid(alpha=0.3)
        axis.legend()

    key = digest(curves)
    return key, lambda: svg((5, 3.4), draw, key)


def learning(name: str, runs: Sequence[dict[str, Any]]) -> tuple[str, Callable[[], bytes]] | None:
    """Losses in training of the weights ``name``, of those runs and stages that have kept them."""
    curves = []  # of steps and losses, since the first step of the first run
    start = 0
    for run in runs:
        for stage in run.get("curve", ()):
            points = [(start + at["step"], at["loss"]) for at in stage["points"] if "loss" in at]
            if points:
                curves.append([stage["stage"], points])
        start += run["steps"]
    if not curves:
        return None

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        for stage, points in curves:
            axis.plot(*zip(*points, strict=True), marker="o", markersize=2, label=stage)
        axis.set(xlabel="steps", ylabel="loss", title=name)
        axis.grid(alpha=0.3)
        axis.legend()

    key = digest([name, curves])
    return key, lambda: svg((5, 3.2), draw, key)


def gap(document: dict[str, Any]) -> dict[str, tuple[str, Callable[[], bytes]]]:
    """The figures of ``pycodec gap``, by file name."""
    key = digest([document[part] for part in ("codecs", "anchor_rows", "rows")])

    def drawn(name: str) -> bytes:
        return saved(gaps.figures_of(document)[name], key)

    names = gaps.figures_of(document)
    return {f"gap_{document['gap']}_{name}.svg": (key, partial(drawn, name)) for name in names}


def svg(size: tuple[float, float], draw: Callable[[Any], None], key: str) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
    return saved(figure, key)


def saved(figure: Any, key: str) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "pycodec", "svg.fonttype": "none", "font.size": 9}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Description": key})
    return buffer.getvalue()
