"""The networks between a latent and its hyper-latent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pycodec
from pycodec.types import ROUNDING_SCALE

from .latent import RATIO, fold, packed_channels, split

HYPER_LIMIT = 127  # of hyper-latents as the synthesis networks see them: they fit a byte


class HyperAnalysis(nn.Sequential):
    """Hyper-latent of a latent: [N, channels, 4 h, 4 w] to [N, hyper_channels, h, w] (HiFiC's layout)."""

    def __init__(self, channels: int, hyper_channels: int, width: int):
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, hyper_channels, 5, stride=2, padding=2),
        )

    def forward(self, y: Tensor) -> Tensor:
        # Magnitudes span three orders between the lowest and the highest quality.
        with torch.autocast(y.device.type, enabled=False):
            result: Tensor = super().forward(_asinh(y.float()))
        return result


def _asinh(x: Tensor) -> Tensor:
    """torch.asinh, but of functions that torch has vectorised, in half its time. It may differ in the last
    bits, which is nothing to a layer of floats.
    """
    magnitude = x.abs()
    square = magnitude * magnitude
    return torch.copysign(torch.log1p(magnitude + square / (1 + torch.sqrt(1 + square))), x)


class HyperSynthesis(nn.Sequential):
    """What a rounded hyper-latent says of each latent, its mean or its scale: [N, hyper_channels, h, w] to
    [N, channels, 4 h, 4 w].

    Two of them, apart, make a mean-scale hyperprior, as in MS-ILLM.

    Args:
        hyper_channels, channels, width: of the input, the output, and between.
        deconvolution: enlarge by 5 x 5 transposed convolutions, as HiFiC does; else by 3 x 3 convolutions
            and pixel shuffling, at less than half the cost.
    """

    def __init__(self, hyper_channels: int, channels: int, width: int, deconvolution: bool = False):
        def enlarged(inputs: int) -> list[nn.Module]:
            if deconvolution:
                return [nn.ConvTranspose2d(inputs, width, 5, 2, 2, output_padding=1), nn.ReLU()]
            return [nn.Conv2d(inputs, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.ReLU()]

        self.channels = channels
        super().__init__(
            *enlarged(hyper_channels), *enlarged(width), nn.Conv2d(width, channels, 3, padding=1)
        )

    def forward(self, z: Tensor) -> Tensor:
        if not z.numel():  # convolutions refuse it
            count, _, height, width = z.shape
            return z.new_zeros(count, self.channels, RATIO * height, RATIO * width)
        with torch.autocast(z.device.type, enabled=False):  # a mean needs all its digits
            result: Tensor = super().forward(z.float().clamp(-HYPER_LIMIT, HYPER_LIMIT))
        return result


class Posterior(nn.Module):
    """Gaussians from which a stochastic encoder draws a latent and its hyper-latent, with scales that are
    exponentials (Zhang & Liu 2025, section IV.A).

    Files do not need them; the training of an upper bound of the rate-distortion function does. It starts
    with what is best if images are Gaussian: y as measured with a rounding error, and then believed as far as
    the prior that z tells permits. A value whose prior is narrow starts as the prior, which costs nothing.

    Args:
        channels, hyper_channels, width: of the latent, the hyper-latent, and between.
    """

    def __init__(self, channels: int, hyper_channels: int, width: int):
        super().__init__()
        self.y, self.z = (
            nn.Sequential(nn.Conv2d(c, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, c, 3, padding=1))
            for c in (channels, hyper_channels)
        )
        for network in (self.y, self.z):
            nn.init.zeros_(network[-1].weight), nn.init.zeros_(network[-1].bias)

    def forward(self, y: Tensor, z: Tensor, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and scale of y, scale of z, whose mean is z.

        Args:
            y, z: as the analysis has them.
            mean, scale: of the prior of y, by z.
        """
        with torch.autocast(y.device.type, enabled=False):
            y, mean = y.float(), mean.float()
            variance = 1 / (scale.float() ** -2 + ROUNDING_SCALE**-2)
            belief = variance * ROUNDING_SCALE**-2
            y_scale = variance.sqrt() * self.y(torch.asinh(y)).exp()
            return mean + belief * (y - mean), y_scale, ROUNDING_SCALE * self.z(torch.asinh(z.float())).exp()


class HyperTransform(nn.Module):
    """A transform whose latent also holds the hyper-latent, see `latent`.

    Args:
        transform: ``{"name": ..., "config": {...}}`` of a registered one, of any stride.
        hyper_channels, width: of the hyper-analysis.
        posterior: width of the `Posterior` of a stochastic encoder; files do without.
        built: that transform itself, where it is not to be made anew; or another form of it.
    """

    def __init__(
        self,
        transform: Mapping[str, Any],
        hyper_channels: int = 64,
        width: int = 128,
        posterior: int | None = None,
        built: Any = None,
    ):
        super().__init__()
        self._name = transform["name"]
        self.transform = built or pycodec.create("transform", self._name, **transform.get("config", {}))
        self.hyper_channels, self.width = hyper_channels, width
        self.hyper_analysis = HyperAnalysis(self.transform.channels, hyper_channels, width)
        self._posterior, self.posterior = posterior, None
        if posterior is not None:
            self.posterior = Posterior(self.transform.channels, hyper_channels, posterior)
        self.stride = RATIO * self.transform.stride
        self.channels = packed_channels(self.transform.channels, hyper_channels)

    def config(self) -> dict:
        inner = {"name": self._name, "config": self.transform.config()}
        config = {"transform": inner, "hyper_channels": self.hyper_channels, "width": self.width}
        return config if self._posterior is None else {**config, "posterior": self._posterior}

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:
        """Packed latent [N, channels, H / stride, W / stride] of images [N, 3, H, W]."""
        return self.completed(self.transform.analysis(x, quality))

    def completed(self, y: Tensor) -> Tensor:
        """Packed latent of y."""
        return torch.cat([fold(y), self.hyper_analysis(y)], 1)

    def synthesis(self, latent: Tensor, quality: Tensor) -> Tensor:
        """Images of packed latents; the hyper-latent is not looked at."""
        x_hat: Tensor = self.transform.synthesis(split(latent, self.hyper_channels)[0], quality)
        return x_hat


class FrozenTransform:
    """A `HyperTransform` around a transform in integers: no torch module, as there is nothing to train. A
    `pycodec.types.LocalTransform`, but for the hyper-analysis, a float network that sees all of y at once.
    """

    def __init__(self, transform: HyperTransform):
        self._transform = transform.eval()
        self.stride, self.channels = transform.stride, transform.channels
        self.hyper_channels = transform.hyper_channels
        self.halo = -(-transform.transform.halo // RATIO)

    def config(self) -> dict:
        return self._transform.config()

    def analysis(self, x: Tensor, quality: Tensor) -> Tensor:
        return self._transform.to(x.device).analysis(x, quality)

    def local_analysis(self, x: Tensor, quality: Tensor) -> Tensor:
        """y alone."""
        y: Tensor = self._transform.transform.analysis(x, quality)
        return y

    def completed(self, y: Tensor) -> Tensor:
        return self._transform.to(y.device).completed(y)

    def synthesis(self, latent: Tensor, quality: Tensor) -> Tensor:
        return self._transform.synthesis(latent, quality)

    def error_slopes(self, error: np.ndarray, quality_step: int) -> np.ndarray:
        """Of `pycodec.types.RefinableTransform`; z is nothing to the image."""
        slopes = fold(self._transform.transform.error_slopes(error, quality_step))
        return np.concatenate([slopes, np.zeros((self.hyper_channels, *slopes.shape[1:]), np.float32)])

    def error_curvatures(self, quality_step: int) -> np.ndarray:
        curvatures = self._transform.transform.error_curvatures(quality_step).repeat(RATIO**2)
        return np.concatenate([curvatures, np.zeros(self.hyper_channels, np.float32)])
