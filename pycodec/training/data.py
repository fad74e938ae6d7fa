"""Random crops of photographs, each decided by (seed, index) alone: a resumed run sees the same ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from pycodec.errors import InvalidInput
from pycodec.images import as_picture

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}


def find_images(folder: Path) -> list[Path]:
    """Image files under ``folder``, sorted; raises InvalidInput when there is none."""
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: not a folder; --data needs a folder of images")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise InvalidInput(
            f"{folder}: holds no image; expected files ending in {', '.join(sorted(SUFFIXES))}"
        )
    return files


def load_images(files: list[Path], threads: int = 4) -> list[np.ndarray]:
    """Every file as RGB [H, W, 3] uint8, as codecs see it. All stay in memory: decoding again at each step
    costs more.

    Raises:
        InvalidInput: names the file that cannot be read.
    """
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda path: as_picture(path).rgb, files))


def center_crop(image: np.ndarray, side: int) -> np.ndarray:
    """The middle of an image [H, W, 3], at most ``side`` pixels high and wide."""
    top, left = (max(0, length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


class RandomCrops(Dataset):
    """Crops [crop, crop, 3] uint8, down-scaled at random and mirrored half of the time.

    Photographs stored 4:2:0 have only half their chroma detail; scaling by 0.5 to 0.75 makes it whole again.

    Args:
        images: RGB arrays.
        crop: side of the crops.
        scale: range the scale is drawn from.
        native: share of crops taken without scaling.
        seed: with the index, decides everything about a crop.
    """

    def __init__(
        self, images: list[np.ndarray], crop: int, scale: tuple[float, float], native: float, seed: int
    ):
        self.images = [im for im in images if min(im.shape[:2]) >= crop]
        if not self.images:
            raise InvalidInput(
                f"no training image is {crop} x {crop} or larger; use smaller crops or larger images"
            )
        largest, needed = max(min(im.shape[:2]) for im in self.images), math.ceil(crop / max(scale))
        if native <= 0 and largest < needed:
            raise InvalidInput(
                f"no training image is {needed} x {needed} or larger, as crops of {crop} that are scaled by "
                f"{max(scale):g} need; use smaller crops, larger images, or a native share above 0"
            )
        self.crop, self.scale, self.native, self.seed = crop, scale, native, seed
        sides = np.array([math.sqrt(im.shape[0] * im.shape[1]) for im in self.images])
        self.cumulative = np.cumsum(sides / sides.sum())  # large images hold more distinct crops

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, index: int) -> torch.Tensor:
        rng = np.random.default_rng((self.seed, index))
        while True:
            image = self.images[
                min(int(np.searchsorted(self.cumulative, rng.random())), len(self.images) - 1)
            ]
            scale = 1.0 if rng.random() < self.native else rng.uniform(*self.scale)
            side = math.ceil(self.crop / scale)
            if side <= min(image.shape[:2]):
                break
        top, left = rng.integers(image.shape[0] - side + 1), rng.integers(image.shape[1] - side + 1)
        patch = image[top : top + side, left : left + side]
        if side != self.crop:
            kernel = Image.Resampling.LANCZOS if rng.random() < 0.5 else Image.Resampling.BICUBIC
            patch = np.asarray(Image.fromarray(patch).resize((self.crop, self.crop), kernel))
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        return torch.from_numpy(patch.copy())


def batches(
    dataset: RandomCrops, batch: int, first: int, steps: int, workers: int, share: range | None = None
) -> Iterator[torch.Tensor]:
    """Batches ``first`` .. ``first + steps - 1``: [batch, 3, crop, crop] float32 in -128..127.

    Args:
        dataset: whose crops ``batch * i`` to ``batch * (i + 1) - 1`` are batch i.
        batch: crops in each.
        first, steps: which batches.
        workers: processes that prepare them.
        share: which crops of each batch to take, by default all.
    """
    share = range(batch) if share is None else share
    loader = DataLoader(
        dataset,
        batch_sampler=(
            list(range(i * batch + share.start, i * batch + share.stop)) for i in range(first, first + steps)
        ),
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )
    for crops in loader:
        yield (crops.permute(0, 3, 1, 2).float() - 128).contiguous(memory_format=torch.channels_last)
