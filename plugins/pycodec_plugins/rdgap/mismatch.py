"""Surrogate loss against true loss: what a stand-in for rounding promises, and what files have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from pycodec.errors import InvalidInput
from pycodec.optimization.channels import Channel, Latent, Surrogate, rounding, transmit
from pycodec.optimization.target import Target
from pycodec.types import LatentModel

GAIN_STEP = 0.02  # of the gain, to both sides of 1


class Mismatch(NamedTuple):
    """Means over targets; losses are bits per unit plus lambda times the squared error.

    Gradients are those by a gain of all latents before they are rounded, at 1: by the analysis transform as a
    whole, so to speak, while the decoder stays.

    Attributes:
        loss, rate, mse: of the surrogate.
        true_loss, true_rate, true_mse: with rounding. Train / test mismatch is the difference between the
        two. gradient: as it is back-propagated through the surrogate. own_gradient: of the surrogate's loss,
        by differences. What ``gradient`` has besides is its bias. true_gradient: of the true loss, by
        differences.
    """

    loss: float
    rate: float
    mse: float
    true_loss: float
    true_rate: float
    true_mse: float
    gradient: float
    own_gradient: float
    true_gradient: float


def mismatch(
    quantizer: Any, model: LatentModel, targets: Iterable[Target], lam: float, draws: int = 4, seed: int = 0
) -> Mismatch:
    """Compare the surrogate of a quantizer with rounding.

    Args:
        quantizer: a `pycodec.types.Quantizer` of integers.
        model: with fixed parameters.
        targets: images or vectors.
        lam: weight of the squared error against bits per unit.
        draws: of the surrogate's noise for each target.
        seed: of that noise, which comes from torch's own generator.

    Raises:
        InvalidInput: no targets, or a quantizer whose symbols are no integers beside the latents.
    """
    _check_integers(quantizer)
    channel = Surrogate(quantizer)
    found = []
    for target in targets:
        with torch.no_grad():
            latents = model.encode(target.x)
        true, *true_beside = (_losses(model, target, lam, rounding, latents, gain) for gain in _GAINS)
        for draw in range(seed, seed + draws):
            own, *beside = (
                _seeded(draw, _losses, model, target, lam, channel, latents, gain) for gain in _GAINS
            )
            gradient = _seeded(draw, _gradient, model, target, lam, channel, latents)
            found.append([*own, *true, gradient, _slope(*beside), _slope(*true_beside)])
    if not found:
        raise InvalidInput("nothing to measure on, expected one image at least")
    return Mismatch(*np.mean(found, 0).tolist())


_GAINS = 1.0, 1 + GAIN_STEP, 1 - GAIN_STEP
_Losses = tuple[float, float, float]
"""Loss, rate and squared error."""


def _losses(
    model: LatentModel, target: Target, lam: float, channel: Channel, latents: Sequence[Latent], gain: float
) -> _Losses:
    with torch.no_grad():
        x_hat, bits = transmit(model, [(gain * mean, scale) for mean, scale in latents], channel)
        rate, mse = bits.double().mean().item() / target.units, target.mse(x_hat).double().mean().item()
    return rate + lam * mse, rate, mse


def _gradient(
    model: LatentModel, target: Target, lam: float, channel: Channel, latents: Sequence[Latent]
) -> float:
    gain = torch.ones((), requires_grad=True)
    x_hat, bits = transmit(model, [(gain * mean, scale) for mean, scale in latents], channel)
    loss = bits.mean() / target.units + lam * target.mse(x_hat).mean()
    return torch.autograd.grad(loss, gain)[0].item()


def _slope(above: _Losses, below: _Losses) -> float:
    return (above[0] - below[0]) / (2 * GAIN_STEP)


def _seeded(seed: int, function: Any, *arguments: Any) -> Any:
    """With torch's generator in one state: what is compared sees the same noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return function(*arguments)


def _check_integers(quantizer: Any) -> None:
    """Refuse quantizers that need more than a latent, or code something else than the integers beside it."""
    try:
        counted = quantizer.surrogate(torch.zeros(1, 1, 2, 2))[1]
        fits = counted.is_floating_point()
    except (InvalidInput, RuntimeError, IndexError):
        fits = False
    if not fits:
        raise InvalidInput(
            f"the quantizer {type(quantizer).__name__} does not round each latent to an integer, which is "
            "needed here; take one of integer_rounding, additive_noise, straight_through, soft_to_hard"
        )
