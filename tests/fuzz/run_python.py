"""Fuzzes one of `python_targets` with atheris: ``python tests/fuzz/run_python.py TARGET [libFuzzer's options]``."""

from __future__ import annotations

import sys
import warnings

import atheris

with atheris.instrument_imports(include=["pycodec", "pycodec_plugins"]):
    import python_targets


def main() -> None:
    warnings.simplefilter("error")
    target = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if target == "--list":
        print(*python_targets.TARGETS)
        return
    if target not in python_targets.TARGETS:
        raise SystemExit(f"no target {target!r}, expected one of {', '.join(python_targets.TARGETS)}")
    atheris.Setup(sys.argv, lambda data: python_targets.run(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
