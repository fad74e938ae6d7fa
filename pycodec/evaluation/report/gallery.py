"""The pictures of a report: for a few images, each codec at about the same number of bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pycodec.errors import PycodecError
from pycodec.evaluation import inspection, metrics, rd
from pycodec.evaluation.report import curves, maps, summary
from pycodec.evaluation.report.curves import Chart, Point, Scale, Series
from pycodec.evaluation.report.scene import (
    Inside,
    Scene,
    Version,
    busiest_crop,
    data_uri,
    lossless,
    quality_facts,
    size_facts,
    thumbnail,
)
from pycodec.evaluation.spec import load_codec

TARGET_BPP = 0.3
"""Pictures are shown at the setting of the first codec that comes nearest: codecs differ to the eye there."""

PATIENCE_SECONDS = 10.0
"""A codec that takes longer for an image is shown at one of its measured settings; others are searched."""


def choose(
    document: summary.Document, series: Mapping[str, Series], images: Sequence[Path], count: int
) -> list[tuple[Path, str]]:
    """The images to show and why: from the one where the first codec gains most to where it gains least."""
    for anchor, entry in document["comparisons"].get(next(iter(series)), {}).items():
        rate = entry.get("psnr", {}).get("bd_rate")
        known = [path for path in images if rate and path.name in rate["per_image"]]
        if known and not series[anchor].learned:
            gains = rate["per_image"]
            known.sort(key=lambda path: gains[path.name])
            places = np.linspace(0, len(known) - 1, min(count, len(known))).round().astype(int)
            against = f"BD-rate against {series[anchor].label}"
            return [(known[i], f"{against}: {summary.signed(gains[known[i].name])} %") for i in places]
    step = max(1, len(images) // count)
    return [(path, "") for path in images[::step][:count]]


NEAR = 0.9
"""A file of less than this share of the first one's bytes is marked."""


class Gallery:
    """Makes scenes with codecs that are loaded once.

    Attributes:
        problems: what could not be shown, a sentence each.
    """

    def __init__(self, document: summary.Document, series: Mapping[str, Series], scales: Sequence[Scale]):
        self.document, self.series, self.scales = document, series, scales
        self.problems: list[str] = []
        self.codecs: dict[str, Any] = {}
        for spec in series:
            if "published" in document["codecs"][spec]:
                continue  # curves of others, without a codec
            try:
                self.codecs[spec] = load_codec(spec)
            except PycodecError as error:
                self.problems.append(f"No pictures of {series[spec].label}: {error}")

    def scenes(self, chosen: Sequence[tuple[Path, str]]) -> Iterator[Scene]:
        """One scene an image."""
        for number, (path, lead) in enumerate(chosen, start=1):
            yield self._scene(f"image-{number}", path, lead)

    def _scene(self, key: str, path: Path, lead: str) -> Scene:
        pixels = rd.load_image(path)
        height, width = pixels.shape[:2]
        versions = [Version("Original", lossless(pixels), (("pixels", f"{width} × {height}"),))]
        decoded: list[np.ndarray] = []
        insides: list[Inside] = []
        marked: dict[int, Point] = {}
        plain = {one.label for one in self.series.values() if not one.learned}
        limit: int | None = None
        for spec, codec in self.codecs.items():
            one = self.series[spec]
            try:
                data, setting = self._coded(spec, codec, path, pixels, limit)
                picture = np.asarray(codec.decompress(data).convert("RGB"))
                if inspection.is_inspectable(codec):
                    insides.append(maps.inside(one.label, inspection.inspect_image(codec, pixels, setting)))
            except PycodecError as error:
                self.problems.append(f"{path.name}, {one.label}: {error}")
                continue
            limit = len(data) if limit is None else limit
            note = "" if len(data) >= NEAR * limit else "no setting comes nearer from below"
            media_type = getattr(codec, "media_type", "")
            source = data_uri(data, media_type) if media_type else lossless(picture)
            facts = (*size_facts(len(data), width, height), *quality_facts(pixels, picture))
            versions.append(Version(one.label, source, (*facts, ("setting", f"{setting:g}")), note))
            decoded.append(picture)
            quality = {"psnr": metrics.psnr(pixels, picture)}
            marked[one.index] = Point(setting, 8 * len(data) / (width * height), quality)
        others = [i for i, version in enumerate(versions) if version.label in plain]
        for inside in insides:
            versions += maps.as_versions(inside, width, height)
        return Scene(
            key,
            path.name,
            width,
            height,
            tuple(versions),
            left=next((i for i in others if i > 1), 0),  # the first codec beside one that is not learned
            right=min(1, len(decoded)),
            crop=busiest_crop(pixels, decoded),
            insides=tuple(insides),
            lead=lead,
            thumbnail=thumbnail(pixels),
            figure=self._figure(key, path.name, marked),
        )

    def _coded(
        self, spec: str, codec: Any, path: Path, pixels: np.ndarray, limit: int | None
    ) -> tuple[bytes, float]:
        """The file to show: at TARGET_BPP by the first codec, of at most as many bytes by the others."""
        if limit is not None:
            seconds = [r["encode_seconds"] for r in self.document["rows"] if r["codec"] == spec]
            slow = min((s for s in seconds if s is not None), default=0.0) > PATIENCE_SECONDS
            settings = self.document["codecs"][spec]["settings"] if slow else None
            return rd.encode_to_size(codec, pixels, limit, settings)
        points = summary.points_of_image(self.document, spec, path.name) or self.series[spec].points
        near = min(points, key=lambda p: abs(math.log(p.bpp / TARGET_BPP)))
        return codec.compress(pixels, quality=near.setting), near.setting

    def _figure(self, key: str, image: str, marked: Mapping[int, Point]) -> Chart | None:
        series = [
            Series(one.index, one.label, one.learned, summary.points_of_image(self.document, spec, image))
            for spec, one in self.series.items()
        ]
        scale = next((scale for scale in self.scales if scale.name == "psnr"), None)
        return curves.chart(scale, series, key, marked) if scale else None
