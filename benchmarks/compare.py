"""Two results files of one benchmark side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput

from . import common


def show(first: Path, second: Path) -> int:
    """Print every row of either file and how many times faster it is in the second; exit status 0."""
    a, b = common.read_json(first), common.read_json(second)
    for path, document in ((first, a), (second, b)):
        if "benchmark" not in document:
            raise InvalidInput(f"{path} holds no timed rows; --compare reads files of the timed benchmarks")
    if a["benchmark"] != b["benchmark"]:
        raise InvalidInput(
            f"{first} is of {a['benchmark']} and {second} of {b['benchmark']}; expected one benchmark"
        )
    for name, path, document in (("A", first, a), ("B", second, b)):
        environment = document["environment"]
        where = common.machine_line(environment)
        print(f"{name}  {path}: {environment['date']}, commit {environment['commit']}, {where}")
    print()
    old, new = _rows(a), _rows(b)
    lines = []
    for key in {**old, **new}:
        left, right = old.get(key), new.get(key)
        faster = f"{left / right:.2f}" if left and right else "-"
        lines.append([", ".join(key), _nanoseconds(left), _nanoseconds(right), faster])
    print(common.table(["case, subject", "A, ns per unit", "B, ns per unit", "B is x faster"], lines))
    return 0


def _rows(document: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Seconds per unit of work by case and subject."""
    return {(r["case"], r["subject"]): r["seconds"] / r["work"] for r in document["results"]}


def _nanoseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e9 * seconds:.4g}"
