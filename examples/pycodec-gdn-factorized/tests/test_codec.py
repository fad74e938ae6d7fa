"""The codec as users meet it: by name, trained from its recipe."""

from pathlib import Path

import numpy as np
import pytest
import torch

import pycodec
from pycodec_gdn_factorized.codec import create, training_task


def photograph(height: int = 150, width: int = 201) -> np.ndarray:
    """Waves and an edge, as smooth and as sharp as photographs are."""
    rows, columns = np.mgrid[:height, :width]
    grey = 120 + 60 * np.sin(rows / 17) * np.cos(columns / 23) + 40 * (rows + columns > 180)
    noise = np.random.default_rng(0).normal(0, 3, (height, width, 3))
    return (grey[:, :, None] + [0, 5, -10] + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def codec():
    return pycodec.load("gdn_factorized")


@pytest.mark.parametrize("quality", [1, 4.5, 8])
def test_a_file_holds_what_reconstruct_says(codec, quality):
    picture = pycodec.decompress(codec.compress(photograph(), quality))
    assert np.array_equal(np.asarray(picture), codec.reconstruct(photograph(), quality))


def test_quality_buys_fidelity_with_bytes(codec):
    sizes, errors = [], []
    for quality in (1, 3, 5, 8):
        sizes.append(len(codec.compress(photograph(), quality)))
        errors.append(np.square(codec.reconstruct(photograph(), quality) - photograph().astype(float)).mean())
    assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True)
    assert 10 * np.log10(255**2 / errors[-1]) > 32


def test_a_few_steps_of_training_lower_the_loss_and_export(tmp_path: Path):
    torch.manual_seed(0)
    task = training_task({"width": 12, "latents": 24}, {"lambdas": [0.001, 0.05]})
    groups = task.parameter_groups("all")["model"]
    optimizer = torch.optim.Adam([{"params": g["params"], "lr": 1e-3 * g.get("ratio", 1)} for g in groups])
    images = torch.from_numpy(photograph(128, 128)).permute(2, 0, 1)[None].float().repeat(4, 1, 1, 1) - 128
    losses = []
    for _ in range(40):
        losses.append(task.training_step(images, "all").by_optimizer["model"])
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])

    file = tmp_path / "small.safetensors"
    task.export(file, [photograph()], {})
    trained = create(weights_file=file)
    assert trained.fingerprint != pycodec.load("gdn_factorized").fingerprint
    data = trained.compress(photograph(), 5)
    assert np.array_equal(np.asarray(trained.decompress(data)), trained.reconstruct(photograph(), 5))

    again = training_task({"width": 12, "latents": 24}, {"lambdas": [0.001, 0.05]})
    assert again.initialize(file)["codec"] == "gdn_factorized"
    stored = task.transform.encoder[0].weight.half().float()
    assert torch.equal(again.transform.encoder[0].weight, stored)
