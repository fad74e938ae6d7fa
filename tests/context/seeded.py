"""Seeded integer models and volumes, the same in every version of Python and numpy: no library's generator is used."""

from __future__ import annotations

import numpy as np

from pycodec.coding.context import ContextModel

MASK = (1 << 64) - 1


class Generator:
    """SplitMix64 (Steele, Lea & Flood 2014)."""

    def __init__(self, seed: int):
        self.state = seed

    def __call__(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform integers low .. high, both included, int64."""
        count = int(np.prod(shape, dtype=np.int64))
        values = [low + self() % (high - low + 1) for _ in range(count)]
        return np.array(values, np.int64).reshape(shape)


def geometric_tables() -> tuple[np.ndarray, np.ndarray]:
    """Tables of the parametric head by integer arithmetic alone: two-sided geometric, wider with the scale index."""
    radius, frequencies = np.zeros((64, 16), np.uint8), []
    for scale in range(64):
        m = min(127, 2 * scale)
        for sixteenth in range(16):
            weights = [1 << 20]
            for _ in range(2 * m + 1):
                weights.append(max(1, weights[-1] * (scale + 1 + sixteenth % 3) // (scale + 4)))
            total = sum(weights)
            classes = [max(1, w * 16000 // total) for w in weights]
            classes[0] += 16384 - sum(classes)
            radius[scale, sixteenth] = m
            frequencies += classes
    return radius, np.array(frequencies, np.int16)


def seeded_arrays(
    head: str,
    seed: int = 1,
    k: int = 24,
    outputs: int = 6,
    qualities: int = 1,
    planes: int = 1,
    earlier: bool = False,
) -> dict:
    """A network whose activations spread over their range and whose tables differ from symbol to symbol."""
    g = Generator(seed)
    outputs = outputs if head == "categorical" else 2
    arrays = {
        "weight0": g.integers(-90, 90, (k, 13)).astype(np.int8),
        "weight1": g.integers(-60, 60, (k, k, 14)).astype(np.int8),
        "weight2": g.integers(-60, 60, (k, k, 14)).astype(np.int8),
        "weight3": g.integers(-60, 60, (outputs, k, 14)).astype(np.int8),
        "bias1": g.integers(-10000, 40000, (k,)).astype(np.int32),
        "bias2": g.integers(30000, 120000, (k,)).astype(np.int32),
        "residual": g.integers(-100, 250, (k,)).astype(np.int32),
        "multiplier0": g.integers(2**32 // 260, 2**32 // 130, (k,)).astype(np.int32),
        "multiplier1": g.integers(2**32 // 900, 2**32 // 450, (k,)).astype(np.int32),
        "multiplier2": g.integers(2**32 // 1000, 2**32 // 500, (k,)).astype(np.int32),
        "bias0": g.integers(-4000, 16000, (qualities, planes, k)).astype(np.int32),
    }
    if head == "categorical":
        arrays["input_map"] = (10 + np.arange(outputs) * (240 // outputs)).astype(np.uint8)
        arrays["constants"] = np.array([97, 0, 0, 131], np.uint8)
        arrays["multiplier3"] = g.integers(2**32 // 800, 2**32 // 400, (outputs,)).astype(np.int32)
        arrays["bias3"] = g.integers(-40000, 40000, (qualities, planes, outputs)).astype(np.int32)
        # 4096 2^(-i / 45) in integers: 45 steps multiply by 2 ** -1.
        table = [4096]
        fine = 4096 << 20
        for _ in range(2047):
            fine -= fine // 65
            table.append(fine >> 20)
        arrays["exp_table"] = np.array(table, np.int32)
    else:
        steps = np.arange(-128, 128)
        magnitude = np.array([abs(int(s)).bit_length() * 14 + abs(int(s)) // 5 for s in steps])
        arrays["input_map"] = (128 + np.sign(steps) * magnitude).clip(0, 255).astype(np.uint8)
        arrays["constants"] = np.array([128, 0, 0, 131], np.uint8)
        arrays["multiplier3"] = np.array([2**32 // 2500, 2**32 // 3000], np.int32)
        arrays["bias3"] = g.integers(-60000, 60000, (qualities, planes, 2)).astype(np.int32)
        arrays["table_radius"], arrays["table_frequencies"] = geometric_tables()
    # Sums of the last two layers are centred, as training would: each row of weights times the middle activation.
    for layer, middle in ((2, 60), (3, 128)):
        sums = arrays[f"weight{layer}"].astype(np.int64).sum((1, 2)) * middle
        arrays[f"bias{layer}"] = (arrays[f"bias{layer}"] - sums).astype(np.int32)
    if head == "parametric":
        arrays["bias3"][..., 1] += 40000
    if earlier:
        arrays["weight_earlier"] = g.integers(-60, 60, (planes * (planes - 1) // 2, k, 2)).astype(np.int8)
    return arrays


def seeded_model(head: str, **options: int) -> ContextModel:
    return ContextModel(seeded_arrays(head, **options), head)


def seeded_symbols(head: str, shape: tuple[int, int, int], seed: int = 2, outputs: int = 6) -> np.ndarray:
    """Correlated symbols; the parametric ones include some far beyond every table."""
    g = Generator(seed)
    d, h, w = np.indices(shape)
    noise = g.integers(0, 63, shape)
    if head == "categorical":
        smooth = (h * 3 + w * 2 + d * 5) // 7 % (2 * outputs)
        smooth = np.minimum(smooth, 2 * outputs - 1 - smooth)
        return np.where(noise < 40, smooth, noise % outputs).astype(np.int32)
    wave = (h * 5 + w * 3 + d * 11) % 61 - 30
    symbols = np.where(noise < 40, wave // (1 + d), wave + noise - 32)
    far = g.integers(-(1 << 20), 1 << 20, shape)
    return np.where(g.integers(0, 200, shape) == 0, far, symbols).astype(np.int32)
