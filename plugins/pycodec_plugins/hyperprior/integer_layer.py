"""One layer of a network that decides probabilities, in integers: the same on every machine.

The rule, with codes of at most 8 bits between the layers:

    sum    = integer convolution of codes with weights, plus bias        |sum| < 2^24
    value  = (sum * multiplier + 2^23) >> 24                             in 64 bits
    code   = clamp(value, 0, 255)                                        of a hidden layer (ReLU)

The value of an output is fixed-point, in units of 1 / FRACTION.

Sums below 2^24 are exact in float32 too, so the layers of `pycodec.ops.quantized`, native on a CPU and in
torch elsewhere, compute them; `IntegerLayer.reference` is the rule in plain numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput
from pycodec.ops.quantized import QuantizedConv2d

FRACTION = 256
CODE_LIMIT = 255
SUM_LIMIT = 2**24 - 1
SHIFT = 24
MARGIN = 1.25  # codes reach beyond the largest activation that calibration saw
NAMES = ("weight", "bias", "multiplier")
Arrays = dict[str, np.ndarray]


class IntegerLayer:
    """A convolution with "same" zero padding.

    Args:
        arrays: ``{name}.weight`` int8 or int16 [outputs, k, k, inputs], k = 1 or 3, ``{name}.bias`` int32
            [outputs] and ``{name}.multiplier`` int64 [outputs], at least 0 and below 2^38.
        name: of the layer in ``arrays``.
        limit: largest magnitude of a code that enters; those of the first layer of a network are clamped.

    Raises:
        InvalidInput: arrays that are missing or do not fit, or whose sums could reach 2^24.
    """

    dimensions = 4  # of the weights

    def __init__(self, arrays: Mapping[str, np.ndarray], name: str, limit: int = CODE_LIMIT):
        try:
            self.weight, self.bias, self.multiplier = (arrays[f"{name}.{part}"] for part in NAMES)
        except KeyError as error:
            raise InvalidInput(f"integer network: the array {error} is missing") from error
        outputs = self.weight.shape[:1]
        if (
            self.weight.ndim != self.dimensions
            or self.bias.shape != outputs
            or self.multiplier.shape != outputs
        ):
            raise InvalidInput(
                f"integer network: layer {name} has weights {self.weight.shape}, biases {self.bias.shape} "
                f"and multipliers {self.multiplier.shape}; expected one bias and multiplier for each output"
            )
        magnitudes = np.abs(self.weight.astype(np.int64)).reshape(len(self.weight), -1).sum(1)
        largest = limit * magnitudes + np.abs(self.bias.astype(np.int64))
        if largest.max() > SUM_LIMIT or self.multiplier.min() < 0 or self.multiplier.max() >= 1 << 38:
            raise InvalidInput(f"integer network: the sums of layer {name} do not fit their 24 bits")
        self.limit = limit
        self.sums, self.portable_sums = self.exact_sums()

    def exact_sums(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """What computes sums, with the bias, of float32 codes [h, w, inputs]: natively, and by torch."""
        layer = QuantizedConv2d(
            self.weight.astype(np.int16),
            np.ones(self.weight.shape[-1], np.float32),
            np.ones(len(self.weight), np.float32),
            self.bias.astype(np.float32),
            limit=self.limit,
        )
        return layer, layer.reference

    def __call__(self, codes: Tensor, portable: bool = False) -> Tensor:
        """Values int64 [h, w, outputs] of codes [h, w, inputs].

        Args:
            codes: whose device computes.
            portable: by torch on a CPU too, as elsewhere, instead of the native layers.
        """
        sums = self.portable_sums if portable else self.sums
        values = sums(codes.float()).to(torch.int64)
        values *= torch.from_numpy(self.multiplier).to(codes.device)
        values += 1 << (SHIFT - 1)
        values >>= SHIFT
        return values

    def reference(self, codes: np.ndarray) -> np.ndarray:
        """The same in plain numpy."""
        codes = codes.clip(-self.limit, self.limit).astype(np.int64)
        height, width, _ = codes.shape
        side = self.weight.shape[1]
        padded = np.pad(codes, (*[(side // 2, side // 2)] * 2, (0, 0)))
        taps = [
            self.tap(padded[r : r + height, c : c + width], r, c) for r in range(side) for c in range(side)
        ]
        return ((np.sum(taps, 0) + self.bias) * self.multiplier + (1 << (SHIFT - 1))) >> SHIFT

    def tap(self, codes: np.ndarray, row: int, column: int) -> np.ndarray:
        """What one tap of the kernel adds to the sums, int64."""
        return codes @ self.weight[:, row, column].astype(np.int64).T


def layer_arrays(
    weight: np.ndarray,
    bias: np.ndarray,
    unit: np.ndarray | float,
    limit: int = CODE_LIMIT,
    largest: int = 32767,
) -> Arrays:
    """Weight, bias and multiplier of an `IntegerLayer`: the finest whose sums fit.

    Args:
        weight: float64 [outputs, ...], for codes as they enter: in units of a code, not of an activation.
        bias: float64 [outputs].
        unit: of what leaves, [outputs]: 1 / FRACTION, or that of a hidden code.
        limit: largest magnitude of a code that enters.
        largest: magnitude of an integer weight: 127 or 32767.
    """
    magnitude = np.abs(weight).reshape(len(weight), -1)
    # Each rounding may add half a unit to the sum of magnitudes.
    room = SUM_LIMIT - limit * (magnitude.shape[1] // 2 + 1) - 1
    step = np.maximum((limit * magnitude.sum(1) + np.abs(bias)) / room, magnitude.max(1) / largest)
    step = np.where(step > 0, step, 1.0)
    columns = step.reshape(-1, *[1] * (weight.ndim - 1))
    return {
        "weight": np.rint(weight / columns).astype(np.int8 if largest < 128 else np.int16),
        "bias": np.rint(bias / step).astype(np.int32),
        "multiplier": np.rint(step / unit * (1 << SHIFT)).astype(np.int64),
    }


@contextmanager
def largest_inputs(network: nn.Module) -> Iterator[Arrays]:
    """The largest magnitude of each input channel of every convolution, float64 by module name, that runs of
    the network within the body show.
    """
    found: Arrays = {}

    def watch(name: str, inputs: tuple[Tensor, ...]) -> None:
        seen = inputs[0].detach().abs().amax((0, 2, 3)).double().cpu().numpy()
        found[name] = np.maximum(found.get(name, 0.0), seen)

    hooks = [
        module.register_forward_hook(lambda _, inputs, __, name=name: watch(name, inputs))
        for name, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
