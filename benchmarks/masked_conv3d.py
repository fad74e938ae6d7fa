"""One layer of the context model for training, 24 -> 24 channels, beside torch's, on one core or a GPU.

Volume: 32 planes of 64 x 96, as the paper's model has on a Kodak image; forward, and backward to input and
weights. Only the 14 causal taps count as work. torch computes the 18 taps of the (2, 3, 3) box that holds
them, in its own and in channels-last layout.

  peak      multiply-adds in registers, as many a second as this core can do (CPU only)
  matmul    torch's matrix product of the same type

On CUDA torch's convolution is cuDNN's; every case has it in all types, and goals are against the best.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from pycodec.errors import InvalidInput
from pycodec.ops import causal_mask

from . import common, compare, machine
from .goals import FASTEST_PEER, Goal
from .timing import Effort, Row, Subject, measure

CHANNELS, TAPS = 24, 14
VOLUME = (32, 64, 96)
QUICK_VOLUME = (4, 8, 12)
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CUDNN_TYPES = {**TYPES, "float16": torch.float16}
LAYOUTS = {"": torch.contiguous_format, " channels last": torch.channels_last_3d}
PRODUCTS = {"forward": 1, "backward": 2}
PEAK, MATMUL = "peak", "matmul"
LAUNCHES = 20  # on CUDA, of a graph

GOALS = {
    "cpu": tuple(
        goal
        for way in PRODUCTS
        for goal in (
            Goal(f"float32 {way}", against="torch conv3d channels last", at_least=1.7),
            Goal(f"float32 {way}", against="torch conv3d", at_least=3),
            Goal(f"float32 {way}", field="share_of_peak", at_least=0.8, unit=""),
        )
    ),
    "cuda": tuple(
        Goal(f"{dtype} {way}", against=FASTEST_PEER, at_least=times)
        for dtype in TYPES
        for way, times in (("forward", 3), ("backward", 2))
    ),
}


def mflop(way: str, volume: tuple[int, ...]) -> float:
    positions = volume[0] * volume[1] * volume[2]
    return 2 * PRODUCTS[way] * TAPS * CHANNELS**2 * positions / 1e6


def ours(x: torch.Tensor, grad: torch.Tensor, weight: torch.Tensor, way: str) -> Callable[[], object]:
    ops = torch.ops.pycodec
    if way == "forward":
        return lambda: ops.masked_conv3d(x, weight, None, True)
    return lambda: (
        ops.masked_conv3d_input_gradient(grad, weight, True),
        ops.masked_conv3d_weight_gradient(x, grad, True),
    )


def theirs(
    x: torch.Tensor, grad: torch.Tensor, weight: torch.Tensor, way: str, layout: torch.memory_format
) -> Callable[[], object]:
    padded = F.pad(x, (1, 1, 1, 1, 1, 0)).contiguous(memory_format=layout)
    kernel = (weight * causal_mask(True).to(weight)).contiguous(memory_format=layout)
    if way == "forward":
        return lambda: F.conv3d(padded, kernel)
    g, ones, zeros = grad.contiguous(memory_format=layout), (1, 1, 1), (0, 0, 0)
    return lambda: torch.ops.aten.convolution_backward(
        g, padded, kernel, None, ones, zeros, ones, False, zeros, 1, (True, True, False)
    )


def case(name: str, way: str, volume: tuple[int, ...], device: str, effort: Effort) -> list[Row]:
    x, grad = torch.randn(2, 1, CHANNELS, *volume, device=device).unbind()
    weight = 0.1 * torch.randn(CHANNELS, CHANNELS, 2, 3, 3, device=device)

    def tensors(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
        return x.to(dtype), grad.to(dtype), weight.to(dtype)

    work = mflop(way, volume)
    calls: list[tuple[str, Callable[[], object], float]] = [
        ("pycodec", ours(*tensors(TYPES[name]), way), work)
    ]
    for title, dtype in (CUDNN_TYPES if device == "cuda" else {name: TYPES[name]}).items():
        prefix = "torch conv3d" if device == "cpu" else f"cuDNN {title}"
        for suffix, layout in LAYOUTS.items():
            calls.append((prefix + suffix, theirs(*tensors(dtype), way, layout), work))
    side = 4096 if device == "cuda" else 1024
    a = torch.randn(side, side, device=device).to(TYPES[name])
    calls.append((MATMUL, lambda: a @ a, 2 * side**3 / 1e6))
    ceiling = machine.multiply_adds(name) if device == "cpu" else None
    if ceiling:
        calls.append((PEAK, ceiling[0], 2 * ceiling[1] / 1e6))
    subjects = [
        Subject(
            title,
            waiting(call) if device == "cuda" else call,
            LAUNCHES * units if device == "cuda" else units,
            peer=title.startswith(("torch", "cuDNN")),
        )
        for title, call, units in calls
    ]
    rows = measure(f"{name} {way}", "MFLOP", subjects, effort)
    ratios = {row["subject"]: row["ratio"] for row in rows}
    for row in rows:
        row["gflops"] = row["work"] / row["seconds"] / 1e3
        for limit in (PEAK, MATMUL):
            if limit in ratios and row["subject"] not in (PEAK, MATMUL):
                row[f"share_of_{limit}"] = ratios[limit] / row["ratio"]
    return rows


def waiting(call: Callable[[], object]) -> Callable[[], None]:
    """Launches on the GPU, recorded as one graph, and their end: what kernels take, not what Python does."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):  # cuDNN chooses its algorithms, and memory is allocated
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(LAUNCHES):
            call()

    def several() -> None:
        graph.replay()
        torch.cuda.synchronize()

    return several


@torch.no_grad()
def main() -> int:
    parser = common.timed_parser(__doc__, "masked_conv3d.json")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    if arguments.compare:
        return compare.show(*arguments.compare)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("no CUDA device here, or a torch built without CUDA; use --device cpu")
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    torch.backends.cudnn.benchmark = True
    volume = QUICK_VOLUME if arguments.quick else VOLUME
    rows: list[dict[str, Any]] = []
    for name in TYPES:
        for way in PRODUCTS:
            rows += case(name, way, volume, arguments.device, common.effort(arguments))
    settings = {
        "volume": [CHANNELS, *volume],
        "device": common.device_name(arguments.device),
        "launches": LAUNCHES if arguments.device == "cuda" else 1,
    }
    absent = {}
    if arguments.device == "cpu" and machine.multiply_adds("float32") is None:
        absent[PEAK] = "this processor has none of the instructions it is measured with"
    common.report(arguments, settings, rows, GOALS[arguments.device], absent)
    return 0


if __name__ == "__main__":
    common.run(main)
