"""What is to be reproduced: an image in a codec's terms, or vectors of any source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from pycodec.images import as_picture, padded

if TYPE_CHECKING:
    from pycodec.images import ImageLike


class Target:
    """Vectors of a source.

    Args:
        x: [N, components].

    Attributes:
        x: what the encoder sees.
        units: rates are bits divided by these: components of a vector, or pixels.
    """

    def __init__(self, x: Tensor):
        self.x, self.units = x, x[0].numel()

    def mse(self, x_hat: Tensor) -> Tensor:  # -> [N]
        """Squared error of reproductions, mean over their components; differentiable."""
        return mse_loss(x_hat, self.x, reduction="none").flatten(1).mean(1)

    def measured_mse(self, x_hat: Tensor) -> Tensor:  # -> [N]
        """The same, of what a decoder puts out."""
        return self.mse(x_hat)


class ImageTarget(Target):
    """An image; its squared error is on the 0..255 scale, mean over pixels and channels.

    Args:
        image: any that pycodec takes.
        stride: images that the encoder takes have sides that are a multiple of it.
        device: where the encoder is.
    """

    def __init__(self, image: ImageLike, stride: int, device: str = "cpu"):
        rgb = as_picture(image).rgb
        self.height, self.width = rgb.shape[:2]
        pixels = np.subtract(padded(rgb, stride), 128, dtype=np.float32)
        super().__init__(torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous().to(device))
        self.units = self.height * self.width

    def mse(self, x_hat: Tensor) -> Tensor:
        return mse_loss(self._own(x_hat), self._own(self.x), reduction="none").flatten(1).mean(1)

    def measured_mse(self, x_hat: Tensor) -> Tensor:
        return self.mse(x_hat.clamp(-128, 127).round())

    def _own(self, x: Tensor) -> Tensor:
        """Without what was padded."""
        return x[..., : self.height, : self.width]
