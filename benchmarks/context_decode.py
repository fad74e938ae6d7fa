"""The integer 3D context model beside the same network in torch, on one core unless a row says otherwise.

Volumes: categorical, 32 planes of 64 x 96 with 6 centres (the paper's model on a Kodak image), and
parametric, 96 planes of 64 x 96 (ctx3d on a Kodak image); random seeded weights and symbols.

  pycodec           the integer model with its range coder, one native call; also on two threads and at lower
                    SIMD levels
  pycodec tables    the tables of all symbols at once, which is the first half of encoding
  float forward     one pass of the float network over the whole volume, by pycodec.ops.masked_conv3d
  torch conv3d      the same by torch's conv3d; an encoder needs this at least, and a decoder cannot use it
  torch int8        the same in torch's quantized operators, with the softmax of a categorical head
  torch wavefront   decoding order: every activation computed once, all independent symbols in one batch; the
                    strongest way to decode in torch. Symbols are given: it is spared the entropy decoding
  torch naive       decoding order: one block of 5 x 9 x 9 per symbol, as in the original code; a few symbols
                    are measured and stand for all
  int8 peak         multiply-adds in registers, as many a second as this core can do; the share of it counts
                    causal taps only

With --device cuda: volumes of 32 planes for both heads, as large as a Kodak image, 1080p and 4K have them at
stride 8, by the device's coder, symbols being there and the stream on the host; and Kodak volumes, several
decoded at once. Beside it "pycodec, cpu", the CPU on one thread. Bytes and symbols must be the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from pycodec.native import native
from pycodec.ops import device_context
from pycodec_plugins.cpm.entropy import CategoricalContext, ContextEntropyModel, ParametricContext

from . import common, compare, devices, machine, second_thread
from .goals import Goal
from .timing import Effort, Row, Subject
from .torch_context import Int8Forward, WavefrontDecoder, dense_forward, naive_decoder

QUALITY_STEP = 5 * 16
PLANES = {"categorical": 32, "parametric": 96}
DEVICE_PLANES = 32
DEVICE_SIZES = {"Kodak": (64, 96), "1080p": (136, 240), "4K": (272, 480)}
QUICK_PLANES, QUICK_SIZES = 3, {"Kodak": (4, 6), "1080p": (5, 7), "4K": (6, 9)}
BATCH = 64  # images
TWO_THREADS, TABLES, INT8, PEAK = second_thread.SUBJECT, "pycodec tables", "torch int8", "int8 peak"

GOALS = tuple(
    goal
    for head in PLANES
    for goal in (
        Goal(f"{head} decode", against="torch naive", at_least=1000),
        Goal(f"{head} decode", against="torch wavefront", at_least=40),
        Goal(f"{head} decode", field="ns_per_symbol", at_most=110, unit="ns"),
        Goal(f"{head} decode", subject=TWO_THREADS, field="speedup", at_least=1.8),
        Goal(f"{head} encode", subject=TABLES, against=INT8, at_least=2.5),
        Goal(f"{head} decode", against="pycodec, avx2", at_most=3),
        Goal(f"{head} decode", against="pycodec, scalar", at_most=15),
        Goal(f"{head} encode", field="overhead_percent", at_most=0.5, unit="%"),
    )
)

DEVICE_GOALS = (
    *(
        Goal(f"categorical {size} decode", field="ms", at_most=limit, unit="ms")
        for size, limit in (("Kodak", 1), ("1080p", 2), ("4K", 4))
    ),
    Goal("categorical Kodak batch decode", field="images_per_second", at_least=5000, unit="/s"),
)


def draw(head: str, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Symbols for a head."""
    if head == "categorical":
        return rng.choice(6, shape, p=[0.05, 0.15, 0.3, 0.3, 0.15, 0.05]).astype(np.int32)
    scales = np.geomspace(4, 0.1, shape[0])[:, None, None]
    symbols: np.ndarray = np.rint(rng.laplace(0, scales, shape)).astype(np.int32)
    return symbols


def make(head: str, shape: tuple[int, int, int], seed: int) -> tuple[ContextEntropyModel, np.ndarray]:
    """An exported entropy model with random weights, and symbols for it."""
    torch.manual_seed(seed)
    symbols = draw(head, shape, np.random.default_rng(seed))
    model: ContextEntropyModel
    if head == "categorical":
        model = CategoricalContext(shape[0])
        model.centers.copy_(torch.linspace(-2, 2, 6))
    else:
        model = ParametricContext(shape[0])
    torch.nn.init.normal_(model.network.layers[3].weight, std=0.05)
    model.eval().requires_grad_(False)
    model.export([(symbols, QUALITY_STEP / 16)])
    return model, symbols


def multiply_adds(model: ContextEntropyModel) -> int:
    """Of one symbol, on causal taps only."""
    k, outputs = model.network.width, model.network.outputs
    return 13 * k + 14 * k * (2 * k + outputs)


class Native:
    """The coder of a model with threads and a SIMD level of choice, for one volume."""

    def __init__(self, model: ContextEntropyModel, symbols: np.ndarray, threads: int = 1, simd: str = ""):
        assert model.integer is not None
        self.symbols = symbols
        self.biases = model.integer.biases(QUALITY_STEP, len(symbols))
        self.model, self.how = model.integer._native, (threads, simd)
        self.values = np.empty((model.network.outputs, *symbols.shape), np.int32)
        self.data = self.encode()

    def encode(self) -> bytes:
        data: bytes = native().context_encode(self.model, self.symbols, *self.biases, *self.how)[0]
        return data

    def decode(self) -> np.ndarray:
        out = np.empty_like(self.symbols)
        native().context_decode(self.model, self.data, out, *self.biases, *self.how)
        return out

    def tables(self) -> None:
        native().context_tables(self.model, self.symbols, self.values, *self.biases, *self.how)


def subjects(
    model: ContextEntropyModel, symbols: np.ndarray, naive: int
) -> tuple[list[Subject], list[Subject], dict[str, str]]:
    """Ways to encode, ways to decode, and what is absent, and why."""
    ways = {"pycodec": Native(model, symbols), TWO_THREADS: Native(model, symbols, 2)}
    for level in native().simd_available()[:-1]:
        ways[f"pycodec, {level}"] = Native(model, symbols, simd=level)
    ideal = model.code_length_bits(symbols, QUALITY_STEP)
    encoding, decoding = [], []
    for name, way in ways.items():
        fields = {
            "exact": bool(np.array_equal(way.decode(), symbols)),
            "overhead_percent": 100 * (8 * len(way.data) / ideal - 1),
        }
        encoding.append(Subject(name, way.encode, symbols.size, fields=fields))
        decoding.append(Subject(name, way.decode, symbols.size, fields=fields))
    encoding.append(Subject(TABLES, ways["pycodec"].tables, symbols.size))

    network, quality = model.network, torch.tensor([QUALITY_STEP / 16])
    x = model.network_input(torch.from_numpy(symbols.astype(np.int64)))
    expected = network(x[None], quality)[0]
    calls: dict[str, Callable[[], object]] = {
        "float forward": lambda: network(x[None], quality),
        "torch conv3d": partial(dense_forward(network, torch.contiguous_format), x[None, None]),
        "torch conv3d channels last": partial(dense_forward(network, torch.channels_last_3d), x[None, None]),
    }
    absent = {}
    try:
        calls[INT8] = Int8Forward(network, x, quality)
        calls[INT8]()
    except (RuntimeError, AttributeError) as error:
        calls.pop(INT8, None)
        absent[INT8] = f"this torch has no quantized convolution: {error}"
    encoding += [
        Subject(name, call, symbols.size, peer=name != "float forward") for name, call in calls.items()
    ]

    wavefront = WavefrontDecoder(network, symbols.shape, quality)
    difference = wavefront.difference(wavefront(x), expected)
    if difference > 1e-2:
        raise RuntimeError(f"the torch wavefront differs from the network by {difference}: it is wrong")
    decoding.append(Subject("torch wavefront", lambda: wavefront(x), symbols.size, peer=True))
    decoding.append(Subject("torch naive", naive_decoder(network, naive), naive, peer=True))

    ceiling = machine.multiply_adds("int8")
    if ceiling:
        peak = Subject(PEAK, ceiling[0], ceiling[1] / multiply_adds(model))
        encoding.append(peak)
        decoding.append(peak)
    else:
        absent[PEAK] = "this processor has none of the instructions it is measured with"
    return encoding, decoding, absent


def cases(
    head: str, shape: tuple[int, int, int], seed: int, naive: int, effort: Effort, absent: dict[str, str]
) -> Iterator[list[Row]]:
    model, symbols = make(head, shape, seed)
    *ways, missing = subjects(model, symbols, naive)
    absent.update(missing)
    for way, of_way in zip(("encode", "decode"), ways, strict=True):
        rows = second_thread.measure_beside(f"{head} {way}", "symbol", of_way, effort)
        peak = next((row["ratio"] for row in rows if row["subject"] == PEAK), None)
        for row in rows:
            row["ns_per_symbol"] = 1e9 * row["seconds"] / row["work"]
            if peak and row["subject"] not in (PEAK, "torch naive", TWO_THREADS):
                row["share_of_peak"] = peak / row["ratio"]
        yield rows


class OnDevice:
    """The device's coder of a model beside the CPU's, for one volume."""

    def __init__(self, model: ContextEntropyModel, symbols: np.ndarray, device: torch.device):
        assert model.integer is not None
        self.model, self.device, self.cpu = model.integer, device, Native(model, symbols)
        self.symbols, self.data = torch.from_numpy(symbols).to(device), self.cpu.data

    def encode(self) -> bytes:
        return device_context.encode(self.model, self.symbols, QUALITY_STEP)

    def decode(self) -> torch.Tensor:
        shape = tuple(self.symbols.shape)
        return device_context.decode(self.model, self.data, shape, QUALITY_STEP, device=self.device)

    def exact(self) -> bool:
        return self.encode() == self.data and bool(torch.equal(self.decode(), self.symbols))


def device_cases(head: str, arguments: argparse.Namespace) -> Iterator[list[Row]]:
    device, effort, seed = devices.find(arguments.device), common.effort(arguments), arguments.seed
    planes, sizes = (QUICK_PLANES, QUICK_SIZES) if arguments.quick else (DEVICE_PLANES, DEVICE_SIZES)
    model, _ = make(head, (planes, *sizes["Kodak"]), seed)
    for name, size in sizes.items():
        coder = OnDevice(model, draw(head, (planes, *size), np.random.default_rng(seed)), device)
        count, fields = coder.symbols.numel(), {"exact": coder.exact()}
        for way in ("encode", "decode"):
            there, here = getattr(coder, way), getattr(coder.cpu, way)
            yield devices.beside_cpu(
                f"{head} {name} {way}",
                "symbol",
                Subject("pycodec", devices.waiting(there, device), count, fields=fields),
                Subject(common.ON_CPU, here, count),
                effort,
            )
    count, streams = (4, 2) if arguments.quick else (BATCH, arguments.streams)
    volumes = [draw(head, (planes, *sizes["Kodak"]), np.random.default_rng(seed + i)) for i in range(count)]
    batch = [OnDevice(model, symbols, device) for symbols in volumes]
    with devices.workers(streams, device) as at_once:
        calls = [coder.decode for coder in batch]
        exact = all(map(torch.equal, at_once(calls), [coder.symbols for coder in batch]))
        rows = devices.beside_cpu(
            f"{head} Kodak batch decode",
            "image",
            Subject(
                "pycodec", devices.waiting(partial(at_once, calls), device), count, fields={"exact": exact}
            ),
            Subject(common.ON_CPU, batch[0].cpu.decode, 1),
            effort,
        )
    for row in rows:
        row["images_per_second"] = row["work"] / row["seconds"]
    yield rows


def cpu_cases(arguments: argparse.Namespace, absent: dict[str, str]) -> tuple[list[Row], dict[str, Any]]:
    """All rows, and what belongs to the settings."""
    height, width = map(int, arguments.size or (("8", "12") if arguments.quick else ("64", "96")))
    naive = min(arguments.naive_symbols, 4) if arguments.quick else arguments.naive_symbols
    rows: list[Row] = []
    for head in arguments.heads:
        shape = (PLANES[head], height, width)
        for of_case in cases(head, shape, arguments.seed, naive, common.effort(arguments), absent):
            rows += of_case
    return rows, {"plane": [height, width], "planes": PLANES, "naive_symbols": naive}


@torch.inference_mode()
def main() -> int:
    parser = common.timed_parser(__doc__, "context_decode.json")
    parser.add_argument("--heads", type=common.names, default=list(PLANES))
    parser.add_argument(
        "--size", type=common.names, help="height,width of a plane (default: 64,96; with --quick 8,12)"
    )
    parser.add_argument(
        "--naive-symbols", type=int, default=200, help="symbols of the naive decoder (default: 200)"
    )
    devices.add_option(parser)
    parser.add_argument(
        "--streams", type=int, default=16, help="images that a device decodes at once (default: 16)"
    )
    arguments = parser.parse_args()
    if arguments.compare:
        return compare.show(*arguments.compare)
    torch.set_num_threads(1)
    absent: dict[str, str] = {}
    if arguments.device == "cpu":
        goals, (rows, settings) = GOALS, cpu_cases(arguments, absent)
    else:
        goals = DEVICE_GOALS
        rows = [
            row for head in arguments.heads for of_case in device_cases(head, arguments) for row in of_case
        ]
        settings = {"streams": arguments.streams}
    settings["device"] = common.device_name(arguments.device)
    common.report(arguments, settings, rows, goals, absent)
    return 0 if all(row.get("exact", True) for row in rows) else 1


if __name__ == "__main__":
    common.run(main)
