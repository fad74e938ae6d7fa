"""Generalised divisive normalisation (Ballé, Laparra, Simoncelli 2016): the nonlinearity of the transform."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BETA_MIN = 1e-6


class GDN(nn.Module):
    """``y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2)``, or times that root if ``inverse``.

    beta and gamma have to stay positive, so what is learned are their square roots.

    Args:
        channels: of x.
        inverse: multiply instead of dividing; the approximate inverse of a GDN with the same parameters.
    """

    def __init__(self, channels: int, inverse: bool = False):
        super().__init__()
        self.inverse = inverse
        self.beta_root = nn.Parameter(torch.ones(channels))
        # Nearly the identity at first, with enough beside the diagonal for a gradient.
        self.gamma_root = nn.Parameter(0.003 + 0.03 * torch.eye(channels))

    def forward(self, x: Tensor) -> Tensor:  # [N, channels, h, w] -> the same
        gamma, beta = self.gamma_root.square(), self.beta_root.square() + BETA_MIN
        norm = F.conv2d(x.square(), gamma[:, :, None, None], beta)
        return x * (norm.sqrt() if self.inverse else norm.rsqrt())
