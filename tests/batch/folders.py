"""Folders of tiny images, and what is in a folder of outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_images(folder: Path, count: int, sides: tuple[int, int] = (16, 65)) -> list[str]:
    """Seeded images in three folders; their paths below ``folder``."""
    rng = np.random.default_rng(count)
    names = [f"{'abc'[i % 3]}/{'deep/' * (i % 2)}{i:04}.png" for i in range(count)]
    for name in names:
        height, width = rng.integers(*sides, 2)
        ramp = np.linspace(0, 200, width)[None, :, None] + rng.integers(0, 56, (height, 1, 3))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ramp.astype(np.uint8)).save(folder / name)
    return names


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the manifest."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
