"""PSNR and MS-SSIM as components around `pycodec.evaluation.metrics`. Needs no torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from pycodec.evaluation.metrics import ms_ssim, psnr

from .common import MeanOverImages


class PSNR(MeanOverImages):
    """Mean over images of the peak signal-to-noise ratio over RGB; infinite as soon as one image is exact."""

    label = "PSNR"
    unit = "dB"
    higher_is_better = True

    def value(self, picture_hat: np.ndarray, picture: np.ndarray) -> float:
        return psnr(picture, picture_hat)

    def config(self) -> dict[str, Any]:
        return {}


class MSSSIM(MeanOverImages):
    """Mean over images of the multi-scale structural similarity (Wang et al. 2003) over RGB, up to 1."""

    label = "MS-SSIM"
    higher_is_better = True

    def value(self, picture_hat: np.ndarray, picture: np.ndarray) -> float:
        return ms_ssim(picture, picture_hat)

    def config(self) -> dict[str, Any]:
        return {}
