"""What every benchmark script shares: where it ran, atomic JSON, plain tables, repeated timing."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pycodec.errors import PycodecError
from pycodec.files import write_bytes
from pycodec.native import native

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
_PACKAGES = (
    "pycodec",
    "numpy",
    "torch",
    "pillow",
    "scipy",
    "bjontegaard",
    "constriction",
    "torchac",
    "compressai",
)


def environment() -> dict[str, Any]:
    """Machine, versions, commit and date, as every results file records them."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "simd": _simd(),
        },
        "python": platform.python_version(),
        "versions": versions,
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git(
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            "csrc",
            "pycodec",
            "plugins",
            "benchmarks/*.py",
        )
        return git("rev-parse", "--short=12", "HEAD") + (" with local changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _simd() -> str:
    try:
        return str(native().simd_in_use())
    except PycodecError:
        return "extension not built"


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write ``document``, the whole file or nothing; the items of a list take one line each."""
    body = []
    for key, value in document.items():
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(json.dumps(item) for item in value) + "\n ]"
        else:
            text = json.dumps(value, indent=1).replace("\n", "\n ")
        body.append(f" {json.dumps(key)}: {text}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, ("{\n" + ",\n".join(body) + "\n}\n").encode())


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A text table, aligned; numbers should come formatted."""
    lines = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    text = [
        "  ".join(
            cell.rjust(w) if i else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def best_seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Shortest wall time of ``repeats`` calls, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def numbers(text: str) -> list[float]:
    """Argument type for "1,3,5": floats, whole ones as int so that they read well in JSON."""
    values = [float(item) for item in text.split(",") if item]
    return [int(value) if value.is_integer() else value for value in values]


def names(text: str) -> list[str]:
    """Argument type for "ctx3d,cpm"."""
    return [item for item in text.split(",") if item]


def parser(description: str | None, out: str) -> argparse.ArgumentParser:
    """An argument parser with the option every script has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--out", type=Path, default=RESULTS / out, help=f"JSON to write (default: benchmarks/results/{out})"
    )
    return made


def run(main: Callable[[], int]) -> None:
    """Run a script; a user's error is one sentence and exit status 2."""
    try:
        sys.exit(main())
    except (PycodecError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
