"""Learned scalar centres with soft gradients (Mentzer et al. 2018, eq. 2-4)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from .latent import of_one_image


class LearnedCenters(nn.Module):
    """Nearest-centre quantiser whose gradient is that of a soft assignment.

    Args:
        count: L, number of centres.
        sigma: hardness of the soft assignment (1 in the paper).
        span: the centres start evenly spaced in ``-span..span``.
    """

    halo = 0

    def __init__(self, count: int = 6, sigma: float = 1.0, span: float = 2.0):
        super().__init__()
        self.count, self.sigma, self.span = count, sigma, span
        self.centers = nn.Parameter(torch.linspace(-span, span, count))

    def config(self) -> dict:
        return {"count": self.count, "sigma": self.sigma, "span": self.span}

    def assign(self, z: Tensor) -> Tensor:
        """Index of the nearest centre (eq. 2) of every value of ``z``, int64, same shape; ties go to the
        lower index.
        """
        z = z.clamp(self.centers.min(), self.centers.max())  # far out, all distances round to one
        return (z[..., None] - self.centers).abs().argmin(-1)

    def surrogate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Quantised values with the gradient of the soft assignment (eq. 3 and 4), and the symbols."""
        distance = (z.float()[..., None] - self.centers).square()  # [..., L]
        soft = (torch.softmax(-self.sigma * distance, -1) * self.centers).sum(-1)
        symbols = distance.argmin(-1)
        hard = self.centers[symbols]
        return soft + (hard - soft).detach(), symbols

    def quantize(self, z: Tensor) -> np.ndarray:
        """Symbols (C, h, w) int32 of one latent [1, C, h, w]."""
        return self.quantize_tensor(z).cpu().numpy()

    def quantize_tensor(self, z: Tensor) -> Tensor:
        """The same, as a tensor where the latent is."""
        return self.assign(of_one_image(z)).to(torch.int32, memory_format=torch.contiguous_format)

    def dequantize(self, symbols: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
        """Latent [1, C, h, w] float32 of symbols (C, h, w)."""
        return self.dequantize_tensor(torch.from_numpy(np.ascontiguousarray(symbols)).to(device))

    def dequantize_tensor(self, symbols: Tensor) -> Tensor:
        """The same of a tensor, where that is."""
        return self.centers.detach()[symbols.long()][None]
