"""``pycodec ablation``: what each kind of context saves on the same latent (Mentzer et al. 2018, Table 1)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import pycodec
from pycodec.errors import InvalidInput
from pycodec.files import write_bytes
from pycodec.images import as_picture
from pycodec.training.data import find_images


def count_pairs(volumes: list[np.ndarray], symbols: int) -> np.ndarray:
    """Counts [previous, current] of neighbours in raster order over ``volumes`` (planes, h, w), each pair
    once more.

    The extra one per pair keeps every probability above zero.
    """
    counts = np.ones((symbols, symbols), np.int64)
    for volume in volumes:
        flat = volume.ravel()
        np.add.at(counts, (flat[:-1], flat[1:]), 1)
    return counts


def zeroth_order_bits(volume: np.ndarray, counts: np.ndarray) -> float:
    """Bits of a volume when each symbol has the probability of its share in ``counts``."""
    histogram = counts.sum(0)
    return float(-np.log2(histogram / histogram.sum())[volume].sum())


def first_order_bits(volume: np.ndarray, counts: np.ndarray) -> float:
    """Bits of a volume when each symbol is predicted from the one before it in raster order."""
    conditional = -np.log2(counts / counts.sum(1, keepdims=True))
    flat = volume.ravel()
    return float(conditional[flat[:-1], flat[1:]].sum()) + math.log2(len(counts))


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of images to measure.")
@click.option(
    "--train", required=True, type=click.Path(path_type=Path), help="Folder the histograms are counted on."
)
@click.option("--train-images", type=int, default=50, show_default=True, help="How many of them.")
@click.option(
    "--weights", type=click.Path(path_type=Path), help="Weights of cpm [default: those that come with it]."
)
@click.option("--quality", type=float, help="Importance map [default: the highest].")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
def command(
    data: Path,
    train: Path,
    train_images: int,
    weights: Path | None,
    quality: float | None,
    out: Path | None,
) -> None:
    """Rate of cpm under a uniform, zeroth order, first order and 3D context model, the autoencoder fixed."""
    codec = pycodec.load("cpm", weights_file=weights)
    quality = codec.default_quality if quality is None else quality
    symbols = codec.quantizer.count
    if train_images < 1:
        raise InvalidInput(f"--train-images is {train_images}, expected at least 1")
    files = find_images(train)
    files = files[:: max(1, len(files) // train_images)][:train_images]
    counts = count_pairs([codec.symbols(file, quality) for file in files], symbols)
    rates: dict[str, list[float]] = {
        name: [] for name in ("uniform", "zeroth order", "first order", "3D model")
    }
    images = find_images(data)
    step = codec.quality_step(quality)
    for file in images:
        volume = codec.symbols(file, quality)
        width, height = as_picture(file).size
        for name, bits in (
            ("uniform", volume.size * math.log2(symbols)),
            ("zeroth order", zeroth_order_bits(volume, counts)),
            ("first order", first_order_bits(volume, counts)),
            ("3D model", codec.entropy_model.code_length_bits(volume, step)),
        ):
            rates[name].append(bits / (width * height))
    means = {name: float(np.mean(values)) for name, values in rates.items()}
    table = Table(
        "context model", "bpp", "against uniform", title=f"cpm, quality {quality:g}, {len(images)} images"
    )
    for name, bpp in means.items():
        table.add_row(name, f"{bpp:.3f}", f"{100 * (bpp / means['uniform'] - 1):+.1f} %")
    Console().print(table)
    if out is not None:
        result = {"quality": quality, "images": len(images), "bpp": means}
        write_bytes(out, (json.dumps(result, indent=1) + "\n").encode())
