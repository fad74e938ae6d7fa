"""The decoder of a codec, to train on while its encoder and entropy model stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec import weights

from . import decoders
from .codec import (
    NAME,
    WEIGHTS,
    build_parts,
    frozen_parts,
    is_quantized,
    load_floats,
)
from .latent import split
from .task import calibration_pairs, quantized_arrays, whole_strides


class Decoder(nn.Module):
    """Float synthesis of a codec, and the latents that its files hold.

    Args:
        weights_file: of the codec; by default those that come with ``hyperprior``.
    """

    def __init__(self, weights_file: str | Path | None = None):
        super().__init__()
        self._weights_file = weights_file or WEIGHTS
        tensors, metadata = weights.load(self._weights_file)
        self.config, self.base = metadata["config"], metadata["fingerprint"]
        floats = build_parts(self.config)
        load_floats(floats, self.config, tensors)
        self._floats = (floats,)  # a tuple: of its modules, only the transform is a submodule
        self.transform = floats.transform.transform
        self.channels: int = self.transform.channels
        self._frozen = (frozen_parts(self.config, tensors),)
        self.stride = self._frozen[0].transform.stride

    def trained(self) -> list[nn.Parameter]:
        """Parameters of the synthesis."""
        names = ("decoder.", "synthesis_dct", "log_step", "head.", "blocks.", "tail.")
        return [p for name, p in self.transform.named_parameters() if name.startswith(names)]

    def forward(self, y: Tensor, quality: Tensor) -> Tensor:  # [N, C, h, w], [N] -> [N, 3, 16 h, 16 w]
        """Images, not clipped, of latents."""
        x_hat: Tensor = self.transform.synthesis(y, quality)
        return x_hat

    @torch.no_grad()
    def latents(self, images: Tensor, quality: Tensor) -> Tensor:  # [N, 3, H, W], [N] -> [N, C, h, w]
        """What the synthesis sees of the files of ``images``, whose sides are whole strides."""
        parts = self._frozen[0]
        with torch.autocast(images.device.type, enabled=False):
            found = [
                parts.quantizer.dequantize(
                    parts.quantizer.quantize(parts.transform.analysis(x[None], q[None]))
                )
                for x, q in zip(images, quality, strict=True)
            ]
        return split(torch.cat(found), parts.transform.hyper_channels)[0]

    def whole(self, image: np.ndarray) -> np.ndarray:
        """The corner of an image [H, W, 3] with whole strides."""
        return whole_strides(image, self._frozen[0].transform.stride, max(image.shape))

    def load(self, path: Path) -> dict[str, Any]:
        """Start from the decoder of a file; returns its metadata."""
        tensors, _ = weights.load(self._weights_file)
        tensors |= decoders.tensors_of(NAME, str(path), self.base)
        load_floats(self._floats[0], self.config, tensors)
        return weights.read_metadata(path)

    def save(
        self, path: Path, images: Sequence[np.ndarray], qualities: Sequence[float], metadata: dict[str, Any]
    ) -> None:
        """Write the decoder, in integers if the codec's transform has such a form.

        Args:
            path: of the file.
            images: [H, W, 3] uint8, on which the ranges of activations are measured.
            qualities: at these.
            metadata: further metadata of the file.
        """
        if is_quantized(self.config):
            pairs = calibration_pairs(images, self._frozen[0].transform.stride, qualities)
            arrays = quantized_arrays(self.config, self.transform, pairs)
            tensors = {f"quantized.{name}": array for name, array in arrays.items()}
        else:
            state = self.transform.state_dict()
            tensors = {f"transform.transform.{name}": t.half().numpy() for name, t in state.items()}
        decoders.save(path, tensors, self.base, metadata)
