"""What ``pycodec compress --optimize STEPS`` gains on real photographs, of codecs with weights of their own.

For every image and quality the codec's own file and the one with optimised symbols, the rate and the squared
error of each, and lambda; the optimised file is decoded once more by the codec that its header names, on two
threads, and has to give the same pixels. Writes benchmarks/results/optimize_CODEC.json after each image; what
is in there is not measured again, so that a run that was stopped goes on. Exit status 1 when a file decodes
to something else, or when the rate plus lambda times the squared error of any file did not fall.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch

import pycodec
from pycodec.errors import InvalidInput
from pycodec.evaluation import rd
from pycodec.optimization.files import Cost, compress_optimized

from . import common

SEED = 0


class Job(NamedTuple):
    """One file to be made."""

    codec: str
    path: Path
    quality: float
    steps: int


def optimize(job: Job) -> dict[str, Any]:
    """Of one file, ready for JSON; on one thread."""
    torch.set_num_threads(1)
    codec, pixels = pycodec.load(job.codec), rd.load_image(job.path)
    start = time.perf_counter()
    found = compress_optimized(codec, pixels, job.steps, job.quality, seed=SEED)
    seconds = time.perf_counter() - start
    shown = np.asarray(codec.decompress(found.data))
    torch.set_num_threads(2)
    return {
        "image": job.path.name,
        "quality": job.quality,
        "lambda": found.lam,
        "bpp": [found.plain.bpp, found.optimized.bpp],
        "mse": [found.plain.mse, found.optimized.mse],
        "exact": bool(np.array_equal(np.asarray(pycodec.decompress(found.data)), shown)),
        "seconds": seconds,
    }


def change(row: dict[str, Any]) -> float:
    """What became of rate + lambda squared error, in percent."""
    costs = (Cost(bpp, mse) for bpp, mse in zip(row["bpp"], row["mse"], strict=True))
    before, after = (cost.lagrangian(row["lambda"]) for cost in costs)
    return 100 * (after / before - 1)


def summary(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each quality: how many images, how many gained and are exact, mean changes in percent and dB."""
    for quality in sorted({row["quality"] for row in rows}):
        own = [row for row in rows if row["quality"] == quality]
        changes = [change(row) for row in own]
        yield {
            "quality": quality,
            "images": len(own),
            "lower": sum(value < 0 for value in changes),
            "exact": sum(row["exact"] for row in own),
            "lagrangian_percent": fmean(changes),
            "worst_percent": max(changes),
            "bytes_percent": fmean(100 * (row["bpp"][1] / row["bpp"][0] - 1) for row in own),
            "psnr_db": fmean(10 * np.log10(row["mse"][0] / row["mse"][1]) for row in own),
            "seconds": fmean(row["seconds"] for row in own),
        }


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """All files of one codec; the results file is written after each."""
    path = arguments.json or common.RESULTS / f"optimize_{name}.json"
    settings = {
        "codec": name,
        "fingerprint": pycodec.load(name).fingerprint.hex(),
        "steps": arguments.steps,
        "seed": SEED,
    }
    found = common.read_json(path) if path.exists() else {}
    rows = found["results"] if {key: found.get(key) for key in settings} == settings else []
    known = {(row["image"], row["quality"]) for row in rows}
    jobs = [
        Job(name, file, quality, arguments.steps)
        for quality in arguments.qualities
        for file in rd.image_files(arguments.data)
        if (file.name, quality) not in known
    ]
    environment = common.environment() if jobs else found["environment"]

    def document() -> dict[str, Any]:
        return {"environment": environment, **settings, "qualities": list(summary(rows)), "results": rows}

    # Processes of their own, as what a fork finds of torch would hang; they look for this module again.
    context = multiprocessing.get_context("spawn")
    sys.path.insert(0, str(common.ROOT))
    with ProcessPoolExecutor(min(arguments.jobs, max(1, len(jobs))), context) as pool:
        for done in as_completed([pool.submit(optimize, job) for job in jobs]):
            rows.append(done.result())
            rows.sort(key=lambda row: (row["quality"], row["image"]))
            common.write_json(path, document())
            print(f"\r{name}: {len(rows)} of {len(known) + len(jobs)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    common.write_json(path, document())
    return document()


def report(document: dict[str, Any]) -> bool:
    """Print what was found; returns whether every file gained and is exact."""
    headings = [document["codec"], "lower", "exact", "Lagrangian", "worst", "bytes", "PSNR", "seconds"]
    rows = [
        [
            f"quality {one['quality']:g}",
            f"{one['lower']} of {one['images']}",
            f"{one['exact']} of {one['images']}",
            f"{one['lagrangian_percent']:+.2f} %",
            f"{one['worst_percent']:+.2f} %",
            f"{one['bytes_percent']:+.2f} %",
            f"{one['psnr_db']:+.2f} dB",
            f"{one['seconds']:.0f}",
        ]
        for one in document["qualities"]
    ]
    print(common.table(headings, rows))
    return all(one["lower"] == one["exact"] == one["images"] for one in document["qualities"])


def main() -> int:
    parser = common.parser(__doc__, "optimize_CODEC.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of losslessly stored images")
    parser.add_argument("--codecs", type=common.names, default=["cpm"], help="default: cpm")
    parser.add_argument("--qualities", type=common.numbers, default=[3], help="default: 3")
    parser.add_argument("--steps", type=int, default=2000, help="default: 2000")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="images at once (default: one for each core)"
    )
    arguments = parser.parse_args()
    if arguments.json and len(arguments.codecs) > 1:
        raise InvalidInput("--json is one file, of one codec; name it by --codecs")
    return 0 if all([report(measure(name, arguments)) for name in arguments.codecs]) else 1


if __name__ == "__main__":
    common.run(main)
