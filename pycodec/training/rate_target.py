"""Training towards a rate: what a bit costs depends on whether an image is above its target."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput

ABOVE = {0.00875: 32.0, 0.0175: 16.0, 0.035: 8.0, 0.07: 4.0, 0.14: 2.0, 0.3: 1.0, 0.45: 0.5, 0.9: 0.25}
"""Target rate in bits per pixel -> lambda above it (Muckley et al. 2023, Table 3, lambda_a)."""
BELOW = 1 / 16
"""Lambda at or below every target (Table 3, lambda_b)."""
FIRST_RATE, FIRST_LAMBDA = 1.429, 0.5
"""Factors of target and of the lambda above it while training begins (section A.1)."""


class RateTarget(nn.Module):
    """The rate's part of a loss that holds a rate (Mentzer et al. 2020; Muckley et al. 2023, section A.1).

    For each image, lambda is that of Table 3 where its rate, rounded to symbols, is above the target, and
    1/16 elsewhere. While the first batches pass, the target is 1.429 times as high and the lambda above it
    half as high. How many passed is part of the module's state, so that a run that is resumed knows.

    Args:
        rates: targets in bits per pixel, each one of `ABOVE`; of a model with several qualities, those of
            quality 1, 2, ... In between, targets and lambdas are geometric.
        first_batches: length of the beginning. The paper says 50,000 steps; its code counts those of both of
            its optimisers, so that these are 25,000 batches.

    Raises:
        InvalidInput: rates that are not in the table.
    """

    batches: Tensor
    log_rates: Tensor
    log_lambdas: Tensor

    def __init__(self, rates: float | Sequence[float], first_batches: int = 25_000):
        super().__init__()
        given = [rates] if isinstance(rates, (int, float)) else list(rates)
        if not given or any(rate not in ABOVE for rate in given):
            raise InvalidInput(
                f"rate is {rates}; expected one of the target rates {', '.join(f'{r:g}' for r in ABOVE)}"
            )
        self.first_batches = first_batches
        lambdas = [ABOVE[rate] for rate in given]
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.register_buffer("log_rates", torch.tensor(given).log(), persistent=False)
        self.register_buffer("log_lambdas", torch.tensor(lambdas).log(), persistent=False)

    def forward(self, noisy: Tensor, rounded: Tensor, quality: Tensor | None = None) -> Tensor:
        """Mean over images of lambda times rate; in training mode this counts as one batch.

        Args:
            noisy: bits per pixel [N] of the latent with noise, which has a gradient.
            rounded: bits per pixel [N] of the symbols, which decides lambda.
            quality: of each image [N], from 1; needed with several rates.

        Returns:
            A loss [].
        """
        rate, above = self.targets(quality)
        lam = torch.where(rounded.detach() > rate, above, BELOW)
        if self.training:
            self.batches += 1
        return (lam * noisy).mean()

    def targets(self, quality: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Target in bits per pixel and lambda above it, at this batch: each [], or [N] for qualities [N]."""
        first = self.batches < self.first_batches
        rate = self._at(self.log_rates, quality) * torch.where(first, FIRST_RATE, 1.0)
        return rate, self._at(self.log_lambdas, quality) * torch.where(first, FIRST_LAMBDA, 1.0)

    @staticmethod
    def _at(logs: Tensor, quality: Tensor | None) -> Tensor:
        if len(logs) == 1:
            return logs[0].exp()
        if quality is None:
            raise ValueError(f"{len(logs)} target rates, but no quality that says which")
        position = (quality - 1).clamp(0, len(logs) - 1)
        low = position.floor().clamp(max=len(logs) - 2).long()
        return torch.lerp(logs[low], logs[low + 1], position - low).exp()
