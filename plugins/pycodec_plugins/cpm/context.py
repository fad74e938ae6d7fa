"""The masked 3D context model (Mentzer et al. 2018, Fig. 3) as a float network, for training.

Its integer twin, exported from these weights, is what decides the probabilities of a file.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .quality import QualityTable

NARROW = 8  # below so many outputs a convolution leaves most of a vector register empty


class MaskedConv3d(nn.Module):
    """Causal 3x3x3 convolution over (depth, height, width) in raster order; "same" zero padding.

    Only the taps of the past count: nine of the previous plane; of the current plane three above, one left
    and, with ``include_center``, the centre. Computed as one 2D convolution per slice, planes as batch: torch
    has no fast 3D path on CPUs.

    Args:
        inputs, outputs: channels.
        include_center: whether the output may see its own position (every layer but the first).
    """

    def __init__(self, inputs: int, outputs: int, include_center: bool):
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(outputs, inputs, 2, 3, 3)
        )  # [out, in, plane d - 1 and d, 3, 3]
        self.bias = nn.Parameter(torch.zeros(outputs))
        mask = torch.ones(2, 3, 3)
        mask[1, 1, 1 + include_center :] = 0
        mask[1, 2] = 0
        self.register_buffer("mask", mask, persistent=False)
        nn.init.normal_(self.weight, std=(2 / (inputs * float(mask.sum()))) ** 0.5)

    def forward(self, x: Tensor, planes: int) -> Tensor:
        """Convolve ``x`` [N * planes, inputs, H, W] -> [N * planes, outputs, H, W]."""
        weight = self.weight * self.mask
        if self.weight.shape[0] < NARROW:
            return self._forward_narrow(weight, x, planes)
        stacked = torch.cat([_previous(x, planes), x], 1)
        return F.conv2d(stacked, torch.cat([weight[:, :, 0], weight[:, :, 1]], 1), self.bias, padding=1)

    def _forward_narrow(self, weight: Tensor, x: Tensor, planes: int) -> Tensor:
        """Pointwise products of every tap first, then their shifted sum: wide vectors for few outputs."""
        outputs, inputs = weight.shape[:2]
        # A value contributes to the positions its taps are seen from, which mirrors the kernel.
        taps = weight.permute(2, 0, 3, 4, 1).flip(2, 3).reshape(-1, inputs)  # [2 * outputs * 9, inputs]
        products = F.conv2d(x, taps[:, :, None, None]).float().flatten(2)
        summed = F.fold(products, x.shape[2:], 3, padding=1)  # [N * planes, 2 * outputs, H, W]
        return _previous(summed[:, :outputs], planes) + summed[:, outputs:] + self.bias[:, None, None]


def _previous(x: Tensor, planes: int) -> Tensor:
    """``x`` [N * planes, ...] moved one plane on, zeros in the first."""
    return F.pad(x.unflatten(0, (-1, planes))[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0)).flatten(0, 1)


class ContextNetwork(nn.Module):
    """1 -> k, residual k -> k -> k, k -> outputs; every layer a masked 3D convolution (Fig. 3, "3D k3 n24").

    No ReLU after the sum nor on the outputs.

    Args:
        planes: depth of the volume.
        outputs: values per symbol.
        width: k, 24 in the paper.
        qualities: rows of the biases that each plane has of its own in the first and the last layer, linear
            between whole qualities; 0 for the paper's network, which has none.
    """

    def __init__(self, planes: int, outputs: int, width: int = 24, qualities: int = 8):
        super().__init__()
        self.planes, self.outputs, self.width, self.qualities = planes, outputs, width, qualities
        self.layers = nn.ModuleList(
            [
                MaskedConv3d(1, width, False),
                MaskedConv3d(width, width, True),
                MaskedConv3d(width, width, True),
                MaskedConv3d(width, outputs, True),
            ]
        )
        if qualities:
            self.first_bias = QualityTable(torch.randn(1, planes * width).mul(0.1).repeat(qualities, 1))
            self.last_bias = QualityTable(torch.zeros(qualities, planes * outputs))
        nn.init.zeros_(self.layers[3].weight)

    def activations(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Outputs of the four layers, each [N * planes, channels, H, W], of inputs ``x`` [N, planes, H, W].

        The third is that of the residual sum.
        """
        n, d = x.shape[:2]

        def plane_bias(table: QualityTable, channels: int) -> Tensor:
            return table(quality).reshape(n * d, channels)[:, :, None, None]

        flat = x.flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last)
        a = self.layers[0](flat, d)
        if self.qualities:
            a = a + plane_bias(self.first_bias, self.width).to(a.dtype)
        a = F.relu(a)
        b = F.relu(self.layers[1](a, d))
        c = self.layers[2](b, d) + a
        o = self.layers[3](c, d).float()
        if self.qualities:
            o = o + plane_bias(self.last_bias, self.outputs).float()
        return a, b, c, o

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """Outputs [N, outputs, planes, H, W] for inputs ``x`` [N, planes, H, W]; causal in raster order."""
        return self.activations(x, quality)[3].unflatten(0, x.shape[:2]).transpose(1, 2)
