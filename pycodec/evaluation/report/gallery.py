"""The pictures of a report: for a few images, each codec at about the same number of bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pycodec.errors import PycodecError
from pycodec.evaluation import inspection, rd
from pycodec.evaluation.report import curves, maps, summary
from pycodec.evaluation.report.curves import Point, Scale, Series
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
"""The pictures are shown at the setting of the first codec that comes nearest: where codecs differ to the eye."""


def choose(document: summary.Document, images: Sequence[Path], count: int) -> list[tuple[Path, str]]:
    """The images to show and why: from the one where the first codec gains most to where it gains least."""
    gains: Mapping[str, float] = {}
    for anchors in (document.get("comparisons") or {}).values():
        for anchor, entry in anchors.items():
            gains = ((entry.get("psnr") or {}).get("bd_rate") or {}).get("per_image") or {}
            if gains:
                break
        break
    known = [path for path in images if path.name in gains]
    if not gains or not known:
        step = max(1, len(images) // max(count, 1))
        return [(path, "") for path in images[::step][:count]]
    ordered = sorted(known, key=lambda path: gains[path.name])
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    against = summary.label_of(document, anchor)
    return [(ordered[i], f"BD-rate against {against}: {gains[ordered[i].name]:+.1f} %") for i in places]


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
            media_type = getattr(codec, "media_type", "")
            source = data_uri(data, media_type) if media_type else lossless(picture)
            facts = (*size_facts(len(data), width, height), *quality_facts(pixels, picture))
            versions.append(Version(one.label, source, (*facts, ("setting", f"{setting:g}"))))
            decoded.append(picture)
            values = {name: value for name, value in _metrics(pixels, picture).items()}
            marked[one.index] = Point(setting, 8 * len(data) / (width * height), values)
        coded = len(versions)
        for inside in insides:
            versions += maps.as_versions(inside)
        return Scene(
            key,
            path.name,
            width,
            height,
            tuple(versions),
            left=2 if coded > 2 else 0,
            right=1 if coded > 1 else 0,
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
            settings = self.document["codecs"][spec].get("settings")
            data, setting = rd.encode_to_size(codec, pixels, limit, settings)
            return data, float(setting)
        points = summary.points_of_image(self.document, spec, path.name) or self.series[spec].points
        near = min(points, key=lambda p: abs(math.log(p.bpp / TARGET_BPP)))
        return codec.compress(pixels, quality=near.setting), near.setting

    def _figure(self, key: str, image: str, marked: Mapping[int, Point]) -> Any:
        series = [
            Series(one.index, one.label, one.learned, summary.points_of_image(self.document, spec, image))
            for spec, one in self.series.items()
        ]
        return curves.chart(self.scales[0], series, key, marked) if self.scales else None


def _metrics(pixels: np.ndarray, picture: np.ndarray) -> dict[str, float]:
    from pycodec.evaluation import metrics

    return {"psnr": metrics.psnr(pixels, picture)}
