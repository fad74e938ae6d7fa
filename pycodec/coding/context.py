"""The integer masked 3D context model: symbols of a latent volume to bytes and back, exact on every machine.

A small network of integer convolutions looks at the symbols already coded (earlier planes, rows above,
columns to the left) and gives the frequency table of the next one. The network is that of Mentzer et al.
2018, "Conditional Probability Models for Deep Image Compression", Fig. 3. Two heads turn outputs into tables:

* ``"categorical"`` (the paper): the logits of a small alphabet 0 .. L - 1.
* ``"parametric"``: integers of any size; the network gives location and scale of a discretised logistic.

Every rule, and the stream, is in docs/context-model.md. :mod:`pycodec.coding.context_export` makes the
arrays from a trained float network, :mod:`pycodec.coding.context_reference` is the same in plain numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import profiling, progress
from ..errors import InvalidInput
from ..native import native

PRECISION = 14
TOTAL = 1 << PRECISION
SCALES = 64
FRACTIONS = 16
MAX_SYMBOL = 1 << 20
MAX_PLANES = 256
MAX_EXP = 4096
QUALITY_STEPS = 16
"""Integer steps in one unit of quality."""
TAPS = (13, 14, 14, 14)

WATCHED = 1 << 22
"""A volume of so many symbols takes seconds: its coding is reported, and can be interrupted."""

_LAYERS = tuple(f"{name}{layer}" for layer in range(4) for name in ("weight", "bias", "multiplier"))
_COMMON = ("input_map", "constants", "residual", *_LAYERS)
_OPTIONAL = "weight_earlier"
_HEADS = {
    "categorical": (*_COMMON, "exp_table"),
    "parametric": (*_COMMON, "table_radius", "table_frequencies"),
}


class ContextModel:
    """One trained model: integer arrays, checked once, and the coder that uses them.

    Args:
        arrays: k channels, ``outputs`` values per symbol (L, or 2), Q qualities, D planes; Q and D may be 1,
            then the one row serves all.
            ``input_map`` uint8 [L] or [256] (entry y + 128, y clipped to -128..127);
            ``weight0`` int8 [k, 13], ``weight1``, ``weight2`` [k, k, 14], ``weight3`` [outputs, k, 14];
            ``bias0`` int32 [Q, D, k], ``bias1``, ``bias2`` [k], ``bias3`` [Q, D, outputs]; ``multiplier0`` ..
            ``multiplier3`` int32, one per channel; ``residual`` int32 [k]; ``constants`` uint8 [4].
            Optional: ``weight_earlier`` int8 [D (D - 1) / 2, k, 2], a row for every pair of planes (d, e),
            e < d, by d and then by e.
            Categorical: ``exp_table`` int32 [2048]. Parametric: ``table_radius`` uint8 [64, 16] and
            ``table_frequencies`` int16 [sum of 2 radius + 2].
        head: "categorical" or "parametric".

    Raises:
        InvalidInput: an array is missing, unknown, of another type, shape or range, or a sum could overflow.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], head: str):
        if head not in _HEADS:
            raise InvalidInput(f"context model: head is {head!r}, expected one of {', '.join(_HEADS)}")
        self.head = head
        self._arrays = _checked(arrays, head)
        bias0 = self._arrays["bias0"]
        self.qualities, self.planes, self.width = bias0.shape
        self.outputs: int = self._arrays["bias3"].shape[2]
        self._native = native().ContextModel(self._arrays, head)

    def __reduce__(self) -> tuple[Any, ...]:
        return ContextModel, (self._arrays, self.head)

    @property
    def native(self) -> Any:
        """The extension's model."""
        return self._native

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, as given; they are not copies."""
        return dict(self._arrays)

    def encode(
        self,
        symbols: np.ndarray,  # [D, H, W], integers
        quality_step: int | None = None,
        threads: int = 1,
    ) -> bytes:
        """Stream of the symbols of one image; the same bytes for any number of threads and on every machine.

        Args:
            symbols: categorical 0 .. L - 1, parametric within +-2^20.
            quality_step: 16 times the quality, 16 .. 16 Q; not needed by a model of one quality.
            threads: how many threads may work on it.

        Raises:
            InvalidInput: symbols or quality out of range, or of another type or shape.
        """
        volume = self._volume(symbols)
        biases = self.biases(quality_step, volume.shape[0])
        data: bytes
        data, table_seconds = native().context_encode(
            self._native, volume, *biases, _threads(threads), "", _watch(volume)
        )
        profiling.add("tables", table_seconds)
        return data

    def encode_chosen(
        self,
        symbols: np.ndarray,  # [D, H, W], integers
        slopes: np.ndarray,  # [D, H, W] int32
        curvatures: np.ndarray,  # [D] int32, not negative
        quality_step: int | None = None,
        threads: int = 1,
    ) -> tuple[np.ndarray, bytes]:
        """Symbols int32 [D, H, W] that cost least in bits and image together, and their stream; the same for
        any number of threads and on every machine. Parametric head only.

        In coding order, each symbol may become a neighbour, which costs ``slope d + curvature`` in units of
        2^-13 bit besides its bits: see docs/context-model.md.

        Raises:
            InvalidInput: as `encode`; slopes or curvatures of another type or shape; a categorical head.
        """
        if self.head != "parametric":
            raise InvalidInput(f"symbols of a {self.head} head cannot be chosen; encode them as they are")
        volume = self._volume(symbols).copy()
        for name, costs, shape in (
            ("slopes", slopes, volume.shape),
            ("curvatures", curvatures, volume.shape[:1]),
        ):
            if costs.dtype != np.int32 or costs.shape != shape:
                raise InvalidInput(f"{name} are {costs.dtype} {costs.shape}, expected int32 {shape}")
        biases = self.biases(quality_step, volume.shape[0])
        prices = np.ascontiguousarray(slopes), np.ascontiguousarray(curvatures)
        data, table_seconds = native().context_encode_chosen(
            self._native, volume, *prices, *biases, _threads(threads), "", _watch(volume)
        )
        profiling.add("tables", table_seconds)
        return volume, data

    def decode(
        self, data: bytes, shape: tuple[int, int, int], quality_step: int | None = None, threads: int = 1
    ) -> np.ndarray:
        """Symbols [D, H, W] int32 of a stream that :meth:`encode` wrote with this model, shape and quality.

        Raises:
            CorruptStream: ``data`` is not such a stream. Damage that leaves a valid stream gives other
                symbols: the caller keeps a checksum of them.
            InvalidInput: shape or quality out of range.
        """
        shape = self.check_shape(shape)
        biases = self.biases(quality_step, shape[0])
        try:
            symbols = np.empty(shape, np.int32)
        except (MemoryError, ValueError):
            raise InvalidInput(f"a volume of {shape} symbols does not fit the memory") from None
        native().context_decode(
            self._native, bytes(data), symbols, *biases, _threads(threads), "", _watch(symbols)
        )
        return symbols

    def tables(
        self, symbols: np.ndarray, quality_step: int | None = None, threads: int = 1
    ) -> np.ndarray:  # [outputs, D, H, W] int32
        """What the coder uses at every symbol, given those before it.

        Returns:
            Categorical: the L frequencies, which sum to 2^14. Parametric: location * 16, scale index.
        """
        volume = self._volume(symbols)
        values = np.empty((self.outputs, *volume.shape), np.int32)
        biases = self.biases(quality_step, volume.shape[0])
        native().context_tables(self._native, volume, values, *biases, _threads(threads), "")
        return values

    def code_length_bits(self, symbols: np.ndarray, quality_step: int | None = None) -> float:
        """Ideal length in bits under the integer tables: the sum of `code_lengths`."""
        return float(self.code_lengths(symbols, quality_step).sum())

    def code_lengths(
        self, symbols: np.ndarray, quality_step: int | None = None, threads: int = 1
    ) -> np.ndarray:  # [D, H, W] float64
        """Ideal length of each symbol in bits: -log2 of its frequency, plus the bytes of its escape."""
        volume = self._volume(symbols)
        values = self.tables(volume, quality_step, threads)
        if self.head == "categorical":
            frequencies = np.take_along_axis(values, volume[None], 0)[0]
            return PRECISION - np.log2(frequencies)
        _, frequencies, escapes = self.logistic_classes(volume, values)
        bits = PRECISION - np.log2(frequencies)
        radius = self._arrays["table_radius"].astype(np.int64)[values[1], values[0] & 15]
        escaped = np.abs(volume - (values[0] >> 4)) > radius
        bits[escaped] += 8 * (1 + sum((escapes >> shift != 0).astype(np.int64) for shift in (7, 14, 21)))
        return bits

    def logistic_classes(
        self, symbols: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Parametric head: how each symbol is coded, given what :meth:`tables` says about it.

        Returns:
            ``(starts, frequencies, escapes)``: the symbols' intervals, same shape as ``symbols``, and the
            numbers that go to the side list, 1-D, in the order of ``symbols``.
        """
        residual = symbols.astype(np.int64) - (values[0] >> 4)
        sixteenth = values[0] & 15
        radius = self._arrays["table_radius"].astype(np.int64)
        sizes = 2 * radius.ravel() + 2
        first = np.cumsum(sizes) - sizes
        frequencies = self._arrays["table_frequencies"].astype(np.int64)
        sums = np.cumsum(frequencies)
        table = values[1] * FRACTIONS + sixteenth
        magnitude = np.abs(residual)
        nearer = (residual > 0) == (sixteenth >= 8)
        index = np.where(residual == 0, 0, 2 * magnitude - nearer)
        excess = magnitude - radius.ravel()[table]
        at = first[table] + np.where(excess > 0, 2 * radius.ravel()[table] + 1, index)
        escapes = ((excess - 1) << 1 | (residual < 0))[excess > 0]
        return sums[at] - frequencies[at] - table * TOTAL, frequencies[at], escapes

    @staticmethod
    def check_shape(shape: Sequence[int]) -> tuple[int, int, int]:
        """Planes, height and width of a volume to decode.

        Raises:
            InvalidInput: not three whole numbers of at least 0, or too many planes.
        """
        if len(shape) != 3 or any(int(n) != n or n < 0 for n in shape) or shape[0] > MAX_PLANES:
            raise InvalidInput(
                f"shape is {shape}, expected (planes, height, width) with at most {MAX_PLANES} planes"
            )
        planes, height, width = map(int, shape)
        return planes, height, width

    def biases(self, quality_step: int | None, planes: int) -> tuple[np.ndarray, np.ndarray]:
        """First and last bias of every plane at a quality, int32 [planes, k] and [planes, outputs].

        Linear between whole qualities: for ``quality_step = 16 q + f`` they are
        ``(b[q] (16 - f) + b[q + 1] f + 8) >> 4``.
        """
        if self.planes not in (1, planes) and planes != 0:
            raise InvalidInput(f"the volume has {planes} planes, this model codes {self.planes}")
        index, fraction = 0, 0
        if self.qualities > 1:
            top = QUALITY_STEPS * self.qualities
            if (
                quality_step is None
                or int(quality_step) != quality_step
                or not QUALITY_STEPS <= quality_step <= top
            ):
                raise InvalidInput(
                    f"quality_step is {quality_step}, expected an integer from {QUALITY_STEPS} to {top}"
                )
            index, fraction = divmod(int(quality_step) - QUALITY_STEPS, QUALITY_STEPS)

        def row(name: str) -> np.ndarray:
            table = self._arrays[name].astype(np.int64)
            upper = table[min(index + 1, self.qualities - 1)]
            mixed = (table[index] * (QUALITY_STEPS - fraction) + upper * fraction + 8) >> 4
            return np.ascontiguousarray(np.broadcast_to(mixed, (planes, mixed.shape[1])), np.int32)

        return row("bias0"), row("bias3")

    def _volume(self, symbols: np.ndarray) -> np.ndarray:
        symbols = np.asarray(symbols)
        if symbols.ndim != 3 or symbols.dtype.kind not in "iu":
            raise InvalidInput(
                f"symbols are {symbols.dtype} of shape {symbols.shape}, "
                "expected integers [planes, height, width]"
            )
        low, high = (0, self.outputs - 1) if self.head == "categorical" else (-MAX_SYMBOL, MAX_SYMBOL)
        if symbols.size and not (low <= symbols.min() and symbols.max() <= high):
            raise InvalidInput(
                f"symbols lie in {symbols.min()}..{symbols.max()}, this model codes {low}..{high}"
            )
        return np.ascontiguousarray(symbols, np.int32)


def _watch(volume: np.ndarray) -> Callable[[int], None] | None:
    """What native code calls between planes: to report, and because Python heeds Ctrl-C only when it runs."""
    if volume.size < WATCHED:
        return None
    return lambda planes: progress.report("coding", planes, len(volume))


def _threads(threads: int) -> int:
    if threads < 1:
        raise InvalidInput(f"threads is {threads}, expected at least 1")
    return min(int(threads), MAX_PLANES)


def _checked(arrays: Mapping[str, np.ndarray], head: str) -> dict[str, np.ndarray]:
    """The arrays, contiguous, if they make a valid model; raises InvalidInput."""
    names = (*_HEADS[head], *({_OPTIONAL} & set(arrays)))
    if set(arrays) != set(names):
        missing, extra = sorted(set(names) - set(arrays)), sorted(set(arrays) - set(names))
        raise InvalidInput(f"context model: missing arrays {missing}, unexpected arrays {extra}")
    out = {name: np.ascontiguousarray(arrays[name]) for name in names}
    if out["bias0"].ndim != 3 or out["bias3"].ndim != 3:
        raise InvalidInput(
            "context model: bias0 and bias3 must have three dimensions: qualities, planes, channels"
        )
    qualities, planes, k = out["bias0"].shape
    outputs = out["bias3"].shape[2]
    if not (4 <= k <= 64 and k % 4 == 0 and 1 <= planes <= MAX_PLANES and qualities >= 1):
        raise InvalidInput(
            f"context model: bias0 has shape {out['bias0'].shape}, expected [qualities >= 1, "
            f"planes 1..{MAX_PLANES}, k a multiple of 4 up to 64]"
        )
    if not (2 <= outputs <= 32 if head == "categorical" else outputs == 2):
        raise InvalidInput(
            f"context model: {outputs} outputs; a categorical head has 2 to 32, a parametric one 2"
        )

    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        "input_map": (np.uint8, (outputs if head == "categorical" else 256,)),
        "constants": (np.uint8, (4,)),
        "residual": (np.int32, (k,)),
        "weight0": (np.int8, (k, 13)),
        "weight1": (np.int8, (k, k, 14)),
        "weight2": (np.int8, (k, k, 14)),
        "weight3": (np.int8, (outputs, k, 14)),
        "weight_earlier": (np.int8, (planes * (planes - 1) // 2, k, 2)),
        "bias0": (np.int32, (qualities, planes, k)),
        "bias1": (np.int32, (k,)),
        "bias2": (np.int32, (k,)),
        "bias3": (np.int32, (qualities, planes, outputs)),
        "multiplier0": (np.int32, (k,)),
        "multiplier1": (np.int32, (k,)),
        "multiplier2": (np.int32, (k,)),
        "multiplier3": (np.int32, (outputs,)),
        "exp_table": (np.int32, (2048,)),
        "table_radius": (np.uint8, (SCALES, FRACTIONS)),
    }
    if head == "parametric" and out["table_radius"].shape == (SCALES, FRACTIONS):
        classes = int((2 * out["table_radius"].astype(np.int64) + 2).sum())
        shapes["table_frequencies"] = (np.int16, (classes,))
    for name in names:
        dtype, shape = shapes.get(name, (np.int16, (-1,)))
        if out[name].dtype != dtype or out[name].shape != shape:
            raise InvalidInput(
                f"context model: {name} is {out[name].dtype} {list(out[name].shape)}, "
                f"expected {np.dtype(dtype)} {list(shape)}"
            )
    for layer in range(4):
        if out[f"multiplier{layer}"].min() < 1:
            raise InvalidInput(f"context model: multiplier{layer} must be at least 1")
    if head == "categorical":
        _check_exp_table(out["exp_table"])
    else:
        _check_tables(out["table_radius"], out["table_frequencies"])
    check_no_overflow(out)
    return out


def check_no_overflow(arrays: Mapping[str, np.ndarray]) -> None:
    """Prove that no partial sum of any layer leaves int32, whatever the activations and the order of summing.

    The largest magnitude a channel can reach is ``|bias| + 255 (sum of |weights| + |residual|)``, the bias
    being the largest of all qualities and planes, and the weights of earlier planes those of all pairs.
    Products with a 31-bit multiplier then stay below 2^62.

    Raises:
        InvalidInput: a channel could reach 2^31.
    """
    for layer in range(4):
        weights = np.abs(arrays[f"weight{layer}"].astype(np.int64))
        bias = np.abs(arrays[f"bias{layer}"].astype(np.int64))
        bound = weights.reshape(len(weights), -1).sum(1) * 255 + bias.reshape(-1, bias.shape[-1]).max(0)
        if layer == 0 and _OPTIONAL in arrays:
            bound += 255 * np.abs(arrays[_OPTIONAL].astype(np.int64)).sum((0, 2))
        if layer == 2:
            bound += 255 * np.abs(arrays["residual"].astype(np.int64))
        if bound.max() >= 2**31:
            raise InvalidInput(
                f"context model: channel {bound.argmax()} of layer {layer} could reach {bound.max()}, "
                "beyond int32"
            )


def _check_exp_table(table: np.ndarray) -> None:
    if table[0] != MAX_EXP or table.min() < 0 or (np.diff(table.astype(np.int64)) > 0).any():
        raise InvalidInput(f"context model: exp_table must fall from {MAX_EXP} and never be negative")


def _check_tables(radius: np.ndarray, frequencies: np.ndarray) -> None:
    if radius.max() > 127:
        raise InvalidInput(f"context model: table_radius reaches {radius.max()}, expected at most 127")
    sizes = 2 * radius.ravel().astype(np.int64) + 2
    totals = np.add.reduceat(frequencies.astype(np.int64), np.cumsum(sizes) - sizes)
    if frequencies.min() < 1 or (totals != TOTAL).any():
        raise InvalidInput(
            f"context model: the frequencies of every table must be at least 1 and sum to {TOTAL}"
        )
