"""What every benchmark shares: where it ran, JSON files, plain tables, the command line."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput, PycodecError
from pycodec.evaluation import environment as measured_in
from pycodec.evaluation.results import json_text
from pycodec.files import write_bytes
from pycodec.native import native

from . import machine
from .goals import Goal, describe, judge
from .timing import QUICK, Effort, Row

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
ON_CPU = "pycodec, cpu"  # the subject beside a device
_PEERS = ("constriction", "torchac", "compressai", "tensorflow_compression")


def environment() -> dict[str, Any]:
    """Machine, versions, commit and date, as every results file records them."""
    found = measured_in.environment((*measured_in.PACKAGES, *_PEERS))
    found["machine"] |= {"clock_ghz": machine.clock_ghz(), "simd": _simd()}
    return {**found, "commit": _commit()}


def machine_line(environment: dict[str, Any]) -> str:
    """Processor, clock and SIMD level, as captions state them."""
    found = environment["machine"]
    clock = found.get("clock_ghz")
    return f"{found['cpu']}{f' at {clock:.2f} GHz' if clock else ''}, {found['simd']}"


def device_name(device: str) -> str:
    """The GPU's name, or "cpu", where emulated kernels run too."""
    if device != "cuda":
        return "cpu"
    import torch

    return str(torch.cuda.get_device_name())


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


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write ``document``, the whole file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, json_text(document).encode())


def read_json(path: Path) -> dict[str, Any]:
    """A results file.

    Raises:
        InvalidInput: it is not there, or no JSON.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise InvalidInput(
            f"{path} is missing; run the benchmark that writes it (see benchmarks/README.md)."
        ) from None
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from None
    return document


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


def numbers(text: str) -> list[float]:
    """Argument type for "1,3,5": floats, whole ones as int so that they read well in JSON."""
    values = [float(item) for item in text.split(",") if item]
    return [int(value) if value.is_integer() else value for value in values]


def names(text: str) -> list[str]:
    """Argument type for "ctx3d,cpm"."""
    return [item for item in text.split(",") if item]


def parser(description: str | None, file: str) -> argparse.ArgumentParser:
    """An argument parser with the option that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"where to write the results (default: benchmarks/results/{file})",
    )
    made.set_defaults(file=file)
    return made


def timed_parser(description: str | None, file: str) -> argparse.ArgumentParser:
    """The same with the options of everything that is timed by :mod:`benchmarks.timing`."""
    made = parser(description, file)
    made.add_argument(
        "--quick",
        action="store_true",
        help="small sizes, few rounds: does it run? Writes nothing without --json, nor does --device cuda",
    )
    made.add_argument("--seconds", type=float, help=f"of measuring one case (default: {Effort().seconds:g})")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument(
        "--compare",
        type=Path,
        nargs=2,
        metavar=("A", "B"),
        help="measure nothing: print two results files side by side",
    )
    return made


def effort(arguments: argparse.Namespace) -> Effort:
    chosen = QUICK if arguments.quick else Effort()
    return chosen if arguments.seconds is None else replace(chosen, seconds=arguments.seconds)


def target(arguments: argparse.Namespace) -> Path:
    """Where the results go, unless it is nowhere."""
    path: Path = arguments.json or RESULTS / arguments.file
    return path


def report(
    arguments: argparse.Namespace,
    settings: dict[str, Any],
    rows: list[Row],
    goals: Iterable[Goal],
    absent: dict[str, str],
) -> None:
    """Write and print what a timed benchmark found; the committed files are of the CPU, and of no quick run.

    Args:
        settings: what was measured, beside the options that all have.
        absent: peers that were left out, and why.
    """
    judged = judge(goals, rows)
    document = {
        "benchmark": Path(arguments.file).stem,
        "environment": environment(),
        "settings": {"quick": arguments.quick, "seed": arguments.seed, **settings},
        "peers_absent": absent,
        "goals": judged,
        "results": rows,
    }
    if arguments.json or not (arguments.quick or getattr(arguments, "device", "cpu") != "cpu"):
        write_json(target(arguments), document)
    print(f"{machine_line(document['environment'])}; medians of interleaved rounds")
    if arguments.quick:
        print("quick: sizes are too small for the figures to mean anything")
    print()
    lines = [
        [
            f"{row['case']}, {row['subject']}",
            f"{1e3 * row['seconds']:.3f}",
            f"{1e9 * row['seconds'] / row['work']:.4g}",
            row["unit"],
            f"{row['ratio']:.2f}",
            row["rounds"],
        ]
        for row in rows
    ]
    print(table(["case, subject", "ms", "ns per unit", "unit", "times the first", "rounds"], lines))
    if judged:
        print("\n" + table(["goal", "bound", "measured", "verdict"], map(describe, judged)))
    for name, why in absent.items():
        print(f"{name}: {why}")


def run(main: Callable[[], int]) -> None:
    """Run a script; a user's error is one sentence and exit status 2."""
    try:
        sys.exit(main())
    except (PycodecError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
