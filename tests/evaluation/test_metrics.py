"""PSNR and MS-SSIM against hand-worked values and against torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest

from pycodec.errors import InvalidInput
from pycodec.evaluation.metrics import MS_SSIM_MIN_SIDE, decibels, ms_ssim, psnr


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth structure plus texture: uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 128 + 70 * np.sin(x / 17 + seed) * np.cos(y / 23)
    return np.clip(base[..., None] + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(9).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def window_by_definition(x: np.ndarray) -> np.ndarray:
    """The 11 x 11 window of Wang et al. as one sum over its 121 weights."""
    grid = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window = np.outer(grid, grid)
    window /= window.sum()
    views = np.lib.stride_tricks.sliding_window_view(x, (11, 11))
    return np.einsum("hwij,ij->hw", views, window)


def ms_ssim_by_definition(reference: np.ndarray, image: np.ndarray) -> float:
    answers = []
    for channel in range(3):
        x, y, product = reference[..., channel].astype(float), image[..., channel].astype(float), 1.0
        for scale, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333], start=1):
            mx, my = window_by_definition(x), window_by_definition(y)
            vx, vy = window_by_definition(x * x) - mx * mx, window_by_definition(y * y) - my * my
            cov = window_by_definition(x * y) - mx * my
            luminance = (2 * mx * my + 2.55**2) / (mx * mx + my * my + 2.55**2)
            contrast_structure = (2 * cov + 7.65**2) / (vx + vy + 7.65**2)
            term = contrast_structure if scale < 5 else luminance * contrast_structure
            product *= term.mean() ** weight
            even = [z[: z.shape[0] // 2 * 2, : z.shape[1] // 2 * 2] for z in (x, y)]
            x, y = ((z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4 for z in even)
        answers.append(product)
    return float(np.mean(answers))


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (1, 48.130803608679),  # 20 log10 255: every value is off by one
        (5, 34.151403521958),  # 20 log10(255 / 5)
        (255, 0.0),
    ],
)
def test_psnr_of_a_constant_difference(difference: int, expected: float) -> None:
    black = np.zeros((4, 6, 3), np.uint8)
    assert psnr(black, black + np.uint8(difference)) == pytest.approx(expected, abs=1e-9)
    assert psnr(black + np.uint8(difference), black) == pytest.approx(expected, abs=1e-9)


def test_psnr_pools_all_channels() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    changed = image.copy()
    changed[0, 0, 1] = 6  # squared error 36 over 12 values: MSE 3
    assert psnr(image, changed) == pytest.approx(10 * np.log10(255**2 / 3), abs=1e-12)
    assert psnr(image, image) == float("inf")


@pytest.mark.parametrize("sigma", [2.0, 25.0])
def test_ms_ssim_is_its_definition(sigma: float) -> None:
    image = photograph(176, 192)
    changed = noisy(image, sigma)
    assert ms_ssim(image, changed) == pytest.approx(ms_ssim_by_definition(image, changed), abs=1e-10)


def test_ms_ssim_agrees_with_torchmetrics() -> None:
    """Its padded borders at the coarsest scale and its float32 leave a small difference."""
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    image = photograph(256, 320)
    changed = noisy(image, 10.0)
    tensors = [torch.from_numpy(a).permute(2, 0, 1)[:, None].float() for a in (changed, image)]
    expected = float(multiscale_structural_similarity_index_measure(*tensors, data_range=255.0))
    assert ms_ssim(image, changed) == pytest.approx(expected, abs=2e-3)


def test_ms_ssim_limits() -> None:
    image = photograph(MS_SSIM_MIN_SIDE, MS_SSIM_MIN_SIDE + 3)
    assert ms_ssim(image, image) == pytest.approx(1.0, abs=1e-12)
    assert ms_ssim(image, 255 - image) == 0.0  # negative structure counts as none
    assert ms_ssim(image, noisy(image, 5)) > ms_ssim(image, noisy(image, 20))
    assert decibels(0.99) == pytest.approx(20.0)
    assert decibels(1.0) == float("inf")


@pytest.mark.parametrize(
    ("reference", "image", "sentence"),
    [
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8), "sizes must be equal"),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), "expected a uint8 array"),
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), "float64"),
    ],
)
def test_other_arrays_are_refused(reference: np.ndarray, image: np.ndarray, sentence: str) -> None:
    for metric in (psnr, ms_ssim):
        with pytest.raises(InvalidInput, match=sentence):
            metric(reference, image)


def test_ms_ssim_refuses_small_images() -> None:
    small = photograph(MS_SSIM_MIN_SIDE - 1, 400)
    with pytest.raises(InvalidInput, match=f"at least {MS_SSIM_MIN_SIDE} pixels, this image is 400 x 175"):
        ms_ssim(small, small)
