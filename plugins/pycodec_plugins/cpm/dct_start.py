"""An autoencoder of Mentzer et al. 2018 that starts as a block DCT, instead of at random.

Every layer of its encoder and decoder can hold a linear map: a value passes a ReLU as a pair, itself and
its negative; blocks of the trunk whose last batch norm is 0 are identities; and a batch norm that keeps its
statistics is linear. So the 8 x 8 DCT of the image, in an orthonormal colour space, comes about in three
layers that each gather 2 x 2 positions, and its inverse likewise. From there on it is the paper's network; at
a small budget, most of it would go into finding such a basis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput

from .autoencoder import ResidualAutoencoder, ResidualBlock
from .centers import LearnedCenters
from .dct import dct_basis

COLOURS = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])  # luma and two chromas, not yet of length 1
# Standard deviations of DCT coefficients of photographs whose pixels have deviation 1, by colour: of the
# means, and at frequency 1; from there on they fall as 1 / frequency.
MEANS, OTHERS = (12.3, 4.5, 2.2), (2.0, 0.53, 0.26)
# A mean needs more than six levels: several channels have it, each with its centres at other places.
COPIES = 5, 2, 1
SPACING = 0.9  # of centres, in standard deviations of a channel; one of them is 0, which masks leave
PIXELS = torch.eye(12).reshape(12, 3, 2, 2)
FEATURES = 24  # of 4 x 4 pixels: all of luma, a quarter of each chroma


@torch.no_grad()
def start_as_dct(autoencoder: ResidualAutoencoder, quantizer: LearnedCenters) -> None:
    """Set weights and centres.

    Raises:
        InvalidInput: there are fewer than 48 channels in the trunk.
    """
    if autoencoder.width < 2 * FEATURES:
        raise InvalidInput(
            f"a trunk of {autoencoder.width} channels, expected {2 * FEATURES} at least to start as a DCT"
        )
    maps = autoencoder.maps
    quantizer.centers.copy_(SPACING * (torch.arange(quantizer.count) - (quantizer.count - 1) // 2))
    basis, deviation, shift, share = _latent(autoencoder.channels)
    features, spread = _features()
    from_pixels, from_features = _blocks(features, PIXELS), _blocks(basis, features)
    # Features of one deviation: steps of the optimiser would change small ones by much of the large ones.
    to_unit, from_unit = from_pixels / spread, from_pixels * spread
    gain = 1 + 2.0**autoencoder.groups  # of a trunk of identities, by the skips around them

    first, second, encoder_trunk, last = autoencoder.encoder
    _fill(first[0].weight, _negated(PIXELS, 0))
    _fill(second[0].weight, _negated(_negated(to_unit, 0), 1))
    weight = _negated(from_features * spread[:, 0] / (gain * deviation[:, None, None, None]), 1)
    _fill(last[0].weight, torch.cat([weight.new_zeros(maps, *weight.shape[1:]), weight]))
    last[1].bias[maps:] = shift

    first, decoder_trunk, second, last = autoencoder.decoder
    back = from_features / spread[:, 0] * (deviation * share)[:, None, None, None]
    _fill(first[0].weight, _negated(back, 1))
    first[1].bias[: 2 * FEATURES] = _negated(-(shift[:, None] * back[:, :, 0, 0]).sum(0), 0)  # of means alone
    _fill(second[0].weight, _negated(_negated(from_unit / gain, 0), 1))
    _fill(last[0].weight, _negated(PIXELS, 0))

    for trunk in encoder_trunk, decoder_trunk:
        for block in trunk.modules():
            if isinstance(block, ResidualBlock):
                nn.init.zeros_(block.layers[1][1].weight)
                for layer in block.layers:
                    _enlarge(layer, gain)
    inputs = 1, 1, None, gain, 1, None, gain, 1  # their size, of each layer that is no trunk
    for layer, size in zip([*autoencoder.encoder, *autoencoder.decoder], inputs, strict=True):
        if size is not None:
            _enlarge(layer, size)


def _enlarge(layer: nn.Sequential, size: float) -> None:
    """Make weights larger, and the deviation that the batch norm divides by. Adam changes weights by the
    learning rate, whatever they are, and all of an output's alike: with weights so large, and inputs of
    ``size``, an output changes by some hundredths of itself for a rate of 1e-3.
    """
    convolution, norm = layer[0], layer[1]
    inputs = convolution.weight.numel() / norm.num_features  # of an output
    if isinstance(convolution, nn.ConvTranspose2d):
        inputs /= math.prod(convolution.stride)
    factor = max(1.0, inputs * size / 50)
    convolution.weight *= factor
    norm.running_var.fill_(factor**2)


def _features() -> tuple[Tensor, Tensor]:
    """Patterns in pixels [FEATURES, 3, 4, 4], and standard deviations [FEATURES, 1, 1, 1]."""
    dct = dct_basis(4)
    kept = [(0, i) for i in range(16)] + [(c, i) for c in (1, 2) for i in (0, 1, 4, 5)]
    spread = [OTHERS[c] / (2 * math.hypot(*divmod(i, 4))) if i else MEANS[c] / 2 for c, i in kept]
    patterns = torch.stack([_colour(c)[:, None, None] * dct[i] for c, i in kept])
    return patterns, torch.tensor(spread)[:, None, None, None]


def _latent(channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each channel of the latent, the most telling first: its pattern in pixels [channels, 3, 8, 8], its
    standard deviation, how far its means are shifted, and its share in what they stand for.
    """
    dct = dct_basis(8)
    found: list[tuple[float, Tensor, float, float, int]] = []
    for colour, copies in enumerate(COPIES):
        for i in range(64 if colour == 0 else 16):
            v, u = divmod(i, 8 if colour == 0 else 4)
            pattern = _colour(colour)[:, None, None] * dct[8 * v + u]
            if i:
                deviation = OTHERS[colour] / math.hypot(u, v)
                found.append((deviation, pattern, deviation, 0.0, 1))
                continue
            for copy in range(copies):
                place = SPACING * ((copy + 0.5) / copies - 0.5)
                found.append((MEANS[colour] / (1 + 4 * copy), pattern, MEANS[colour], place, copies))
    found = sorted(found, key=lambda each: -each[0])[:channels]
    kept = torch.tensor([each[4] for each in found])
    _, patterns, deviations, shifts, _ = zip(*found, strict=True)
    return torch.stack(patterns), torch.tensor(deviations), torch.tensor(shifts), 1 / kept


def _colour(index: int) -> Tensor:
    return COLOURS[index] / COLOURS[index].norm()


def _blocks(coarse: Tensor, fine: Tensor) -> Tensor:  # [A, 3, 2 s, 2 s], [B, 3, s, s] -> [A, B, 2, 2]
    """How much of each fine pattern is in each quarter of each coarse one."""
    side = fine.shape[-1]
    quarters = coarse.reshape(len(coarse), 3, 2, side, 2, side)
    return torch.einsum("acyixj,bcij->abyx", quarters, fine)


def _negated(x: Tensor, axis: int) -> Tensor:
    """Each slice, and its negative after it."""
    return torch.stack([x, -x], axis + 1).flatten(axis, axis + 1)


def _fill(weight: Tensor, values: Tensor) -> None:  # [A, B, k, k], [a, b, 2, 2]
    """Make the first a x b kernels take the position itself and the one after it, both ways. What the others
    of these outputs would add is 0.
    """
    a, b, *_ = values.shape
    middle = weight.shape[-1] // 2
    weight[:a] = 0
    weight[:, :b] = 0
    weight[:a, :b, middle : middle + 2, middle : middle + 2] = values
