"""Every fault at every call of every command that writes: python tests/faults/exhaustive.py [CASE]..."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from faulted import CASES, Commands, Faults, build, prepare


def main(names: list[str]) -> int:
    """Exit status 1 if a fault did harm."""
    made, harmful = Counter[str](), 0
    with tempfile.TemporaryDirectory() as scratch:
        (folder := Path(scratch, "site")).mkdir()
        with Commands(build(Path(scratch)), folder) as commands:
            prepare(commands)
            for name in names or CASES:
                for fault, at, problems in Faults(commands, CASES[name]).points():
                    made[name] += 1
                    harmful += bool(problems)
                    for problem in problems:
                        print(f"{name}: {fault} {at}: {problem}", flush=True)
                print(f"{name}: {made[name]} faults", flush=True)
    print(f"{made.total()} faults, {harmful} did harm")
    return 1 if harmful else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
