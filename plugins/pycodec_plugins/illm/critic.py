"""What both discriminators do: look at an image beside its latent, and keep gradients where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pycodec.errors import InvalidInput

PIXEL_UNIT = 128.0  # grey levels that the networks see as 1
SLOPE = 0.2  # of LeakyReLU below 0


class Conditioned(nn.Module):
    """An image with a few planes made of its latent beside it.

    The latent passes a 3 x 3 convolution and LeakyReLU, and is repeated to the size of the image. No gradient
    reaches it: the critic does not train the encoder.

    Args:
        channels: of the latent.
        context: planes made of it.
        detail: how much more the image's differences from its local means are shown beside it, as three
            planes; none at 0. An image mostly varies in what it shows, by which originals and
            reconstructions do not differ: critics that see its detail apart from that learn in hundreds of
            batches to tell them.
    """

    def __init__(self, channels: int, context: int, detail: float = 0.0):
        super().__init__()
        self.channels, self.detail = channels, detail
        self.planes = 3 + context + (3 if detail else 0)
        self.convolution = nn.Conv2d(channels, context, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # [N, 3, H, W], [N, C, h, w] -> [N, planes, H, W]
        context = F.leaky_relu(self.convolution(y.detach()), SLOPE)
        planes = [x / PIXEL_UNIT, F.interpolate(context, size=x.shape[2:]).to(x.dtype)]
        if self.detail:
            means = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
            planes.append((x - means) * (self.detail / PIXEL_UNIT))
        return torch.cat(planes, 1)

    def check(self, x: Tensor, x_hat: Tensor, y: Tensor, stride: int) -> None:
        """Refuse what the critic cannot take.

        Raises:
            InvalidInput: images that are not [N, 3, H, W] twice with sides that are multiples of ``stride``,
                or a latent of another number of planes.
        """
        if x.shape != x_hat.shape or x.ndim != 4 or x.shape[1] != 3:
            raise InvalidInput(
                f"images of shapes {tuple(x.shape)} and {tuple(x_hat.shape)}, expected [N, 3, H, W] twice"
            )
        if x.shape[2] % stride or x.shape[3] % stride:
            raise InvalidInput(
                f"images of {x.shape[2]} x {x.shape[3]} pixels, expected sides that are multiples of {stride}"
            )
        if y.ndim != 4 or len(y) != len(x) or y.shape[1] != self.channels:
            raise InvalidInput(
                f"a latent of shape {tuple(y.shape)}, expected [{len(x)}, {self.channels}, h, w]"
            )


@contextmanager
def fixed(module: nn.Module) -> Iterator[None]:
    """What is computed in the body has no gradient in the parameters of ``module``."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for p in trained:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in trained:
            p.requires_grad_(True)


def halves(x: Tensor, x_hat: Tensor, y: Tensor, disjoint: bool) -> tuple[Tensor, ...]:
    """Originals with their latents, then reconstructions with theirs, for the critic to compare.

    Args:
        disjoint: the reconstructions of the first half of the batch and the originals of the second, so that
            no image is seen as both (the paper after eq. 4; what it publishes does so). Of a single image,
            both.
    """
    if not disjoint or len(x) < 2:
        return x, y, x_hat.detach(), y
    half = len(x) // 2
    return x[half:], y[half:], x_hat[:half].detach(), y[:half]


def binary_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Eq. 4 on logits, mean over positions, of each of which the critic says how real it looks."""
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def binary_generator_loss(fake: Tensor, saturating: bool) -> Tensor:
    """Eq. 5, log(1 - D); or -log D, which does not saturate where the critic is sure (section A.3)."""
    return -F.softplus(fake.float()).mean() if saturating else F.softplus(-fake.float()).mean()
