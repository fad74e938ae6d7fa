"""The masked 3D context model (Mentzer et al. 2018, Fig. 3) as a float network, for training.

Its integer twin, exported from these weights, is what decides the probabilities of a file.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pycodec.ops import masked_conv3d

from .quality import QualityTable


class MaskedConv3d(nn.Module):
    """Weights and bias of a masked 3D convolution, 3x3x3 and causal: see :func:`pycodec.ops.masked_conv3d`.

    Args:
        inputs, outputs: channels.
        include_center: whether the output may see its own position (every layer but the first).
    """

    def __init__(self, inputs: int, outputs: int, include_center: bool):
        super().__init__()
        self.include_center = include_center
        # The slices of planes d - 1 and d; the latter's taps of the future are never used.
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 2, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.normal_(self.weight, std=(2 / (inputs * (13 + include_center))) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` [N, inputs, D, H, W] -> [N, outputs, D, H, W]."""
        return masked_conv3d(x, self.weight, self.bias, include_center=self.include_center)


class EarlierPlanes(nn.Module):
    """What each plane's features get from the planes before it at the same position; starts as nothing.

    Args:
        planes: depth of the volume, D.
        outputs: features of a symbol.
    """

    def __init__(self, planes: int, outputs: int):
        super().__init__()
        self.planes, self.outputs = planes, outputs
        # A row for every pair of planes (d, e), e < d, by d and then by e: weights of value and magnitude.
        self.weight = nn.Parameter(torch.zeros(planes * (planes - 1) // 2, outputs, 2))
        self.register_buffer("pairs", torch.tril_indices(planes, planes, -1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Sums [N, outputs, planes, H, W] of inputs ``x`` [N, planes, H, W]."""
        d, e = self.pairs
        weight = x.new_zeros(self.planes, self.planes, self.outputs, 2).index_put((d, e), self.weight)
        weight = weight.permute(0, 2, 3, 1).reshape(self.planes * self.outputs, 2 * self.planes, 1, 1)
        sums = F.conv2d(torch.cat([x, x.abs()], 1), weight)
        return sums.view(len(x), self.planes, self.outputs, *x.shape[2:]).transpose(1, 2)


class ContextNetwork(nn.Module):
    """1 -> k, residual k -> k -> k, k -> outputs; every layer a masked 3D convolution (Fig. 3, "3D k3 n24").

    No ReLU after the sum nor on the outputs.

    Args:
        planes: depth of the volume.
        outputs: values per symbol.
        width: k, 24 in the paper.
        qualities: rows of the biases that each plane has of its own in the first and the last layer, linear
            between whole qualities; 0 for the paper's network, which has none.
        earlier_planes: whether the first layer also sees, at the same position, the values of all earlier
            planes and their magnitudes, with weights for every pair of planes. (As channel-conditional models
            do, Minnen & Singh 2020; the paper's network sees four planes back.)
        limit: largest magnitude of the third layer's outputs, which have no ReLU: a few that are far larger
            than the rest would make their 255 codes coarse. None for the paper's, which has none.
    """

    def __init__(
        self,
        planes: int,
        outputs: int,
        width: int = 24,
        qualities: int = 8,
        earlier_planes: bool = False,
        limit: float | None = None,
    ):
        super().__init__()
        self.limit = limit
        self.planes, self.outputs, self.width, self.qualities = planes, outputs, width, qualities
        self.earlier_planes = EarlierPlanes(planes, width) if earlier_planes else None
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
        """Outputs of the four layers, each [N, channels, planes, H, W], of inputs ``x`` [N, planes, H, W].

        The third is that of the residual sum.
        """

        def plane_bias(table: QualityTable, channels: int) -> Tensor:
            return table(quality).reshape(len(x), -1, channels).transpose(1, 2)[..., None, None]

        a = self.layers[0](x[:, None])
        if self.earlier_planes is not None:
            a = a + self.earlier_planes(x)
        if self.qualities:
            a = a + plane_bias(self.first_bias, self.width).to(a.dtype)
        a = F.relu(a)
        b = F.relu(self.layers[1](a))
        c = self.layers[2](b) + a
        if self.limit is not None:
            c = c.clamp(-self.limit, self.limit)
        o = self.layers[3](c).float()
        if self.qualities:
            o = o + plane_bias(self.last_bias, self.outputs).float()
        return a, b, c, o

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """Outputs [N, outputs, planes, H, W] for inputs ``x`` [N, planes, H, W]; causal in raster order."""
        return self.activations(x, quality)[3]
