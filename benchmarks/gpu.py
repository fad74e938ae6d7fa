"""What a GPU has to show: that files go between it and the CPU, and its results in one file.

Files are written on either device and decoded on both. The symbols must be equal, which the checksum in a
file proves; the pictures, whose synthesis is float, may differ in their last rounding, and the largest
difference is recorded. Writes benchmarks/results/<gpu>.json; exit status 1 when a file does not decode.
"""

from __future__ import annotations

import argparse
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np

import pycodec
from pycodec.errors import CorruptStream, InvalidInput
from pycodec.evaluation import rd

from . import common


def parity(name: str, pixels: np.ndarray, device: str) -> dict[str, Any]:
    """Files of both devices, decoded on both."""
    codec = pycodec.load(name)
    files = {where: codec.compress(pixels, device=where) for where in ("cpu", device)}
    decodes, largest = True, 0
    for data in files.values():
        pictures = []
        for where in ("cpu", device):
            try:
                pictures.append(np.asarray(codec.decompress(data, device=where), np.int64))
            except CorruptStream as error:
                print(f"{name}: a file does not decode on {where}: {error}")
                decodes = False
        for a, b in itertools.combinations(pictures, 2):
            largest = max(largest, int(np.abs(a - b).max()))
    return {
        "codec": name,
        "decodes": decodes,
        "same_bytes": files["cpu"] == files[device],
        "largest_difference": largest,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", type=Path, required=True, help="a photograph")
    parser.add_argument("--codecs", type=common.names, default=["ctx3d", "cpm", "hyperprior"])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument(
        "--parts", type=Path, nargs="*", default=[], help="results of benchmarks run with --device cuda"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="where to write (default: benchmarks/results/<gpu>.json)"
    )
    arguments = parser.parse_args()
    gpu = common.device_name(arguments.device)
    parts = {}
    for path in arguments.parts:
        part = common.read_json(path)
        if part.get("settings", {}).get("device") != gpu:
            raise InvalidInput(f"{path} holds no results of {gpu}; run its benchmark with --device")
        parts[part["benchmark"]] = part
    pixels = rd.load_image(arguments.image)
    checks = [parity(name, pixels, arguments.device) for name in arguments.codecs]
    document = {"gpu": gpu, "environment": common.environment(), "parity": checks, "benchmarks": parts}
    name = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
    common.write_json(arguments.json or common.RESULTS / f"{name}.json", document)
    keys = ("codec", "decodes", "same_bytes", "largest_difference")
    print(common.table([key.replace("_", " ") for key in keys], [[c[k] for k in keys] for c in checks]))
    return 0 if all(check["decodes"] for check in checks) else 1


if __name__ == "__main__":
    common.run(main)
