"""Zero-centred quantisation: what is rounded is the difference from a mean that the hyper-latent tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput

from .hyper import HyperSynthesis
from .integer import IntegerSynthesis, integer_arrays
from .integer_layer import FRACTION, Arrays
from .latent import LIMIT, fold, packed_channels, split


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

    passes = 1
    """In which y is coded, as the entropy model has it too."""

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

    @property
    def halo(self) -> int | None:
        """Of the integer network of the means, by z; a float network is not to be cut, for its last bits."""
        return None if self.integer is None else self.integer.halo

    def surrogate(self, latent: Tensor) -> tuple[Tensor, Tensor]:  # [N, packed, h, w] -> twice the same
        """``(rounded, noisy)``: the latent that the decoder sees, and the differences whose cost counts."""
        differences, means = self.differences(latent)
        known, noisy = mixed(differences)
        return known + means, noisy

    def differences(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """What is to be rounded, and the means it is the difference from, of the float network; packed."""
        y, z = split(latent.float(), self._config["hyper_channels"])
        mean = self.training_mean(y, rounded(z))
        return torch.cat([fold(y - mean), z], 1), torch.cat([fold(mean), torch.zeros_like(z)], 1)

    def training_mean(self, y: Tensor, z: Tensor) -> Tensor:
        """Means of ``y`` [N, C, 4 h, 4 w], which may look at what of it is decoded before; of rounded z."""
        mean: Tensor = self.mean(z)
        return mean

    def quantize(self, latent: Tensor) -> np.ndarray:
        """Symbols (packed, h, w) int32 of one packed latent [1, packed, h, w]."""
        if latent.ndim != 4 or len(latent) != 1:
            raise InvalidInput(
                f"latent of shape {tuple(latent.shape)}, expected (1, C, h, w); quantize one by one"
            )
        y, z = split(latent[0].float(), self._config["hyper_channels"])
        z_hat = z.round().clamp(-LIMIT, LIMIT)
        difference, _ = self.centred(z_hat, lambda mean: (y - mean).round().clamp(-LIMIT, LIMIT))
        return torch.cat([fold(difference), z_hat]).to(torch.int32).cpu().numpy()

    def dequantize(self, symbols: np.ndarray) -> Tensor:
        """Packed latent [1, packed, h, w] of symbols (packed, h, w)."""
        device = next(self.parameters()).device
        given = torch.from_numpy(np.ascontiguousarray(symbols, np.float32)).to(device)
        symbols_y, z = split(given, self._config["hyper_channels"])
        difference, mean = self.centred(z, lambda mean: symbols_y)
        return torch.cat([fold(difference + mean), z])[None]

    def centred(self, z: Tensor, difference_of: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Differences and means [C, 4 h, 4 w] of a latent, as files have them.

        Args:
            z: rounded [hyper_channels, h, w].
            difference_of: what is known of the differences from given means; of every element by itself.
        """
        mean = self.hyper_mean(z)
        return difference_of(mean), mean

    @torch.no_grad()
    def freeze(self, latents: Sequence[Tensor]) -> Arrays:
        """Make the integer network of the float one, use it from now on, and return its arrays.

        Args:
            latents: packed [N, packed, h, w] of training images.
        """
        hyper = (split(latent, self._config["hyper_channels"])[1].round() for latent in latents)
        self.integer = IntegerSynthesis(integer_arrays(self.mean, hyper))
        return self.integer.arrays

    def load_frozen(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Use the integer network that ``freeze`` returned."""
        self.integer = IntegerSynthesis(arrays)

    def hyper_mean(self, z: Tensor) -> Tensor:  # [hyper_channels, h, w] -> [C, 4 h, 4 w]
        """Means that z tells, in integers once there are some."""
        if self.integer is not None:
            return self.integer(z).float() / FRACTION
        with torch.no_grad():
            return self.mean(z[None])[0]


def mixed(differences: Tensor) -> tuple[Tensor, Tensor]:
    """``(rounded, noisy)``: what the decoder knows, with a straight-through gradient, and what costs."""
    return rounded(differences), differences + torch.rand_like(differences) - 0.5


def rounded(x: Tensor) -> Tensor:
    """Rounded, with the gradient of what is not."""
    return x + (x.round() - x).detach()
