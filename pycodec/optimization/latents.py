"""Optimising the latents of one image, all networks fixed (Zhang & Liu 2025, section IV-A)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pycodec.types import LatentModel

from .channels import Channel, GaussianNoise, Gumbel, Latent, transmit
from .precision import optimizing
from .target import Target

STEPS = 5000
FIRST_RATE, LAST_RATE = 5e-3, 1e-4  # of Adam, with half a cosine in between

# Yang, Bamler & Mandt 2020 anneal over 2,000 steps: 1/2, held for 700, then falling to 1/e every 1,000.
HELD, TEMPERATURE, FALL = 0.35, 0.5, 2.0

Watcher = Callable[[int, float], None]
"""Told after each step how many are done, and the loss."""


def lagrangian(
    model: LatentModel, target: Target, latents: Sequence[Latent], channel: Channel, lam: float
) -> Tensor:
    """Bits per unit plus ``lam`` times the squared error of what comes through a channel, [N]."""
    x_hat, bits = transmit(model, latents, channel)
    return bits / target.units + lam * target.mse(x_hat)


def temperature(share: float) -> float:
    """Of annealing when this share of the steps is done."""
    return TEMPERATURE * math.exp(-FALL * max(0.0, share - HELD))


def annealed(
    model: LatentModel,
    target: Target,
    lam: float,
    steps: int = STEPS,
    generator: torch.Generator | None = None,
    watcher: Watcher = lambda done, loss: None,
) -> list[Tensor]:
    """Latents for rounding, by stochastic Gumbel annealing of all of them together from the encoder's own.

    Args:
        model: with fixed parameters.
        target: one image, or vectors.
        lam: weight of the squared error against bits per unit.
        steps: of Adam.
        generator: draws the noise, on the device of the target.
        watcher: told about progress.

    Returns:
        Values to round, in the order of the model.
    """
    with torch.no_grad():
        start = model.encode(target.x)
    values = [mean.clone().requires_grad_() for mean, _ in start]

    def loss(share: float) -> Tensor:
        latents = [(value, scale) for value, (_, scale) in zip(values, start, strict=True)]
        return lagrangian(model, target, latents, Gumbel(temperature(share), generator), lam)

    minimise(values, loss, steps, watcher)
    return [value.detach() for value in values]


def posterior(
    model: LatentModel,
    target: Target,
    lam: float,
    steps: int = STEPS,
    generator: torch.Generator | None = None,
    watcher: Watcher = lambda done, loss: None,
) -> list[Latent]:
    """The Gaussian of each latent from which to draw: means, and scales as exponentials, optimised together
    from the encoder's own; arguments as those of `annealed`.
    """
    with torch.no_grad():
        start = model.encode(target.x)
    means = [mean.clone().requires_grad_() for mean, _ in start]
    log_scales = [scale.log().requires_grad_() for _, scale in start]

    def loss(share: float) -> Tensor:
        latents = [(m, s.exp()) for m, s in zip(means, log_scales, strict=True)]
        return lagrangian(model, target, latents, GaussianNoise(generator), lam)

    minimise([*means, *log_scales], loss, steps, watcher)
    return [(m.detach(), s.detach().exp()) for m, s in zip(means, log_scales, strict=True)]


def minimise(variables: list[Tensor], loss: Callable[[float], Tensor], steps: int, watcher: Watcher) -> None:
    """Adam on the mean of what ``loss`` gives for the share of steps done."""
    optimizer = torch.optim.Adam(variables, FIRST_RATE)
    for step in range(steps):
        share = step / steps
        for group in optimizer.param_groups:
            group["lr"] = LAST_RATE + (FIRST_RATE - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2
        with optimizing():
            value = loss(share).sum()
        for variable, gradient in zip(variables, torch.autograd.grad(value, variables), strict=True):
            variable.grad = gradient
        optimizer.step()
        watcher(step + 1, value.item())
