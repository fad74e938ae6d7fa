"""Zero-centred quantisation: what is rounded is the difference from a mean that the hyper-latent tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput

from .hyper import HyperSynthesis
from .integer import FRACTION, IntegerSynthesis, integer_arrays
from .latent import fold, packed_channels, split

LIMIT = 1 << 20  # of symbols


class ZeroCentered(nn.Module):
    """Rounds y - mean(z), and z itself, of a packed latent (see `latent`); the decoder adds the mean again.

    In training the decoder sees rounded values with a straight-through gradient, the rate sees uniform noise
    (Minnen and Singh 2020; MS-ILLM, section A.1).

    Once frozen, means are fixed-point numbers by integer arithmetic, see `integer`.

    Args:
        channels: planes of y.
        hyper_channels: planes of z.
        width, deconvolution: of the network that gives the means, see `HyperSynthesis`.
    """

    def __init__(self, channels: int, hyper_channels: int = 64, width: int = 48, deconvolution: bool = False):
        super().__init__()
        self.channels = packed_channels(channels, hyper_channels)
        self.mean = HyperSynthesis(hyper_channels, channels, width, deconvolution)
        self.integer: IntegerSynthesis | None = None
        self._config = {
            "channels": channels,
            "hyper_channels": hyper_channels,
            "width": width,
            "deconvolution": deconvolution,
        }

    def config(self) -> dict:
        return dict(self._config)

    def surrogate(self, latent: Tensor) -> tuple[Tensor, Tensor]:  # [N, packed, h, w] -> twice the same
        """``(rounded, noisy)``: the latent that the decoder sees, and the differences whose cost counts."""
        differences, means = self.differences(latent)
        return _rounded(differences) + means, differences + torch.rand_like(differences) - 0.5

    def differences(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """What is to be rounded, and the means it is the difference from, of the float network; packed."""
        y, z = split(latent.float(), self._config["hyper_channels"])
        mean = self.mean(_rounded(z))
        return torch.cat([fold(y - mean), z], 1), torch.cat([fold(mean), torch.zeros_like(z)], 1)

    def quantize(self, latent: Tensor) -> np.ndarray:
        """Symbols (packed, h, w) int32 of one packed latent [1, packed, h, w]."""
        if latent.ndim != 4 or len(latent) != 1:
            raise InvalidInput(
                f"latent of shape {tuple(latent.shape)}, expected (1, C, h, w); quantize one by one"
            )
        y, z = split(latent[0].float(), self._config["hyper_channels"])
        z_hat = z.round().clamp(-LIMIT, LIMIT)
        difference = (y - self._means(z_hat)).round().clamp(-LIMIT, LIMIT)
        return torch.cat([fold(difference), z_hat]).to(torch.int32).cpu().numpy()

    def dequantize(self, symbols: np.ndarray) -> Tensor:
        """Packed latent [1, packed, h, w] of symbols (packed, h, w)."""
        device = next(self.parameters()).device
        given = torch.from_numpy(np.ascontiguousarray(symbols, np.float32)).to(device)
        difference, z = split(given, self._config["hyper_channels"])
        return torch.cat([fold(difference + self._means(z)), z])[None]

    @torch.no_grad()
    def freeze(self, z: Iterable[Tensor]) -> dict[str, np.ndarray]:
        """Make the integer network of the float one, use it from now on, and return its arrays.

        Args:
            z: rounded hyper-latents [N, hyper_channels, h, w] of training images.
        """
        self.integer = IntegerSynthesis(integer_arrays(self.mean, z))
        return self.integer.arrays

    def load_frozen(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Use the integer network that ``freeze`` returned."""
        self.integer = IntegerSynthesis(arrays)

    def _means(self, z: Tensor) -> Tensor:  # [hyper_channels, h, w] -> [C, 4 h, 4 w]
        if self.integer is not None:
            return self.integer(z).float() / FRACTION
        with torch.no_grad():
            return self.mean(z[None])[0]


def _rounded(x: Tensor) -> Tensor:
    """Rounded, with the gradient of what is not."""
    return x + (x.round() - x).detach()
