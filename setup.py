"""Compiles csrc/ into ``pycodec/_C`` and nothing else; everything declarative is in pyproject.toml.

The compiler commands are in ``build/<soabi>-<cpu|cuda>/build.ninja``, which is readable and stays for
incremental builds.

Environment:
    PYCODEC_CUDA         auto (default: CUDA when nvcc is found), 0 (never) or 1 (fail when nvcc is missing).
    PYCODEC_CUDA_ARCHS   compute capabilities from 80 on, default "80;90"; PTX of the last is added for newer
                         GPUs.
    PYCODEC_BUILD_JOBS   how many compilers run at once, default: as ninja chooses.
    CXX, CXXFLAGS, LDFLAGS   the host compiler and extra flags, as everywhere.
    LIB_FUZZING_ENGINE   what the programs of csrc/fuzz are linked with that has their main(), such as
                         -fsanitize=fuzzer; by default csrc/fuzz/replay.cpp. They are built by
                         ``python setup.py build_fuzz`` alone, into fuzz/ of the folder above.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import ninja
import pybind11
from ninja.ninja_syntax import Writer
from setuptools import Command, Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
FUZZ = CSRC / "fuzz"
FUZZED = ("base", "context", "quantized", "rans")  # what its programs are linked with
AVX2 = "-mavx2 -mfma -mpclmul -mbmi -mbmi2 -mpopcnt -mlzcnt"
AVX512 = f"{AVX2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mavx512vbmi2 -mavx512vnni"
SIMD_FLAGS = {"avx2": AVX2, "avx512": AVX512, "avx512bf16": f"{AVX512} -mavx512bf16"}
LAUNCHERS = ("ccache", "sccache", "distcc")
# No fast-math and no contraction to FMA anywhere: probabilities must be the same bits on every machine.
CXX_FLAGS = "-std=c++17 -O3 -fPIC -pthread -fvisibility=hidden -ffp-contract=off -Wall -Wextra"


def simd_level(source: Path) -> str:
    """``rans_avx2.cpp`` -> ``avx2``; empty for a file compiled for the baseline of the machine."""
    suffix = source.stem.rpartition("_")[2]
    return suffix if suffix in SIMD_FLAGS else ""


def sources(pattern: str) -> list[Path]:
    """The files of csrc/ to compile here, baseline first.

    The order matters at link time: of an inline function that several files instantiate the linker keeps the
    first copy, which must not be one compiled for a wider instruction set than the machine may have.
    """
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    found = [p for p in CSRC.rglob(pattern) if p.parent != FUZZ and (on_x86 or not simd_level(p))]
    return sorted(found, key=lambda p: (simd_level(p), p.as_posix()))


def first_line(command: list[str], pattern: str = ".*") -> str:
    """The first line a program prints that matches ``pattern``; empty when it cannot run."""
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return next(
        (line.strip() for line in (out.stdout + out.stderr).splitlines() if re.search(pattern, line)), ""
    )


class Cuda:
    """The CUDA toolkit, found by its compiler (a CPU-only torch says nothing about whether nvcc is here)."""

    def __init__(self, nvcc: str) -> None:
        self.nvcc = nvcc
        self.version = first_line([nvcc, "--version"], r"release").rpartition("release ")[2] or "unknown"
        archs = [a for a in re.split(r"[;,\s]+", os.environ.get("PYCODEC_CUDA_ARCHS", "80;90")) if a]
        if not archs or not all(re.fullmatch(r"[1-9]\d+[af]?", a) for a in archs):
            raise SystemExit(
                f"PYCODEC_CUDA_ARCHS is {';'.join(archs)!r}; "
                "expected compute capabilities without the point, such as '80;90'"
            )
        if old := [a for a in archs if int(a.rstrip("af")) < 80]:
            raise SystemExit(
                f"PYCODEC_CUDA_ARCHS has {';'.join(old)}; the kernels need at least 80, so leave it out"
            )
        self.archs = archs
        self.library_dir = self._find_static_cudart()

    @classmethod
    def find(cls) -> "Cuda | None":
        wanted = os.environ.get("PYCODEC_CUDA", "auto")
        if wanted not in ("auto", "0", "1"):
            raise SystemExit(f"PYCODEC_CUDA is {wanted!r}; expected auto, 0 or 1")
        if wanted == "0":
            return None
        home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
        nvcc = shutil.which("nvcc", path=str(Path(home) / "bin")) if home else shutil.which("nvcc")
        if nvcc:
            return cls(nvcc)
        if wanted == "1":
            where = f"in {home}/bin (CUDA_HOME)" if home else "on PATH"
            raise SystemExit(
                f"PYCODEC_CUDA=1, but there is no nvcc {where}; get the CUDA toolkit or set PYCODEC_CUDA=0"
            )
        return None

    def _find_static_cudart(self) -> str:
        # nvcc on PATH may be a wrapper script far from its toolkit, so it is asked itself.
        top = first_line([self.nvcc, "--dryrun", "-x", "cu", "-c", os.devnull], r"\bTOP=").rpartition("TOP=")[
            2
        ]
        roots = [Path(top)] if top else []
        roots.append(Path(self.nvcc).resolve().parent.parent)
        for root in roots:
            for folder in (
                "lib64",
                "lib",
                f"targets/{platform.machine()}-linux/lib",
                "targets/sbsa-linux/lib",
            ):
                if (root / folder / "libcudart_static.a").exists():
                    return os.path.normpath(root / folder)
        raise SystemExit(
            f"{self.nvcc} works, but libcudart_static.a is in none of lib64, lib and targets/*/lib of "
            f"{', '.join(map(str, roots))}; repair the CUDA toolkit or use PYCODEC_CUDA=0"
        )

    def flags(self) -> str:
        codes = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in self.archs]
        codes.append(f"-gencode=arch=compute_{self.archs[-1]},code=compute_{self.archs[-1]}")
        return " ".join(
            ["-std=c++17 -O3 --fmad=false -Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra", *codes]
        )


class NinjaBuild(build_ext):
    """setuptools' build_ext with the compiling left to ninja; where the result belongs stays its decision."""

    def get_source_files(self) -> list[str]:
        return []  # MANIFEST.in lists csrc/

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        built = run_ninja(target.name)
        # Never written in place: a running process may have the old one mapped.
        temporary = target.with_name(target.name + ".tmp")
        shutil.copyfile(built, temporary)
        temporary.replace(target)


class BuildFuzz(Command):
    """The programs of csrc/fuzz, which docs/fuzzing.md describes."""

    user_options = []  # noqa: RUF012 (setuptools wants a list)

    def initialize_options(self) -> None: ...

    def finalize_options(self) -> None: ...

    def run(self) -> None:
        run_ninja("fuzz")


def run_ninja(target: str) -> Path:
    """Writes build.ninja, makes a target of it and says where that lies."""
    if sys.platform == "win32":
        raise SystemExit("pycodec builds with g++ or clang++ on Linux and macOS; on Windows use WSL")
    cuda = Cuda.find()
    soabi = sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag
    folder = ROOT / "build" / f"{soabi}-{'cuda' if cuda else 'cpu'}"
    folder.mkdir(parents=True, exist_ok=True)
    write_build_info(folder / "build_info.h", cuda)
    write_ninja(folder / "build.ninja", cuda)
    command = [str(Path(ninja.BIN_DIR) / "ninja"), "-C", str(folder), target]
    if jobs := os.environ.get("PYCODEC_BUILD_JOBS"):
        if not re.fullmatch(r"[1-9]\d*", jobs):
            raise SystemExit(f"PYCODEC_BUILD_JOBS is {jobs!r}; expected a number of at least 1")
        command += ["-j", jobs]
    if subprocess.run(command, check=False).returncode != 0:
        raise SystemExit(
            f"compiling csrc/ failed; the messages are above, the commands in {folder / 'build.ninja'}"
        )
    return folder / target


def host_compiler() -> list[str]:
    return shlex.split(os.environ.get("CXX", "")) or [shutil.which("g++") or shutil.which("clang++") or "g++"]


def host_program() -> str:
    """The host compiler as nvcc takes it: the program alone, without one that launches it."""
    words = host_compiler()
    return next((word for word in words if Path(word).name not in LAUNCHERS), words[0])


def write_build_info(path: Path, cuda: "Cuda | None") -> None:
    """What `_C.build_info()` will answer, as macros for csrc/bindings/module.cpp."""
    info = {
        "COMPILER": first_line([*host_compiler(), "--version"]),
        "FLAGS": " ".join([CXX_FLAGS, os.environ.get("CXXFLAGS", "")]).strip(),
        "NVCC": cuda.version if cuda else "",
        "CUDA_ARCHS": ";".join([*cuda.archs, f"{cuda.archs[-1]}+PTX"]) if cuda else "",
        "SIMD_FILES": ";".join(p.relative_to(CSRC).as_posix() for p in sources("*.cpp") if simd_level(p)),
        "PLATFORM": sysconfig.get_platform(),
        "PYTHON": platform.python_version(),
        "PYBIND11": pybind11.__version__,
    }
    lines = [
        f'#define PYCODEC_BUILD_{key} "{re.sub(chr(92) * 2 + "|" + chr(34), "?", value)}"'
        for key, value in info.items()
    ]
    text = "\n".join(["#pragma once", *lines, f"#define PYCODEC_BUILD_CUDA {int(cuda is not None)}", ""])
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def write_ninja(path: Path, cuda: "Cuda | None") -> None:
    """One rule per kind of file, one edge per file of csrc/, one link, and one a program of csrc/fuzz."""
    quote = shlex.quote
    includes = " ".join(
        [f"-I{quote(str(CSRC))}", f"-I{quote(str(path.parent))}"]
        # System headers: their warnings are not ours.
        + [f"-isystem {quote(p)}" for p in (pybind11.get_include(), sysconfig.get_paths()["include"])]
    ).replace("$", "$$")
    shared = "-shared" + (" -undefined dynamic_lookup" if sys.platform == "darwin" else "")
    with path.open("w") as file:
        n = Writer(file, width=200)
        n.variable("cxx", shlex.join(host_compiler()))
        n.variable("cxxflags", f"{CXX_FLAGS} {includes} {os.environ.get('CXXFLAGS', '')}")
        n.rule("cxx", "$cxx -MMD -MF $out.d $cxxflags $extra -c $in -o $out", "CXX $in", "$out.d", deps="gcc")
        n.rule("link", f"$cxx $kind -pthread $in -o $out $libs {os.environ.get('LDFLAGS', '')}", "LINK $out")
        if cuda:
            n.variable("nvcc", quote(cuda.nvcc))
            n.variable("nvccflags", f"{cuda.flags()} {includes} -ccbin {quote(host_program())}")
            n.rule("nvcc", "$nvcc -MD -MF $out.d $nvccflags -c $in -o $out", "NVCC $in", "$out.d", deps="gcc")

        def compiled(source: Path, extra: str = "") -> list[str]:
            name = source.relative_to(CSRC).as_posix()
            rule = "nvcc" if source.suffix == ".cu" else "cxx"
            escaped = str(source).replace("$", "$$")  # the writer escapes the rest
            variables = {"extra": extra} if extra else None
            objects: list[str] = n.build(f"obj/{name}.o", rule, escaped, variables=variables)
            return objects

        objects = {
            source: compiled(source, SIMD_FLAGS.get(simd_level(source), ""))
            for source in [*sources("*.cpp"), *(sources("*.cu") if cuda else [])]
        }
        libraries = f"-L{quote(cuda.library_dir)} -lcudart_static -ldl -lrt" if cuda else ""
        name = "_C" + sysconfig.get_config_var("EXT_SUFFIX")
        extension = [built for each in objects.values() for built in each]
        n.default(n.build(name, "link", extension, variables={"kind": shared, "libs": libraries}))

        core = [o for source, built in objects.items() if source.parent.name in FUZZED for o in built]
        engine = os.environ.get("LIB_FUZZING_ENGINE", "")
        quick = "" if engine else "-O0"  # tests build them, and what they call is compiled as for everybody
        main = [] if engine else compiled(FUZZ / "replay.cpp", quick)
        programs: list[str] = []
        for source in sorted(set(FUZZ.glob("*.cpp")) - {FUZZ / "replay.cpp"}):
            inputs = [*compiled(source, quick), *main, *core]
            programs += n.build(
                f"fuzz/{source.stem}", "link", inputs, variables={"libs": f"{engine} {libraries}"}
            )
        n.build("fuzz", "phony", programs)


if __name__ == "__main__":
    setup(
        ext_modules=[Extension("pycodec._C", sources=[])],
        cmdclass={"build_ext": NinjaBuild, "build_fuzz": BuildFuzz},
    )
