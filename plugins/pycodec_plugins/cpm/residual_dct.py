"""A learnable block DCT plus a residual network, both ways: the transform of ctx3d and its relatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pycodec.errors import WeightsMismatch

from .dct import dct_kernels
from .quality import QualityTable

# What the networks see and give in units of: grey levels, all of them.
PIXEL_UNIT, RESIDUAL_UNIT, COEFFICIENT_UNIT = 64.0, 32.0, 24.0


class PartialBlock(nn.Module):
    """3x3 convolution on a quarter of the channels, then a two-layer pointwise network; residual.

    A partial convolution (Chen et al. 2023, FasterNet) costs a sixteenth of a full one. The quality enters as
    a bias of the hidden layer, so that each rate selects its own features.
    """

    def __init__(self, channels: int, qualities: int):
        super().__init__()
        self.part = channels // 4
        self.spatial = nn.Conv2d(self.part, self.part, 3, padding=1, bias=False)
        self.expand = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.project = nn.Conv2d(2 * channels, channels, 1)
        self.bias = QualityTable(torch.zeros(qualities, 2 * channels))

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:  # [N, channels, H, W], [N]
        part, rest = x.split([self.part, x.shape[1] - self.part], 1)
        y = torch.cat([self.spatial(part), rest], 1)
        hidden = self.expand(y) + self.bias(quality)[:, :, None, None].to(y.dtype)
        return x + self.project(F.relu(hidden))


class Stack(nn.Sequential):
    """A sequence whose PartialBlocks also receive the quality."""

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            x = layer(x, quality) if isinstance(layer, PartialBlock) else layer(x)
        return x


class ResidualDCT(nn.Module):
    """Analysis and synthesis transforms that start as the YCbCr block DCT.

        x --+-- learnable DCT --- x gain(q) --+-- y
            +-- residual network (last = 0) --+

        y --+-- x step(q) --- learnable inverse DCT --+-- x_hat
            +-- x step(q) --- residual network -------+

    Latents leave ``analysis`` in units of quantisation steps, so that rounding them is the quantiser. At
    initialisation the residual networks give zero: training starts at the level of a plain DCT codec.

    Args:
        luma, chroma: coefficients kept of Y and of each of Cb, Cr; channels = luma + 2 * chroma.
        qualities: whole qualities with tables of their own.
        steps: initial quantisation step of the lowest and the highest quality, in 8-bit grey levels.
        fine, coarse: widths at half the stride and at the stride.
        encoder_depth, decoder_depth: blocks at the stride.
        block: side of a DCT block, and the stride, in pixels.
        fine_depth: blocks at half the stride, either way.
    """

    def __init__(
        self,
        luma: int = 64,
        chroma: int = 16,
        qualities: int = 8,
        steps: tuple[float, float] = (87.0, 8.7),
        fine: int = 96,
        coarse: int = 160,
        encoder_depth: int = 5,
        decoder_depth: int = 6,
        block: int = 8,
        fine_depth: int = 2,
    ):
        super().__init__()
        self.stride, half, self.fine_depth = block, block // 2, fine_depth
        self.channels = planes = luma + 2 * chroma
        self._config = {
            "luma": luma,
            "chroma": chroma,
            "qualities": qualities,
            "steps": list(steps),
            "fine": fine,
            "coarse": coarse,
            "encoder_depth": encoder_depth,
            "decoder_depth": decoder_depth,
            "block": block,
            "fine_depth": fine_depth,
        }
        analysis, synthesis = dct_kernels(luma, chroma, block)
        self.analysis_dct, self.synthesis_dct = nn.Parameter(analysis), nn.Parameter(synthesis)
        ramp = torch.linspace(0, 1, qualities)[:, None]
        log_step = torch.lerp(torch.tensor(steps[0]).log(), torch.tensor(steps[1]).log(), ramp).repeat(
            1, planes
        )
        self.log_gain, self.log_step = QualityTable(-log_step), QualityTable(log_step)

        def blocks(channels: int, count: int) -> list[nn.Module]:
            return [PartialBlock(channels, qualities) for _ in range(count)]

        self.encoder = Stack(
            nn.PixelUnshuffle(half),
            nn.Conv2d(3 * half**2, fine, 3, padding=1),
            *blocks(fine, fine_depth),
            nn.Conv2d(fine, coarse, 2, 2),
            *blocks(coarse, encoder_depth),
            nn.Conv2d(coarse, planes, 1),
        )
        self.decoder = Stack(
            nn.Conv2d(planes, coarse, 3, padding=1),
            *blocks(coarse, decoder_depth),
            nn.Conv2d(coarse, fine * 4, 1),
            nn.PixelShuffle(2),
            *blocks(fine, fine_depth),
            nn.Conv2d(fine, 3 * half**2, 3, padding=1),
            nn.PixelShuffle(half),
        )
        for last in (self.encoder[-1], self.decoder[-2]):
            nn.init.zeros_(last.weight), nn.init.zeros_(last.bias)
        self.to(memory_format=torch.channels_last)

    def config(self) -> dict:
        return dict(self._config)

    @torch.no_grad()
    def start_from(self, other: ResidualDCT) -> None:
        """Become ``other``, or what it would be with further blocks that change nothing yet.

        Raises:
            WeightsMismatch: it differs in more than depth, or is deeper.
        """
        depths = "encoder_depth", "decoder_depth", "fine_depth"
        deeper = [name for name in depths if other.config()[name] > self.config()[name]]
        if deeper or other.config() | {name: self.config()[name] for name in depths} != self.config():
            raise WeightsMismatch(
                f"weights of a transform {other.config()}, expected {self.config()} or one with fewer blocks"
            )
        self.analysis_dct.copy_(other.analysis_dct), self.synthesis_dct.copy_(other.synthesis_dct)
        self.log_gain.load_state_dict(other.log_gain.state_dict())
        self.log_step.load_state_dict(other.log_step.state_dict())
        for own, given in (self.encoder, other.encoder), (self.decoder, other.decoder):
            left = list(given)
            for layer in own:
                if isinstance(layer, PartialBlock) and not isinstance(left[0], PartialBlock):
                    nn.init.zeros_(layer.project.weight), nn.init.zeros_(layer.project.bias)
                else:
                    layer.load_state_dict(left.pop(0).state_dict())

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:
        """Latents of images.

        Args:
            x: [N, 3, H, W] float, RGB in -128..127, H and W multiples of the stride.
            quality: [N] in 1..qualities.

        Returns:
            [N, channels, H / stride, W / stride] in quantisation steps, not rounded.
        """
        gain = self.log_gain(quality).exp()[:, :, None, None]
        residual = self.encoder(x / PIXEL_UNIT, quality).float() * RESIDUAL_UNIT
        with torch.autocast(x.device.type, enabled=False):
            return (F.conv2d(x.float(), self.analysis_dct, stride=self.stride) + residual) * gain

    def synthesis(self, y: Tensor, quality: Tensor) -> Tensor:
        """Images [N, 3, stride H, stride W], not clipped, of latents ``y`` [N, channels, H, W] in steps."""
        with torch.autocast(y.device.type, enabled=False):
            coefficients = y.float() * self.log_step(quality).exp()[:, :, None, None]
            # A transposed convolution whose kernels do not overlap: one matrix product, several times faster.
            blocks = coefficients.flatten(2).mT @ self.synthesis_dct.flatten(1)  # [N, H W, 3 stride^2]
            side = self.stride
            blocks = blocks.view(len(y), *y.shape[2:], 3, side, side).permute(0, 3, 1, 4, 2, 5)
            base = blocks.reshape(len(y), 3, side * y.shape[2], side * y.shape[3])
        residual = self.decoder(coefficients / COEFFICIENT_UNIT, quality)
        return torch.add(base, residual, alpha=RESIDUAL_UNIT)
