"""The stored tables of a context model: exponentials of logits, frequencies of residuals.

They are made once, at export, in floating point, and are integers of the model from then on; nothing here
runs when an image is coded.
"""

from __future__ import annotations

import numpy as np

from .context import FRACTIONS, MAX_EXP, SCALES, TOTAL, ContextModel

SCALE_MIN, SCALE_MAX = 0.05, 64.0
"""The logistic's scale s is clamped to this range; 64 scales lie on it evenly in log s."""
LOG_SCALE_STEP = float(np.log(SCALE_MAX / SCALE_MIN)) / (SCALES - 1)
RESIDUALS = np.arange(-128, 129)
"""Residuals that masses and counts are kept for; those at the ends stand for everything beyond."""
LOGIT_UNIT = 1 / 64
"""Nats in one unit of an integer logit (rule 4 of docs/context-model.md)."""


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow."""
    z = np.exp(-np.abs(x))
    out: np.ndarray = np.where(x >= 0, 1, z) / (1 + z)
    return out


def exp_table() -> np.ndarray:
    """exp(-i / 64), 4096 being 1, int32 [2048]."""
    return np.round(MAX_EXP * np.exp(-np.arange(2048) * LOGIT_UNIT)).astype(np.int32)


def logistic_masses() -> np.ndarray:
    """Probability of every residual under the discretised logistic, float64 [64, 16, 257].

    Row (i, f) has the scale ``SCALE_MIN exp(i LOG_SCALE_STEP)`` and the mean (f - 8) / 16.
    """
    scale = SCALE_MIN * np.exp(np.arange(SCALES) * LOG_SCALE_STEP)[:, None, None]
    mean = (np.arange(FRACTIONS)[:, None] - FRACTIONS / 2) / FRACTIONS
    # By symmetry of the logistic, its left tail, where differences keep their precision.
    distance = np.abs(RESIDUALS - mean)
    return sigmoid((0.5 - distance) / scale) - sigmoid((-0.5 - distance) / scale)


def integer_tables(masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tables of residuals from their probabilities [64, 16, 257].

    The classes of a table are 0, then +-1, +-2 .. +-radius with the side of the mean first (f >= 8: +), then
    the escape for the rest. A pair worth less than half a unit of 2^14 is left to the escape.

    Returns:
        ``table_radius`` uint8 [64, 16], and ``table_frequencies`` int16, all tables one after the other.
    """
    radius = np.zeros((SCALES, FRACTIONS), np.uint8)
    frequencies = []
    for i, f in np.ndindex(SCALES, FRACTIONS):
        mass = masses[i, f]
        worth = np.flatnonzero((mass[129:256] + mass[127:0:-1]) * TOTAL >= 0.5)  # pairs +-1 .. +-127
        m = int(worth[-1]) + 1 if len(worth) else 0
        radius[i, f] = m
        near, far = (mass[129:], mass[127::-1]) if f >= FRACTIONS // 2 else (mass[127::-1], mass[129:])
        classes = np.concatenate([mass[128:129], np.stack([near[:m], far[:m]], 1).ravel()])
        frequencies.append(_integer_frequencies(np.append(classes, max(0.0, 1 - classes.sum()))))
    return radius, np.concatenate(frequencies).astype(np.int16)


def _integer_frequencies(mass: np.ndarray) -> np.ndarray:
    """Integers >= 1 that sum to 2^14, by largest remainder; what is missing comes from the first."""
    ideal = mass / mass.sum() * TOTAL
    out = np.maximum(1, np.floor(ideal)).astype(np.int64)
    rest = TOTAL - int(out.sum())
    if rest > 0:
        out[np.argsort(out - ideal, kind="stable")[:rest]] += 1
    else:
        out[0] += rest
    return out


def count_residuals(model: ContextModel, symbols: np.ndarray, quality_step: int | None = None) -> np.ndarray:
    """How often each residual met each table in a volume [D, H, W], int64 [64, 16, 257]."""
    location, scale = model.tables(symbols, quality_step)
    residual = (symbols.astype(np.int64) - (location >> 4)).clip(-128, 128) + 128
    index = (scale.astype(np.int64) * FRACTIONS + (location & 15)) * len(RESIDUALS) + residual
    size = SCALES * FRACTIONS * len(RESIDUALS)
    return np.bincount(index.ravel(), minlength=size).reshape(SCALES, FRACTIONS, len(RESIDUALS))


def fitted_tables(counts: np.ndarray, prior_counts: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """Tables of the distribution that was observed: the network's outputs select one of 64 x 16 histograms.

    Residuals of real latents are not quite logistic, least so at the smallest scales, and a trained network
    is not quite calibrated; a histogram of each table repairs both at no cost in coding.

    Args:
        counts: [64, 16, 257], see :func:`count_residuals`.
        prior_counts: weight of the logistic in each table, in observations.

    Returns:
        As :func:`integer_tables`.
    """
    prior = logistic_masses()
    prior /= prior.sum(-1, keepdims=True)
    return integer_tables((counts + prior_counts * prior) / (counts.sum(-1, keepdims=True) + prior_counts))
