"""Seeded input for checks: small images, latents and symbols, ordinary and extreme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

CHANNELS = 4  # planes of symbols for a model that codes any number
QUALITIES = (1.0, 8.0)  # of components that do not say
SMALL_RANGE = (-8, 8)  # of symbols for a model that does not say what it codes


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:  # [height, width, 3] uint8
    """Smooth waves, an edge and some noise."""
    rng = np.random.default_rng([seed, height, width])
    down, across = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(across / 9 + c) + np.cos(down / (7 + c)) for c in range(3)], 2)
    image = 120 + 50 * waves + 20 * (across > down)[:, :, None] + rng.normal(0, 4, waves.shape)
    return image.clip(0, 255).astype(np.uint8)


def images(count: int, height: int, width: int, seed: int = 0) -> Tensor:  # [count, 3, height, width]
    """Photographs as transforms take them, in -128..127."""
    stack = np.stack([photo(height, width, seed + i) for i in range(count)])
    return torch.from_numpy(stack).permute(0, 3, 1, 2).float() - 128


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Gaussian noise, float32."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def qualities(component: Any) -> list[float]:
    """Three of a component, rising in rate: first, one between and last of its ``settings``, or the lowest,
    one between and the highest of its ``qualities``, which are 1 to 8 where it does not say.
    """
    if settings := getattr(component, "settings", None):
        return [settings[0], settings[len(settings) * 3 // 10], settings[-1]]
    low, high = getattr(component, "qualities", QUALITIES)
    return sorted([float(low), round(16 * (0.7 * low + 0.3 * high)) / 16, float(high)])


def rising_qualities(component: Any, count: int) -> list[float]:
    """So many of a component, from the lowest rate to the highest, as evenly as its ``settings`` allow."""
    if settings := getattr(component, "settings", None):
        return [settings[i * (len(settings) - 1) // (count - 1)] for i in range(count)]
    low, high = getattr(component, "qualities", QUALITIES)
    return [low + i * (high - low) / (count - 1) for i in range(count)]


def quality_steps(component: Any) -> list[int]:
    """The same as integers, 16 times the quality."""
    return [round(16 * quality) for quality in qualities(component)]


def channels(model: Any) -> int:
    """Planes of symbols that an entropy model codes."""
    return int(getattr(model, "channels", CHANNELS))


def ordinary_range(model: Any) -> tuple[int, int]:
    """Smallest and largest of the symbols that checks draw for an entropy model."""
    low, high = getattr(model, "symbol_range", SMALL_RANGE)
    return max(low, SMALL_RANGE[0]), min(high, SMALL_RANGE[1])


def symbols(model: Any, height: int, width: int, seed: int = 0) -> np.ndarray:  # [C, height, width] int32
    """Symbols an entropy model codes, small ones more often."""
    low, high = ordinary_range(model)
    rng = np.random.default_rng([seed, height, width])
    drawn = np.rint(rng.laplace(0, 1.5, (channels(model), height, width)))
    return drawn.clip(low, high).astype(np.int32)


def volumes(model: Any) -> dict[str, np.ndarray]:  # [C, h, w] int32 each
    """Symbols of every sort by what they are: random, constant, extreme, a single position, none."""
    low, high = ordinary_range(model)
    planes = channels(model)
    found = {
        "random symbols": symbols(model, 5, 7),
        "one row": symbols(model, 1, 9, 1),
        "one column": symbols(model, 6, 1, 2),
        "a single position": symbols(model, 1, 1, 3),
        "constant symbols": np.full((planes, 4, 6), high, np.int32),
        "symbols of every value": np.resize(np.arange(low, high + 1, dtype=np.int32), (planes, 3, 5)),
        "no rows": np.zeros((planes, 0, 3), np.int32),
        "no columns": np.zeros((planes, 2, 0), np.int32),
    }
    if hasattr(model, "symbol_range"):
        found["the smallest and the largest symbol"] = np.resize(
            np.array([*model.symbol_range, low], np.int32), (planes, 3, 4)
        )
    return found


def damaged(data: bytes, flips: int = 200, seed: int = 0) -> Sequence[tuple[str, bytes]]:
    """Every truncation of ``data``, then seeded flips of one bit each, with what was done."""
    cut = [(f"cut to {length} of {len(data)} bytes", data[:length]) for length in range(len(data))]
    rng = np.random.default_rng(seed)
    flipped = []
    for bit in rng.integers(0, 8 * len(data), flips if data else 0):
        other = bytearray(data)
        other[bit // 8] ^= 1 << bit % 8
        flipped.append((f"with bit {bit % 8} of byte {bit // 8} flipped", bytes(other)))
    return cut + flipped


def pil(height: int, width: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A photograph as PIL has it; alpha, if the mode has it, is a ramp."""
    rgb = photo(height, width, seed)
    image = Image.fromarray(rgb).convert(mode.removesuffix("A"))
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(rgb[:, :, 0] // 2))
    return image
