"""Seconds a user waits: encoding and decoding of one photograph on one core, and what starting up takes.

Times are the best of several calls once the codec is loaded. The stages are timed on their own, so that they
add up to a little less than the whole, which also reads and writes the container.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch

import pycodec
from pycodec import bitstream
from pycodec.evaluation import rd

START_UP = {
    "python": "pass",
    "import pycodec": "import pycodec",
    "list plugins": "import pycodec; pycodec.plugins()",
}


def start_up(repeats: int) -> dict[str, float]:
    """Milliseconds of a fresh process for each statement, start of the interpreter included."""
    return {
        name: 1e3
        * common.best_seconds(
            lambda code=code: subprocess.run([sys.executable, "-c", code], check=True), repeats
        )
        for name, code in START_UP.items()
    }


@torch.inference_mode()
def measure(codec: Any, pixels: np.ndarray, quality: float, repeats: int) -> dict[str, float]:
    """Milliseconds of the whole and of its stages."""
    data = codec.compress(pixels, quality=quality)
    symbols = codec.symbols(pixels, quality)
    step = codec.quality_step(quality)
    payload = bitstream.parse(data).payload

    height, width = pixels.shape[:2]
    stride = codec.transform.stride
    padded = np.pad(pixels, ((0, -height % stride), (0, -width % stride), (0, 0)), mode="edge")
    x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() - 128
    y = codec.quantizer.dequantize(symbols).contiguous(memory_format=torch.channels_last)
    tensor = torch.tensor([step / 16])

    calls = {
        "encode": lambda: codec.compress(pixels, quality=quality),
        "analysis": lambda: codec.transform.analysis(x, tensor),
        "entropy_encode": lambda: codec.entropy_model.encode(symbols, step),
        "decode": lambda: codec.decompress(data),
        "entropy_decode": lambda: codec.entropy_model.decode(payload, symbols.shape, step),
        "synthesis": lambda: codec.transform.synthesis(y, tensor),
    }
    milliseconds = {f"{name}_ms": 1e3 * common.best_seconds(call, repeats) for name, call in calls.items()}
    return {"bytes": len(data), "bpp": 8 * len(data) / (height * width), **milliseconds}


def main() -> int:
    parser = common.parser(__doc__, "codec_speed.json")
    parser.add_argument("--image", type=Path, required=True, help="a photograph, e.g. a Kodak image")
    parser.add_argument(
        "--codecs", type=common.names, default=["ctx3d"], help="learned codecs (default: ctx3d)"
    )
    parser.add_argument("--qualities", type=common.numbers, default=[1, 3, 5, 8], help="default: 1,3,5,8")
    parser.add_argument("--repeats", type=int, default=5, help="calls of which the best counts (default: 5)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pixels = rd.load_image(arguments.image)
    height, width = pixels.shape[:2]

    results, loading = [], {}
    for name in arguments.codecs:
        start = time.perf_counter()
        codec = pycodec.load(name)
        loading[name] = 1e3 * (time.perf_counter() - start)
        for quality in arguments.qualities:
            if codec.qualities[0] <= quality <= codec.qualities[1]:
                times = measure(codec, pixels, quality, arguments.repeats)
                results.append({"codec": name, "quality": quality, **times})

    started = start_up(arguments.repeats)
    document = {
        "environment": common.environment(),
        "image": {"name": arguments.image.name, "width": width, "height": height},
        "threads": 1,
        "repeats": arguments.repeats,
        "start_up_ms": started,
        "load_ms": loading,
        "results": results,
    }
    common.write_json(arguments.out, document)
    stages = ["encode", "analysis", "entropy_encode", "decode", "entropy_decode", "synthesis"]
    lines = [
        [r["codec"], f"{r['quality']:g}", f"{r['bpp']:.3f}", *(f"{r[stage + '_ms']:.1f}" for stage in stages)]
        for r in results
    ]
    print(f"{arguments.image.name}, {width} x {height}, one thread, best of {arguments.repeats}, ms\n")
    print(common.table(["codec", "quality", "bpp", *stages], lines))
    print()
    bare = started["python"]
    lines = [[name, f"{ms:.0f}", f"{ms - bare:.0f}"] for name, ms in started.items()]
    print(common.table(["start-up", "whole process, ms", "beyond bare python, ms"], lines))
    return 0


if __name__ == "__main__":
    common.run(main)
