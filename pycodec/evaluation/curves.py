"""Curves of rate and quality: one for each image, compared image by image and averaged last.

A mean over images is one of curves or of BD-rates, never the BD-rate of a mean curve (Zhang & Liu 2025,
section on evaluation; Mentzer et al. 2018, section 4). Published curves that are means over images can only
be compared with means, and what comes of it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pycodec.errors import InvalidInput
from pycodec.evaluation.quality import off_axis, on_axis
from pycodec.evaluation.rd import Row, mean_points

Curve = tuple[np.ndarray, np.ndarray]  # bits per pixel, quality; both strictly rising

MEAN = "(mean)"
"""Stands for the image in rows that are means over all images."""

_RESAMPLES = 2000  # of the bootstrap; the ends of its interval then vary by some hundredths of its width
_SEED = 1


@dataclass(frozen=True)
class BDRate:
    """Mean difference in rate at equal quality, negative when the tested codec needs fewer bits.

    Attributes:
        percent: mean over images.
        low, high: ends of its 95 % confidence interval, see `interval`; None for fewer than two images.
        per_image: percent for each image that could be compared.
        left_out: images whose two curves share no interval of quality.
        overlap: mean share of the tested curve's interval of quality that the anchor's curve covers.
        of_means: the curves are means over images, as one of the two was published so.
    """

    percent: float
    low: float | None
    high: float | None
    per_image: dict[str, float]
    left_out: list[str]
    overlap: float
    of_means: bool


@dataclass(frozen=True)
class BDQuality:
    """Mean difference in quality at equal rate, test minus anchor: BD-PSNR, and its like for any metric.

    Attributes:
        difference: mean over images, in the unit of the metric; in dB for MS-SSIM. Of a metric whose smaller
            values are better, negative is better.
        low, high, per_image, left_out, overlap, of_means: as in `BDRate`, with the interval of log rate.
    """

    difference: float
    low: float | None
    high: float | None
    per_image: dict[str, float]
    left_out: list[str]
    overlap: float
    of_means: bool


def curves(rows: Iterable[Row], metric: str, higher_is_better: bool = True) -> dict[str, Curve]:
    """The curve of every image: bits per pixel against quality as `quality.on_axis` has it.

    A point that is no better than a cheaper one is left out, so that both coordinates rise strictly; so is
    one without a finite quality. Images with fewer than two points left have no curve.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        raw = row.metrics.get(metric)
        if raw is not None and np.isfinite(value := on_axis(metric, raw, higher_is_better)):
            points.setdefault(row.image, []).append((row.bpp, value))
    found = {}
    for image, candidates in points.items():
        kept: list[tuple[float, float]] = []
        # Of several points at one rate the best comes first, so the others are left out.
        for bpp, value in sorted(candidates, key=lambda point: (point[0], -point[1])):
            if not kept or value > kept[-1][1]:
                kept.append((bpp, value))
        if len(kept) >= 2:
            rate, quality = np.array(kept).T
            found[image] = (rate, quality)
    return found


def is_mean(rows: Iterable[Row]) -> bool:
    """Whether rows are means over images, not of single ones."""
    return any(row.image == MEAN for row in rows)


def mean_rows(rows: Sequence[Row]) -> list[Row]:
    """The mean over images at every setting, as rows; settings at which an image is missing are left out."""
    points = mean_points(rows)
    most = max((point["images"] for point in points), default=0)
    return [
        Row(
            image=MEAN,
            codec=rows[0].codec,
            setting=point["setting"],
            bytes=None,
            bpp=point["bpp"],
            metrics={name: point[name] for name in rows[0].metrics},
            encode_seconds=point["encode_seconds"],
            decode_seconds=point["decode_seconds"],
        )
        for point in points
        if point["images"] == most
    ]


def bd_rate(anchor: Iterable[Row], test: Iterable[Row], metric: str, higher_is_better: bool = True) -> BDRate:
    """Bjontegaard's rate difference of ``test`` against ``anchor``, per image and then averaged.

    log10(bpp) is interpolated over the quality by a piecewise cubic (pchip, as in the JCT-VC sheet) and
    integrated over the interval of quality that both curves of the image cover; nothing is extrapolated.
    Images whose curves share no interval are left out and named in the answer.

    Raises:
        InvalidInput: when the two share no image, or no image can be compared.
    """
    import bjontegaard  # loads matplotlib: not before it is needed

    mean, rest = _compared(
        anchor, test, metric, higher_is_better, bjontegaard.bd_rate, lambda curve: curve[1]
    )
    return BDRate(mean, **rest)


def bd_quality(
    anchor: Iterable[Row], test: Iterable[Row], metric: str, higher_is_better: bool = True
) -> BDQuality:
    """Bjontegaard's quality difference of ``test`` against ``anchor``, per image and then averaged.

    As `bd_rate` with the axes exchanged: the quality is interpolated over log10(bpp), and integrated over the
    interval of rate that both curves of the image cover.

    Raises:
        InvalidInput: as `bd_rate`.
    """
    import bjontegaard

    def difference(*points: np.ndarray, **options: Any) -> float:
        gain = float(bjontegaard.bd_psnr(*points, **options))
        return gain if higher_is_better else -gain  # back from the axis to the metric's own direction

    mean, rest = _compared(anchor, test, metric, higher_is_better, difference, lambda curve: np.log(curve[0]))
    return BDQuality(mean, **rest)


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """95 % confidence interval of a mean over images: percentiles of the means of seeded resamples.

    The bootstrap draws images: the interval says how far the mean would move with others of their kind.
    """
    if len(values) < 2:
        return None, None
    array, generator = np.array(values), np.random.default_rng(_SEED)
    means = [generator.choice(array, len(array)).mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def at_rates(
    rows: Iterable[Row], metric: str, grid: Sequence[float], higher_is_better: bool = True
) -> dict[str, np.ndarray]:
    """Quality of every image at the rates of ``grid`` (bits per pixel), in the metric's own unit.

    The curve of each image is interpolated (pchip of the quality, MS-SSIM in dB, over log bpp) and never
    extrapolated: NaN where the grid lies outside the image's own rates (Mentzer et al. 2018, section 4,
    "Comparison").
    """
    from scipy.interpolate import PchipInterpolator

    wanted = np.log(np.asarray(grid, dtype=np.float64))
    found = {}
    for image, (rate, quality) in curves(rows, metric, higher_is_better).items():
        values = PchipInterpolator(np.log(rate), quality, extrapolate=False)(wanted)
        found[image] = off_axis(metric, values, higher_is_better)
    return found


def mean_at_rates(
    rows: Iterable[Row], metric: str, grid: Sequence[float], higher_is_better: bool = True
) -> list[float | None]:
    """Mean over images of `at_rates`, for each rate of ``grid``.

    None where not every image has a curve that reaches the rate: means of different images do not compare.
    """
    per_image = np.array(list(at_rates(rows, metric, grid, higher_is_better).values())).reshape(-1, len(grid))
    means = per_image.mean(0) if len(per_image) else np.full(len(grid), np.nan)
    return [float(value) if np.isfinite(value) else None for value in means]


def _compared(
    anchor: Iterable[Row],
    test: Iterable[Row],
    metric: str,
    higher_is_better: bool,
    difference: Callable[..., float],
    span: Callable[[Curve], np.ndarray],
) -> tuple[float, dict[str, Any]]:
    """The mean over images of a difference, and what else is said of it; ``span`` is what both must share."""
    anchor, test = list(anchor), list(test)
    of_means = is_mean(anchor) or is_mean(test)
    if of_means:
        anchor, test = (rows if is_mean(rows) else mean_rows(rows) for rows in (anchor, test))
    of_anchor, of_test = (curves(rows, metric, higher_is_better) for rows in (anchor, test))
    images = [image for image in of_test if image in of_anchor]
    if not images:
        raise InvalidInput("The two codecs have no curve of a common image; sweep both over the same folder.")
    per_image, left_out, overlaps = {}, [], []
    for image in images:
        a, t = span(of_anchor[image]), span(of_test[image])
        shared = min(a[-1], t[-1]) - max(a[0], t[0])
        overlaps.append(max(0.0, float(shared)) / float(t[-1] - t[0]))
        if shared <= 0:
            left_out.append(image)
            continue
        options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
        per_image[image] = float(difference(*of_anchor[image], *of_test[image], **options))
    if not per_image:
        raise InvalidInput(
            "On no image do the two codecs reach a common quality or rate; sweep them over nearer settings."
        )
    values = list(per_image.values())
    low, high = interval(values)
    rest = {
        "low": low,
        "high": high,
        "per_image": per_image,
        "left_out": left_out,
        "overlap": float(np.mean(overlaps)),
        "of_means": of_means,
    }
    return float(np.mean(values)), rest
