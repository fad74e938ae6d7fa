"""FID and KID of patches: how far the reconstructions, as a set, are from the originals.

FID/256 and KID/256 of HiFiC (Mentzer et al. 2020, appendix A.7) as Muckley et al. 2023 compute them: every
image is cut into patches, a second time from half a patch further, and each patch counts as an image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from pycodec.errors import InvalidInput, near_names

from .common import ROUNDING, pictures, require_count, require_side
from .inception import Inception
from .learned import path_text
from .swav import SwAV
from .weights import RANDOM

NETWORKS = {"inception": Inception, "swav": SwAV}
_BATCH = 16  # patches that go through the network at once


def patches(picture: np.ndarray, side: int) -> Iterator[np.ndarray]:  # [H, W, 3] -> [side, side, 3] each
    """Squares of a picture from the top left without overlap, what is left over dropped; then, if both sides
    are at least one and a half patches, the same from half a patch further down and right.
    """
    height, width = picture.shape[:2]
    starts = (0, side // 2) if min(height, width) >= 1.5 * side else (0,)
    for start in starts:
        for top in range(start, height - side + 1, side):
            for left in range(start, width - side + 1, side):
                yield picture[top : top + side, left : left + side]


def frechet_distance(x_hat: Tensor, x: Tensor) -> float:  # [n, C] float64, twice
    """Of Gaussians fitted to two sets of features: |mean - mean|^2 + tr(S + S' - 2 (S S')^(1/2))."""
    features = nn.Identity()  # they are made already: torchmetrics only takes their statistics
    features.num_features = x.shape[1]
    distance = FrechetInceptionDistance(features)
    distance.update(x, real=True)
    distance.update(x_hat, real=False)
    return float(distance.compute())


def kernel_distances(  # [n, C] float64, twice
    x_hat: Tensor, x: Tensor, subsets: int, size: int, seed: int
) -> list[float]:
    """Unbiased squared maximum mean discrepancies of random subsets, kernel (f.g / C + 1)^3."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(subsets):
        some = (found[rng.permutation(len(found))[:size]] for found in (x, x_hat))
        values.append(float(poly_mmd(*some)))
    return values


class _PatchSets:
    """Features of the patches of all reconstructions and of all originals."""

    higher_is_better = False
    data_range = 255.0
    of_set = True
    unit = ""

    def __init__(self, title: str, network: str, weights: str | os.PathLike[str] | None, patch: int):
        if network not in NETWORKS:
            raise InvalidInput(
                f"{title} has no network {network!r}{near_names(network, NETWORKS)} "
                f"(networks: {', '.join(NETWORKS)})"
            )
        require_count("patch", patch, NETWORKS[network].min_side)
        self._network = NETWORKS[network](weights)
        self._device = "cpu"
        self._config = {
            "network": network,
            "weights": path_text(weights),
            "patch": patch,
        }
        notes = [
            "SwAV" if network == "swav" else "",
            f"{patch}-pixel patches",
            "random weights" if self._network.identity == RANDOM else "",
        ]
        self.label = f"{title} ({', '.join(filter(None, notes))})"
        self.reset()

    def to(self, device: str) -> _PatchSets:
        """Work on ``device`` from now on."""
        self._network.to(device)
        self._device = device
        return self

    def reset(self) -> None:
        self._features: tuple[list[Tensor], list[Tensor]] = ([], [])  # reconstructions, originals

    def update(self, x_hat: Any, x: Any) -> None:  # [N, 3, H, W] twice
        for pair in zip(*pictures(x_hat, x), strict=True):
            side = self._config["patch"]
            require_side(self.label, pair[0], side, "choose a smaller patch=")
            for found, picture in zip(self._features, pair, strict=True):
                found.append(self._features_of(np.stack(list(patches(picture, side)))))

    @torch.no_grad()
    def _features_of(self, squares: np.ndarray) -> Tensor:  # [n, side, side, 3] -> [n, C] float64
        images = torch.from_numpy(squares).permute(0, 3, 1, 2)
        parts = (part.to(self._device) for part in images.split(_BATCH))
        return torch.cat([self._network(part).double().cpu() for part in parts])

    def _sets(self, least: int, advice: str) -> tuple[Tensor, Tensor]:  # [n, C] twice
        """Features of reconstructions and of originals, of ``least`` patches or more."""
        count = self._count()
        if count < least:
            raise InvalidInput(
                f"{self.label} needs at least {least} patches, there are {count}; measure more images{advice}"
            )
        x_hat, x = (torch.cat(found) for found in self._features)
        return x_hat, x

    def _count(self) -> int:
        return sum(map(len, self._features[0]))

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    def info(self) -> dict[str, Any]:
        """What a reader needs to repeat the value, beside ``config()``: JSON."""
        return {
            "preprocessing": f"{ROUNDING}; patches {self._network.preprocessing}",
            "images": len(self._features[0]),
            "patches": self._count(),
            "weights": self._network.identity,
        }


class FID(_PatchSets):
    """Fréchet distance of Gaussians fitted to the features of both sets of patches (Heusel et al. 2017).

    It falls with the number of patches: compare values over the same images only.

    Args:
        network: "inception" or "swav".
        weights: path of ``inception.safetensors`` or ``swav.safetensors``; without it, that file in the
            folder PYCODEC_METRIC_WEIGHTS; "random" for a narrow network that measures nothing.
        patch: side of the patches in pixels.
    """

    def __init__(
        self,
        network: str = "inception",
        weights: str | os.PathLike[str] | None = None,
        patch: int = 256,
    ):
        super().__init__("FID", network, weights, patch)

    def compute(self) -> float:
        return frechet_distance(*self._sets(2, ""))


class KID(_PatchSets):
    """Squared kernel distance of the features of both sets of patches, unbiased (Bińkowski et al. 2018).

    Mean over random subsets; around zero, and negative as often, for independent sets of one distribution.
    Reconstructions depend on their originals: near them it is below zero.

    Args:
        network, weights, patch: as for `FID`.
        subsets: how many are drawn.
        subset_size: patches in each; at most as many as there are.
        seed: of the draws.
    """

    def __init__(
        self,
        network: str = "inception",
        weights: str | os.PathLike[str] | None = None,
        patch: int = 256,
        subsets: int = 100,
        subset_size: int = 1000,
        seed: int = 0,
    ):
        require_count("subsets", subsets)
        require_count("subset_size", subset_size, 2)
        require_count("seed", seed, 0)
        super().__init__("KID", network, weights, patch)
        self._config.update(subsets=subsets, subset_size=subset_size, seed=seed)

    def compute(self) -> float:
        return float(np.mean(self._subset_values()))

    def info(self) -> dict[str, Any]:
        spread = {}
        if self._count() >= self._config["subset_size"]:
            spread["standard_deviation_over_subsets"] = float(np.std(self._subset_values()))
        return {**super().info(), **spread}

    def _subset_values(self) -> list[float]:
        subsets, size, seed = (self._config[key] for key in ("subsets", "subset_size", "seed"))
        sets = self._sets(size, " or choose a smaller subset_size=")
        return kernel_distances(*sets, subsets, size, seed)
