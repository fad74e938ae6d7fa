"""The generic build on an emulated aarch64, where tests/aarch64.sh has been run before and left what it needs.

That script runs all of ``pycodec selftest``, most of which is the start of torch; here are the native coders alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "aarch64"
BUILT = [*(ROOT / "pycodec").glob("_C.*aarch64*.so")]

CODERS = """
import sys
import numpy as np
import test_coder_golden as golden
from pycodec.coding import Tables, decode, encode
from pycodec.native import native

assert native().build_info()["platform"] == "linux-aarch64" and native().simd_available() == ["scalar"]
for name in ("gaussian_1500", "cdfs_3000"):
    kind, n = golden.GOLDEN[name]
    symbols, tables, indexes = (golden.tables_case if kind == "gaussian" else golden.cdfs_case)(n)
    data = (golden.FOLDER / f"{name}.bin").read_bytes()
    assert np.array_equal(decode(data, tables, n, indexes), symbols), name
    assert encode(symbols, tables, indexes) == data, name
print("same")
"""


@pytest.mark.skipif(not shutil.which("qemu-aarch64"), reason="qemu-user is not installed")
@pytest.mark.skipif(
    not (PLACE / "site").is_dir() or not BUILT, reason="tests/aarch64.sh has not been run here"
)
def test_coders_on_another_machine(tmp_path: Path) -> None:
    stub = tmp_path / "pytest.py"  # the golden cases are in a module of tests, which imports it
    stub.write_text("class mark:\n    parametrize = staticmethod(lambda *a, **k: lambda f: f)\n")
    search = [tmp_path, ROOT, PLACE / "site", ROOT / "tests" / "coding"]
    environment = {
        **os.environ,
        "QEMU_LD_PREFIX": str(PLACE / "root"),
        "PYTHONPATH": os.pathsep.join(map(str, search)),
    }
    command = ["qemu-aarch64", PLACE / "root/usr/bin/python3.11", "-c", CODERS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr
