"""What the effort of an encoder buys: smaller files for the same error, for time.

Every image at every whole quality with each effort, real files, decoded; BD-rate at equal PSNR against
effort 0, which rounds, per image and then averaged. Time is that of one thread over that of effort 0, a
median over all files; efforts take turns.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

import pycodec
from pycodec.evaluation import curves, metrics, rd

from . import common

EFFORTS = (0, 1, 2)
CODECS = ["ctx3d", "hyperprior"]


def measure(name: str, data: Path, efforts: list[int]) -> list[rd.Row]:
    """A row for each file; its codec is the effort."""
    codec, rows = pycodec.load(name), []
    for path in rd.image_files(data):
        pixels = rd.load_image(path)
        for quality in range(int(codec.qualities[0]), int(codec.qualities[1]) + 1):
            for effort in efforts:
                start = time.perf_counter()
                file = codec.compress(pixels, quality, effort=effort)
                seconds = time.perf_counter() - start
                bpp = 8 * len(file) / (pixels.shape[0] * pixels.shape[1])
                psnr = metrics.psnr(pixels, np.asarray(codec.decompress(file)))
                rows.append(
                    rd.Row(path.name, str(effort), quality, len(file), bpp, {"psnr": psnr}, seconds, None)
                )
        print(f"\r{name}: {path.name}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def summary(rows: list[rd.Row], efforts: list[int]) -> list[dict[str, Any]]:
    """Of each effort: BD-rate with its interval, images that gained, time over that of the first."""

    def seconds(row: rd.Row) -> float:
        return row.encode_seconds or 0.0

    found = []
    of = {effort: [row for row in rows if row.codec == str(effort)] for effort in efforts}
    for effort in efforts:
        rate = curves.bd_rate(of[efforts[0]], of[effort], "psnr")
        found.append(
            {
                "effort": effort,
                "bd_rate_percent": rate.percent,
                "low": rate.low,
                "high": rate.high,
                "gained": sum(percent < 0 for percent in rate.per_image.values()),
                "images": len(rate.per_image),
                "time": median(
                    seconds(row) / seconds(first)
                    for row, first in zip(of[effort], of[efforts[0]], strict=True)
                ),
            }
        )
    return found


def main() -> int:
    parser = common.parser(__doc__, "effort.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of losslessly stored images")
    parser.add_argument("--codecs", type=common.names, default=CODECS, help=f"default: {','.join(CODECS)}")
    parser.add_argument("--efforts", type=common.numbers, default=list(EFFORTS), help="default: 0,1,2")
    arguments: argparse.Namespace = parser.parse_args()
    efforts = [int(effort) for effort in arguments.efforts]
    torch.set_num_threads(1)
    codecs = {name: summary(measure(name, arguments.data, efforts), efforts) for name in arguments.codecs}
    common.write_json(common.target(arguments), {"environment": common.environment(), "codecs": codecs})
    table = [
        [
            name,
            str(one["effort"]),
            f"{one['bd_rate_percent']:+.2f} %",
            f"{one['gained']} of {one['images']}",
            f"{one['time']:.2f}",
        ]
        for name, found in codecs.items()
        for one in found
    ]
    print(common.table(["codec", "effort", "BD-rate", "gained", "time"], table))
    return 0


if __name__ == "__main__":
    common.run(main)
