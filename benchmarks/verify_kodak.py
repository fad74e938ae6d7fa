"""Acceptance check of a learned codec on real photographs: exact, tight, and the same bytes everywhere.

For every image and quality:
  reconstruction  decode(encode(image)) equals the encoder's own reconstruction
  length          the file is at most 1 % + 300 bits longer than the ideal code length of the integer tables
  symbols         the payload decodes to the encoder's symbols on 1 and on 2 threads, at every SIMD level
  bytes           a second run, and other processes at every SIMD level, write the same file
  pixels          those processes decode it to the same pixels
Over all of them, where the codec has a float twin of its integer context model:
  integer loss    the integer tables cost at most 0.5 % more than the float network
Exit status 1 when any of it fails.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import pycodec
from pycodec import bitstream
from pycodec.evaluation import rd
from pycodec.native import native

from . import common

DEFAULT_LEVEL = "default"
CHECKS = ("reconstruction", "length", "symbols", "bytes", "pixels")
LARGEST_INTEGER_LOSS_PERCENT = 0.5


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def symbols_sha256(symbols: np.ndarray) -> str:
    return sha256(np.ascontiguousarray(symbols, "<i4").tobytes())


def decoded_symbols(codec: Any, data: bytes, shape: tuple[int, ...]) -> list[str]:
    """Hashes of the symbols in a file, decoded on one thread and on two."""
    container = bitstream.parse(data)
    step = container.header.quality_step
    return [
        symbols_sha256(codec.entropy_model.decode(container.payload, shape, step, threads=threads))
        for threads in (1, 2)
    ]


def check(codec: Any, pixels: np.ndarray, quality: float) -> dict[str, Any]:
    """Everything that one process can see of one image at one quality."""
    data = codec.compress(pixels, quality=quality)
    symbols = codec.symbols(pixels, quality)
    wanted = symbols_sha256(symbols)
    step = codec.quality_step(quality)
    ideal = codec.entropy_model.code_length_bits(symbols, step)
    float_length = getattr(codec.entropy_model, "float_code_length_bits", None)
    restored = np.asarray(codec.decompress(data))
    return {
        "file_bytes": len(data),
        "ideal_bits": float(ideal),
        "float_bits": float_length(symbols, step) if float_length else None,
        "file": sha256(data),
        "symbols_sha256": wanted,
        "pixels_sha256": sha256(restored.tobytes()),
        "reconstruction": bool(np.array_equal(restored, codec.reconstruct(pixels, quality))),
        "length": 8 * len(data) <= 1.01 * ideal + 300,
        "symbols": all(found == wanted for found in decoded_symbols(codec, data, symbols.shape)),
        "bytes": codec.compress(pixels, quality=quality) == data,
        "pixels": True,  # until a witness says otherwise
    }


def witness(name: str, files: list[Path], qualities: list[float]) -> None:
    """What another process reports, a line of JSON per image and quality: hashes of what it computed."""
    codec = pycodec.load(name)
    for path in files:
        pixels = rd.load_image(path)
        for quality in qualities:
            data = codec.compress(pixels, quality=quality)
            shape = codec.symbols(pixels, quality).shape
            report = {
                "file": sha256(data),
                "symbols": decoded_symbols(codec, data, shape),
                "pixels": sha256(np.asarray(codec.decompress(data)).tobytes()),
            }
            print(json.dumps(report), flush=True)


def run_witness(level: str, arguments: list[str]) -> list[dict[str, Any]]:
    """Reports of a process of its own whose SIMD level is ``level``."""
    environment = {key: value for key, value in os.environ.items() if key != "PYCODEC_SIMD"}
    if level != DEFAULT_LEVEL:
        environment["PYCODEC_SIMD"] = level
    command = [sys.executable, "-m", "benchmarks.verify_kodak", "--witness", *arguments]
    done = subprocess.run(
        command, cwd=common.ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"the process at SIMD level {level} ended with status {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> int:
    parser = common.parser(__doc__, "verify_kodak.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of losslessly stored images")
    parser.add_argument("--codec", default="ctx3d", help="learned codec to check (default: ctx3d)")
    parser.add_argument("--qualities", type=common.numbers, default=[1, 3, 5, 8], help="default: 1,3,5,8")
    parser.add_argument(
        "--levels", type=common.names, help="SIMD levels beside the default one (default: all lower ones)"
    )
    parser.add_argument(
        "--witness", action="store_true", help="report hashes only; used for the other processes"
    )
    arguments = parser.parse_args()
    files = rd.image_files(arguments.data)
    if arguments.witness:
        witness(arguments.codec, files, arguments.qualities)
        return 0

    codec = pycodec.load(arguments.codec)
    levels = [DEFAULT_LEVEL, *(arguments.levels or native().simd_available()[:-1])]
    passed_on = ["--data", str(arguments.data.resolve()), "--codec", arguments.codec]
    passed_on += ["--qualities", ",".join(f"{q:g}" for q in arguments.qualities)]
    results = []
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1)) as pool:  # beside this process
        witnesses = [pool.submit(run_witness, level, passed_on) for level in levels]
        for path in files:
            pixels = rd.load_image(path)
            for quality in arguments.qualities:
                results.append({"image": path.name, "quality": quality, **check(codec, pixels, quality)})
                print(
                    f"\r{arguments.codec}: {len(results)} of {len(files) * len(arguments.qualities)}",
                    end="",
                    file=sys.stderr,
                )
        print(file=sys.stderr)
    for done in witnesses:
        for result, report in zip(results, done.result(), strict=True):
            result["bytes"] &= report["file"] == result["file"]
            result["pixels"] &= report["pixels"] == result["pixels_sha256"]
            result["symbols"] &= all(found == result["symbols_sha256"] for found in report["symbols"])

    summary = {name: sum(result[name] for result in results) for name in CHECKS}
    excess = [8 * r["file_bytes"] - r["ideal_bits"] for r in results]
    ideal_bits = sum(r["ideal_bits"] for r in results)
    integer_loss = None
    if all(r["float_bits"] is not None for r in results):
        integer_loss = 100 * (ideal_bits / sum(r["float_bits"] for r in results) - 1)
    document = {
        "environment": common.environment(),
        "codec": arguments.codec,
        "fingerprint": codec.fingerprint.hex(),
        "simd_levels": levels,
        "threads": [1, 2],
        "cases": len(results),
        "passed": summary,
        "excess_bits": {"mean": float(np.mean(excess)), "largest": float(np.max(excess))},
        "excess_percent": 100 * float(np.sum(excess)) / ideal_bits,
        "integer_loss_percent": integer_loss,
        "results": results,
    }
    common.write_json(common.target(arguments), document)
    print(
        common.table(
            ["check", "passed"], [[name, f"{count} of {len(results)}"] for name, count in summary.items()]
        )
    )
    print(
        f"\nSIMD levels {', '.join(levels)}; "
        f"files are {document['excess_percent']:.3f} % over the ideal code length"
    )
    for result in results:
        failed = [name for name in CHECKS if not result[name]]
        if failed:
            print(f"FAILED {result['image']} at quality {result['quality']:g}: {', '.join(failed)}")
    tight = True
    if integer_loss is not None:
        tight = integer_loss <= LARGEST_INTEGER_LOSS_PERCENT
        print(f"{'' if tight else 'FAILED '}integers cost {integer_loss:+.3f} % against the float network")
    return 0 if tight and all(count == len(results) for count in summary.values()) else 1


if __name__ == "__main__":
    common.run(main)
