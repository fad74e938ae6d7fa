"""The distortion rho of MS-ILLM: squared error and a perceptual distance (Muckley et al. 2023, eq. 9)."""

from __future__ import annotations

import torch
from torch import Tensor

from pycodec.errors import InvalidInput, MissingWeights
from pycodec.training.task import ms_ssim

from .lpips import LPIPS

PERCEPTUAL = ("auto", "lpips", "ms_ssim", "none")
MS_SSIM_SIDE = 176  # pixels, smallest image


class Distortion:
    """``mse_weight`` MSE + LPIPS, of images in 0..1; where LPIPS has no weights, 1 - MS-SSIM in its place.

    Args:
        network: of LPIPS, "alex" or "vgg".
        mse_weight: 150 in the paper, 1 for its labeler.
        perceptual: "lpips", "ms_ssim", "auto", LPIPS if its weights are at hand, or "none" of them.
        weights: file of LPIPS's weights; see `pycodec_plugins.metrics.LPIPS`.

    Attributes:
        label: the formula, for model cards.

    Raises:
        MissingWeights: "lpips" without weights.
    """

    def __init__(self, network: str, mse_weight: float, perceptual: str = "auto", weights: str | None = None):
        if perceptual not in PERCEPTUAL:
            raise InvalidInput(f"perceptual is {perceptual!r}, expected one of {', '.join(PERCEPTUAL)}")
        self.mse_weight = mse_weight
        self._lpips: LPIPS | None = None
        reason = ""
        if perceptual in ("auto", "lpips"):
            try:
                self._lpips = LPIPS(network, weights)
            except MissingWeights:
                if perceptual == "lpips":
                    raise
                reason = f" in place of LPIPS ({network}), whose weights were not at hand"
        self._ms_ssim = self._lpips is None and perceptual != "none"
        self.label = f"{mse_weight:g} MSE"
        if self._lpips:
            self.label += f" + LPIPS ({network}, {self._lpips.identity})"
        elif self._ms_ssim:
            self.label += f" + (1 - MS-SSIM){reason}"

    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:  # [N, 3, H, W] in -128..127, twice -> []
        """Mean over images; float32 under autocast too.

        Raises:
            InvalidInput: images that are too small for the perceptual distance.
        """
        side = self._lpips.min_side if self._lpips else MS_SSIM_SIDE if self._ms_ssim else 1
        if min(x.shape[2:]) < side:
            raise InvalidInput(
                f"crops of {x.shape[2]} x {x.shape[3]} pixels, expected sides of at least {side} for "
                f"{self.label}"
            )
        x_hat, x = x_hat.float(), x.float()
        with torch.autocast(x.device.type, enabled=False):
            rho = self.mse_weight * (x_hat - x).square().mean() / 255**2
            if self._lpips is not None:
                return rho + self._lpips.to(x.device)(x_hat, x).mean()
            return rho + 1 - ms_ssim(x_hat, x) if self._ms_ssim else rho
