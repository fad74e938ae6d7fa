"""Rounding to integers, the quantiser of transforms whose latents are in units of steps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from .latent import of_one_image


class IntegerRounding(nn.Module):
    """Rounds to the nearest integer; in training the decoder sees rounded values with a straight-through
    gradient, the rate sees uniform noise (Ballé et al. 2017), as HiFiC and its successors do.
    """

    limit = 1 << 20  # symbols lie in -limit..limit, the range of the context coder
    halo = 0

    def __init__(self) -> None:  # spelt out, so that an unknown option is refused by name
        super().__init__()

    def config(self) -> dict:
        return {}

    def surrogate(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """``(rounded, noisy)``: what the decoder sees (straight-through), what the rate model sees."""
        y = y.float()
        return y + (y.round() - y).detach(), y + torch.rand_like(y) - 0.5

    def quantize(self, y: Tensor) -> np.ndarray:
        """Symbols (C, h, w) int32 of one latent [1, C, h, w]."""
        rounded = np.rint(of_one_image(y).cpu().numpy())
        return np.ascontiguousarray(np.clip(rounded, -self.limit, self.limit, out=rounded), np.int32)

    def quantize_tensor(self, y: Tensor) -> Tensor:
        """The same, as a tensor where the latent is."""
        rounded = of_one_image(y).round().clamp_(-self.limit, self.limit)
        return rounded.to(torch.int32, memory_format=torch.contiguous_format)

    def dequantize(self, symbols: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
        """Latent [1, C, h, w] float32 of symbols (C, h, w)."""
        return torch.from_numpy(np.ascontiguousarray(symbols, np.float32))[None].to(device)

    def dequantize_tensor(self, symbols: Tensor) -> Tensor:
        """The same of a tensor, where that is."""
        return symbols[None].float()
