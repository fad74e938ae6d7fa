"""Seconds a user waits: encoding and decoding one photograph, and starting up; codecs are loaded before.

  pycodec             from an array to bytes and back to a picture, everything on one thread
  pycodec, 2 threads  the same with two threads for torch
  pycodec, from file  the same, and reading the picture or the .pci file
  pycodec, cpu        with --device cuda, what "pycodec" is without

Stages are those of ``pycodec compress --profile``, measured in calls of their own. The codecs of Pillow run
beside the first codec at its default quality, each at the lowest setting that makes a file as large; and
CompressAI's mean-scale hyperprior beside ours at its default quality, see `mean_scale`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

import pycodec
from pycodec import profiling
from pycodec.errors import InvalidInput, MissingDependency
from pycodec.evaluation import rd

from . import common, compare, mean_scale, second_thread
from .goals import Goal
from .timing import Effort, Row, Subject, measure

ANCHORS = ("jpeg", "webp", "jpeg2000", "avif")  # the codecs of Pillow
TWO_THREADS, FROM_FILE = second_thread.SUBJECT, "pycodec, from file"
START_UP = {
    "python": "pass",
    "import pycodec": "import pycodec",
    "list plugins": "import pycodec; pycodec.plugins()",
    "load default": "import pycodec; pycodec.load('default')",
}
GOALS = tuple(
    goal
    for way in ("encode", "decode")
    for goal in (
        Goal(f"ctx3d 5 {way}", field="ms", at_most=150, unit="ms"),
        Goal(f"ctx3d 5 {way}", subject=TWO_THREADS, field="speedup", at_least=1.8),
        Goal(f"hyperprior 5 {way}", field="ms", at_most=300, unit="ms"),
        Goal(f"hyperprior 5 {way}", against=mean_scale.NAME, at_least=1),
    )
)


def stages(call: Callable[[], object], device: str, repeats: int) -> dict[str, float]:
    """Milliseconds by stage, medians of several calls."""
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        with profiling.profile(torch.cuda.synchronize if device == "cuda" else None) as seconds:
            call()
        for name, taken in seconds.items():
            found.setdefault(name, []).append(1e3 * taken)
    return {name: median(taken) for name, taken in found.items()}


def in_stage(name: str, call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with profiling.stage(name):
            call()

    return run


def on_threads(count: int, call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        torch.set_num_threads(count)
        try:
            call()
        finally:
            torch.set_num_threads(1)

    return run


def case(name: str, quality: float, device: str, image: Path, with_peers: bool, effort: Effort) -> list[Row]:
    """Encoding and decoding ``image`` with one codec at one quality; ``with_peers``, beside Pillow's."""
    pixels = rd.load_image(image)
    count = pixels.shape[0] * pixels.shape[1]
    codec = pycodec.load(name)
    data = codec.compress(pixels, quality, device=device)
    fields = {"bytes": len(data), "bpp": 8 * len(data) / count}
    encode = partial(codec.compress, pixels, quality, device=device)
    decode = partial(codec.decompress, data, device=device)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.pci"
        file.write_bytes(data)
        ways: dict[str, list[Subject]] = {"encode": [], "decode": []}

        def add(
            title: str, encoding: Callable[[], object], decoding: Callable[[], object], **more: Any
        ) -> None:
            for way, call in (("encode", encoding), ("decode", decoding)):
                ways[way].append(Subject(title, call, count, **more))

        add("pycodec", encode, decode, fields=fields)
        if device == "cpu":
            add(TWO_THREADS, on_threads(2, encode), on_threads(2, decode))
        else:
            other = pycodec.load(name)
            add(common.ON_CPU, partial(other.compress, pixels, quality), partial(other.decompress, data))
        add(
            FROM_FILE,
            lambda: codec.compress(image, quality, device=device),
            lambda: codec.decompress(file.read_bytes(), device=device),
        )
        if with_peers:
            for title, peer, setting, coded in same_size(pixels, len(data)):
                more = {"setting": setting, "bytes": len(coded), "bpp": 8 * len(coded) / count}
                add(
                    title,
                    partial(peer.compress, pixels, setting),
                    partial(peer.decompress, coded),
                    peer=True,
                    fields=more,
                )
        own = {"encode": stages(encode, device, effort.least), "decode": stages(decode, device, effort.least)}
        split = {"pycodec": own}
        if (name, quality, device) == (
            "hyperprior",
            codec.default_quality,
            "cpu",
        ) and not mean_scale.missing():
            peer = mean_scale.MeanScale(pixels, len(data))
            size = mean_scale.size_of(peer.coded)
            add(
                mean_scale.NAME,
                partial(peer.compress, pixels),
                partial(peer.decompress, peer.coded),
                peer=True,
                fields={"bytes": size, "bpp": 8 * size / count},
            )
            split[mean_scale.NAME] = {
                way: stages(in_stage("transform", call), device, effort.least)
                for way, call in peer.networks(pixels).items()
            }
        rows = []
        for way, subjects in ways.items():
            rows += second_thread.measure_beside(f"{name} {quality:g} {way}", "pixel", subjects, effort)
    for row in rows:
        row["ms"] = 1e3 * row["seconds"]
        if row["subject"] in split:
            row["stages_ms"] = split[row["subject"]][row["case"].rpartition(" ")[2]]
    return rows


def same_size(pixels: np.ndarray, size: int) -> list[tuple[str, Any, float, bytes]]:
    """Every codec of Pillow at its lowest setting that takes at least ``size`` bytes, or its highest."""
    found = []
    for title in ANCHORS:
        try:
            peer: Any = pycodec.load(title)
        except MissingDependency:
            continue
        low, high = 0, len(peer.settings) - 1
        while low < high:
            middle = (low + high) // 2
            if len(peer.compress(pixels, peer.settings[middle])) >= size:
                high = middle
            else:
                low = middle + 1
        setting = peer.settings[low]
        found.append((title, peer, setting, peer.compress(pixels, setting)))
    return found


def start_up(names: Iterable[str], effort: Effort) -> list[Row]:
    """Fresh processes, start of the interpreter included."""
    subjects = [
        Subject(name, partial(subprocess.run, [sys.executable, "-c", START_UP[name]], check=True), 1)
        for name in names
    ]
    return measure("start-up", "process", subjects, effort)


@torch.inference_mode()
def main() -> int:
    parser = common.timed_parser(__doc__, "codec.json")
    parser.add_argument("--image", type=Path, help="a photograph, e.g. a Kodak image")
    parser.add_argument(
        "--codecs",
        type=common.names,
        default=["ctx3d", "cpm", "hyperprior"],
        help="learned codecs (default: ctx3d,cpm,hyperprior)",
    )
    parser.add_argument("--qualities", type=common.numbers, default=[1, 3, 5, 8], help="default: 1,3,5,8")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    if arguments.compare:
        return compare.show(*arguments.compare)
    if arguments.image is None:
        raise InvalidInput("no image to measure with; pass one by --image")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        image = cut(arguments.image, Path(folder)) if arguments.quick else arguments.image
        rows, settings = measure_all(arguments, image)
    absent = {name: "not in this Pillow" for name in ANCHORS if not available(name)}
    if reason := mean_scale.missing():
        absent[mean_scale.NAME] = reason
    common.report(arguments, settings, rows, GOALS if arguments.device == "cpu" else (), absent)
    return 0


def cut(image: Path, folder: Path) -> Path:
    """The corner of an image, as a file."""
    path = folder / f"{image.stem}.png"
    Image.fromarray(rd.load_image(image)[:48, :64]).save(path)
    return path


def measure_all(arguments: argparse.Namespace, image: Path) -> tuple[list[Row], dict[str, Any]]:
    """All rows, and what else belongs to the settings."""
    effort = common.effort(arguments)
    rows, loading = [], {}
    for name in arguments.codecs:
        start = time.perf_counter()
        codec = pycodec.load(name)
        loading[name] = 1e3 * (time.perf_counter() - start)
        for quality in arguments.qualities:
            if codec.qualities[0] <= quality <= codec.qualities[1]:
                first = name == arguments.codecs[0] and quality == codec.default_quality
                rows += case(name, quality, arguments.device, image, first, effort)
    rows += start_up(list(START_UP)[: 2 if arguments.quick else None], effort)
    width, height = rd.load_image(image).shape[1::-1]
    settings = {
        "image": {"name": image.name, "width": width, "height": height},
        "device": common.device_name(arguments.device),
        "load_ms": loading,
    }
    return rows, settings


def available(name: str) -> bool:
    try:
        pycodec.load(name)
    except MissingDependency:
        return False
    return True


if __name__ == "__main__":
    common.run(main)
