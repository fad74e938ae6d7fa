"""From a trained float context network to the integer arrays of :class:`pycodec.coding.context.ContextModel`.

Post-training quantisation: int8 weights with a scale per output channel, uint8 activations with a scale per
channel that covers the largest value seen in calibration, 32-bit multipliers in between. Zero points, the
rounding of every floor and the offsets of the heads are folded into the biases; the arrays' own constructor
then proves that no sum overflows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidInput
from .context import (
    FRACTIONS,
    TAPS,
    ContextModel,
)
from .context_reference import OFFSETS
from .context_tables import (
    LOG_SCALE_STEP,
    LOGIT_UNIT,
    SCALE_MAX,
    SCALE_MIN,
    exp_table,
    integer_tables,
    logistic_masses,
    sigmoid,
)


@dataclass
class ActivationRanges:
    """Largest values of the hidden layers, over all calibration volumes: [k], a number for every channel.

    Exactly the largest: clipping the range at the 99.9th percentile costs 0.6 % of rate.
    """

    first: np.ndarray | float = 0.0
    """Maximum of layer 0's output, behind its ReLU."""
    second: np.ndarray | float = 0.0
    """Maximum of layer 1's output, behind its ReLU."""
    third: np.ndarray | float = 0.0
    """Largest magnitude of layer 2's output, residual added."""

    def update(self, first: np.ndarray, second: np.ndarray, third: np.ndarray) -> None:
        """Widen the ranges by the outputs of the layers for one more volume, [k, D, H, W] each."""
        self.first = np.maximum(self.first, first.max((1, 2, 3)))
        self.second = np.maximum(self.second, second.max((1, 2, 3)))
        self.third = np.maximum(self.third, np.abs(third).max((1, 2, 3)))


@dataclass(frozen=True)
class FloatContext:
    """A trained float network, in float64. Outside the volume every layer sees 0."""

    weights: Sequence[np.ndarray]
    """Four of [out, in, 2, 3, 3]: previous and current plane; taps that are not causal must be 0."""
    bias0: np.ndarray  # [Q, D, k]
    bias1: np.ndarray  # [k]
    bias2: np.ndarray  # [k]
    bias3: np.ndarray  # [Q, D, outputs]
    inputs: np.ndarray
    """Network input of each entry of the integer model's input map, [256] or [L]."""
    earlier: np.ndarray | None = None
    """Weights of the earlier planes' values and magnitudes, [D (D - 1) / 2, k, 2]: see
    :class:`ContextModel`."""
    limit: float | None = None
    """Largest magnitude of layer 2's output, if there is one."""

    def taps(self, layer: int) -> np.ndarray:
        """Causal weights of a layer, [out, in, taps]."""
        weights = np.asarray(self.weights[layer], np.float64)
        return np.stack([weights[:, :, 1 + d, 1 + h, 1 + w] for d, h, w in OFFSETS[: TAPS[layer]]], -1)

    def forward(self, symbols: np.ndarray, quality: float = 1.0) -> list[np.ndarray]:
        """Outputs of the four layers, [channels, D, H, W] each, for ``symbols`` [D, H, W]; quality 1 .. Q."""
        index = symbols if len(self.inputs) != 256 else symbols.clip(-128, 127) + 128
        x = self.inputs[index]
        first = self._convolve(0, x[None], _at_quality(self.bias0, quality))
        for d in range(1, len(x) if self.earlier is not None else 0):
            weights = self.earlier[d * (d - 1) // 2 :][:d]  # type: ignore[index]
            seen = np.stack([x[:d], np.abs(x[:d])], 1)
            first[:, d] += np.tensordot(weights, seen, ((0, 2), (0, 1)))
        first = np.maximum(first, 0)
        second = np.maximum(self._convolve(1, first, self.bias1[None]), 0)
        third = self._convolve(2, second, self.bias2[None]) + first
        if self.limit is not None:
            third = third.clip(-self.limit, self.limit)
        return [first, second, third, self._convolve(3, third, _at_quality(self.bias3, quality))]

    def _convolve(self, layer: int, x: np.ndarray, bias: np.ndarray) -> np.ndarray:
        depth, height, width = x.shape[1:]
        padded = np.pad(x, ((0, 0), (1, 0), (1, 1), (1, 1)))
        weights = self.taps(layer).transpose(0, 2, 1).reshape(len(self.weights[layer]), -1)  # [out, tap * in]
        out = np.empty((len(weights), depth, height, width))
        for d in range(depth):
            windows = [
                padded[:, 1 + d + dd, 1 + dh : 1 + dh + height, 1 + dw : 1 + dw + width]
                for dd, dh, dw in OFFSETS[: TAPS[layer]]
            ]
            sums = weights @ np.concatenate(windows).reshape(weights.shape[1], -1)
            out[:, d] = sums.reshape(-1, height, width) + bias[d % len(bias)][:, None, None]
        return out


def _at_quality(table: np.ndarray, quality: float) -> np.ndarray:
    position = min(max(quality - 1, 0), len(table) - 1)
    low = int(position)
    mixed: np.ndarray = table[low] + (position - low) * (table[min(low + 1, len(table) - 1)] - table[low])
    return mixed


def quantize_context(network: FloatContext, ranges: ActivationRanges, head: str) -> dict[str, np.ndarray]:
    """The integer model of a float network.

    Args:
        network: trained weights. Parametric head: outputs are the mean and the log of the logistic's scale.
        ranges: of its activations; larger ones will be clamped.
        head: "categorical" or "parametric".

    Returns:
        The arrays of :class:`ContextModel`, which has accepted them.

    Raises:
        InvalidInput: values that are not finite, weights too large for the activations' scales, or a sum
            that could overflow.
    """
    numbers = [*network.weights, network.bias0, network.bias1, network.bias2, network.bias3, network.inputs]
    numbers += [] if network.earlier is None else [network.earlier]
    numbers += [np.asarray(ranges.first), np.asarray(ranges.second), np.asarray(ranges.third)]
    if not all(np.isfinite(a).all() for a in numbers):
        raise InvalidInput(
            "the context network has weights or activations that are not finite; train it again"
        )
    inputs = np.asarray(network.inputs, np.float64)
    input_scale, input_zero = _affine(float(inputs.min()), float(inputs.max()))
    k = len(network.bias1)
    first_scale, second_scale = (_scales(high, 255, k) for high in (ranges.first, ranges.second))
    third_scale, third_zero = _scales(ranges.third, 127, k), 128
    if head == "parametric":
        # The table's centre is (sixteenth - 8) / 16, so 8 more than the mean; a half more rounds to the
        # nearest.
        units = np.array([1 / FRACTIONS, LOG_SCALE_STEP])
        offsets = np.array([8.5, 0.5 - np.log(SCALE_MIN) / LOG_SCALE_STEP])
    else:
        units, offsets = np.array([LOGIT_UNIT]), np.array([0.5])

    layers = [
        _quantize_layer(
            network.taps(0), network.bias0, input_scale, input_zero, first_scale, 0.5, earlier=network.earlier
        ),
        _quantize_layer(network.taps(1) * first_scale[:, None], network.bias1, 1.0, 0, second_scale, 0.5),
        _quantize_layer(
            network.taps(2) * second_scale[:, None],
            network.bias2,
            1.0,
            0,
            third_scale,
            third_zero + 0.5,
            first_scale,
        ),
        _quantize_layer(
            network.taps(3) * third_scale[:, None], network.bias3, 1.0, third_zero, units, offsets
        ),
    ]
    arrays: dict[str, np.ndarray] = {
        "input_map": (np.round(inputs / input_scale) + input_zero).clip(0, 255).astype(np.uint8),
        "constants": np.array([input_zero, 0, 0, third_zero], np.uint8),
        "residual": layers[2].residual,
    }
    for index, layer in enumerate(layers):
        weight = layer.weight[:, 0] if index == 0 else layer.weight
        arrays |= {
            f"weight{index}": weight,
            f"bias{index}": layer.bias,
            f"multiplier{index}": layer.multiplier,
        }
    if layers[0].earlier is not None:
        arrays["weight_earlier"] = layers[0].earlier
    if head == "parametric":
        arrays["table_radius"], arrays["table_frequencies"] = integer_tables(logistic_masses())
    else:
        arrays["exp_table"] = exp_table()
    return ContextModel(arrays, head).arrays()


def _affine(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of uint8 codes that cover ``low`` .. ``high`` and hold 0 exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return 1.0, 0
    zero = round(-255 * low / (high - low))
    scale = max(-low / zero if zero > 0 else 0.0, high / (255 - zero) if zero < 255 else 0.0)
    return scale, zero


def _scales(largest: np.ndarray | float, codes: int, channels: int) -> np.ndarray:
    """Of each channel's codes, so many of which cover the largest value."""
    scales = np.broadcast_to(np.asarray(largest, np.float64) / codes, channels)
    return np.where(scales > 0, scales, 1.0)


@dataclass(frozen=True)
class _IntegerLayer:
    weight: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    residual: np.ndarray
    earlier: np.ndarray | None


def _quantize_layer(
    weights: np.ndarray,  # [out, in, taps]
    bias: np.ndarray,  # [..., out]
    input_scale: float,
    input_zero: int,
    unit: float | np.ndarray,
    offset: float | np.ndarray,
    residual_scale: np.ndarray | None = None,
    earlier: np.ndarray | None = None,  # [D (D - 1) / 2, out, 2], with a bias of [.., D, out]
) -> _IntegerLayer:
    """Integers such that floor(acc M / 2^32) = floor(float output / unit + offset), up to quantisation.

    ``unit`` and ``offset`` are those of the output's codes, scalars or [out]; ``residual_scale``, [out], is
    the scale of codes that are added to the output with factor 1.
    """
    unit = np.broadcast_to(unit, len(weights)).astype(np.float64)
    offset = np.broadcast_to(offset, len(weights)).astype(np.float64)
    largest_bias = np.abs(bias).reshape(-1, len(weights)).max(0) + np.abs(offset) * unit
    scale = np.abs(weights).max((1, 2)) / 127
    if earlier is not None:
        scale = np.maximum(scale, np.abs(earlier).max((0, 2), initial=0) / 127)
    # Channels with hardly any weight: the multiplier must keep 16 bits of precision and the bias stay below
    # 2^28.
    scale = np.maximum(scale, np.maximum(unit / 2**16, largest_bias / 2**28) / input_scale)
    residual = np.zeros(len(weights), np.int32)
    if residual_scale is not None:
        # One code of the residual should be a whole number of units of the sum: widen the scale until it is,
        # unless that would cost more precision than rounding the factor does.
        factor = residual_scale / (input_scale * scale)
        residual = np.where(factor >= 8, np.floor(factor), np.round(factor)).astype(np.int32)
        scale = np.where(factor >= 8, residual_scale / (input_scale * np.maximum(residual, 1)), scale)
    sum_unit = input_scale * scale  # float value of one unit of the accumulator
    multiplier = np.round(sum_unit / unit * 2.0**32)
    if multiplier.max() >= 2**31:
        raise InvalidInput(
            f"channel {multiplier.argmax()} of the context network has weights too large to rescale; "
            "train it again with some weight decay"
        )
    integers = _round_weights(weights / scale[:, None, None])
    folded = np.round((bias + offset * unit) / sum_unit) - input_zero * integers.astype(np.int64).sum((1, 2))
    if earlier is not None:
        earlier = np.round(earlier / scale[:, None]).clip(-127, 127).astype(np.int8)
        for d in range(1, folded.shape[-2]):  # magnitudes have no zero point
            folded[..., d, :] -= input_zero * earlier[d * (d - 1) // 2 :, :, 0][:d].astype(np.int64).sum(0)
    if np.abs(folded).max() >= 2**31:
        raise InvalidInput("the context network has a bias too large for int32; train it again")
    return _IntegerLayer(integers, folded.astype(np.int32), multiplier.astype(np.int32), residual, earlier)


def _round_weights(weights: np.ndarray) -> np.ndarray:  # [out, in, taps]
    """Nearest int8 weights, each tap taking over the rounding error of those before it.

    The taps of one input channel see neighbouring positions, hence similar values: with errors that add up
    to less than one half their sum stays right, where independent errors would shift the output.
    """
    out = np.zeros(weights.shape, np.int8)
    carry = np.zeros(weights.shape[:2])
    for t in range(weights.shape[2]):
        wanted = weights[:, :, t] + carry
        out[:, :, t] = np.round(wanted).clip(-127, 127)
        carry = wanted - out[:, :, t]
    return out


def logistic_bits(symbols: np.ndarray, mean: np.ndarray, log_scale: np.ndarray) -> np.ndarray:
    """-log2 of the discretised logistic itself: what the parametric head approximates."""
    scale = np.exp(log_scale.clip(np.log(SCALE_MIN), np.log(SCALE_MAX)))
    distance = np.abs(symbols - mean)
    mass = sigmoid((0.5 - distance) / scale) - sigmoid((-0.5 - distance) / scale)
    return -np.log2(np.maximum(mass, 1e-300))


def logit_bits(symbols: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Cross entropy in bits under ``logits`` [L, ...]: what the categorical head approximates."""
    shifted = logits - logits.max(0)
    chosen = np.take_along_axis(shifted, symbols[None], 0)[0]
    bits: np.ndarray = (np.log(np.exp(shifted).sum(0)) - chosen) / np.log(2)
    return bits
