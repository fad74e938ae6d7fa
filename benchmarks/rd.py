"""Rate-distortion of learned codecs beside JPEG, WebP, JPEG 2000 and AVIF, on real file bytes.

Every image is coded to bytes and back at every setting. Rows of a codec already in the output file are kept
when its version, its options and the images are the same, so that a new learned codec is measured alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pycodec
from pycodec.errors import InvalidInput
from pycodec.evaluation import rd

from . import common

GRID = [round(0.15 + 0.05 * i, 2) for i in range(28)]  # 0.15 .. 1.5 bits per pixel
SAME = ("description", "version")  # of a codec, for its rows to hold
METRICS: tuple[rd.Metric, ...] = ("psnr", "ms_ssim")


def open_codec(name: str, qualities: list[float] | None) -> tuple[rd.ImageCodec, list[float], dict[str, Any]]:
    """The codec, its settings, and what identifies its results."""
    if name in common.ANCHORS:
        anchor: Any = pycodec.load(name)
        settings = list(anchor.settings)
        identity = {
            "description": f"{anchor.label}, {anchor.description}",
            "version": anchor.version(),
            "settings": settings,
        }
        return anchor, settings, identity
    import torch

    torch.set_num_threads(1)
    codec = pycodec.load(name)
    low, high = codec.qualities
    settings = qualities or list(range(math.ceil(low), math.floor(high) + 1))
    identity = {
        "description": "learned; setting: quality",
        "version": codec.fingerprint.hex(),
        "settings": settings,
    }
    return codec, settings, identity


def dataset(files: list[Path]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return {"name": files[0].parent.resolve().name, "images": len(files), "sha256": digest.hexdigest()}


def load_previous(path: Path, data: dict[str, Any]) -> tuple[dict[str, Any], list[rd.Row]]:
    """Codecs and rows of an earlier run over the same images."""
    if not path.exists():
        return {}, []
    document = json.loads(path.read_text())
    if document["dataset"] != data:
        raise InvalidInput(f"{path} holds results of other images; give another --json or delete it.")
    return document["codecs"], [rd.Row(**row) for row in document["rows"]]


def summarise(data: dict[str, Any], codecs: dict[str, Any], rows: list[rd.Row]) -> dict[str, Any]:
    """The document: mean points, every learned codec against every classical one, and the rows."""
    of = {name: [row for row in rows if row.codec == name] for name in codecs}
    learned = [name for name in codecs if name not in common.ANCHORS]
    anchors = [name for name in codecs if name in common.ANCHORS]
    comparisons: dict[str, Any] = {}
    for test in learned:
        for anchor in anchors:
            entry: dict[str, Any] = {"bd_rate": {}, "at_rates": {}}
            for metric in METRICS:
                try:
                    entry["bd_rate"][metric] = asdict(rd.bd_rate(of[anchor], of[test], metric))
                except InvalidInput:  # no common quality, or images too small for MS-SSIM
                    entry["bd_rate"][metric] = None
                entry["at_rates"][metric] = rd.compare_at_rates(of[anchor], of[test], metric, GRID)
            comparisons.setdefault(test, {})[anchor] = entry
    return {
        "dataset": data,
        "codecs": codecs,
        "mean_points": {name: rd.mean_points(of[name]) for name in codecs},
        "comparisons": comparisons,
        "rows": [asdict(row) for row in rows],
    }


def report(document: dict[str, Any]) -> str:
    parts = []
    for name, points in document["mean_points"].items():
        lines = [
            [
                f"{p['setting']:g}",
                f"{p['bpp']:.4f}",
                f"{p['psnr']:.2f}",
                "-" if p["ms_ssim"] is None else f"{p['ms_ssim']:.4f}",
            ]
            for p in points
        ]
        parts.append(
            f"{name}: {document['codecs'][name]['description']}\n"
            + common.table(["setting", "bpp", "PSNR", "MS-SSIM"], lines)
        )
    lines = []
    for test, anchors in document["comparisons"].items():
        for anchor, entry in anchors.items():
            percents = [entry["bd_rate"][m] for m in METRICS]
            better = [p for p in entry["at_rates"]["ms_ssim"] if p["images"]]
            ahead = sum(p["test"] > p["anchor"] for p in better)
            lines.append(
                [
                    f"{test} / {anchor}",
                    *("-" if p is None else f"{p['percent']:+.1f}" for p in percents),
                    f"{ahead} of {len(better)}",
                ]
            )
    if lines:
        headings = ["BD-rate, %", "PSNR", "MS-SSIM", f"MS-SSIM ahead at rates {GRID[0]}..{GRID[-1]}"]
        parts.append(common.table(headings, lines))
    return "\n\n".join(parts)


def main() -> int:
    parser = common.parser(__doc__, "rd_kodak.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of losslessly stored images")
    parser.add_argument(
        "--codecs", type=common.names, default=[], help="learned codecs to measure, e.g. ctx3d,cpm"
    )
    parser.add_argument(
        "--anchors", type=common.names, default=list(common.ANCHORS), help="classical codecs (default: all)"
    )
    parser.add_argument(
        "--qualities", type=common.numbers, help="settings of learned codecs (default: every whole quality)"
    )
    parser.add_argument(
        "--recompute", action="store_true", help="measure again what the output file already holds"
    )
    arguments = parser.parse_args()

    out = common.target(arguments)
    files = rd.image_files(arguments.data)
    data = dataset(files)
    codecs, rows = load_previous(out, data)
    for name in [*arguments.anchors, *arguments.codecs]:
        codec, settings, identity = open_codec(name, arguments.qualities)
        known = codecs.get(name, {})
        measured: list[rd.Row] = []
        if not arguments.recompute and all(known.get(key) == identity[key] for key in SAME):
            measured = [row for row in rows if row.codec == name and row.setting in settings]
        missing = [setting for setting in settings if setting not in {row.setting for row in measured}]
        if not missing and known["settings"] == settings:
            continue
        for count, row in enumerate(rd.sweep(codec, name, missing, files), start=1):
            measured.append(row)
            print(f"\r{name}: {count} of {len(files) * len(missing)}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        codecs[name] = {**identity, "environment": common.environment()}
        rows = [row for row in rows if row.codec != name] + measured
        # After every codec, so that an interrupted run keeps what is done.
        common.write_json(out, summarise(data, codecs, rows))
    document = summarise(data, codecs, rows)
    common.write_json(out, document)
    print(report(document))
    return 0


if __name__ == "__main__":
    common.run(main)
