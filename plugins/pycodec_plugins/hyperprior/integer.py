"""`HyperSynthesis` in integers: what decides a probability in a file, the same on every machine.

The rule, with codes of at most 8 bits between the layers:

    sum    = integer convolution of codes with weights, plus bias        |sum| < 2^24
    value  = (sum * multiplier + 2^23) >> 24                             in 64 bits
    code   = clamp(value, 0, 255)                                        of a hidden layer (ReLU)

The last layer's value is fixed-point, in units of 1 / FRACTION. An enlarging layer gives four values for
each, which become a square (`pycodec.ops.quantized.depth_to_space`). Hyper-latents enter as they are, within
-127..127.

Sums below 2^24 are exact in float32 too, so the layers of `pycodec.ops.quantized`, native on a CPU and in
torch elsewhere, compute them; `reference` is the rule in plain numpy.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput
from pycodec.ops.quantized import QuantizedConv2d, depth_to_space

from .hyper import HYPER_LIMIT, HyperSynthesis

FRACTION = 256
CODE_LIMIT = 255
SUM_LIMIT = 2**24 - 1
SHIFT = 24
MARGIN = 1.25  # hidden codes reach beyond the largest activation that calibration saw
NAMES = ("weight", "bias", "multiplier")
LAYERS = 3  # two that enlarge, and the last


def _array(arrays: Mapping[str, np.ndarray], layer: int, name: str) -> np.ndarray:
    try:
        return arrays[f"{layer}.{name}"]
    except KeyError as error:
        raise InvalidInput(f"integer hyper-synthesis: the array {error} is missing") from error


class IntegerSynthesis:
    """Runs the arrays that `integer_arrays` made.

    Args:
        arrays: of layer i: ``{i}.weight`` int16 [outputs, k, k, inputs], ``{i}.bias`` int32 [outputs],
            ``{i}.multiplier`` int64 [outputs], at least 0 and below 2^38.

    Raises:
        InvalidInput: arrays that are missing or do not fit, or whose sums could reach 2^24.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.arrays = {f"{i}.{name}": _array(arrays, i, name) for i in range(LAYERS) for name in NAMES}
        self._layers = [self._layer(i) for i in range(LAYERS)]

    def __reduce__(self) -> tuple[Any, ...]:
        return IntegerSynthesis, (self.arrays,)

    def _layer(self, i: int) -> QuantizedConv2d:
        weight, bias, multiplier = (self.arrays[f"{i}.{name}"] for name in NAMES)
        limit = HYPER_LIMIT if i == 0 else CODE_LIMIT
        if weight.ndim != 4 or bias.shape != weight.shape[:1] or multiplier.shape != weight.shape[:1]:
            raise InvalidInput(
                f"integer hyper-synthesis: layer {i} has weights {weight.shape}, biases {bias.shape} and "
                f"multipliers {multiplier.shape}; expected one bias and multiplier for each output"
            )
        largest = limit * np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(1) + np.abs(bias)
        if largest.max() > SUM_LIMIT or multiplier.min() < 0 or multiplier.max() >= 1 << 38:
            raise InvalidInput(f"integer hyper-synthesis: the sums of layer {i} do not fit their 24 bits")
        return QuantizedConv2d(
            weight,
            np.ones(weight.shape[3], np.float32),
            np.ones(len(weight), np.float32),
            bias.astype(np.float32),
            limit=limit,
        )

    def __call__(self, z: Tensor, portable: bool = False) -> Tensor:
        """Fixed-point values int32 [channels, 4 h, 4 w] of integers ``z`` [hyper_channels, h, w].

        Args:
            z: whose device computes.
            portable: by torch on a CPU too, as elsewhere, instead of the native layers.
        """
        codes = z.permute(1, 2, 0).float()
        for i, layer in enumerate(self._layers):
            multiplier = torch.from_numpy(self.arrays[f"{i}.multiplier"]).to(z.device)
            sums = layer.reference(codes) if portable else layer(codes)
            values = (sums.to(torch.int64) * multiplier + (1 << (SHIFT - 1))) >> SHIFT
            if i < LAYERS - 1:
                codes = depth_to_space(values.clamp_(0, CODE_LIMIT).float(), 2)
        return values.permute(2, 0, 1).to(torch.int32)

    def reference(self, z: np.ndarray) -> np.ndarray:
        """The same in plain numpy."""
        codes = np.clip(z.transpose(1, 2, 0).astype(np.int64), -HYPER_LIMIT, HYPER_LIMIT)
        for i in range(LAYERS):
            weight, bias, multiplier = (self.arrays[f"{i}.{name}"].astype(np.int64) for name in NAMES)
            height, width, _ = codes.shape
            padded = np.pad(codes, ((1, 1), (1, 1), (0, 0)))
            taps = [
                padded[r : r + height, c : c + width] @ weight[:, r, c].T for r in range(3) for c in range(3)
            ]
            values = ((np.sum(taps, 0) + bias) * multiplier + (1 << (SHIFT - 1))) >> SHIFT
            if i < LAYERS - 1:
                squares = np.clip(values, 0, CODE_LIMIT).reshape(height, width, 2, 2, -1)
                codes = squares.transpose(0, 2, 1, 3, 4).reshape(2 * height, 2 * width, -1)
        return values.transpose(2, 0, 1).astype(np.int32)


@torch.no_grad()
def integer_arrays(network: HyperSynthesis, z: Iterable[Tensor]) -> dict[str, np.ndarray]:
    """Arrays of an `IntegerSynthesis` from a trained network.

    Args:
        network: float.
        z: rounded hyper-latents [N, hyper_channels, h, w] of training images, on which the largest
            activation of each hidden channel is measured.
    """
    largest = _largest_activations(network, z)
    unit: np.ndarray | float = 1.0  # of each code that enters a layer
    arrays: dict[str, np.ndarray] = {}
    for i, (weight, bias) in enumerate(_as_3x3(network)):
        weight = weight * unit
        limit = HYPER_LIMIT if i == 0 else CODE_LIMIT
        magnitude = np.abs(weight).reshape(len(weight), -1)
        # Each rounding may add half a unit to the sum of magnitudes.
        room = SUM_LIMIT - limit * (magnitude.shape[1] // 2 + 1) - 1
        step = np.maximum((limit * magnitude.sum(1) + np.abs(bias)) / room, magnitude.max(1) / 32767)
        step = np.where(step > 0, step, 1.0)
        if i < LAYERS - 1:
            unit = MARGIN * np.maximum(largest[i], 1e-3) / CODE_LIMIT
            out = np.tile(unit, 4)  # a square's four values have the same units
        else:
            out = np.full(len(weight), 1 / FRACTION)
        arrays[f"{i}.weight"] = np.rint(weight / step[:, None, None, None]).astype(np.int16)
        arrays[f"{i}.bias"] = np.rint(bias / step).astype(np.int32)
        arrays[f"{i}.multiplier"] = np.rint(step / out * (1 << SHIFT)).astype(np.int64)
    return arrays


def _largest_activations(network: HyperSynthesis, z: Iterable[Tensor]) -> list[np.ndarray]:
    found: list[np.ndarray] = []

    def watch(_: nn.Module, __: tuple[Tensor], output: Tensor) -> None:
        seen.append(output.amax((0, 2, 3)).double().cpu().numpy())

    hooks = [m.register_forward_hook(watch) for m in network if isinstance(m, nn.ReLU)]
    try:
        for batch in z:
            seen: list[np.ndarray] = []
            network(batch)
            found = [np.maximum(*pair) for pair in zip(found, seen, strict=True)] if found else seen
    finally:
        for hook in hooks:
            hook.remove()
    return found


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
    for r, c in itertools.product(range(2), range(2)):
        for dy, dx in itertools.product((-1, 0, 1), (-1, 0, 1)):
            u, v = 2 - 2 * dy + r, 2 - 2 * dx + c
            if u < 5 and v < 5:
                phases[r, c, :, dy + 1, dx + 1] = weight[:, :, u, v].T
    return phases.reshape(4 * outputs, 3, 3, inputs).numpy()
