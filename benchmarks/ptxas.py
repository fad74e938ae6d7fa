"""What the compiler made of each CUDA kernel: registers, shared memory and spills, as `ptxas -v` tells.

Compiles every .cu file of csrc/ with the flags of setup.py, for the architectures in PYCODEC_CUDA_ARCHS, and
takes no warning. Shared memory is what a kernel declares; what a launch adds is not known here. Fails if any
kernel spills registers.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from pycodec.errors import PycodecError

from . import common

_ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


def parse(text: str) -> list[dict[str, Any]]:
    """The kernels in what ``nvcc -Xptxas -v`` prints; spills of functions a kernel calls count as its own."""
    kernels: list[dict[str, Any]] = []
    for line in text.splitlines():
        if entry := _ENTRY.search(line):
            kernels.append(
                {"kernel": entry[1], "arch": entry[2], "registers": 0, "shared_bytes": 0, "spill_bytes": 0}
            )
        elif kernels and (stack := _STACK.search(line)):
            kernels[-1]["spill_bytes"] += int(stack[2]) + int(stack[3])
        elif kernels and (used := _USED.search(line)):
            shared = _SHARED.search(line)
            kernels[-1] |= {"registers": int(used[1]), "shared_bytes": int(shared[1]) if shared else 0}
    return kernels


def short_name(demangled: str) -> str:
    """A kernel's name without namespaces, result and arguments."""
    name = re.sub(r"\(anonymous namespace\)::|\b[a-z]\w*::", "", demangled)
    name = re.sub(r"^void |\(.*\)$", "", name)
    return name.replace("> >", ">>")


def demangle(names: list[str]) -> list[str]:
    """As far as there is a program for it."""
    program = shutil.which("cu++filt") or shutil.which("c++filt")
    if not program or not names:
        return names
    return subprocess.run([program, *names], capture_output=True, text=True, check=True).stdout.splitlines()


def build_settings() -> ModuleType:
    """setup.py as a module."""
    spec = importlib.util.spec_from_file_location("pycodec_setup", common.ROOT / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compile_file(setup: ModuleType, cuda: Any, source: Path) -> str:
    """What nvcc prints about a file."""
    with tempfile.TemporaryDirectory() as folder:
        setup.write_build_info(Path(folder) / "build_info.h", cuda)
        command = [
            *[cuda.nvcc, *shlex.split(cuda.flags()), "-Werror=all-warnings", "-Xptxas=-v"],
            *[f"-I{setup.CSRC}", f"-I{folder}", "-ccbin", setup.host_program()],
            *["-c", str(source), "-o", f"{folder}/out.o"],
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PycodecError(f"compiling {source.name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def measure() -> dict[str, Any]:
    setup = build_settings()
    cuda = setup.Cuda.find()
    if cuda is None:
        raise PycodecError("there is no nvcc here; put it on PATH or name its toolkit in CUDA_HOME")
    kernels = []
    for source in setup.sources("*.cu"):
        found = parse(compile_file(setup, cuda, source))
        names = demangle([kernel["kernel"] for kernel in found])
        for kernel, name in zip(found, names, strict=True):
            file = source.relative_to(common.ROOT).as_posix()
            kernels.append({"file": file, **kernel, "kernel": short_name(name)})
    kernels.sort(key=lambda k: (k["file"], k["kernel"], k["arch"]))
    return {"nvcc": cuda.version, "archs": cuda.archs, "kernels": kernels}


def report(document: dict[str, Any], out: Path) -> int:
    """Write the JSON and print it as a table; 1 if a kernel spills."""
    common.write_json(out, document)
    keys = ("kernel", "arch", "registers", "shared_bytes", "spill_bytes")
    headings = [key.replace("_", " ") for key in keys]
    print(common.table(headings, [[kernel[key] for key in keys] for kernel in document["kernels"]]))
    spilling = [f"{k['kernel']} (sm_{k['arch']})" for k in document["kernels"] if k["spill_bytes"]]
    if spilling:
        print(f"error: registers spill in {', '.join(spilling)}", file=sys.stderr)
    return 1 if spilling else 0


def main() -> int:
    arguments = common.parser(__doc__, "ptxas.json").parse_args()
    return report(measure(), common.target(arguments))


if __name__ == "__main__":
    common.run(main)
