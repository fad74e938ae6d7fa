"""What this installation is made of, and what is off about it."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from importlib import metadata
from typing import Any

from pycodec.errors import PycodecError
from pycodec.native import native

PACKAGES = ("torch", "numpy", "pluggy", "pillow", "click", "safetensors", "lightning-fabric", "torchmetrics")


def report() -> dict[str, Any]:
    """Everything ``pycodec doctor`` shows, as plain JSON values.

    Returns:
        ``versions`` (package to version or None), ``python``, ``platform``; ``native``: None or compiler,
        flags, cuda, nvcc, cuda_archs, simd_files, simd_available, simd_in_use; ``cuda``: driver (version or
        None) and nvcc (path or None) on this machine now; ``problems``: sentences, empty when all is well.
        Torch is looked up, not imported.
    """
    problems: list[str] = []
    versions = {name: _version(name) for name in ("pycodec", *PACKAGES)}
    for name, version in versions.items():
        if version is None:
            problems.append(
                f"{name} is not installed; `pip install -c constraints.txt .` brings all that is needed"
            )
    built = _native(problems)
    driver = cuda_driver()
    if driver and built and not built["cuda"]:
        problems.append(
            "there is a CUDA driver, but the extension was built without CUDA; install nvcc and build again"
        )
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "native": built,
        "cuda": {"driver": driver, "nvcc": shutil.which("nvcc")},
        "problems": problems,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _native(problems: list[str]) -> dict[str, Any] | None:
    try:
        module = native()
        info: dict[str, Any] = dict(module.build_info())
    except PycodecError as error:
        problems.append(str(error))
        return None
    info["simd_available"] = list(module.simd_available())
    try:
        info["simd_in_use"] = module.simd_in_use()
    except PycodecError as error:
        info["simd_in_use"] = None
        problems.append(str(error))
    else:
        if info["simd_in_use"] != info["simd_available"][-1]:
            problems.append(
                f"PYCODEC_SIMD={os.environ.get('PYCODEC_SIMD')} holds the SIMD level at "
                f"{info['simd_in_use']}; "
                f"{info['simd_available'][-1]} is available"
            )
    return info


def cuda_driver() -> str | None:
    """The driver's version from nvidia-smi, else the CUDA version libcuda speaks, else None."""
    if shutil.which("nvidia-smi"):
        try:
            run = subprocess.run(
                ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            run = None
        if run is not None and run.returncode == 0 and run.stdout.strip():
            return run.stdout.splitlines()[0].strip()
    try:
        library = ctypes.CDLL("libcuda.so.1")
        version = ctypes.c_int()
        if library.cuDriverGetVersion(ctypes.byref(version)) == 0:
            return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    except (OSError, AttributeError):
        pass
    return None
