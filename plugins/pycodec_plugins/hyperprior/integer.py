"""`HyperSynthesis` in integers, by the rule of `integer_layer`.

An enlarging layer gives four values for each, which become a square
(`pycodec.ops.quantized.depth_to_space`). Hyper-latents enter as they are, within -127..127.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.ops.quantized import depth_to_space
from pycodec.window import Window

from .hyper import HYPER_LIMIT, HyperSynthesis
from .integer_layer import (
    CODE_LIMIT,
    FRACTION,
    MARGIN,
    NAMES,
    SHIFT,
    Arrays,
    IntegerLayer,
    largest_inputs,
    layer_arrays,
)
from .latent import RATIO

LAYERS = 3  # two that enlarge, and the last
TILE_POSITIONS = 1 << 13  # of z that are worked on together: all of an image of 32 million pixels


def _limit(layer: int) -> int:
    return HYPER_LIMIT if layer == 0 else CODE_LIMIT


class IntegerSynthesis:
    """Runs the arrays that `integer_arrays` made.

    Args:
        arrays: of layer i, "0" to "2", as `IntegerLayer` takes them; others are left alone.

    Raises:
        InvalidInput: as `IntegerLayer`.
    """

    halo = 2  # 3 x 3 kernels on the grid of z, on one twice and on one four times as fine: 1 + 1/2 + 1/4

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._layers = [IntegerLayer(arrays, str(i), _limit(i)) for i in range(LAYERS)]
        self.arrays = {f"{i}.{name}": arrays[f"{i}.{name}"] for i in range(LAYERS) for name in NAMES}

    def __reduce__(self) -> tuple[Any, ...]:
        return IntegerSynthesis, (self.arrays,)

    def __call__(self, z: Tensor, portable: bool = False) -> Tensor:
        """Fixed-point values int32 [channels, 4 h, 4 w] of integers ``z`` [hyper_channels, h, w].

        Args:
            z: whose device computes.
            portable: see `IntegerLayer`.
        """
        whole = Window(0, z.shape[1], 0, z.shape[2])
        tiles = whole.tiles(TILE_POSITIONS)
        if len(tiles) == 1:
            return self._at_once(z, portable)
        fine = whole.scaled(RATIO)
        out = z.new_empty(len(self.arrays["2.bias"]), fine.height, fine.width, dtype=torch.int32)
        for tile in tiles:
            around = tile.grown(self.halo, whole)
            values = self._at_once(z[(slice(None), *around.within(whole))], portable)
            kept = tile.scaled(RATIO)
            out[(slice(None), *kept.within(fine))] = values[(slice(None), *kept.within(around.scaled(RATIO)))]
        return out

    def _at_once(self, z: Tensor, portable: bool) -> Tensor:
        codes = z.permute(1, 2, 0)
        for layer in self._layers[:-1]:
            codes = depth_to_space(layer(codes, portable).clamp_(0, CODE_LIMIT).float(), 2)
        return self._layers[-1](codes, portable).permute(2, 0, 1).to(torch.int32)

    def reference(self, z: np.ndarray) -> np.ndarray:
        """The same in plain numpy."""
        codes = z.transpose(1, 2, 0)
        for layer in self._layers[:-1]:
            height, width, _ = codes.shape
            squares = layer.reference(codes).clip(0, CODE_LIMIT).reshape(height, width, 2, 2, -1)
            codes = squares.transpose(0, 2, 1, 3, 4).reshape(2 * height, 2 * width, -1)
        return self._layers[-1].reference(codes).transpose(2, 0, 1).astype(np.int32)


@torch.no_grad()
def integer_arrays(network: HyperSynthesis, z: Iterable[Tensor]) -> Arrays:
    """Arrays of an `IntegerSynthesis` from a trained network.

    Args:
        network: float.
        z: rounded hyper-latents [N, hyper_channels, h, w] of training images, on which the largest
            activation of each hidden channel is measured.
    """
    with largest_inputs(network) as inputs:
        for batch in z:
            network(batch)
    largest = list(inputs.values())[1:]  # the first are those of z
    unit: np.ndarray | float = 1.0  # of each code that enters a layer
    arrays: Arrays = {}
    for i, (weight, bias) in enumerate(_as_3x3(network)):
        weight = weight * unit
        if i < LAYERS - 1:
            unit = MARGIN * np.maximum(largest[i], 1e-3) / CODE_LIMIT
            out = np.tile(unit, 4)  # a square's four values have the same units
        else:
            out = np.full(len(weight), 1 / FRACTION)
        layer = layer_arrays(weight, bias, out, _limit(i))
        arrays |= {f"{i}.{name}": array for name, array in layer.items()}
    return arrays


def float_tensors(network: HyperSynthesis, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of the float network that ``arrays`` compute, by their names in ``network``: the inverse of
    `integer_arrays`, but that hidden channels come back in units of their own.

    Raises:
        InvalidInput: as `IntegerLayer`.
    """
    tensors: dict[str, np.ndarray] = {}
    convolutions = [
        (name, module)
        for name, module in network.named_children()
        if next(module.parameters(), None) is not None
    ]
    weights, biases = [], []
    for i in range(LAYERS):
        layer = IntegerLayer(arrays, str(i), _limit(i))
        step = layer.multiplier / (1 << SHIFT) * (1.0 if i < LAYERS - 1 else 1 / FRACTION)  # of the sums
        weights.append(layer.weight * step[:, None, None, None])
        biases.append(layer.bias * step)
    _equalize(weights, biases)
    for i, (name, module) in enumerate(convolutions):
        weight, bias = torch.from_numpy(weights[i]), biases[i]
        if isinstance(module, nn.ConvTranspose2d):
            weight, bias = _from_phases(weight), bias[: len(bias) // 4]
        else:
            weight = weight.permute(0, 3, 1, 2)
            if i < LAYERS - 1:  # to the order of pixel shuffling, channel first
                weight = weight.unflatten(0, (4, -1)).transpose(0, 1).flatten(0, 1)
                bias = bias.reshape(4, -1).T.ravel()
        tensors[f"{name}.weight"] = weight.float().contiguous().numpy()
        tensors[f"{name}.bias"] = bias.astype(np.float32)
    return tensors


def _equalize(weights: list[np.ndarray], biases: list[np.ndarray]) -> None:
    """Give each hidden channel the unit in which the weights that make it are as large as those that use it:
    the sizes that training has and keeps. In codes, channels that are hardly ever active come from weights
    of thousands.
    """
    for i in [0, 1] * 4:  # each changes what the other finds
        made = np.square(weights[i]).reshape(4, weights[i + 1].shape[-1], -1).mean((0, 2))
        used = np.square(weights[i + 1]).mean((0, 1, 2))
        used = np.maximum(used, 1e-6 * used.max())  # of some, codes are so small that their weights are 0
        factor = np.where((made > 0) & (used > 0), (used / np.where(made > 0, made, 1)) ** 0.25, 1.0)
        weights[i] *= np.tile(factor, 4)[:, None, None, None]
        biases[i] *= np.tile(factor, 4)
        weights[i + 1] /= factor


def _as_3x3(network: HyperSynthesis) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights [outputs, 3, 3, inputs] and biases of each layer; the outputs of one that enlarges are ordered
    by row, column and channel of the square.
    """
    layers = list(network)
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.ConvTranspose2d):
            yield _phases(layer.weight.double()), layer.bias.double().repeat(4).numpy()
        elif isinstance(layer, nn.Conv2d):
            weight, bias = layer.weight.permute(0, 2, 3, 1).double(), layer.bias.double()
            if isinstance(following, nn.PixelShuffle):  # from its order, channel first
                weight = weight.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1)
                bias = bias.unflatten(0, (-1, 4)).T.flatten()
            yield weight.numpy(), bias.numpy()


def _phases(weight: Tensor) -> np.ndarray:  # [inputs, outputs, 5, 5] -> [4 outputs, 3, 3, inputs]
    """A transposed convolution of stride 2 and padding 2 as one convolution for each place in a square.

    Output 2 i + r takes tap 2 - 2 d + r of input i + d.
    """
    inputs, outputs = weight.shape[:2]
    phases = weight.new_zeros(2, 2, outputs, 3, 3, inputs)
    for (r, c, dy, dx), (u, v) in _taps_of_phases():
        phases[r, c, :, dy, dx] = weight[:, :, u, v].T
    return phases.reshape(4 * outputs, 3, 3, inputs).numpy()


def _from_phases(phases: Tensor) -> Tensor:  # [4 outputs, 3, 3, inputs] -> [inputs, outputs, 5, 5]
    """The inverse."""
    phases = phases.reshape(2, 2, -1, 3, 3, phases.shape[-1])
    weight = phases.new_zeros(phases.shape[-1], phases.shape[2], 5, 5)
    for (r, c, dy, dx), (u, v) in _taps_of_phases():
        weight[:, :, u, v] = phases[r, c, :, dy, dx].T
    return weight


def _taps_of_phases() -> Iterator[tuple[tuple[int, int, int, int], tuple[int, int]]]:
    """Place in a square and tap of its 3 x 3 kernel, and the tap of the 5 x 5 kernel that it is."""
    for r, c, dy, dx in itertools.product(range(2), range(2), range(3), range(3)):
        u, v = 4 - 2 * dy + r, 4 - 2 * dx + c
        if u < 5 and v < 5:
            yield (r, c, dy, dx), (u, v)
