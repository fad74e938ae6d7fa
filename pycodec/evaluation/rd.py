"""Rate-distortion: measure codecs on images, average their curves, and compare them by BD-rate.

Every figure is made per image and averaged last: a mean over images of curves or of BD-rates, never the
BD-rate of a mean curve (Zhang & Liu 2025, section on evaluation; Mentzer et al. 2018, section 4).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from pycodec.errors import InvalidInput
from pycodec.evaluation.metrics import MS_SSIM_MIN_SIDE, decibels, ms_ssim, psnr

Metric = Literal["psnr", "ms_ssim"]
Curve = tuple[np.ndarray, np.ndarray]  # bits per pixel, quality in dB; both strictly rising

_SUFFIXES = {".png", ".ppm", ".bmp", ".tif", ".tiff"}


class ImageCodec(Protocol):
    """What can be measured: a learned codec from ``pycodec.load``, or one of ``classical``."""

    def compress(self, image: Any, quality: float) -> bytes: ...

    def decompress(self, data: bytes) -> Image.Image: ...


@dataclass(frozen=True)
class Row:
    """One image, coded once.

    Attributes:
        image: file name without folder.
        codec: name of the codec.
        setting: the quality it was coded with.
        bytes: length of the whole file, headers included.
        bpp: bits of the file per pixel of the original.
        psnr: dB over RGB; infinite when lossless.
        ms_ssim: 0..1, or None for an image too small for it.
        encode_seconds, decode_seconds: wall time of one call in memory.
    """

    image: str
    codec: str
    setting: float
    bytes: int
    bpp: float
    psnr: float
    ms_ssim: float | None
    encode_seconds: float
    decode_seconds: float


@dataclass(frozen=True)
class BDRate:
    """Mean difference in rate at equal quality, negative when the tested codec needs fewer bits.

    Attributes:
        percent: mean over images.
        per_image: percent for each image that could be compared.
        left_out: images whose two curves share no interval of quality.
        overlap: mean share of the tested curve's interval of quality that the anchor's curve covers.
    """

    percent: float
    per_image: dict[str, float]
    left_out: list[str]
    overlap: float


def image_files(folder: Path) -> list[Path]:
    """The losslessly stored images of ``folder``, by name.

    Raises:
        InvalidInput: when there are none.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in _SUFFIXES)
    if not files:
        kinds = " ".join(sorted(_SUFFIXES))
        raise InvalidInput(f"There is no image in {folder}; expected a folder with files of type {kinds}.")
    return files


def load_image(path: Path) -> np.ndarray:
    """The pixels of ``path`` as RGB uint8 (H, W, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def measure(codec: ImageCodec, name: str, setting: float, image: str, pixels: np.ndarray) -> Row:
    """Code ``pixels``, uint8 (H, W, 3), to bytes and back, and measure the outcome."""
    start = time.perf_counter()
    data = codec.compress(pixels, quality=setting)
    encoded = time.perf_counter()
    decoded = np.asarray(codec.decompress(data))
    end = time.perf_counter()
    height, width = pixels.shape[:2]
    return Row(
        image=image,
        codec=name,
        setting=setting,
        bytes=len(data),
        bpp=8 * len(data) / (height * width),
        psnr=psnr(pixels, decoded),
        ms_ssim=ms_ssim(pixels, decoded) if min(height, width) >= MS_SSIM_MIN_SIDE else None,
        encode_seconds=encoded - start,
        decode_seconds=end - encoded,
    )


def sweep(codec: ImageCodec, name: str, settings: Sequence[float], files: Iterable[Path]) -> Iterator[Row]:
    """Measure ``codec`` at every setting on every file, image by image."""
    for path in files:
        pixels = load_image(path)
        for setting in settings:
            yield measure(codec, name, setting, path.name, pixels)


def mean_points(rows: Iterable[Row]) -> list[dict[str, float | None]]:
    """Plain means over images at each setting of one codec, by rising rate."""
    groups: dict[float, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    points: list[dict[str, float | None]] = []
    for setting, group in groups.items():
        similarities = [row.ms_ssim for row in group if row.ms_ssim is not None]
        points.append(
            {
                "setting": setting,
                "bpp": float(np.mean([row.bpp for row in group])),
                "psnr": float(np.mean([row.psnr for row in group])),
                "ms_ssim": float(np.mean(similarities)) if similarities else None,
                "encode_seconds": float(np.mean([row.encode_seconds for row in group])),
                "decode_seconds": float(np.mean([row.decode_seconds for row in group])),
            }
        )
    return sorted(points, key=lambda point: point["bpp"] or 0.0)


def curves(rows: Iterable[Row], metric: Metric) -> dict[str, Curve]:
    """The curve of every image: bits per pixel against PSNR, or -10 log10(1 - MS-SSIM), in dB.

    A point that is no better than a cheaper one is left out, so that both coordinates rise strictly; so is
    one without a finite quality. Images with fewer than two points left have no curve.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if metric == "psnr":
            value = row.psnr
        elif row.ms_ssim is not None:
            value = decibels(row.ms_ssim)
        else:
            continue
        if np.isfinite(value):
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


def bd_rate(anchor: Iterable[Row], test: Iterable[Row], metric: Metric) -> BDRate:
    """Bjontegaard's rate difference of ``test`` against ``anchor``, per image and then averaged.

    log10(bpp) is interpolated over the quality by a piecewise cubic (pchip, as in the JCT-VC sheet) and
    integrated over the interval of quality that both curves of the image cover; nothing is extrapolated.
    Images whose curves share no interval are left out and named in the answer.

    Raises:
        InvalidInput: when the two share no image, or no image can be compared.
    """
    import bjontegaard  # loads matplotlib: not before it is needed

    of_anchor, of_test = curves(anchor, metric), curves(test, metric)
    images = [image for image in of_test if image in of_anchor]
    if not images:
        raise InvalidInput("The two codecs have no curve of a common image; sweep both over the same folder.")
    per_image, left_out, overlaps = {}, [], []
    for image in images:
        (rate_a, quality_a), (rate_t, quality_t) = of_anchor[image], of_test[image]
        shared = min(quality_a[-1], quality_t[-1]) - max(quality_a[0], quality_t[0])
        overlaps.append(max(0.0, shared) / (quality_t[-1] - quality_t[0]))
        if shared <= 0:
            left_out.append(image)
            continue
        percent = bjontegaard.bd_rate(
            rate_a, quality_a, rate_t, quality_t, method="pchip", require_matching_points=False, min_overlap=0
        )
        per_image[image] = float(percent)
    if not per_image:
        raise InvalidInput(
            "On no image do the two codecs reach a common quality; sweep them over nearer settings."
        )
    return BDRate(float(np.mean(list(per_image.values()))), per_image, left_out, float(np.mean(overlaps)))


def at_rates(rows: Iterable[Row], metric: Metric, grid: Sequence[float]) -> dict[str, np.ndarray]:
    """Quality of every image at the rates of ``grid`` (bits per pixel): PSNR in dB, or MS-SSIM in 0..1.

    The curve of each image is interpolated (pchip of the dB over log bpp) and never extrapolated: NaN where
    the grid lies outside the image's own rates (Mentzer et al. 2018, section 4, "Comparison").
    """
    from scipy.interpolate import PchipInterpolator

    wanted = np.log(np.asarray(grid, dtype=np.float64))
    found = {}
    for image, (rate, quality) in curves(rows, metric).items():
        values = PchipInterpolator(np.log(rate), quality, extrapolate=False)(wanted)
        found[image] = 1 - 10 ** (-values / 10) if metric == "ms_ssim" else values
    return found


def compare_at_rates(
    anchor: Iterable[Row], test: Iterable[Row], metric: Metric, grid: Sequence[float]
) -> list[dict[str, float | int | None]]:
    """Mean quality of both codecs at each rate of ``grid``, over the images whose two curves reach it.

    Returns:
        For each rate: bpp, images (how many were compared), anchor and test (means; None without an image)
        and wins (images on which the tested codec is better).
    """
    of_anchor, of_test = at_rates(anchor, metric, grid), at_rates(test, metric, grid)
    common = [image for image in of_test if image in of_anchor]
    answer: list[dict[str, float | int | None]] = []
    for index, bpp in enumerate(grid):
        found = [(of_anchor[image][index], of_test[image][index]) for image in common]
        pairs = np.array(found).reshape(-1, 2)
        pairs = pairs[np.isfinite(pairs).all(1)]
        means = pairs.mean(0) if len(pairs) else (None, None)
        answer.append(
            {
                "bpp": float(bpp),
                "images": len(pairs),
                "anchor": None if means[0] is None else float(means[0]),
                "test": None if means[1] is None else float(means[1]),
                "wins": int((pairs[:, 1] > pairs[:, 0]).sum()),
            }
        )
    return answer
