"""Thousands of calls in one process: memory, descriptors, threads and time a call must not grow.

Codecs take turns. Each compresses a small picture, decompresses the file, and refuses a damaged one, which
counts for no call. Figures are taken each thousand calls, the first of which are for warming up. Seconds are
those of the processor, to which it matters less who else uses the machine.

Writes benchmarks/results/load.json; exit status 1 when something grew.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

import pycodec
from pycodec.errors import CorruptStream, InvalidInput

from . import common

CODECS = ("ctx3d", "cpm", "hyperprior", "hyperprior-illm")
PAGE = os.sysconf("SC_PAGE_SIZE")
GROWTH_MIB = 4.0
"""Of memory, after warming up, that is no leak: a page fault here and there, over thousands of calls."""
SLOWER = 1.25
"""Seconds a call at the end, over those after warming up."""


def picture() -> np.ndarray:  # [32, 48, 3] uint8
    """Ramps with noise."""
    noise = np.random.default_rng(0).integers(0, 48, (32, 48, 3))
    ramp = np.mgrid[:32, :48].sum(0)[..., None] * 2
    return (ramp + noise).astype(np.uint8)


def state() -> dict[str, Any]:
    """Of this process, by the files of Linux."""
    gc.collect()
    threads = len(os.listdir("/proc/self/task"))
    descriptors = len(os.listdir("/proc/self/fd"))
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    return {"resident_mib": round(resident / 2**20, 2), "descriptors": descriptors, "threads": threads}


def run(codecs: Sequence[str], calls: int, every: int) -> list[dict[str, Any]]:
    """Figures after each ``every`` calls: calls, CPU seconds of these, and `state`.

    Raises:
        InvalidInput: a damaged file was decoded.
    """
    image = picture()
    loaded = [pycodec.load(name) for name in codecs]
    rows, done, start = [], 0, time.process_time()
    for codec in cycle(loaded):
        data = codec.compress(image)
        codec.decompress(data)
        with suppress(CorruptStream):
            codec.decompress(data[:-1])
            raise InvalidInput(f"{codec.name} decodes a truncated file")
        done += 2
        if done % every == 0:
            seconds = time.process_time() - start
            rows.append({"calls": done, "seconds": round(seconds, 3), **state()})
            print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
            if done >= calls:
                return rows
            start = time.process_time()
    return rows


def grown(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What the last row has more of than the second, a sentence each."""
    first, last = rows[min(1, len(rows) - 1)], rows[-1]
    found = [
        f"{first[name]} {name} became {last[name]}"
        for name in ("descriptors", "threads")
        if last[name] > first[name]
    ]
    if last["resident_mib"] > first["resident_mib"] + GROWTH_MIB:
        found.append(f"{first['resident_mib']} MiB of memory became {last['resident_mib']}")
    if last["seconds"] > SLOWER * first["seconds"]:
        found.append(f"{first['seconds']} s for as many calls became {last['seconds']}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codecs", default=",".join(CODECS), help="comma-separated; default: %(default)s")
    parser.add_argument("--calls", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--every", type=int, default=1000, metavar="CALLS", help="default: %(default)s")
    parser.add_argument("--json", type=Path, default=common.RESULTS / "load.json", metavar="FILE")
    options = parser.parse_args()
    codecs = options.codecs.split(",")
    rows = run(codecs, options.calls, options.every)
    problems = grown(rows)
    document = {"environment": common.environment(), "codecs": codecs, "rows": rows, "grown": problems}
    common.write_json(options.json, document)
    print("\n".join(problems) or f"nothing grew in {rows[-1]['calls']} calls")
    return 1 if problems else 0


if __name__ == "__main__":
    common.run(main)
