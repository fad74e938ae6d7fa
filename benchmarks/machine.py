"""What one core can do at most, measured: its clock, and multiply-adds a second.

Each is a short loop of machine code that touches no memory. They are for x86-64 on Linux; elsewhere, and
where memory may not be made executable, there is no figure rather than a guess.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

CHAIN = 64  # additions in the loop of the clock, each waiting for the one before
ACCUMULATORS = 12  # enough independent chains to keep every multiplier busy
LOOPS = 50_000  # of multiply-adds in one call, a fraction of a millisecond
END = bytes.fromhex("c5f877 c3")  # vzeroupper; ret

# Per kind, widest first: the flag that /proc/cpuinfo must show, multiply-adds of one instruction, and its
# bytes up to the operands, for destination registers 0..7 and 8..15. Sources are registers 30 and 31 of
# AVX-512, or 14 and 15 of AVX2, all zero. The last byte names the destination and, in its low three bits, the
# last source.
INSTRUCTIONS = {
    "float32": (
        ("avx512f", 16, "62 92 0d 40 b8", "62 12 0d 40 b8"),  # vfmadd231ps zmm
        ("fma", 8, "c4 c2 0d b8", "c4 42 0d b8"),  # vfmadd231ps ymm
    ),
    "bfloat16": (("avx512_bf16", 32, "62 92 0e 40 52", "62 12 0e 40 52"),),  # vdpbf16ps zmm
    "int8": (
        ("avx512_vnni", 64, "62 92 0d 40 50", "62 12 0d 40 50"),  # vpdpbusd zmm
        ("avx2", 16, "c4 c1 0d f5", "c4 41 0d f5"),  # vpmaddwd ymm, on bytes widened to 16 bits
    ),
}
ZERO_SOURCES = {
    True: bytes.fromhex("c5fc77 62010d40eff6 62010540efff"),  # vzeroall; vpxord zmm30; vpxord zmm31
    False: bytes.fromhex("c5fc77"),
}


@functools.cache
def flags() -> frozenset[str]:
    """What /proc/cpuinfo says that this CPU can do."""
    if not (sys.platform == "linux" and platform.machine() == "x86_64"):
        return frozenset()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def _loop(prologue: bytes, body: bytes) -> Callable[[int], None] | None:
    """A function that runs ``body`` so many times; None where that is not possible."""
    if not flags():
        return None
    back = -(len(body) + 9)
    code = prologue + body + bytes.fromhex("48ffcf 0f85")  # dec rdi; jnz
    code += back.to_bytes(4, "little", signed=True) + END
    try:
        memory = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return None
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    function = ctypes.CFUNCTYPE(None, ctypes.c_uint64)(address)

    def run(count: int, memory: mmap.mmap = memory) -> None:  # keeps the memory alive
        function(count)

    return run


def clock_ghz(seconds: float = 0.1) -> float | None:
    """The clock while it runs: the fastest of short samples of a chain of additions, a cycle each."""
    run = _loop(b"", bytes.fromhex("4801f0") * CHAIN)  # add rax, rsi
    if run is None:
        return None
    count, best = 5000, float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run(count)
        best = min(best, time.perf_counter() - start)
    return count * CHAIN / best / 1e9


def multiply_adds(kind: str) -> tuple[Callable[[], None], int] | None:
    """A call that does nothing but multiply and add on one core, and how many times: the ceiling of ``kind``.

    Args:
        kind: "float32", "bfloat16" or "int8".

    Returns:
        None where this CPU has no instruction for it.
    """
    for flag, products, low, high in INSTRUCTIONS[kind]:
        if flag not in flags():
            continue
        body = b"".join(
            bytes.fromhex(low if i < 8 else high) + bytes([0xC0 | (i % 8) << 3 | 7])
            for i in range(ACCUMULATORS)
        )
        run = _loop(ZERO_SOURCES[flag.startswith("avx512")], body)
        if run is None:
            return None
        return functools.partial(run, LOOPS), LOOPS * ACCUMULATORS * products
    return None
