"""Acceptance check of learned codecs on real photographs: exact, tight, and the same bytes everywhere.

For every image and quality:
  reconstruction  decode(encode(image)) equals the encoder's own reconstruction
  length          the whole file is at most 0.5 % + 300 bits longer than the ideal code length of the integer
                  tables
  symbols         the payload decodes to the encoder's symbols on 1 and on 2 threads, at every SIMD level
  tables          native layers on 1 and on 2 threads, torch on both and plain numpy give the same scales and
                  means, at every SIMD level; of codecs in which a hyper-latent tells them
  bytes           a second run, and other processes at every SIMD level, write the same file
  pixels          those processes decode it to the same pixels
Over all of them, where the codec has a float twin of its integer networks:
  integer loss    the integers cost at most 0.3 % more than the float networks
Writes benchmarks/results/verify_CODEC.json; exit status 1 when any of it fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pycodec
from pycodec import bitstream
from pycodec.errors import InvalidInput
from pycodec.evaluation import rd
from pycodec.native import native
from pycodec_plugins.hyperprior.integer import IntegerSynthesis
from pycodec_plugins.hyperprior.latent import split

from . import common

DEFAULT_LEVEL = "default"
CHECKS = ("reconstruction", "length", "symbols", "tables", "bytes", "pixels")
LARGEST_EXCESS = 0.005
SLACK_BITS = 300
LARGEST_INTEGER_LOSS_PERCENT = 0.3
THREADS = 1, 2


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def symbols_sha256(symbols: np.ndarray) -> str:
    return sha256(np.ascontiguousarray(symbols, "<i4").tobytes())


@contextmanager
def threads_of_torch(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def decoded_symbols(codec: Any, data: bytes, shape: tuple[int, ...]) -> list[str]:
    """Hashes of the symbols in a file, decoded on one thread and on two."""
    container = bitstream.parse(data)
    found = []
    for threads in THREADS:
        with threads_of_torch(threads):
            symbols = codec.entropy_model.decode(container.payload, shape, container.header.quality_step)
        found.append(symbols_sha256(symbols))
    return found


def same_tables(codec: Any, symbols: np.ndarray) -> bool | None:
    """Whether everything that computes scales and means of y from z agrees; None where nothing does."""
    parts = (getattr(codec, name, None) for name in ("entropy_model", "quantizer"))
    networks = [getattr(part, "integer", None) for part in parts]
    networks = [network for network in networks if isinstance(network, IntegerSynthesis)]
    if not networks:
        return None
    z = np.ascontiguousarray(split(symbols, codec.transform.hyper_channels)[1])
    agree = True
    for network in networks:
        expected = network.reference(z)
        for threads in THREADS:
            with threads_of_torch(threads):
                found = [network(torch.from_numpy(z), portable=portable) for portable in (False, True)]
            agree &= all(np.array_equal(values.numpy(), expected) for values in found)
    return agree


def check(codec: Any, pixels: np.ndarray, quality: float) -> dict[str, Any]:
    """Everything that one process can see of one image at one quality."""
    data = codec.compress(pixels, quality=quality)
    symbols = codec.symbols(pixels, quality)
    wanted = symbols_sha256(symbols)
    step = codec.quality_step(quality)
    ideal = codec.entropy_model.code_length_bits(symbols, step)
    # Chosen by what they cost in integers, symbols would be no fair test of these.
    rounded = codec.symbols(pixels, quality, effort=0)
    float_length = getattr(codec.entropy_model, "float_code_length_bits", None)
    restored = np.asarray(codec.decompress(data))
    found = {
        "file_bytes": len(data),
        "stream_bytes": len(bitstream.parse(data).payload),
        "ideal_bits": float(ideal),
        "integer_bits": float(codec.entropy_model.code_length_bits(rounded, step)),
        "float_bits": float_length(rounded, step) if float_length else None,
        "file": sha256(data),
        "symbols_sha256": wanted,
        "pixels_sha256": sha256(restored.tobytes()),
        "reconstruction": bool(np.array_equal(restored, codec.reconstruct(pixels, quality))),
        "length": bool(8 * len(data) <= (1 + LARGEST_EXCESS) * ideal + SLACK_BITS),
        "symbols": all(found == wanted for found in decoded_symbols(codec, data, symbols.shape)),
        "tables": same_tables(codec, symbols),
        "bytes": codec.compress(pixels, quality=quality) == data,
        "pixels": True,  # until a witness says otherwise
    }
    return {name: value for name, value in found.items() if name not in CHECKS or value is not None}


def witness(name: str, files: list[Path], qualities: list[float]) -> None:
    """What another process reports, a line of JSON per image and quality: hashes of what it computed."""
    codec = pycodec.load(name)
    for path in files:
        pixels = rd.load_image(path)
        for quality in qualities:
            data = codec.compress(pixels, quality=quality)
            symbols = codec.symbols(pixels, quality)
            report = {
                "file": sha256(data),
                "symbols": decoded_symbols(codec, data, symbols.shape),
                "tables": same_tables(codec, symbols),
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


def verify(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """All checks of one codec, ready for JSON."""
    codec, files = pycodec.load(name), rd.image_files(arguments.data)
    levels = [DEFAULT_LEVEL, *(arguments.levels or native().simd_available()[:-1])]
    passed_on = ["--data", str(arguments.data.resolve()), "--codecs", name]
    passed_on += ["--qualities", ",".join(f"{q:g}" for q in arguments.qualities)]
    results = []
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1)) as pool:  # beside this process
        witnesses = [pool.submit(run_witness, level, passed_on) for level in levels]
        for path in files:
            pixels = rd.load_image(path)
            for quality in arguments.qualities:
                results.append({"image": path.name, "quality": quality, **check(codec, pixels, quality)})
                count = f"{len(results)} of {len(files) * len(arguments.qualities)}"
                print(f"\r{name}: {count}", end="", file=sys.stderr)
        print(file=sys.stderr)
    for done in witnesses:
        for result, report in zip(results, done.result(), strict=True):
            result["bytes"] &= report["file"] == result["file"]
            result["pixels"] &= report["pixels"] == result["pixels_sha256"]
            result["symbols"] &= all(found == result["symbols_sha256"] for found in report["symbols"])
            if "tables" in result:
                result["tables"] &= report["tables"]

    excess = [8 * r["file_bytes"] - r["ideal_bits"] for r in results]
    ideal_bits = sum(r["ideal_bits"] for r in results)
    integer_loss = None
    if all(r["float_bits"] is not None for r in results):
        integer_bits, float_bits = (sum(r[f"{of}_bits"] for r in results) for of in ("integer", "float"))
        integer_loss = 100 * (integer_bits / float_bits - 1)
    return {
        "environment": common.environment(),
        "codec": name,
        "fingerprint": codec.fingerprint.hex(),
        "simd_levels": levels,
        "threads": list(THREADS),
        "cases": len(results),
        "passed": {check: sum(r[check] for r in results) for check in CHECKS if check in results[0]},
        "excess_bits": {"mean": float(np.mean(excess)), "largest": float(np.max(excess))},
        "excess_percent": 100 * float(np.sum(excess)) / ideal_bits,
        "integer_loss_percent": integer_loss,
        "results": results,
    }


def report(document: dict[str, Any]) -> bool:
    """Print what was found; returns whether everything passed."""
    cases, passed, loss = document["cases"], document["passed"], document["integer_loss_percent"]
    rows = [[name, f"{count} of {cases}"] for name, count in passed.items()]
    print(common.table([document["codec"], "passed"], rows))
    print(
        f"\nSIMD levels {', '.join(document['simd_levels'])}; "
        f"files are {document['excess_percent']:.3f} % over the ideal code length"
    )
    for result in document["results"]:
        failed = [name for name in passed if not result[name]]
        if failed:
            print(f"FAILED {result['image']} at quality {result['quality']:g}: {', '.join(failed)}")
    tight = loss is None or loss <= LARGEST_INTEGER_LOSS_PERCENT
    if loss is not None:
        print(f"{'' if tight else 'FAILED '}integers cost {loss:+.3f} % against the float networks")
    return tight and all(count == cases for count in passed.values())


def main() -> int:
    parser = common.parser(__doc__, "verify_CODEC.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of losslessly stored images")
    parser.add_argument(
        "--codecs",
        type=common.names,
        default=["ctx3d", "hyperprior"],
        help="learned codecs to check (default: ctx3d,hyperprior)",
    )
    parser.add_argument("--qualities", type=common.numbers, default=[1, 3, 5, 8], help="default: 1,3,5,8")
    parser.add_argument(
        "--levels", type=common.names, help="SIMD levels beside the default one (default: all lower ones)"
    )
    parser.add_argument(
        "--witness", action="store_true", help="report hashes only; used for the other processes"
    )
    arguments = parser.parse_args()
    if arguments.witness:
        witness(arguments.codecs[0], rd.image_files(arguments.data), arguments.qualities)
        return 0
    if arguments.json and len(arguments.codecs) > 1:
        raise InvalidInput("--json is one file, of one codec; name it by --codecs")
    good = True
    for name in arguments.codecs:
        document = verify(name, arguments)
        common.write_json(arguments.json or common.RESULTS / f"verify_{name}.json", document)
        good &= report(document)
    return 0 if good else 1


if __name__ == "__main__":
    common.run(main)
