"""Adds up libFuzzer's own statistics: executions, seconds, seeds and findings by target.

    make fuzz MINUTES=60
    python -m benchmarks.fuzz build/fuzz/logs

Logs are named TARGET.ANYTHING.log. Writes benchmarks/results/fuzz.json; exit status 1 when one has a finding.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from . import common

FINDING = re.compile(r"ERROR: (?:libFuzzer|AddressSanitizer|LeakSanitizer)|runtime error:|^wrong: ", re.M)


def add(log: str, total: dict[str, Any]) -> None:
    """The figures of one run."""
    for name, pattern in (("executions", r"^Done (\d+) runs"), ("seconds", r"^Done \d+ runs in (\d+) s")):
        total[name] += sum(map(int, re.findall(pattern, log, re.M)))
    total["seeds"] += map(int, re.findall(r"INFO: Seed: (\d+)", log))
    total["findings"] += bool(FINDING.search(log))


def main() -> int:
    parser = common.parser(__doc__, "fuzz.json")
    parser.add_argument("logs", type=Path, nargs="+", help="folders of logs")
    arguments = parser.parse_args()
    native = {path.stem for path in (common.ROOT / "csrc" / "fuzz").glob("*.cpp")}
    targets: dict[str, dict[str, Any]] = {}
    for file in sorted(file for folder in arguments.logs for file in folder.glob("*.log")):
        name = file.name.partition(".")[0]
        empty = {"native": name in native, "executions": 0, "seconds": 0, "findings": 0, "seeds": []}
        add(file.read_text(errors="replace"), targets.setdefault(name, empty))
    document = {
        "benchmark": "fuzz",
        "environment": common.environment(),
        "executions": {
            kind: sum(t["executions"] for t in targets.values() if t["native"] == (kind == "native"))
            for kind in ("native", "python")
        },
        "targets": targets,
    }
    common.write_json(arguments.json or common.RESULTS / arguments.file, document)
    rows = [[name, t["executions"], t["seconds"], t["findings"]] for name, t in sorted(targets.items())]
    print(common.table(["target", "executions", "seconds", "findings"], rows))
    print(document["executions"])
    return 1 if any(t["findings"] for t in targets.values()) else 0


if __name__ == "__main__":
    common.run(main)
