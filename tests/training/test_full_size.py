"""The networks of MS-ILLM at the paper's size: their parameters, counted layer by layer, and the memory of their training."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from interpreters import python_path
from PIL import Image
from torch import nn

from pycodec.testing.samples import photo
from pycodec.training.recipe import find_recipe, load_recipe
from pycodec.training.task import make_task

MEMORY = 8e9  # bytes
STEPS = 20
CROP = 192
"""Side of crops, the smallest that all stages take."""


def task_of(recipe: str) -> nn.Module:
    with torch.device("meta"):
        return make_task(load_recipe(find_recipe(recipe)))[1]


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def convolution(inputs: int, outputs: int, kernel: int) -> int:
    """Of either direction, with its bias."""
    return inputs * outputs * kernel**2 + outputs


def normalised(channels: int) -> int:
    """ChannelNorm: gain and shift."""
    return 2 * channels


def test_the_autoencoder_has_the_papers_parameters() -> None:
    """HiFiC's layers: 7 x 7, four of stride 2 each normalised, 3 x 3 to 220 planes; back with nine residual blocks."""
    parts = task_of("illm_pretrain").parts
    widths = [60, 120, 240, 480, 960]
    encoder = convolution(3, 60, 7) + convolution(960, 220, 3) + sum(map(normalised, widths))
    encoder += sum(convolution(a, b, 3) for a, b in pairwise(widths))
    decoder = normalised(220) + convolution(220, 960, 3) + normalised(960)
    decoder += 9 * 2 * (convolution(960, 960, 3) + normalised(960))
    decoder += sum(convolution(a, b, 3) + normalised(b) for a, b in pairwise(widths[::-1]))
    decoder += convolution(60, 3, 7)
    assert count(parts.transform.transform) == encoder + decoder == 164_198_103

    analysis = convolution(220, 320, 3) + 2 * convolution(320, 320, 5)
    synthesis = 2 * convolution(320, 320, 5) + convolution(320, 220, 3)
    assert count(parts.transform.hyper_analysis) == analysis
    assert count(parts.quantizer.mean) == count(parts.entropy_model.scale) == synthesis
    density = sum(a * b + b for a, b in pairwise([1, 3, 3, 3, 1])) + 3 * 3  # slopes, shifts; bends
    assert count(parts.entropy_model.prior) == 320 * (density + 1)  # and a scale for the one quality


def test_the_labeler_has_the_papers_parameters() -> None:
    """VQ-GAN's layers, 64 channels times 1, 2, 2, 4, with ChannelNorm and attention between channels."""
    model = task_of("illm_labeler_full").model

    def block(a: int, b: int) -> int:
        shortcut = convolution(a, b, 1) if a != b else 0
        return normalised(a) + convolution(a, b, 3) + normalised(b) + convolution(b, b, 3) + shortcut

    def attention(width: int) -> int:  # queries, keys and values, the temperature of one head, the projection
        return normalised(width) + convolution(width, 3 * width, 1) + 1 + convolution(width, width, 1)

    widths = [64, 128, 128, 256]
    middle = 2 * block(256, 256) + attention(256)
    encoder = convolution(3, 64, 3) + middle + normalised(256) + convolution(256, 256, 3)
    encoder += (
        block(64, 64) + sum(block(a, b) for a, b in pairwise(widths)) + sum(block(w, w) for w in widths)
    )
    encoder += sum(convolution(w, w, 3) for w in widths[:-1]) + 2 * attention(256)
    labeler = encoder + convolution(256, 8, 1) + 1024 * 8
    assert count(model.labeler) == labeler

    decoder = convolution(256, 256, 3) + middle + 3 * (block(256, 256) + attention(256))
    decoder += sum(convolution(a, a, 3) + block(a, b) + 2 * block(b, b) for a, b in pairwise(widths[::-1]))
    decoder += normalised(64) + convolution(64, 3, 3)
    assert count(model) == labeler + convolution(8, 256, 1) + decoder == 18_116_178


@pytest.mark.slow
def test_the_full_size_trains_within_a_tests_memory(tmp_path: Path) -> None:
    """Both stages and the labeler, from the first step to the weights that the next one takes; all as the recipes
    say but for the number of steps, and batches of one small crop.
    """
    (tmp_path / "data").mkdir()
    for i in range(2):
        Image.fromarray(photo(256, 256, seed=i)).save(tmp_path / "data" / f"{i}.png")
    settings = [f'config.weights_file="{tmp_path}/illm_pretrain/illm_pretrain.safetensors"']
    settings += [
        f'task.discriminator.config.labeler="{tmp_path}/illm_labeler_full/illm_labeler_full.safetensors"'
    ]
    train("illm_pretrain", "pretrain", [], tmp_path)
    train("illm_labeler_full", "vqvae", [], tmp_path)
    train("illm_finetune", "adversarial", settings, tmp_path)


def train(recipe: str, stage: str, settings: list[str], folder: Path) -> None:
    settings = [*settings, *(f"stage.{stage}.{key}" for key in (f"steps={STEPS}", "batch=1", f"crop={CROP}"))]
    command = [sys.executable, "-m", "pycodec", "train", recipe, "--holdout", "0", "--threads", "1"]
    command += ["--data", str(folder / "data"), "--out", str(folder / recipe)]
    command += [word for setting in settings for word in ("--set", setting)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": python_path()})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert (folder / recipe / f"{recipe}.safetensors").is_file()
    (folder / recipe / "checkpoint.safetensors").unlink()  # gigabytes
    print(f"{recipe}: {STEPS} steps, at most {usage.ru_maxrss / 1e6:.2f} GB")
    assert 1024 * usage.ru_maxrss < MEMORY
