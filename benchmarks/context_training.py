"""What the context network of ctx3d gains from what it sees and from its width.

Networks are trained from nothing on the latents of the codec's own transform, which stays as it is: all on
the same crops at the same qualities. Their learning curves are bits per pixel on images that they never see,
under the float networks; the multiplications that each needs stand beside them. Variants:

    near         four layers of masked 3 x 3 x 3 filters, as in the paper: four planes back
    earlier      layer 0 sees all earlier planes at the symbol's position too
    earlier 16   the same with 16 instead of 24 channels; earlier 32 with 32

Writes benchmarks/results/context_training.json after each variant; those in there with the same settings are
not trained again.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

import pycodec
from pycodec.evaluation import rd
from pycodec.training.data import RandomCrops, batches, find_images, load_images
from pycodec_plugins.cpm.ctx3d import LAMBDAS, QUALITIES
from pycodec_plugins.cpm.entropy import ParametricContext
from pycodec_plugins.cpm.quality import lambda_of

from . import common

VARIANTS: dict[str, dict[str, Any]] = {
    "near": {},
    "earlier": {"earlier_planes": True},
    "earlier 16": {"earlier_planes": True, "width": 16},
    "earlier 32": {"earlier_planes": True, "width": 32},
}
BATCH, CROP = 6, 160
LEARNING_RATE, FINAL_RATIO, WARMUP = 2e-3, 0.02, 50
VALIDATED = (1.0, 3.0, 5.0, 7.0)
VALIDATE_EVERY = 500
SEED = 0


def multiplications(model: ParametricContext, stride: int) -> float:
    """Of integers, a pixel."""
    net = model.network
    k, planes = net.width, net.planes
    symbol = 13 * k + 14 * (2 * k * k + k * net.outputs)
    symbol += (planes - 1) * k if net.earlier_planes is not None else 0  # value and magnitude of half of them
    return symbol * planes / stride**2


@torch.no_grad()
def latents(codec: Any, x: Tensor, quality: Tensor) -> Tensor:
    """Rounded, [N, planes, h, w]."""
    rounded: Tensor = codec.transform.analysis(x, quality).round()
    return rounded


def validate(model: ParametricContext, images: list[tuple[Tensor, float, int]]) -> dict[str, float]:
    """Mean bits per pixel at each quality of VALIDATED, of latents [1, planes, h, w] of so many pixels."""
    rates: dict[str, list[float]] = {}
    with torch.inference_mode():
        for y, q, pixels in images:
            bits = model.bits(y, y, torch.tensor([q])).double().sum().item()
            rates.setdefault(f"{q:g}", []).append(bits / pixels)
    return {q: fmean(values) for q, values in rates.items()}


def train(options: dict[str, Any], codec: Any, crops: RandomCrops, images: Any, steps: int) -> dict[str, Any]:
    """Train one variant; what it is and its learning curve."""
    torch.manual_seed(SEED)
    model = ParametricContext(codec.transform.channels, qualities=QUALITIES, **options)
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    draws = torch.Generator().manual_seed(SEED)
    curve, spent = [], 0.0
    for step, pixels in enumerate(batches(crops, BATCH, 0, steps + 1, workers=0)):
        if step % VALIDATE_EVERY == 0 or step == steps:
            curve.append({"step": step, "cpu_seconds": spent, "bpp": validate(model, images)})
            print(f"  step {step}: {curve[-1]['bpp']}", file=sys.stderr)
        if step == steps:
            break
        quality = 1 + (QUALITIES - 1) * torch.rand(BATCH, generator=draws)
        whole = torch.rand(BATCH, generator=draws) < 0.5
        quality = torch.where(whole, quality.round(), (16 * quality).round() / 16)
        y = latents(codec, pixels, quality)
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16):
            bits = model.bits(y, y, quality).sum((1, 2, 3))
        weight = (lambda_of(quality, LAMBDAS, QUALITIES) / 0.01) ** -0.5
        loss = (bits / CROP**2 * weight).mean()
        optimizer.zero_grad()
        loss.backward()
        falling = FINAL_RATIO + (1 - FINAL_RATIO) * (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * falling * min(1, (step + 1) / WARMUP)
        optimizer.step()
        spent += time.process_time() - start
    return {
        "options": options,
        "parameters": sum(p.numel() for p in model.parameters()),
        "kmac_per_pixel": multiplications(model, codec.transform.stride) / 1000,
        "curve": curve,
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    path = arguments.json or common.RESULTS / arguments.file
    codec = pycodec.load("ctx3d")
    files = rd.image_files(arguments.data)
    settings = {
        "fingerprint": codec.fingerprint.hex(),
        "steps": arguments.steps,
        "batch": BATCH,
        "crop": CROP,
        "learning_rate": LEARNING_RATE,
        "seed": SEED,
        "validated": [file.name for file in files],
    }
    found = common.read_json(path) if path.exists() else {}
    variants = found["variants"] if {key: found.get(key) for key in settings} == settings else {}
    if all(name in variants for name in VARIANTS):
        return found
    crops = RandomCrops(load_images(find_images(arguments.train)), CROP, (0.5, 0.75), 0.25, SEED)
    images = []
    for file in files:
        rgb = rd.load_image(file)
        x = torch.from_numpy(rgb.copy()).permute(2, 0, 1).float()[None] - 128
        for q in VALIDATED:
            images.append((latents(codec, x, torch.tensor([q])), q, rgb.shape[0] * rgb.shape[1]))
    environment = common.environment()
    document: dict[str, Any] = {}
    for name, options in VARIANTS.items():
        if name not in variants:
            print(name, file=sys.stderr)
            variants[name] = train(options, codec, crops, images, arguments.steps)
        document = {"environment": environment, **settings, "variants": variants}
        common.write_json(path, document)
    return document


def report(document: dict[str, Any]) -> None:
    rows = [
        [
            name,
            f"{variant['parameters']:,}",
            f"{variant['kmac_per_pixel']:.1f}",
            *(f"{bpp:.4f}" for bpp in variant["curve"][-1]["bpp"].values()),
        ]
        for name, variant in document["variants"].items()
    ]
    headings = ["network", "parameters", "kMAC per pixel", *(f"bpp, quality {q:g}" for q in VALIDATED)]
    print(common.table(headings, rows))


def main() -> int:
    parser = common.parser(__doc__, "context_training.json")
    parser.add_argument("--train", type=Path, required=True, help="folder of training photographs")
    parser.add_argument("--data", type=Path, required=True, help="folder of other images, such as Kodak")
    parser.add_argument("--steps", type=int, default=2000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report(measure(arguments))
    return 0


if __name__ == "__main__":
    common.run(main)
