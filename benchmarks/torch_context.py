"""The context network in torch, in the ways one can run it: what the integer model is measured beside."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pycodec.ops import causal_mask
from pycodec_plugins.cpm.context import ContextNetwork


class WavefrontDecoder:
    """The float network in decoding order, t = 4 d + 2 h + w: no activation twice, no symbol before its past.

    Activations lie in zero-padded volumes flattened to [positions, channels]; a layer gathers its causal
    taps, which are fixed offsets, and multiplies.
    """

    def __init__(self, network: ContextNetwork, shape: tuple[int, int, int], quality: Tensor):
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


def naive_decoder(network: ContextNetwork, symbols: int) -> Callable[[], object]:
    """The decoding of the original code: the network on a block of 5 x 9 x 9 around every symbol."""
    block = ContextNetwork(5, network.outputs, network.width, qualities=0).eval().requires_grad_(False)
    blocks = torch.randn(symbols, 1, 5, 9, 9)
    quality = torch.tensor([1.0])
    return lambda: [block(one, quality) for one in blocks]


class Int8Forward:
    """The four layers in torch's quantized int8, then what an entropy coder needs of a table: the softmax.

    Scales are those of the largest activations on ``x`` [planes, height, width] itself. Biases that every
    plane has of its own are left out, which makes it faster than one that decodes right.

    Raises:
        RuntimeError, AttributeError: this torch has no quantized operators.
    """

    def __init__(self, network: ContextNetwork, x: Tensor, quality: Tensor):
        self.planes = len(x)
        self.softmax = network.outputs > 2
        activations = [x, *network.activations(x[None], quality)]
        self.scales = [max(float(a.max() - min(a.min(), 0)), 1e-6) / 255 for a in activations]
        self.points = [
            round(-min(float(a.min()), 0.0) / s) for a, s in zip(activations, self.scales, strict=True)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated, and still the fastest that torch has
            self._quantize(network, x)

    def _quantize(self, network: ContextNetwork, x: Tensor) -> None:
        torch.backends.quantized.engine = "onednn"
        self.entry = torch.quantize_per_tensor(
            x[None, None], self.scales[0], self.points[0], torch.quint8
        ).contiguous(memory_format=torch.channels_last_3d)
        self.weights = []
        for layer in network.layers:
            weight = layer.weight * causal_mask(layer.include_center)
            steps = weight.flatten(1).abs().amax(1).double().clamp(min=1e-6) / 127
            zeros = torch.zeros(len(weight), dtype=torch.long)
            quantized = torch.quantize_per_channel(weight, steps, zeros, 0, torch.qint8)
            ones = [1, 1, 1]
            self.weights.append(
                torch.ops.quantized.conv3d_prepack(quantized, layer.bias, ones, ones, ones, 1)
            )

    def __call__(self) -> Tensor:  # [1, outputs, planes, height, width]
        ops = torch.ops.quantized
        a = self._layer(ops.conv3d_relu, 0, self.entry)
        b = self._layer(ops.conv3d_relu, 1, a)
        c = ops.add(self._layer(ops.conv3d, 2, b), a, self.scales[3], self.points[3])
        o = self._layer(ops.conv3d, 3, c).dequantize()
        return F.softmax(o, 1) if self.softmax else o

    def _layer(self, convolve: Any, index: int, x: Tensor) -> Tensor:
        # Padding on both sides gives one plane too many; cutting it off costs less than padding one side.
        y: Tensor = convolve(x, self.weights[index], self.scales[index + 1], self.points[index + 1])
        return y[:, :, : self.planes]
