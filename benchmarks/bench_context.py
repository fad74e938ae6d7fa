"""The integer 3D context model beside the same network in torch, in one run.

Volumes: categorical, 32 planes of 64 x 96 with 6 centres (the paper's model on a Kodak image), and
parametric, 96 planes of 64 x 96 (ctx3d on a Kodak image); random seeded weights and symbols.

  encode, decode    the integer model with its range coder, one native call, on one and on two threads
  float forward     one pass of the float network over the whole volume, by pycodec.ops.masked_conv3d: what an
                    encoder needs at least, and a decoder cannot use
  torch forward     the same by torch's conv3d
  torch wavefront   decoding order: every activation computed once, all independent symbols in one batch; the
                    strongest way to decode in torch. Symbols are given: it is spared the entropy decoding
  torch naive       decoding order: one block of 5 x 9 x 9 per symbol, as in the original code; few symbols
"""

from __future__ import annotations

import itertools
from typing import Any

import common
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pycodec.ops import causal_mask
from pycodec_plugins.cpm.context import ContextNetwork
from pycodec_plugins.cpm.entropy import CategoricalContext, ContextEntropyModel, ParametricContext

QUALITY_STEP = 5 * 16


class WavefrontDecoder:
    """The float network in decoding order, t = 4 d + 2 h + w: no activation twice, no symbol before its past.

    Activations lie in zero-padded volumes flattened to [positions, channels]; a layer gathers its causal
    taps, which are fixed offsets, and multiplies.
    """

    def __init__(self, network: ContextNetwork, shape: tuple[int, int, int]):
        self.network, self.shape = network, shape
        planes, height, width = shape
        self.row, self.plane = width + 2, (height + 2) * (width + 2)
        d, h, w = (torch.from_numpy(grid.ravel()) for grid in np.indices(shape))
        position = (d + 1) * self.plane + (h + 1) * self.row + w + 1
        step = 4 * d + 2 * h + w
        order = torch.argsort(step, stable=True)
        counts = torch.bincount(step)
        self.steps = list(
            zip(position[order].split(counts.tolist()), d[order].split(counts.tolist()), strict=True)
        )
        self.layers = []
        for layer in network.layers:
            taps = causal_mask(layer.include_center).nonzero()  # [taps, 3]
            offsets = (taps[:, 0] - 1) * self.plane + (taps[:, 1] - 1) * self.row + taps[:, 2] - 1
            weight = layer.weight[:, :, taps[:, 0], taps[:, 1], taps[:, 2]]  # [out, in, taps]
            self.layers.append((offsets, weight.permute(2, 1, 0).flatten(0, 1).contiguous(), layer.bias))
        zero = torch.zeros(planes, 1)
        self.plane_bias = [zero, zero]
        if network.qualities:
            quality = torch.tensor([QUALITY_STEP / 16])
            self.plane_bias = [
                network.first_bias(quality).reshape(planes, -1),
                network.last_bias(quality).reshape(planes, -1),
            ]

    def __call__(self, x: Tensor) -> Tensor:  # [planes, height, width] -> [positions, outputs]
        planes = self.shape[0]
        size = (planes + 1) * self.plane
        buffers = [torch.zeros(size, layer[1].shape[1]) for layer in self.layers]
        symbols, padded = torch.zeros(size, 1), F.pad(x, (1, 1, 1, 1, 1, 0)).reshape(-1, 1)
        a, b, c, o = buffers
        for positions, depth in self.steps:
            first = F.relu(self._layer(0, symbols, positions) + self.plane_bias[0][depth])
            a[positions] = first
            b[positions] = F.relu(self._layer(1, a, positions))
            c[positions] = self._layer(2, b, positions) + first
            o[positions] = self._layer(3, c, positions) + self.plane_bias[1][depth]
            symbols[positions] = padded[positions]  # here the entropy decoder would answer
        return o

    def _layer(self, index: int, source: Tensor, positions: Tensor) -> Tensor:
        offsets, weight, bias = self.layers[index]
        return torch.addmm(bias, source[positions[:, None] + offsets].flatten(1), weight)

    def difference(self, outputs: Tensor, expected: Tensor) -> float:
        """Largest difference from ``expected`` [outputs, planes, height, width]."""
        planes, height, _ = self.shape
        volume = outputs.unflatten(0, (planes + 1, height + 2, self.row))
        return float((volume[1:, 1:-1, 1:-1].permute(3, 0, 1, 2) - expected).abs().max())


def dense_forward(network: ContextNetwork, memory_format: torch.memory_format) -> Any:
    """The four layers by ``torch.nn.functional.conv3d`` over the (2, 3, 3) box that holds the causal taps."""
    weights = [
        (layer.weight * causal_mask(layer.include_center)).contiguous(memory_format=memory_format)
        for layer in network.layers
    ]

    def layer(index: int, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1, 1, 0)).contiguous(memory_format=memory_format)
        return F.conv3d(padded, weights[index], network.layers[index].bias)

    def forward(x: Tensor) -> Tensor:  # [1, 1, planes, height, width]
        a = F.relu(layer(0, x))
        return layer(3, layer(2, F.relu(layer(1, a))) + a)

    return forward


def make(head: str, shape: tuple[int, int, int], seed: int) -> tuple[ContextEntropyModel, np.ndarray]:
    """An exported entropy model with random weights, and symbols for it."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model: ContextEntropyModel
    if head == "categorical":
        model = CategoricalContext(shape[0])
        model.centers.copy_(torch.linspace(-2, 2, 6))
        symbols = rng.choice(6, shape, p=[0.05, 0.15, 0.3, 0.3, 0.15, 0.05]).astype(np.int32)
    else:
        model = ParametricContext(shape[0])
        symbols = np.rint(rng.laplace(0, np.geomspace(4, 0.1, shape[0])[:, None, None], shape)).astype(
            np.int32
        )
    torch.nn.init.normal_(model.network.layers[3].weight, std=0.05)
    model.eval().requires_grad_(False)
    model.export([(symbols, QUALITY_STEP / 16)])
    return model, symbols


def native(head: str, model: ContextEntropyModel, symbols: np.ndarray, repeats: int) -> list[dict[str, Any]]:
    results = []
    for threads in (1, 2):
        data = model.encode(symbols, QUALITY_STEP, threads=threads)

        def decode(data: bytes = data, threads: int = threads) -> np.ndarray:
            return model.decode(data, symbols.shape, QUALITY_STEP, threads=threads)

        def encode(threads: int = threads) -> bytes:
            return model.encode(symbols, QUALITY_STEP, threads=threads)

        ideal = model.code_length_bits(symbols, QUALITY_STEP)
        for name, call in (("encode", encode), ("decode", decode)):
            results.append(
                {
                    "head": head,
                    "what": f"pycodec {name}",
                    "threads": threads,
                    "symbols": symbols.size,
                    "seconds": common.best_seconds(call, repeats),
                    "exact": bool(np.array_equal(decode(), symbols)),
                    "overhead_percent": 100 * (8 * len(data) / ideal - 1),
                }
            )
    return results


@torch.inference_mode()
def baselines(
    head: str, model: ContextEntropyModel, symbols: np.ndarray, repeats: int, naive: int
) -> list[dict[str, Any]]:
    network = model.network
    shape = tuple(symbols.shape)
    x = model.network_input(torch.from_numpy(symbols.astype(np.int64)))
    quality = torch.tensor([QUALITY_STEP / 16])
    expected = network(x[None], quality)[0]
    wavefront = WavefrontDecoder(network, shape)
    difference = wavefront.difference(wavefront(x), expected)
    if difference > 1e-2:
        raise RuntimeError(
            f"the torch wavefront differs from the network by {difference}: the baseline is wrong"
        )

    block = ContextNetwork(5, network.outputs, network.width, qualities=0).eval().requires_grad_(False)
    blocks = torch.randn(naive, 1, 5, 9, 9)

    calls = {
        "float forward": (lambda: network(x[None], quality), symbols.size),
        "torch forward, conv3d": (
            lambda: dense_forward(network, torch.contiguous_format)(x[None, None]),
            symbols.size,
        ),
        "torch forward, conv3d channels last": (
            lambda: dense_forward(network, torch.channels_last_3d)(x[None, None]),
            symbols.size,
        ),
        "torch wavefront": (lambda: wavefront(x), symbols.size),
        "torch naive": (lambda: [block(one, quality) for one in blocks], naive),
    }
    return [
        {
            "head": head,
            "what": what,
            "threads": 1,
            "symbols": count,
            "seconds": common.best_seconds(call, repeats),
        }
        for what, (call, count) in calls.items()
    ]


def main() -> int:
    parser = common.parser(__doc__, "context.json")
    parser.add_argument("--heads", type=common.names, default=["categorical", "parametric"])
    parser.add_argument(
        "--size", type=common.names, default=["64", "96"], help="height,width of a plane (default: 64,96)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="calls of which the best counts (default: 5)")
    parser.add_argument(
        "--naive-symbols", type=int, default=200, help="symbols of the naive decoder (default: 200)"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    height, width = (int(side) for side in arguments.size)

    results: list[dict[str, Any]] = []
    for head in arguments.heads:
        shape = ({"categorical": 32, "parametric": 96}[head], height, width)
        model, symbols = make(head, shape, arguments.seed)
        results += native(head, model, symbols, arguments.repeats)
        results += baselines(head, model, symbols, min(arguments.repeats, 3), arguments.naive_symbols)
    for result in results:
        result["ns_per_symbol"] = 1e9 * result["seconds"] / result["symbols"]
    for _, group in itertools.groupby(results, key=lambda result: result["head"]):
        of_head = list(group)
        own = {
            r["what"]: r["ns_per_symbol"]
            for r in of_head
            if r["what"].startswith("pycodec") and r["threads"] == 1
        }
        for result in of_head:  # a forward pass is compared with encoding, a decoding order with decoding
            peer = (
                "pycodec encode"
                if "forward" in result["what"] or "encode" in result["what"]
                else "pycodec decode"
            )
            result["ratio"] = result["ns_per_symbol"] / own[peer]

    document = {
        "environment": common.environment(),
        "plane": [height, width],
        "seed": arguments.seed,
        "repeats": arguments.repeats,
        "results": results,
    }
    common.write_json(arguments.out, document)
    lines = [
        [
            r["head"],
            r["what"],
            r["threads"],
            f"{1e3 * r['seconds']:.1f}",
            f"{r['ns_per_symbol']:.0f}",
            f"{r['ratio']:.2f}",
        ]
        for r in results
    ]
    print(common.table(["head", "what", "threads", "ms", "ns/symbol", "x pycodec, 1 thread"], lines))
    return 0


if __name__ == "__main__":
    common.run(main)
