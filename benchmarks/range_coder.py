"""The range coder alone beside its peers, on one core unless a row says otherwise.

Workloads, from arrays to bytes to arrays with every conversion an API forces, static tables prepared outside:

  W1   4,194,304 symbols, independent, one table of 256 symbols, cross-entropy about 4 bits
  W2   64 Gaussian tables (sigma log-spaced 0.11 .. 256), one index per symbol, index ~ Exp(mean 10)
  W2u  the same tables, index uniform
  W3   float32 probabilities (N, 6), softmax of N(0, 1.7^2) logits; turning them into integer tables is timed
  W1 12 bits   W1 with tables of 12 bits
  W3 in cache  the first 98,304 of W3, 20 KB coded, which stay in the cache
  W3 16 MB     the first 650,000 of W3: more than one thread's cache, less than memory
  W2 calls of 1, 256   W2 by a step decoder, so many symbols a call; the unit is a call

With --device cuda: W1, W2, W2u and W3 by the device's coder, symbols, indexes and probabilities being there,
the stream on the host. Beside it "pycodec, cpu", the CPU on one thread. Bytes and symbols must be the same.

Overhead is the length of the stream over the cross-entropy of the very symbols under the float probabilities.
Peers run when installed: constriction, CompressAI, TensorFlow Compression, torchac. Rows that are no coder:
"CRC-32 of the stream" is what the check for damage costs, "reading the arrays" the least that memory allows,
to one thread and to two.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from pycodec import coding
from pycodec.native import native
from pycodec.ops import device_rans

from . import common, compare, devices, machine, second_thread, workloads
from .coders import PEERS, Coder, CompressaiTables, compressai_extension, missing
from .goals import FASTEST_PEER, Goal
from .timing import Effort, Row, Subject, measure
from .workloads import HALF_WIDTH, SCALES, Workload

IN_CACHE = 98_304  # the fewest that all lanes are used for: a stream of 20 KB
SIXTEEN_MB = 650_000  # rows of W3
QUICK_SYMBOLS = 1 << 13
CHECK = "CRC-32 of the stream"
READING, READING_BY_TWO = "reading the arrays", "reading the arrays, 2 threads"
TWO_THREADS, SCALAR = second_thread.SUBJECT, "pycodec, scalar"
DCVC, COMPRESSAI, TFC = "DCVC", "CompressAI", "TensorFlow Compression"

GOALS = (
    *(
        Goal(f"{work} encode", field="overhead_percent", at_most=limit, unit="%")
        for work, limit in (("W1", 0.4), ("W1 12 bits", 1.8), ("W2", 0.4), ("W2u", 0.4), ("W3", 0.4))
    ),
    Goal("W1 encode", against=FASTEST_PEER, at_least=6),
    Goal("W1 decode", against=FASTEST_PEER, at_least=30),
    Goal("W1 12 bits decode", against=FASTEST_PEER, at_least=60),
    Goal("W1 decode", against="htscodecs", at_least=1.5),
    *(
        Goal(f"W2 {way}", against=peer, at_least=times)
        for way, peer, times in (
            ("encode", DCVC, 6),
            ("encode", TFC, 14),
            ("encode", COMPRESSAI, 45),
            ("decode", DCVC, 12),
            ("decode", TFC, 36),
            ("decode", COMPRESSAI, 90),
        )
    ),
    Goal("W2u encode", against=TFC, at_least=18),
    Goal("W2u decode", against=TFC, at_least=55),
    Goal("W3 encode", against="constriction ANS", at_least=10),
    Goal("W3 decode", against="constriction ANS", at_least=27),
    Goal("W3 in cache encode", against="constriction ANS", at_least=20),
    Goal("W3 in cache decode", against="constriction ANS", at_least=50),
    Goal("W2 calls of 1", field="us_per_call", at_most=1.0, unit="us"),
    Goal("W2 calls of 256", field="us_per_call", at_most=2.0, unit="us"),
    Goal("W2 encode", subject=SCALAR, against=DCVC, at_least=1.5),
    Goal("W2 decode", subject=SCALAR, against=DCVC, at_least=2),
    Goal("W2 decode", subject=CHECK, field="share_percent", at_most=2, unit="%"),
    *(
        Goal(f"{w} {way}", subject=TWO_THREADS, field="speedup", at_least=1.8)
        for w in ("W1", "W2", "W2u", "W3", "W3 16 MB")
        for way in ("encode", "decode")
    ),
)


def prepare(work: Workload, precision: int = 14) -> coding.Tables | None:
    """The static tables of a workload; None where every symbol has its own."""
    if work.indexes is not None:
        return coding.Tables.from_gaussian_scales(SCALES, precision)
    return None if work.has_rows else coding.Tables.from_pmfs(work.probabilities, precision)


def ours(name: str, work: Workload, tables: coding.Tables | None, threads: int = 1, simd: str = "") -> Coder:
    """pycodec; by its native functions where a SIMD level is asked for, which Python does not offer."""
    symbols, indexes, rows = work.symbols, work.indexes, work.probabilities
    count = len(work)
    if tables is None:
        return Coder(
            name,
            work,
            lambda: coding.encode_pmfs(symbols, rows, threads=threads),
            lambda data: coding.decode_pmfs(data, rows, threads=threads),
        )
    if simd:
        core = native()

        def decode(data: bytes) -> np.ndarray:
            out = np.empty(count, np.int32)
            core.rans_decode(data, tables.native, indexes, out, threads, simd)
            return out

        return Coder(
            name, work, lambda: core.rans_encode(symbols, tables.native, indexes, threads, simd), decode
        )
    return Coder(
        name,
        work,
        lambda: coding.encode(symbols, tables, indexes, threads=threads),
        lambda data: coding.decode(data, tables, count, indexes, threads=threads),
    )


def peers(work: Workload, names: list[str]) -> Iterator[Coder]:
    for name in names:
        yield from PEERS[name](work)


def bulk(work: Workload, precision: int, names: list[str], effort: Effort) -> list[Row]:
    """Encoding and decoding a whole workload."""
    tables = prepare(work, precision)
    own = [ours("pycodec", work, tables), ours(TWO_THREADS, work, tables, threads=2)]
    if work.name == "W2":
        own += [ours(f"pycodec, {s}", work, tables, simd=s) for s in native().simd_available()[:-1]]
    coders = [*own, *peers(work, names)]
    encoding, decoding = [], []
    for coder in coders:
        data = coder.encode()
        bits = float(coder.work.bits.sum())
        fields = {
            "exact": bool(np.array_equal(coder.decode(data), coder.work.symbols)),
            "bits_per_symbol": 8 * coder.size(data) / len(coder.work),
            "overhead_percent": 100 * (8 * coder.size(data) / bits - 1),
        }
        peer = coder not in own
        encoding.append(Subject(coder.name, coder.encode, len(coder.work), peer, fields))
        decoding.append(
            Subject(coder.name, lambda c=coder, data=data: c.decode(data), len(coder.work), peer, fields)
        )
    data = own[0].encode()
    decoding.append(Subject(CHECK, lambda: native().crc32(data), len(work)))
    encoding += memory(work)
    decoding += memory(work)
    results = []
    for way, subjects in (("encode", encoding), ("decode", decoding)):
        rows = second_thread.measure_beside(f"{work.name} {way}", "symbol", subjects, effort)
        clock = machine.clock_ghz()
        for row in rows:
            if row["subject"].startswith("pycodec") and clock:
                row["cycles_per_symbol"] = 1e9 * clock * row["seconds"] / row["work"]
            if row["subject"] == CHECK:
                row["share_percent"] = 100 * row["ratio"]
            if row["subject"] == READING:
                rows[0]["share_of_memory_speed"] = row["ratio"]
        results += rows
    return results


def memory(work: Workload) -> Iterator[Subject]:
    """What coding cannot do without where every symbol has probabilities: to read them, alone."""
    if not work.has_rows:
        return
    words = work.probabilities.reshape(-1).view(np.int64)
    first, second = np.array_split(words, 2)
    pool = ThreadPoolExecutor(1)

    def by_two() -> None:
        other = pool.submit(np.bitwise_or.reduce, second)
        np.bitwise_or.reduce(first)
        other.result()

    yield Subject(READING, lambda: np.bitwise_or.reduce(words), len(work))
    yield Subject(READING_BY_TWO, by_two, len(work))


def steps(work: Workload, size: int, names: list[str], effort: Effort) -> list[Row]:
    """Decoding a stream ``size`` symbols a call."""
    calls = len(work) // size
    work = work.first(calls * size)
    parts = np.split(work.indexes, calls)
    tables = prepare(work)
    data = coding.encode(work.symbols, tables, work.indexes)
    out = np.empty(size, np.int32)

    def pull() -> None:
        decoder = coding.Decoder(data, tables)
        for part in parts:
            decoder.pull(size, part, out=out)

    subjects = [Subject("pycodec", pull, calls)]
    if "constriction" in names:
        subjects += constriction_steps(work, size)
    if "compressai" in names:
        subjects.append(compressai_steps(work, size))
    rows = measure(f"W2 calls of {size}", "call", subjects, effort)
    for row in rows:
        row["us_per_call"] = 1e6 * row["seconds"] / row["work"]
    return rows


def constriction_steps(work: Workload, size: int) -> list[Subject]:
    import constriction

    stream = constriction.stream
    family = stream.model.QuantizedGaussian(1 - HALF_WIDTH, HALF_WIDTH - 1)
    scales = SCALES[work.indexes]
    encoder = stream.stack.AnsCoder()
    encoder.encode_reverse(work.symbols, family, np.zeros(len(work)), scales)
    words = encoder.get_compressed()
    means, parts = np.zeros(size), np.split(scales, len(work) // size)

    def pull() -> None:
        decoder = stream.stack.AnsCoder(words)
        for part in parts:
            decoder.decode(family, means, part)

    return [Subject("constriction ANS", pull, len(parts), peer=True)]


def compressai_steps(work: Workload, size: int) -> Subject:
    """Its decoder converts all tables again in each call, so it gets a few calls only."""
    ans = compressai_extension("ans")
    work = work.first(8 * size)
    tables = CompressaiTables(work)
    data = ans.RansEncoder().encode_with_indexes(work.symbols.tolist(), work.indexes.tolist(), *tables)
    parts = [part.tolist() for part in np.split(work.indexes, 8)]

    def pull() -> None:
        decoder = ans.RansDecoder()
        decoder.set_stream(data)
        for part in parts:
            decoder.decode_stream(part, *tables)

    return Subject(COMPRESSAI, pull, len(parts), peer=True)


def on_device(work: Workload, device: torch.device, effort: Effort) -> list[Row]:
    """Encoding and decoding a whole workload where its arrays lie on a device."""
    tables, count = prepare(work), len(work)
    cpu = ours(common.ON_CPU, work, tables)
    symbols, indexes, pmfs = (
        None if array is None else torch.from_numpy(array).to(device)
        for array in (work.symbols, work.indexes, work.probabilities)
    )

    def encode() -> bytes:
        if tables is None:
            return device_rans.encode_pmfs(symbols, pmfs)
        return device_rans.encode(symbols, tables, indexes)

    def decode() -> torch.Tensor:
        if tables is None:
            return device_rans.decode_pmfs(data, pmfs)
        return device_rans.decode(data, tables, count, indexes, device=device)

    data = cpu.encode()
    exact = encode() == data and bool(torch.equal(decode(), symbols))
    fields = {"exact": exact, "bits_per_symbol": 8 * len(data) / count}
    results = []
    for way, there, here in (("encode", encode, cpu.encode), ("decode", decode, lambda: cpu.decode(data))):
        results += devices.beside_cpu(
            f"{work.name} {way}",
            "symbol",
            Subject("pycodec", devices.waiting(there, device), count, fields=fields),
            Subject(common.ON_CPU, here, count),
            effort,
        )
    return results


def cases(arguments: argparse.Namespace, names: list[str]) -> Iterator[list[Row]]:
    count = min(arguments.symbols, QUICK_SYMBOLS) if arguments.quick else arguments.symbols
    effort = common.effort(arguments)

    def rng() -> np.random.Generator:
        return np.random.default_rng(arguments.seed)

    if arguments.device != "cpu":
        device = devices.find(arguments.device)
        yield on_device(workloads.independent(count, rng()), device, effort)
        yield on_device(workloads.indexed("W2", count, rng()), device, effort)
        yield on_device(workloads.indexed("W2u", count, rng()), device, effort)
        yield on_device(workloads.rows(count, rng()), device, effort)
        return
    w1 = workloads.independent(count, rng())
    yield bulk(w1, 14, names, effort)
    yield bulk(w1.first(count, "W1 12 bits"), 12, names, effort)
    w2 = workloads.indexed("W2", count, rng())
    yield bulk(w2, 14, names, effort)
    yield bulk(workloads.indexed("W2u", count, rng()), 14, names, effort)
    w3 = workloads.rows(count, rng())
    yield bulk(w3, 14, names, effort)
    yield bulk(w3.first(IN_CACHE, "W3 in cache"), 14, names, effort)
    yield bulk(w3.first(SIXTEEN_MB, "W3 16 MB"), 14, names, effort)
    for size in (1, 256):
        yield steps(w2.first(1024 * size), size, names, effort)


def main() -> int:
    parser = common.timed_parser(__doc__, "range_coder.json")
    parser.add_argument(
        "--symbols", type=int, default=4_194_304, help="symbols a workload (default: 4194304)"
    )
    parser.add_argument(
        "--peers", type=common.names, default=list(PEERS), help="those installed are run (default: all)"
    )
    devices.add_option(parser)
    arguments = parser.parse_args()
    if arguments.compare:
        return compare.show(*arguments.compare)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    on_cpu = arguments.device == "cpu"
    absent = missing() if on_cpu else {}
    names = [name for name in arguments.peers if name not in absent]
    rows = [row for case in cases(arguments, names) for row in case]
    settings = {"symbols": arguments.symbols, "device": common.device_name(arguments.device)}
    if on_cpu:
        settings["step_symbols"] = [1, 256]
    common.report(arguments, settings, rows, GOALS if on_cpu else (), absent)
    wrong = [f"{r['case']}, {r['subject']}" for r in rows if r.get("exact") is False]
    for name in wrong:
        print(f"NOT EXACT: {name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    common.run(main)
