"""From the figures of every image to BD-rates, and to what the coder, the encoder and rounding cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from pycodec.errors import InvalidInput
from pycodec.evaluation.curves import bd_rate
from pycodec.evaluation.curves import curves as curves_of
from pycodec.evaluation.rd import Row

Figures = Mapping[str, Any]
"""Of an image at a point: "point", "image" and what the estimator says."""


def decompose(
    curves: Mapping[str, Sequence[Figures]],
    anchor: Sequence[Row],
    lambdas: Mapping[str, Mapping[int, float | None]],
) -> dict[str, Any]:
    """All that the report says of one codec.

    Args:
        curves: figures by curve; one that is missing has nothing that needs it.
        anchor: its points.
        lambdas: by curve and point, the weight of the squared error it was optimised for.
    """
    rows = {name: curve(figures) for name, figures in curves.items()}

    def against(first: str, second: str) -> dict[str, Any] | None:
        """BD-rate of the second curve against the first."""
        return compared(rows[first], rows[second]) if first in rows and second in rows else None

    def gain(first: str, second: str) -> dict[str, Any] | None:
        if first not in curves or second not in curves:
            return None
        changes = lagrangian_changes(curves[first], curves[second], lambdas[second])
        return {"bd_rate": against(first, second), "lagrangian": changes}

    return {
        "bd_rates": {name: compared(anchor, own) for name, own in rows.items()},
        "overhead": overhead(curves.get("operational", ())),
        "amortisation": {
            "files": gain("operational", "optimized"),
            "bound": gain("bound", "optimized_bound"),
        },
        "digitisation": {
            "plain": against("operational", "bound"),
            "optimized": against("optimized", "optimized_bound"),
        },
    }


def curve(figures: Sequence[Figures]) -> list[Row]:
    """Figures as points of the curves of `pycodec.evaluation.curves`."""
    return [
        Row(
            image=one["image"],
            codec="",
            setting=one["point"],
            bytes=None,
            bpp=one["rate_bpp"],
            metrics={"psnr": one.get("psnr_db")},
            encode_seconds=None,
            decode_seconds=None,
        )
        for one in figures
    ]


def compared(anchor: Sequence[Row], test: Sequence[Row]) -> dict[str, Any]:
    """BD-rate at equal PSNR, a `pycodec.evaluation.curves.BDRate`; or no percent, but a reason."""
    for rows in (anchor, test):
        if (points := len({row.setting for row in rows})) < 2:
            return {"percent": None, "reason": f"a curve of {points} point has no BD-rate, which needs two"}
        if not curves_of(rows, "psnr"):
            return {"percent": None, "reason": "on a curve the quality does not rise with the rate"}
    try:
        return asdict(bd_rate(anchor, test, "psnr"))
    except InvalidInput as error:
        return {"percent": None, "reason": str(error)}


def overhead(figures: Sequence[Figures]) -> dict[str, Any] | None:
    """Bytes of files over the ideal code length of their symbols, in percent: at each point, over all images,
    and the average of the points; None where the codec does not tell.
    """
    points = []
    for point, own in by_point(figures).items():
        known = [one for one in own if "ideal_bpp" in one]
        if known:
            ratio = sum(one["rate_bpp"] for one in known) / sum(one["ideal_bpp"] for one in known)
            points.append({"point": point, "images": len(known), "percent": 100 * (ratio - 1)})
    return {"percent": fmean(one["percent"] for one in points), "points": points} if points else None


def lagrangian_changes(
    before: Sequence[Figures], after: Sequence[Figures], lambdas: Mapping[int, float | None]
) -> list[dict[str, Any]]:
    """What optimising for each image changes of rate + lambda squared error, in percent, at each point whose
    lambda is known: of how many images it is lower, the mean over images, and the worst.
    """
    own = {(one["point"], one["image"]): one for one in before}
    found = []
    for point, figures in by_point(after).items():
        lam = lambdas.get(point)
        pairs = [(own[key], one) for one in figures if (key := (point, one["image"])) in own]
        if lam is None or not pairs:
            continue
        changes = [100 * (_lagrangian(new, lam) / _lagrangian(old, lam) - 1) for old, new in pairs]
        found.append(
            {
                "point": point,
                "lambda": lam,
                "images": len(changes),
                "lower": sum(change < 0 for change in changes),
                "mean_percent": fmean(changes),
                "worst_percent": max(changes),
            }
        )
    return found


def by_point(figures: Sequence[Figures]) -> dict[int, list[Figures]]:
    """The images of each point."""
    found: dict[int, list[Figures]] = {}
    for one in figures:
        found.setdefault(one["point"], []).append(one)
    return dict(sorted(found.items()))


def _lagrangian(figures: Figures, lam: float) -> float:
    cost: float = figures["rate_bpp"] + lam * figures["distortion_mse"]
    return cost
