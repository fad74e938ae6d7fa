"""What a latent goes through between encoder and decoder: rounding, or what stands in for it.

A latent-based codec is a channel from image to reconstruction (Zhang & Liu 2025, section III). Its networks
are a `pycodec.types.LatentModel`; what happens to each latent on its way, and what it costs, is a `Channel`.
One model with another channel gives the rate of files, an upper bound of the rate-distortion function, or the
loss that training minimises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pycodec.types import LatentModel, Prior

Latent = tuple[Tensor, Tensor]
"""Mean and scale [N, ...], as `pycodec.types.LatentModel.encode` gives them."""

Channel = Callable[[Latent, Prior], tuple[Tensor, Tensor]]
"""Given a latent and what is known of it, the latent that the decoder gets and the bits of each value."""


def transmit(model: LatentModel, latents: Sequence[Latent], channel: Channel) -> tuple[Tensor, Tensor]:
    """Send latents through a channel.

    Returns:
        What the decoder makes of them, [N, ...], and their cost in bits, [N].
    """
    waiting = iter(latents)
    bits: list[Tensor] = []

    def receive(prior: Prior) -> Tensor:
        value, cost = channel(next(waiting), prior)
        bits.append(cost.flatten(1).sum(1))
        return value

    x_hat = model.decode(receive)
    return x_hat, torch.stack(bits).sum(0)


def rounding(latent: Latent, prior: Prior) -> tuple[Tensor, Tensor]:
    """What files hold: each latent is rounded to its prior's mean plus integers."""
    value = (latent[0] - prior.mean).round() + prior.mean
    return value, prior.bits(value)


class GaussianNoise:
    """A stochastic encoder: the decoder gets a sample of N(mean, scale^2), whose cost is the divergence of
    that distribution from the prior (Zhang & Liu 2025, equation 10; Yang & Mandt 2022).

    Args:
        generator: draws the samples.
    """

    def __init__(self, generator: torch.Generator | None = None):
        self.generator = generator

    def __call__(self, latent: Latent, prior: Prior) -> tuple[Tensor, Tensor]:
        mean, scale = latent
        noise = torch.randn(mean.shape, generator=self.generator, device=mean.device, dtype=mean.dtype)
        sample = mean + scale * noise
        return sample, prior.divergence(mean, scale, sample)


class Gumbel:
    """Rounding down or up at random, relaxed: stochastic Gumbel annealing (Yang, Bamler & Mandt 2020).

    Which of the two integers beside a value is likelier depends on its distance from them, the more so the
    lower the temperature. What is rounded is the difference from the prior's mean, as files have it.

    Args:
        temperature: of the choice and of its relaxation; above 0.
        generator: draws the choices.
    """

    def __init__(self, temperature: float, generator: torch.Generator | None = None):
        self.temperature, self.generator = temperature, generator

    def __call__(self, latent: Latent, prior: Prior) -> tuple[Tensor, Tensor]:
        difference = latent[0] - prior.mean
        low = difference.detach().floor()
        value = low + rounded_up(difference - low, self.temperature, self.generator) + prior.mean
        return value, prior.bits(value)


DISTANCE_MAX = 1 - 1e-5  # whose atanh is finite


def rounded_up(above: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
    """The choice between the two neighbours of a value, drawn and relaxed: 0 the lower, 1 the upper.

    Args:
        above: how far above the lower one it is, 0..1.
        temperature, generator: see `Gumbel`.
    """
    # Logit of the upper one: -atanh(1 - above) / T against -atanh(above) / T.
    logit = torch.atanh(above.clamp(max=DISTANCE_MAX)) - torch.atanh((1 - above).clamp(max=DISTANCE_MAX))
    # The logit of a uniform variable is the difference of two Gumbel variables.
    uniform = torch.rand(above.shape, generator=generator, device=above.device, dtype=above.dtype)
    return torch.sigmoid((logit / temperature + uniform.clamp(1e-7, 1 - 1e-7).logit()) / temperature)


class Surrogate:
    """The stand-in for rounding that training uses, around the prior's mean.

    Args:
        quantizer: a `pycodec.types.Quantizer` of integers.
    """

    def __init__(self, quantizer: Any):
        self.quantizer = quantizer

    def __call__(self, latent: Latent, prior: Prior) -> tuple[Tensor, Tensor]:
        seen, counted = self.quantizer.surrogate(latent[0] - prior.mean)
        return seen + prior.mean, prior.bits(counted + prior.mean)
