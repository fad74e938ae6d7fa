"""The context model in plain numpy: slow, obvious, and bit for bit what the native code does.

The text both follow is docs/context-model.md. :func:`tables` computes whole volumes by plain convolution, as
an encoder may; :func:`decode` goes step by step, as a decoder must.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import CorruptStream
from .context import MAX_SYMBOL, PRECISION, SCALES, TAPS, TOTAL, ContextModel

OFFSETS = [
    (d, h, w)
    for d in (-1, 0)
    for h in (-1, 0, 1)
    for w in (-1, 0, 1)
    if d < 0 or h < 0 or (h == 0 and w <= 0)
]
"""The 14 causal taps: plane, row and column relative to the symbol. Layer 0 lacks the last, the centre."""
MAX_LOCATION16 = 1 << 20
EXP_BITS = 15
LOWER_BOUND = 1 << 16
MAX_LANES, MAX_SUBSTREAMS = 32, 16


def input_codes(model: ContextModel, symbols: np.ndarray) -> np.ndarray:
    """Rule 1: symbols as the network's uint8 input."""
    index = symbols if model.head == "categorical" else symbols.clip(-128, 127) + 128
    return model.arrays()["input_map"][index]


def rescale(acc: np.ndarray, multiplier: np.ndarray) -> np.ndarray:
    """Rule 3 without its clamp: floor(acc * M / 2^32); channels first."""
    return (acc * multiplier.astype(np.int64).reshape(-1, *[1] * (acc.ndim - 1))) >> 32


def categorical_frequencies(logits: np.ndarray, exp_table: np.ndarray) -> np.ndarray:
    """Rules 4 and 5: integer frequencies [L, ...] that sum to 2^14, of logits [L, ...] in 1/64 nat."""
    distance = np.minimum(2047, logits.max(0) - logits)
    e = exp_table[distance].astype(np.int64)
    reciprocal = (1 << (PRECISION + EXP_BITS)) // e.sum(0)
    frequencies = np.maximum(1, (e * reciprocal) >> EXP_BITS)
    rest = TOTAL - frequencies.sum(0)
    best = logits.argmax(0)  # the first maximal one
    return frequencies + np.where(np.arange(len(logits)).reshape(-1, *[1] * best.ndim) == best, rest, 0)


def head_values(model: ContextModel, acc: np.ndarray) -> np.ndarray:
    """Sums of the last layer [outputs, ...] as tables: frequencies, or location16 and scale index."""
    values = rescale(acc, model.arrays()["multiplier3"])
    if model.head == "categorical":
        return categorical_frequencies(values, model.arrays()["exp_table"])
    return np.stack([values[0].clip(-MAX_LOCATION16, MAX_LOCATION16), values[1].clip(0, SCALES - 1)])


def _weights(model: ContextModel, layer: int) -> np.ndarray:  # [out, in, taps] int64
    weights = model.arrays()[f"weight{layer}"].astype(np.int64)
    return weights[:, None] if layer == 0 else weights


def _convolve(model: ContextModel, layer: int, x: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Exact sums [out, D, H, W] of a layer for codes ``x`` [in, D, H, W]; ``bias`` [D or 1, out]."""
    depth, height, width = x.shape[1:]
    constant = int(model.arrays()["constants"][layer])
    padded = np.pad(x.astype(np.int64), ((0, 0), (1, 0), (1, 1), (1, 1)), constant_values=constant)
    weights = _weights(model, layer)
    acc = np.zeros((weights.shape[0], depth, height, width), np.int64) + bias.T[:, :, None, None]
    for t in range(TAPS[layer]):
        d, h, w = OFFSETS[t]
        window = padded[:, 1 + d : 1 + d + depth, 1 + h : 1 + h + height, 1 + w : 1 + w + width]
        acc += np.tensordot(weights[:, :, t], window, 1)
    return acc


def earlier_planes(model: ContextModel, plane: int, codes: np.ndarray) -> np.ndarray | int:
    """What the codes [plane, ...] of all earlier planes at a position add to the sums [k, ...] of layer 0."""
    weights = model.arrays().get("weight_earlier")
    if weights is None or plane == 0:
        return 0
    own = weights[plane * (plane - 1) // 2 :][:plane].astype(np.int64)
    values = codes.astype(np.int64)
    magnitudes = np.abs(values - int(model.arrays()["constants"][0]))
    return np.tensordot(own[:, :, 0], values, (0, 0)) + np.tensordot(own[:, :, 1], magnitudes, (0, 0))


def tables(model: ContextModel, symbols: np.ndarray, quality_step: int | None = None) -> np.ndarray:
    """Twin of :meth:`ContextModel.tables`."""
    arrays = model.arrays()
    bias0, bias3 = (b.astype(np.int64) for b in model.biases(quality_step, symbols.shape[0]))
    bias1, bias2 = (arrays[name].astype(np.int64)[None] for name in ("bias1", "bias2"))
    x = input_codes(model, symbols)[None]
    first = _convolve(model, 0, x, bias0)
    for d in range(symbols.shape[0]):
        first[:, d] += earlier_planes(model, d, x[0, :d])
    a = rescale(first, arrays["multiplier0"]).clip(0, 255)
    b = rescale(_convolve(model, 1, a, bias1), arrays["multiplier1"]).clip(0, 255)
    skip = a * arrays["residual"].astype(np.int64)[:, None, None, None]
    c = rescale(_convolve(model, 2, b, bias2) + skip, arrays["multiplier2"]).clip(0, 255)
    return head_values(model, _convolve(model, 3, c, bias3)).astype(np.int32)


def steps(height: int, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and columns of each step of a plane: 2 h + w constant, rising h."""
    for t in range(2 * (height - 1) + width):
        h = np.arange(max(0, (t - width + 2) // 2), min(height - 1, t // 2) + 1)
        yield h, t - 2 * h


def _intervals(
    model: ContextModel, symbols: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, frequencies and escapes of the symbols, one dimension, in the order given."""
    if model.head == "parametric":
        return model.logistic_classes(symbols, values)
    sums = np.cumsum(values, 0)
    ends, frequencies = (np.take_along_axis(v, symbols[None], 0)[0] for v in (sums, values))
    return ends - frequencies, frequencies, np.empty(0, np.int64)


def varint(value: int) -> bytes:
    """LEB128: 7 bits a byte, low bits first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def interval_cost(frequency: int) -> int:
    """What an interval costs the encoder's choices, in 2^-13 bit; log2 is linear between powers of two."""
    exponent = frequency.bit_length() - 1
    return ((PRECISION + 1 - exponent) << 13) - (frequency << (13 - exponent))


def encode(model: ContextModel, symbols: np.ndarray, quality_step: int | None = None) -> bytes:
    """Twin of :meth:`ContextModel.encode`."""
    planes, height, width = symbols.shape
    if symbols.size == 0:
        return b""
    values = tables(model, symbols, quality_step)
    coded: list[list[tuple[list[int], list[int]]]] = []  # [plane][step] -> (starts, frequencies)
    escapes: list[bytes] = []  # [plane]
    cost = 0  # in 2^-13 bit
    for d in range(planes):
        coded.append([])
        escapes.append(b"")
        for h, w in steps(height, width):
            starts, frequencies, numbers = _intervals(model, symbols[d, h, w], values[:, d, h, w])
            coded[d].append((starts.tolist(), frequencies.tolist()))
            escapes[d] += b"".join(varint(int(n)) for n in numbers)
            cost += sum(map(interval_cost, coded[d][-1][1]))

    payload = (cost >> 16) + sum(map(len, escapes))
    log_substreams = min(max(payload // 2048, 1), MAX_SUBSTREAMS, planes).bit_length() - 1
    log_lanes = min(max((payload >> log_substreams) // 4096, 1), MAX_LANES).bit_length() - 1
    lengths, body = b"", b""
    for s in range(1 << log_substreams):
        states = [LOWER_BOUND] * (1 << log_lanes)
        words: list[int] = []
        own = range(s, planes, 1 << log_substreams)
        for d in reversed(own):
            for step_starts, step_frequencies in reversed(coded[d]):
                for i in reversed(range(len(step_starts))):
                    lane = i % len(states)
                    x, f = states[lane], step_frequencies[i]
                    if x >= f << (32 - PRECISION):
                        words.append(x & 0xFFFF)
                        x >>= 16
                    states[lane] = ((x // f) << PRECISION) + x % f + step_starts[i]
        side = b"".join(escapes[d] for d in own)
        lengths += varint(len(words)) + varint(len(side))
        body += b"".join(x.to_bytes(4, "little") for x in states)
        body += b"".join(word.to_bytes(2, "little") for word in reversed(words)) + side
    return bytes([log_substreams | log_lanes << 4]) + lengths + body


def symbol_cost(model: ContextModel, symbol: int, value: np.ndarray) -> int:
    """Of a symbol, in 2^-13 bit, under the table that ``value`` [2] names, with the bytes of its escape."""
    _, frequencies, numbers = model.logistic_classes(np.array([symbol]), value[:, None])
    return interval_cost(int(frequencies[0])) + sum(8 * len(varint(int(n))) << 13 for n in numbers)


def chosen_symbol(model: ContextModel, symbol: int, value: np.ndarray, slope: int, curvature: int) -> int:
    """A symbol or a neighbour, whichever costs least in bits and image."""
    expected = (int(value[0]) + 8) >> 4
    towards_location = (symbol < expected) - (symbol > expected)
    towards_image = (slope < -curvature) - (slope > curvature)
    best, least = symbol, symbol_cost(model, symbol, value)
    for d in dict.fromkeys((towards_location, towards_image)):  # each once, in this order
        if d and abs(symbol + d) <= MAX_SYMBOL:
            cost = symbol_cost(model, symbol + d, value) + slope * d + curvature
            if cost < least:
                best, least = symbol + d, cost
    return best


def encode_chosen(
    model: ContextModel,
    symbols: np.ndarray,
    slopes: np.ndarray,
    curvatures: np.ndarray,
    quality_step: int | None = None,
) -> tuple[np.ndarray, bytes]:
    """Twin of :meth:`ContextModel.encode_chosen`."""
    symbols = symbols.astype(np.int32)
    for d, h, w, values in _in_coding_order(model, symbols, quality_step):
        for i, at in enumerate(zip(h, w, strict=True)):
            symbol, slope = int(symbols[d][at]), int(slopes[d][at])
            symbols[d][at] = chosen_symbol(model, symbol, values[:, i], slope, int(curvatures[d]))
    return symbols, encode(model, symbols, quality_step)


class _Reader:
    """Bytes from the front; every shortage is a CorruptStream."""

    def __init__(self, data: bytes):
        self.data, self.position = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.position:
            raise CorruptStream(
                f"byte {self.position}: the context stream ends here, {count} more bytes expected"
            )
        self.position += count
        return self.data[self.position - count : self.position]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80 and (byte or not shift):
                return value
            if not byte:
                break
        raise CorruptStream(f"byte {self.position}: not a varint")


class _Substream:
    def __init__(self, data: _Reader, lanes: int, words: int, escapes: int):
        self.states = [int.from_bytes(data.take(4), "little") for _ in range(lanes)]
        self.words = _Reader(data.take(2 * words))
        self.escapes = _Reader(data.take(escapes))
        if min(self.states) < LOWER_BOUND:
            raise CorruptStream("a context substream begins with an impossible state")

    def symbol(self, lane: int, ends: np.ndarray) -> int:
        """The index of the class whose interval, ending at ``ends``, holds the state's low bits."""
        x = self.states[lane]
        low = x & (TOTAL - 1)
        index = int(np.searchsorted(ends, low, "right"))
        start = int(ends[index - 1]) if index else 0
        x = (int(ends[index]) - start) * (x >> PRECISION) + low - start
        self.states[lane] = x if x >= LOWER_BOUND else x << 16 | int.from_bytes(self.words.take(2), "little")
        return index

    def finish(self) -> None:
        ended = all(r.position == len(r.data) for r in (self.words, self.escapes))
        if not ended or any(x != LOWER_BOUND for x in self.states):
            raise CorruptStream("a context substream does not end where it should")


class _Plane:
    """Inputs of the four layers in one plane, [channels, H + 2, W + 2] each; the border is the constant."""

    def __init__(self, model: ContextModel, height: int, width: int):
        self.inputs = [
            np.full((1 if layer == 0 else model.width, height + 2, width + 2), constant, np.int64)
            for layer, constant in enumerate(model.arrays()["constants"].tolist())
        ]


def _step_values(
    model: ContextModel,
    previous: _Plane,
    plane: _Plane,
    h: np.ndarray,
    w: np.ndarray,
    biases: list[np.ndarray],
    earlier: np.ndarray | int,
) -> np.ndarray:
    """Tables [outputs, n] of the symbols (h, w) of a step; fills the activations of ``plane`` on the way."""
    arrays = model.arrays()
    for layer in range(4):
        weights = _weights(model, layer)
        acc = np.repeat(biases[layer].astype(np.int64)[:, None], len(h), 1)
        for t in range(TAPS[layer]):
            dd, dh, dw = OFFSETS[t]
            source = (plane if dd == 0 else previous).inputs[layer]
            acc += weights[:, :, t] @ source[:, h + 1 + dh, w + 1 + dw]
        if layer == 3:
            break
        if layer == 0:
            acc += earlier
        if layer == 2:
            acc += plane.inputs[1][:, h + 1, w + 1] * arrays["residual"].astype(np.int64)[:, None]
        codes = rescale(acc, arrays[f"multiplier{layer}"]).clip(0, 255)
        plane.inputs[layer + 1][:, h + 1, w + 1] = codes
    return head_values(model, acc)


def _in_coding_order(
    model: ContextModel, symbols: np.ndarray, quality_step: int | None
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Plane, rows, columns and tables [outputs, n] of every step, from the symbols of the steps before it.
    Those of the step have to be there when it goes on.
    """
    arrays = model.arrays()
    planes, height, width = symbols.shape
    bias0, bias3 = model.biases(quality_step, planes)
    plane = _Plane(model, height, width)
    for d in range(planes):
        previous, plane = plane, _Plane(model, height, width)
        biases = [bias0[d], arrays["bias1"], arrays["bias2"], bias3[d]]
        for h, w in steps(height, width):
            earlier = earlier_planes(model, d, input_codes(model, symbols[:d, h, w]))
            yield d, h, w, _step_values(model, previous, plane, h, w, biases, earlier)
            plane.inputs[0][0, h + 1, w + 1] = input_codes(model, symbols[d, h, w])


def decode(
    model: ContextModel, data: bytes, shape: tuple[int, int, int], quality_step: int | None = None
) -> np.ndarray:
    """Twin of :meth:`ContextModel.decode`."""
    planes = shape[0]
    symbols = np.zeros(shape, np.int32)
    if symbols.size == 0:
        if data:
            raise CorruptStream("data for a volume without symbols")
        return symbols
    arrays = model.arrays()
    reader = _Reader(data)
    layout = reader.take(1)[0]
    count, lanes = 1 << (layout & 15), 1 << (layout >> 4)
    if count > min(MAX_SUBSTREAMS, planes) or lanes > MAX_LANES:
        raise CorruptStream(f"context stream: impossible layout byte {layout}")
    lengths = [(reader.varint(), reader.varint()) for _ in range(count)]
    substreams = [_Substream(reader, lanes, *pair) for pair in lengths]
    if reader.position != len(data):
        raise CorruptStream("bytes behind the context stream")

    if model.head == "parametric":
        sizes = 2 * arrays["table_radius"].ravel().astype(np.int64) + 2
        ends = [
            np.cumsum(f)
            for f in np.split(arrays["table_frequencies"].astype(np.int64), np.cumsum(sizes)[:-1])
        ]
    for d, h, w, values in _in_coding_order(model, symbols, quality_step):
        stream = substreams[d % count]
        for i in range(len(h)):
            if model.head == "categorical":
                y = stream.symbol(i % lanes, np.cumsum(values[:, i]))
            else:
                y = _logistic_symbol(stream, i % lanes, int(values[0, i]), int(values[1, i]), ends)
            symbols[d, h[i], w[i]] = y
    for stream in substreams:
        stream.finish()
    return symbols


def _logistic_symbol(
    stream: _Substream, lane: int, location16: int, scale: int, ends: list[np.ndarray]
) -> int:
    base, sixteenth = location16 >> 4, location16 & 15
    table = ends[scale * 16 + sixteenth]
    index = stream.symbol(lane, table)
    if index < len(table) - 1:
        magnitude = (index + 1) >> 1
        return base + (magnitude if (index % 2 == 1) == (sixteenth >= 8) else -magnitude)
    escape = stream.escapes.varint()
    magnitude = (escape >> 1) + len(table) // 2
    y = base + (-magnitude if escape & 1 else magnitude)
    if abs(y) > MAX_SYMBOL or escape >= 1 << 22:
        raise CorruptStream("a context substream holds a symbol out of range")
    return y
