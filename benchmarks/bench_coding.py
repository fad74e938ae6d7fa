"""The range coder alone beside its peers, in one run on one core.

Workloads, from arrays to bytes to arrays with every conversion an API forces, static tables prepared outside:

  W1   4,194,304 symbols, independent, one table of 256 symbols, cross-entropy about 4 bits
  W2   64 Gaussian tables (sigma log-spaced 0.11 .. 256), one index per symbol, index ~ Exp(mean 10)
  W2u  the same tables, index uniform
  W3   float32 probabilities (N, 6), softmax of N(0, 1.7^2) logits; turning them into integer tables is timed
Overhead is the length of the stream over the cross-entropy of the very symbols under the float probabilities.
Peers that are not installed are left out: constriction, torchac.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import common
import numpy as np

from pycodec import coding

SCALES = np.exp(np.linspace(math.log(0.11), math.log(256), 64))
HALF_WIDTH = 2048  # symbols of W2 lie in -2047 .. 2047


@dataclass(frozen=True)
class Workload:
    """Symbols int32 [n] and their probabilities: one row (W1), an index each (W2), a row each (W3)."""

    name: str
    symbols: np.ndarray
    bits: float  # cross-entropy of the symbols
    probabilities: np.ndarray | None = None  # float32 [classes] or [n, classes]
    indexes: np.ndarray | None = None  # uint8 [n]


@dataclass(frozen=True)
class Coder:
    """One library on one workload."""

    name: str
    encode: Callable[[], Any]
    decode: Callable[[Any], np.ndarray]
    size: Callable[[Any], int]  # bytes of what encode answers


def gaussian_mass(symbols: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Mass of N(0, scale^2) within half a unit of integers, computed in the tail that keeps its digits."""
    from scipy.special import ndtr

    distance = np.abs(symbols)
    return ndtr((0.5 - distance) / scale) - ndtr((-0.5 - distance) / scale)


def workloads(count: int, rng: np.random.Generator) -> list[Workload]:
    made = []
    # A discretised Laplacian whose width gives 4 bits: two-sided geometric, entropy log2(2 e b) at scale b.
    pmf = np.exp(-np.abs(np.arange(256) - 128.0) / (2**4 / (2 * math.e)))
    pmf = (pmf + 1e-6) / (pmf + 1e-6).sum()
    symbols = rng.choice(256, count, p=pmf).astype(np.int32)
    made.append(Workload("W1", symbols, float(-np.log2(pmf[symbols]).sum()), pmf.astype(np.float32)))
    for name in ("W2", "W2u"):
        if name == "W2":
            indexes = np.minimum(rng.exponential(10, count), 63).astype(np.uint8)
        else:
            indexes = rng.integers(0, 64, count, dtype=np.uint8)
        symbols = np.rint(rng.standard_normal(count) * SCALES[indexes]).astype(np.int32)
        symbols = symbols.clip(1 - HALF_WIDTH, HALF_WIDTH - 1)
        bits = float(-np.log2(gaussian_mass(symbols, SCALES[indexes])).sum())
        made.append(Workload(name, symbols, bits, indexes=indexes))
    logits = rng.standard_normal((count, 6), dtype=np.float32) * np.float32(1.7)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    symbols = (rng.random((count, 1), dtype=np.float32) > p.cumsum(1)).sum(1).clip(0, 5).astype(np.int32)
    bits = float(-np.log2(np.take_along_axis(p, symbols[:, None], 1).astype(np.float64)).sum())
    made.append(Workload("W3", symbols, bits, np.ascontiguousarray(p)))
    return made


def ours(work: Workload) -> Coder:
    count = len(work.symbols)
    if work.name == "W3":
        return Coder(
            "pycodec",
            lambda: coding.encode_pmfs(work.symbols, work.probabilities),
            lambda data: coding.decode_pmfs(data, work.probabilities),
            len,
        )
    if work.indexes is not None:
        tables = coding.Tables.from_gaussian_scales(SCALES)
    else:
        tables = coding.Tables.from_pmfs(work.probabilities)
    return Coder(
        "pycodec",
        lambda: coding.encode(work.symbols, tables, work.indexes),
        lambda data: coding.decode(data, tables, count, work.indexes),
        len,
    )


def constriction_coders(work: Workload) -> list[Coder]:
    """The stack (rANS) and queue (range) coders of constriction."""
    import constriction

    model, queue, stack = constriction.stream.model, constriction.stream.queue, constriction.stream.stack

    count = len(work.symbols)
    if work.indexes is not None:
        family = model.QuantizedGaussian(1 - HALF_WIDTH, HALF_WIDTH - 1)
        means, scales = np.zeros(count), SCALES[work.indexes]
        parameters: tuple[Any, ...] = (means, scales)
    elif work.name == "W3":
        family, parameters = model.Categorical(perfect=False), (work.probabilities,)
    else:
        family, parameters = model.Categorical(work.probabilities, perfect=False), ()

    def encode_stack() -> np.ndarray:
        coder = stack.AnsCoder()
        coder.encode_reverse(work.symbols, family, *parameters)
        return coder.get_compressed()

    def encode_queue() -> np.ndarray:
        coder = queue.RangeEncoder()
        coder.encode(work.symbols, family, *parameters)
        return coder.get_compressed()

    how_many = () if parameters else (count,)
    return [
        Coder(
            "constriction ANS",
            encode_stack,
            lambda words: stack.AnsCoder(words).decode(family, *parameters, *how_many),
            lambda words: words.nbytes,
        ),
        Coder(
            "constriction range coder",
            encode_queue,
            lambda words: queue.RangeDecoder(words).decode(family, *parameters, *how_many),
            lambda words: words.nbytes,
        ),
    ]


def torchac_coders(work: Workload) -> list[Coder]:
    """torchac reads a row of float CDF per symbol, so that only W3 fits; it compiles its backend here."""
    if work.name != "W3":
        return []
    import torch
    import torchac

    symbols = torch.from_numpy(work.symbols.astype(np.int16))
    probabilities = torch.from_numpy(work.probabilities)

    def cdf() -> Any:
        sums = probabilities.cumsum(1).clamp_(max=1)
        return torch.cat([torch.zeros(len(sums), 1), sums], 1)

    return [
        Coder(
            "torchac",
            lambda: torchac.encode_float_cdf(cdf(), symbols, check_input_bounds=False),
            lambda data: torchac.decode_float_cdf(cdf(), data).numpy(),
            len,
        )
    ]


def coders(work: Workload, peers: list[str]) -> list[Coder]:
    made = [ours(work)]
    if "constriction" in peers:
        made += constriction_coders(work)
    if "torchac" in peers:
        made += torchac_coders(work)
    return made


def measure(work: Workload, coder: Coder, repeats: int) -> dict[str, Any]:
    data = coder.encode()
    exact = bool(np.array_equal(coder.decode(data), work.symbols))
    count = len(work.symbols)
    return {
        "workload": work.name,
        "coder": coder.name,
        "symbols": count,
        "exact": exact,
        "bits_per_symbol": 8 * coder.size(data) / count,
        "overhead_percent": 100 * (8 * coder.size(data) / work.bits - 1),
        "encode_msymbols_per_second": count / common.best_seconds(coder.encode, repeats) / 1e6,
        "decode_msymbols_per_second": count / common.best_seconds(lambda: coder.decode(data), repeats) / 1e6,
    }


def main() -> int:
    parser = common.parser(__doc__, "coding.json")
    parser.add_argument(
        "--symbols", type=int, default=4_194_304, help="symbols a workload (default: 4194304)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="calls of which the best counts (default: 5)")
    parser.add_argument("--workloads", type=common.names, default=["W1", "W2", "W2u", "W3"])
    parser.add_argument(
        "--peers", type=common.names, default=["constriction", "torchac"], help="those installed are run"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    peers = [name for name in arguments.peers if importlib.util.find_spec(name)]
    results = []
    for work in workloads(arguments.symbols, np.random.default_rng(arguments.seed)):
        if work.name in arguments.workloads:
            results += [measure(work, coder, arguments.repeats) for coder in coders(work, peers)]
    own = {r["workload"]: r for r in results if r["coder"] == "pycodec"}
    for result in results:
        for way in ("encode", "decode"):
            speed = f"{way}_msymbols_per_second"
            result[f"{way}_ratio"] = own[result["workload"]][speed] / result[speed]
    document = {
        "environment": common.environment(),
        "seed": arguments.seed,
        "threads": 1,
        "repeats": arguments.repeats,
        "peers_not_installed": [name for name in arguments.peers if name not in peers],
        "results": results,
    }
    common.write_json(arguments.out, document)
    lines = [
        [
            r["workload"],
            r["coder"],
            f"{r['bits_per_symbol']:.3f}",
            f"{r['overhead_percent']:+.2f}",
            f"{r['encode_msymbols_per_second']:.1f}",
            f"{r['decode_msymbols_per_second']:.1f}",
            f"{r['encode_ratio']:.2f} / {r['decode_ratio']:.2f}",
            "yes" if r["exact"] else "NO",
        ]
        for r in results
    ]
    headings = [
        "workload",
        "coder",
        "bits/symbol",
        "overhead %",
        "encode M/s",
        "decode M/s",
        "pycodec is x faster",
        "exact",
    ]
    print(common.table(headings, lines))
    return 0 if all(r["exact"] for r in results) else 1


if __name__ == "__main__":
    common.run(main)
