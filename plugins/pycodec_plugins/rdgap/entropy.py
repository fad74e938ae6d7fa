"""Scales that also follow from what of the latent is decoded already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pycodec import weights
from pycodec.errors import MissingWeights
from pycodec_plugins.hyperprior import FRACTION, Arrays, HyperpriorModel, ScaleHyperprior, Take

from .context import ContextNetwork
from .integer_context import IntegerContext, context_arrays
from .quadtree import PASSES, walk


class QuadtreeHyperprior(ScaleHyperprior):
    """`ScaleHyperprior`, with the scale of each value in pass 1 to 3 of `quadtree` corrected by what the
    magnitudes of the symbols of the passes before tell. One stream: z, then pass after pass.

    So the context that `bits` wants is symbols, as `HyperpriorTask` gives them, not the latent, which has the
    means added.

    Args:
        channels, hyper_channels, width, deconvolution, qualities, scale_min: of `ScaleHyperprior`.
        context: keyword arguments of `ContextNetwork`.
    """

    passes = PASSES

    def __init__(
        self,
        channels: int,
        hyper_channels: int = 64,
        width: int = 48,
        deconvolution: bool = False,
        qualities: int = 8,
        scale_min: float = 0.11,
        context: Mapping[str, int] | None = None,
    ):
        super().__init__(channels, hyper_channels, width, deconvolution, qualities, scale_min=scale_min)
        self.context = ContextNetwork(channels, **(context or {}))
        self.integer_context: IntegerContext | None = None
        self._config = {**self._config, "context": dict(context or {})}
        del self._config["logarithmic"]

    def raw_scales(self, y: Tensor, z: Tensor) -> Tensor:
        return walk(self.scale(z), self.context, lambda here, scale: y.abs())

    @staticmethod
    def model_class() -> type[HyperpriorModel]:
        from .latent_model import QuadtreeModel

        return QuadtreeModel

    @torch.no_grad()
    def in_order(self, y: np.ndarray, z: np.ndarray, take: Take) -> None:
        if self.integer_context is None:
            raise MissingWeights("this entropy model has no integer network yet; load weights that hold one")

        def learn(here: Tensor, scale: Tensor) -> Tensor:
            take(here.numpy(), self.table_indexes(scale[here]))
            return torch.from_numpy(np.abs(y.astype(np.int64))) * FRACTION

        walk(self.hyper_scales(z).to(torch.int64), self.integer_context, learn)

    def freeze_networks(self, volumes: Sequence[tuple[np.ndarray, np.ndarray]]) -> Arrays:
        arrays = super().freeze_networks(volumes)

        def run() -> None:
            for volume in volumes:
                self.raw_scales(*(torch.from_numpy(part.astype(np.float32))[None] for part in volume))

        self.integer_context = IntegerContext(context_arrays(self.context, run))
        return arrays | {f"context.{name}": array for name, array in self.integer_context.arrays.items()}

    def load_frozen(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().load_frozen(arrays)
        self.integer_context = IntegerContext(weights.under(arrays, "context."))
