"""The labeler u(x): a VQ-VAE whose codes label local images (Muckley et al. 2023, section 4.3)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pycodec import weights
from pycodec.errors import InvalidInput, WeightsMismatch

from .codebook import Codebook
from .vqgan import decoder, encoder

NAME = "illm_labeler"  # of the labeler that comes with the plugin
FOLDER = Path(__file__).parent / "weights"
PIXEL_UNIT = 128.0  # grey levels that the networks see as 1


class Labeler(nn.Module):
    """Encoder and codebook. The defaults are the paper's: 32 x 32 labels of 256 x 256 pixels, 1024 codes.

    Args:
        widths: channels of the encoder's levels, each of half the resolution of the one before.
        blocks: residual blocks a level.
        stem: squares of that many pixels a side are the positions of the first level.
        codes: labels C.
        dimensions: of the codebook's vectors.

    Attributes:
        stride: pixels per label, both ways.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 128, 256),
        blocks: int = 2,
        stem: int = 1,
        codes: int = 1024,
        dimensions: int = 8,
    ):
        super().__init__()
        if not widths or min([*widths, blocks, stem, codes, dimensions]) < 1:
            raise InvalidInput(
                f"a labeler of widths {list(widths)}, {blocks} blocks, stem {stem}, {codes} codes of "
                f"{dimensions} dimensions; expected at least 1 of each"
            )
        self._config = {
            "widths": list(widths),
            "blocks": blocks,
            "stem": stem,
            "codes": codes,
            "dimensions": dimensions,
        }
        self.stride, self.codes = stem * 2 ** (len(widths) - 1), codes
        self.encoder = encoder(widths, blocks, stem, widths[-1])
        self.project = nn.Conv2d(widths[-1], dimensions, 1)
        self.codebook = Codebook(codes, dimensions)

    def config(self) -> dict[str, Any]:
        """JSON keyword arguments that make an equal one; weights are stored apart from it."""
        return dict(self._config)

    def embed(self, x: Tensor) -> Tensor:  # [N, 3, H, W] in -128..127 -> [N, h, w, dimensions]
        """Unit vectors that the codebook is searched for; float32.

        Raises:
            InvalidInput: no colour images, or sides that are no multiples of the stride.
        """
        if x.ndim != 4 or x.shape[1] != 3 or x.shape[2] % self.stride or x.shape[3] % self.stride:
            raise InvalidInput(
                f"images of shape {tuple(x.shape)}, expected [N, 3, H, W] with sides that are multiples of "
                f"{self.stride}, the stride of the labeler"
            )
        z = self.project(self.encoder(x / PIXEL_UNIT))
        return F.normalize(z.float().permute(0, 2, 3, 1), dim=3)

    @torch.no_grad()
    def labels(self, x: Tensor) -> Tensor:  # [N, 3, H, W] in -128..127 -> [N, h, w] int64
        """The code of each position, 0 to ``codes`` - 1 (eq. 8); in float32 under autocast too.

        Raises:
            InvalidInput: as `embed`.
        """
        with torch.autocast(x.device.type, enabled=False):
            return self.codebook.nearest(self.embed(x.float()))


class VQVAE(nn.Module):
    """A labeler, and the decoder that it is trained with."""

    def __init__(self, **config: Any):
        super().__init__()
        self.labeler = Labeler(**config)
        full = self.labeler.config()
        width = full["widths"][-1]
        self.expand = nn.Conv2d(full["dimensions"], width, 1)
        self.decoder = decoder(full["widths"], full["blocks"], full["stem"], width)

    def decode(self, vectors: Tensor) -> Tensor:  # [N, h, w, dimensions] -> [N, 3, H, W]
        """Images, not clipped, of vectors of the codebook; float32."""
        x: Tensor = self.decoder(self.expand(vectors.permute(0, 3, 1, 2)))
        return x.float() * PIXEL_UNIT

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the labels of ``x`` say of it: images as 8 bit would hold them, and the labels."""
        labels = self.labeler.labels(x)
        return self.decode(self.labeler.codebook.lookup(labels)).clamp(-128, 127).round(), labels


def weights_of(name: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The path of the labeler that comes with the plugin, given its name; any other is a path already."""
    return FOLDER / f"{NAME}.safetensors" if name == NAME else name


def load_vqvae(path: str | os.PathLike[str]) -> VQVAE:
    """A trained labeler with its decoder, from the weights that ``pycodec train illm_labeler`` writes.

    Args:
        path: of the weights; or "illm_labeler", those that come with the plugin.

    Raises:
        MissingWeights: no such file.
        WeightsMismatch: it holds no weights, or those of something else.
    """
    tensors, metadata = weights.load(weights_of(path))
    config = metadata["config"].get("labeler")
    if config is None:
        raise WeightsMismatch(
            f"{path} holds no weights of a labeler; train some by pycodec train illm_labeler"
        )
    model = VQVAE(**config)
    weights.load_module(model, tensors)
    return model.eval()


def load_labeler(path: str | os.PathLike[str]) -> Labeler:
    """The labeler alone; errors as `load_vqvae`."""
    return load_vqvae(path).labeler
