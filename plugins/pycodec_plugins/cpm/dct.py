"""Block DCT of YCbCr as convolution kernels: the known transform the learned ones start from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# ITU-R BT.601 full range, as in JFIF.
RGB_TO_YCBCR = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def zigzag(block: int) -> list[int]:
    """Indices of a ``block`` x ``block`` coefficient array from low to high frequency, by diagonals."""
    return sorted(range(block * block), key=lambda i: (i // block + i % block, i // block))


def dct_basis(block: int) -> Tensor:
    """Orthonormal 2D DCT-II basis, [block * block, block, block], row-major in (vertical, horizontal)
    frequency.
    """
    k = torch.arange(block, dtype=torch.float64)
    rows = torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / (2 * block)) * math.sqrt(2 / block)
    rows[0] /= math.sqrt(2)
    return torch.einsum("ui,vj->uvij", rows, rows).reshape(-1, block, block).float()


def dct_kernels(luma: int, chroma: int, block: int) -> tuple[Tensor, Tensor]:
    """Analysis and synthesis kernels of the YCbCr block DCT.

    Args:
        luma: coefficients kept of Y, in zigzag order.
        chroma: coefficients kept of each of Cb and Cr.
        block: side of a block, in pixels.

    Returns:
        ``(analysis, synthesis)``, each [luma + 2 * chroma, 3, block, block] float32: weights for a
        convolution and a transposed convolution whose stride is the block. Planes are Y, then Cb, then Cr.
    """
    basis, order = dct_basis(block), zigzag(block)
    ycbcr_to_rgb = torch.linalg.inv(RGB_TO_YCBCR)
    planes = [(c, order[i]) for c, n in ((0, luma), (1, chroma), (2, chroma)) for i in range(n)]
    analysis = torch.stack([RGB_TO_YCBCR[c][:, None, None] * basis[f] for c, f in planes])
    synthesis = torch.stack([ycbcr_to_rgb[:, c][:, None, None] * basis[f] for c, f in planes])
    return analysis, synthesis
