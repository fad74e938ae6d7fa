"""A picture of 100 megapixels there and back: the memory that it takes, and whether anything is lost.

Each step is a process of its own, as a user starts it, whose peak of resident memory the system tells. The
picture is made of waves, edges and noise from one seed, or of the Kodak photographs side by side, and lies in
a PNG file; reading and writing it counts. What is decoded is compared with the decode of a crop, and, on a
smaller picture, tiles with the image at once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pycodec import load, tiled
from pycodec.errors import InvalidInput, ProgramFailed
from pycodec.images import opened

from . import common

CROP = (4321, 1234, 2000, 1500)  # left, top, width, height
SMALL = 1500, 1100  # width and height of the picture that fits the memory at once
SMALL_TILE = 2**17  # pixels
LIMIT_BYTES = 4 * 2**30


def picture(width: int, height: int, data: Path | None, seed: int) -> np.ndarray:  # [height, width, 3] uint8
    """Photographs side by side where there are some, else something with smooth parts, edges and texture."""
    if data is not None:
        paths = sorted((data / "kodak").glob("*.png"))
        if not paths:
            raise InvalidInput(f"{data} has no kodak/*.png, expected the Kodak photographs")
        return _mosaic([np.asarray(Image.open(path).convert("RGB")) for path in paths], width, height)
    rng = np.random.default_rng(seed)
    columns = np.arange(width, dtype=np.float32)
    image = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, 256):
        rows = np.arange(top, min(top + 256, height), dtype=np.float32)[:, None]
        waves = 60 * np.sin(rows / 97 + columns / 53) + 40 * np.cos(columns / 211 - rows / 31)
        waves += 30 * ((rows // 173 + columns // 229) % 2)
        for channel in range(3):
            noise = rng.normal(0, 6, waves.shape).astype(np.float32)
            image[top : top + 256, :, channel] = (110 + 10 * channel + waves + noise).clip(0, 255)
    return image


def _mosaic(photographs: Sequence[np.ndarray], width: int, height: int) -> np.ndarray:
    image = np.empty((height, width, 3), np.uint8)
    side, index = 512, 0
    for top in range(0, height, side):
        for left in range(0, width, side):
            tile = image[top : top + side, left : left + side]
            tile[:] = photographs[index % len(photographs)][: tile.shape[0], : tile.shape[1]]
            index += 1
    return image


def measured(*arguments: str) -> dict[str, float]:
    """Seconds and peak of resident memory of a ``pycodec`` command.

    Raises:
        ProgramFailed: it ended with an error.
    """
    command = [sys.executable, "-m", "pycodec", *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ProgramFailed(f"{' '.join(arguments)} ended with exit status {process.returncode}")
    return {"seconds": time.perf_counter() - start, "peak_bytes": 1024 * usage.ru_maxrss}


def round_trip(codec: str, source: Path, folder: Path) -> dict[str, Any]:
    """Of the picture in a file: what each step took, and whether the crop is that of the whole."""
    packed, whole, part = folder / f"{codec}.pci", folder / "whole.png", folder / "part.png"
    left, top, width, height = CROP
    steps = {
        "compress": measured("compress", str(source), "-o", str(packed), "--codec", codec),
        "decompress": measured("decompress", str(packed), "-o", str(whole)),
        "crop": measured(
            "decompress", str(packed), "-o", str(part), "--crop", f"{left},{top},{width},{height}"
        ),
    }
    with opened(whole) as image:
        decoded = np.asarray(image)
    with opened(part) as image:
        equal = np.array_equal(np.asarray(image), decoded[top : top + height, left : left + width])
    with opened(source) as image:
        original = np.asarray(image)
    error = sum(
        float(np.square(a.astype(np.float32) - b).sum(dtype=np.float64))
        for a, b in zip(original, decoded, strict=True)
    )
    return {
        "bytes": packed.stat().st_size,
        "psnr": 10 * np.log10(255**2 / (error / original.size)),
        "crop_equals_whole": bool(equal),
        **steps,
    }


def tiles_equal_whole(codec: str, image: np.ndarray) -> bool:
    """Whether the file and the pixels of an image are the same by small tiles and at once."""
    made = load(codec)
    most = tiled.TILE_PIXELS
    found = []
    for tile in (most, SMALL_TILE):
        tiled.TILE_PIXELS = tile
        data = made.compress(image)
        found.append((data, np.asarray(made.decompress(data)).tobytes()))
    tiled.TILE_PIXELS = most
    return found[0] == found[1]


def main() -> int:
    parser = common.parser(__doc__, "huge.json")
    parser.add_argument(
        "--codecs", type=common.names, default=["ctx3d", "hyperprior"], help="separated by commas"
    )
    parser.add_argument("--width", type=int, default=10_000)
    parser.add_argument("--height", type=int, default=10_000)
    parser.add_argument("--data", type=Path, help="a folder with kodak/, for a mosaic of photographs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    results = _results(arguments)
    document = {
        "benchmark": "huge",
        "environment": common.environment(),
        "settings": {
            "width": arguments.width,
            "height": arguments.height,
            "picture": "mosaic of Kodak" if arguments.data else "synthetic",
            "seed": arguments.seed,
            "limit_bytes": LIMIT_BYTES,
        },
        "results": results,
    }
    common.write_json(common.target(arguments), document)
    rows = [
        [codec, step, f"{found[step]['peak_bytes'] / 2**20:.0f}", f"{found[step]['seconds']:.0f}"]
        for codec, found in results.items()
        for step in ("compress", "decompress", "crop")
    ]
    print(common.table(["codec", "step", "peak MiB", "seconds"], rows))
    good = all(
        found["crop_equals_whole"]
        and found["tiles_equal_whole"]
        and max(found[step]["peak_bytes"] for step in ("compress", "decompress", "crop")) <= LIMIT_BYTES
        for found in results.values()
    )
    return 0 if good else 1


def _results(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    results = {}
    with tempfile.TemporaryDirectory(prefix="pycodec-") as name:
        folder = Path(name)
        source = folder / "source.png"
        made = picture(arguments.width, arguments.height, arguments.data, arguments.seed)
        Image.fromarray(made).save(source, compress_level=1)
        small = made[: SMALL[1], : SMALL[0]].copy()
        del made
        for codec in arguments.codecs:
            results[codec] = {
                **round_trip(codec, source, folder),
                "tiles_equal_whole": tiles_equal_whole(codec, small),
            }
    return results


if __name__ == "__main__":
    common.run(main)
