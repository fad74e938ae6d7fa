"""The build: what it says about itself, its switches, and that a source distribution builds and keeps everything."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import ninja
import pytest

from pycodec import doctor
from pycodec.errors import NativeUnavailable
from pycodec.native import native, why_unavailable

ROOT = Path(__file__).resolve().parents[1]


def python(code: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh process, away from the source tree."""
    command = [sys.executable, *options, "-c", code]
    env = {**os.environ, **environment}
    return subprocess.run(
        command, env=env, cwd=tempfile.gettempdir(), capture_output=True, text=True, check=False
    )


def setup_function_of(name: str, root: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs an expression on setup.py as a module, without building."""
    code = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("pycodec_setup", {str(root / "setup.py")!r})
setup = importlib.util.module_from_spec(spec); spec.loader.exec_module(setup)
print({name})
"""
    return python(code, **environment)


def test_build_info() -> None:
    info = native().build_info()
    assert info["compiler"] and info["pybind11"] and info["platform"]
    assert "fast-math" not in info["flags"]
    assert "-ffp-contract=off" in info["flags"]
    assert info["cuda"] == bool(info["nvcc"]) == bool(info["cuda_archs"])
    assert all(re.search(r"_avx(2|512(bf16)?)\.cpp$", name) for name in info["simd_files"])


def test_simd_levels() -> None:
    available = native().simd_available()
    assert available[0] == "scalar"
    for level in available:
        run = python("from pycodec.native import native; print(native().simd_in_use())", PYCODEC_SIMD=level)
        assert run.stdout.strip() == level
    run = python("from pycodec.native import native; native().simd_in_use()", PYCODEC_SIMD="sse9")
    assert "InvalidInput: PYCODEC_SIMD: SIMD level 'sse9', but this machine runs scalar" in run.stderr


@pytest.mark.skipif(native().simd_available() == ["scalar"], reason="there is no other level here")
def test_checksums_heed_the_level() -> None:
    run = python("from pycodec.native import native; native().crc32(bytes(64))", PYCODEC_SIMD="sse9")
    assert "InvalidInput: PYCODEC_SIMD: SIMD level 'sse9'" in run.stderr


def test_a_level_is_offered_where_all_that_it_is_compiled_for_is_there() -> None:
    flags = setup_function_of("setup.SIMD_FLAGS['avx512bf16']").stdout.replace("-m", "").split()
    text = (ROOT / "csrc" / "base" / "cpu_features.cpp").read_text()
    asked = {*re.findall(r'__builtin_cpu_supports\("(\w+)"\)', text), *re.findall(r"\bhas_(\w+)\(\)", text)}
    assert set(flags) <= asked


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PYCODEC_CUDA": "1", "PATH": "", "CUDA_HOME": "", "CUDA_PATH": ""}, "there is no nvcc on PATH"),
        ({"PYCODEC_CUDA": "1", "CUDA_HOME": "/nowhere"}, "there is no nvcc in /nowhere/bin"),
        ({"PYCODEC_CUDA": "yes"}, "PYCODEC_CUDA is 'yes'; expected auto, 0 or 1"),
    ],
)
def test_cuda_switch_fails_loudly(environment: dict[str, str], sentence: str) -> None:
    run = setup_function_of("setup.Cuda.find()", **environment)
    assert run.returncode != 0
    assert sentence in run.stderr


@pytest.mark.parametrize(
    "environment", [{"PYCODEC_CUDA": "0"}, {"PATH": "", "CUDA_HOME": "", "CUDA_PATH": ""}]
)
def test_without_cuda(environment: dict[str, str]) -> None:
    run = setup_function_of("setup.Cuda.find()", **environment)
    assert run.stdout.strip() == "None", run.stderr


def fake_toolkit(folder: Path, library_folder: str) -> None:
    (folder / "bin").mkdir()
    nvcc = folder / "bin" / "nvcc"
    nvcc.write_text('#!/bin/sh\ncase "$1" in --version) echo "tools, release 13.0, V13.0.1";; esac\n')
    nvcc.chmod(0o755)
    (folder / library_folder).mkdir(parents=True)
    (folder / library_folder / "libcudart_static.a").touch()


@pytest.mark.parametrize("library_folder", ["lib64", "lib"])
def test_static_cudart_is_looked_for(tmp_path: Path, library_folder: str) -> None:
    fake_toolkit(tmp_path, library_folder)
    expression = "(c := setup.Cuda.find()).library_dir, c.version, c.flags()"
    run = setup_function_of(expression, CUDA_HOME=str(tmp_path), PYCODEC_CUDA="1", PYCODEC_CUDA_ARCHS="80;86")
    assert str(tmp_path / library_folder) in run.stdout, run.stderr
    assert "13.0, V13.0.1" in run.stdout
    for code in (
        "arch=compute_80,code=sm_80",
        "arch=compute_86,code=sm_86",
        "arch=compute_86,code=compute_86",
    ):
        assert code in run.stdout


def test_toolkit_without_cudart_or_with_bad_archs(tmp_path: Path) -> None:
    fake_toolkit(tmp_path, "elsewhere")
    run = setup_function_of("setup.Cuda.find()", CUDA_HOME=str(tmp_path), PYCODEC_CUDA="1")
    assert "libcudart_static.a is in none of lib64, lib" in run.stderr
    for archs, sentence in (
        ("8.0", "PYCODEC_CUDA_ARCHS is '8.0'"),
        ("75;86;90a", "PYCODEC_CUDA_ARCHS has 75; the kernels need at least 80"),
    ):
        run = setup_function_of(
            "setup.Cuda.find()", CUDA_HOME=str(tmp_path), PYCODEC_CUDA="1", PYCODEC_CUDA_ARCHS=archs
        )
        assert sentence in run.stderr


@pytest.mark.parametrize(
    ("cxx", "program"),
    [
        ("/usr/bin/g++ -m64", "/usr/bin/g++"),
        ("ccache g++", "g++"),
        ("/opt/sccache distcc clang++", "clang++"),
    ],
)
def test_nvcc_gets_the_compiler_and_not_its_launcher(cxx: str, program: str) -> None:
    assert setup_function_of("setup.host_program()", CXX=cxx).stdout.strip() == program


@pytest.mark.parametrize("name", ["a b", "a:b", "a$b"])
def test_builds_in_folders_of_any_name(name: str, tmp_path: Path) -> None:
    root, folder = tmp_path / name, tmp_path / name / "build"
    shutil.copytree(ROOT / "csrc", root / "csrc")
    shutil.copy(ROOT / "setup.py", root)
    folder.mkdir()
    write = f"setup.write_ninja(setup.Path({str(folder / 'build.ninja')!r}), None)"
    run = setup_function_of(write, root)
    assert run.returncode == 0, run.stderr
    command = [str(Path(ninja.BIN_DIR) / "ninja"), "-nv", "-C", str(folder)]  # finds files, runs nothing
    dry = subprocess.run(command, capture_output=True, text=True, check=False)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert f"-I{shlex.quote(str(root / 'csrc'))} " in dry.stdout


def test_no_simd_files_elsewhere_than_x86() -> None:
    names = "[p.name for p in setup.sources('*.cpp')]"
    other = setup_function_of(f"(setattr(setup.platform, 'machine', lambda: 'aarch64'), {names})[1]").stdout
    assert "decode.cpp" in other
    assert "_avx" not in other


def test_simd_objects_are_linked_last() -> None:
    """Else the linker could keep their copies of inline functions, which not every machine can run."""
    levels = setup_function_of("[setup.simd_level(p) for p in setup.sources('*.cpp')]").stdout
    assert levels.strip() == repr(sorted(eval(levels)))


def test_missing_extension_says_how_to_build(tmp_path: Path) -> None:
    package = tmp_path / "pycodec"
    package.mkdir()
    for name in ("__init__.py", "errors.py", "native.py"):
        source = ROOT / "pycodec" / name
        (package / name).write_text("" if name == "__init__.py" else source.read_text())
    code = "from pycodec.native import native; native()"
    missing = python(code, "-S", PYTHONPATH=str(tmp_path))  # -S: no installed pycodec behind it
    assert (
        "NativeUnavailable: pycodec's native extension is not built; build it with `pip install"
        in missing.stderr
    )
    (package / "_C.cpython-39-other.so").touch()
    other = python(code, "-S", PYTHONPATH=str(tmp_path))
    assert "is there as _C.cpython-39-other.so, but this Python needs _C" in other.stderr
    assert "does not load: no symbol" in why_unavailable(ImportError("no symbol"))
    assert issubclass(NativeUnavailable, ImportError)


def test_doctor() -> None:
    found = doctor.report()
    json.dumps(found)
    assert found["native"]["simd_in_use"] in found["native"]["simd_available"]
    assert found["versions"]["torch"]
    held = python("from pycodec import doctor; print(doctor.report()['problems'])", PYCODEC_SIMD="scalar")
    if len(found["native"]["simd_available"]) > 1:
        assert "PYCODEC_SIMD=scalar holds the SIMD level at scalar" in held.stdout
    loaded = python("import sys; from pycodec import doctor; doctor.report(); print('torch' in sys.modules)")
    assert loaded.stdout.strip() == "False", loaded.stderr


def test_coding_does_not_import_torch() -> None:
    run = python("import sys, pycodec.coding; print('torch' in sys.modules)")
    assert run.stdout.strip() == "False", run.stderr


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source distribution, and the wheel that is built from it alone."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    env = {**os.environ, "CXXFLAGS": "-O0", "PYCODEC_CUDA": "0"}  # quick to compile; nothing here is timed
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def test_wheel_from_sdist_keeps_everything(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    sdist, wheel = distributions
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path)
    for root in (ROOT, ROOT / "plugins"):
        for package in ("pycodec", "pycodec_plugins"):
            for path in (root / package).rglob("*"):
                if path.suffix in (".py", ".toml", ".safetensors", ".md", ".json", ".jinja"):
                    assert path.relative_to(root).as_posix() in names
    assert sum(name.startswith("pycodec/_C.") for name in names) == 1
    assert not any(name.startswith(("tests", "csrc", "build", "examples")) for name in names)
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("csrc/rans/rans.h") for name in archive.getnames())
    code = (
        "import pycodec.coding as c; print(c.__file__, c.encode([1], c.Tables.from_gaussian_scales([1.0])))"
    )
    run = python(code, PYTHONPATH=str(tmp_path))
    assert str(tmp_path) in run.stdout, run.stderr


def test_entry_points_name_modules_that_exist(distributions: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distributions[1]) as archive:
        text = next(archive.read(n).decode() for n in archive.namelist() if n.endswith("entry_points.txt"))
        names = set(archive.namelist())
    plugins = text.partition("[pycodec]")[2].partition("[")[0].split("\n")
    modules = [line.partition("=")[2].strip() for line in plugins if "=" in line]
    assert modules
    for module in modules:
        assert module.replace(".", "/") + ".py" in names
