"""benchmarks.ptxas: what it reads of the compiler's words, and that spills are an error."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

PRINTED = """\
ptxas info    : 0 bytes gmem, 16 bytes cmem[4]
ptxas info    : Compiling entry function '_ZN3app12_GLOBAL__N_16kernelINS_4SumsIfLi3EEEEEvNT_9ArgumentsE' for 'sm_80'
ptxas info    : Function properties for _ZN3app12_GLOBAL__N_16kernelINS_4SumsIfLi3EEEEEvNT_9ArgumentsE
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 168 registers, used 1 barriers, 464 bytes cmem[0]
ptxas info    : Compile time = 12.000 ms
ptxas info    : Compiling entry function '_Z4copyPfS_' for 'sm_90a'
ptxas info    : Function properties for _Z4copyPfS_
    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Function properties for _Z6helperv
    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 16 bytes cumulative stack size, 2048 bytes smem, 380 bytes cmem[0]
"""


@pytest.fixture
def ptxas(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.ptxas")


def test_kernels_are_read(ptxas: ModuleType) -> None:
    first, second = ptxas.parse(PRINTED)
    assert first["kernel"].startswith("_ZN3app12") and second["kernel"] == "_Z4copyPfS_"
    fields = ("arch", "registers", "shared_bytes", "spill_bytes")
    assert [first[f] for f in fields] == ["80", 168, 0, 0]
    assert [second[f] for f in fields] == ["90a", 255, 2048, 28]


@pytest.mark.parametrize(
    ("demangled", "short"),
    [
        (
            "void app::(anonymous namespace)::kernel<app::Sums<app::Half, 3> >(app::Sums<app::Half, 3>::Arguments)",
            "kernel<Sums<Half, 3>>",
        ),
        ("copy(float*, float*)", "copy"),
        ("void app::run<app::Body>(app::Body, unsigned long)", "run<Body>"),
    ],
)
def test_names_are_short(ptxas: ModuleType, demangled: str, short: str) -> None:
    assert ptxas.short_name(demangled) == short


def test_spills_are_an_error(ptxas: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = ptxas.parse(PRINTED)
    out = tmp_path / "ptxas.json"
    document = {"nvcc": "13.0", "archs": ["80"], "kernels": [first]}
    assert ptxas.report(document, out) == 0
    assert json.loads(out.read_text()) == document
    assert ptxas.report({**document, "kernels": [first, second]}, out) == 1
    assert "error: registers spill in _Z4copyPfS_ (sm_90a)" in capsys.readouterr().err


def test_what_is_committed_covers_every_file_and_does_not_spill() -> None:
    document = json.loads((ROOT / "benchmarks" / "results" / "ptxas.json").read_text())
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "csrc").rglob("*.cu")}
    assert {kernel["file"] for kernel in document["kernels"]} == files
    assert not any(kernel["spill_bytes"] for kernel in document["kernels"])


def test_without_nvcc_it_says_so(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.ptxas", "--json", str(tmp_path / "out.json")],
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "there is no nvcc here" in run.stderr
