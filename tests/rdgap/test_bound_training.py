"""Training for the upper bound: scales to draw from are learnt, kept in weights files, and what estimators draw from."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pycodec
from pycodec.optimization.channels import GaussianNoise, transmit
from pycodec.optimization.target import ImageTarget
from pycodec.testing.samples import photo
from pycodec.types import ROUNDING_SCALE
from pycodec_plugins.hyperprior import GaussianPrior
from pycodec_plugins.rdgap import sizes
from pycodec_plugins.rdgap.codec import training_task
from pycodec_plugins.rdgap.estimators import GaussianUpperBound, upper_bound
from pycodec_plugins.rdgap.task import BoundTask, ResTask

SMALL = {"depth": 1, "width": 16}
CONTEXT = {"context": {"width": 8, "depth": 1}}
CONFIGS = {"res_hyper": SMALL, "res_context": {**SMALL, **CONTEXT}}
LAM = 0.0162


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "LUMA", 13)
    monkeypatch.setattr(sizes, "CHROMA", 4)
    monkeypatch.setattr(sizes, "HYPER", {"hyper_channels": 4, "width": 8})


def bound_task(name: str) -> BoundTask:
    torch.manual_seed(0)
    task = training_task({**CONFIGS[name], "posterior": 8}, {"lambda": LAM})
    assert isinstance(task, BoundTask)
    return task


def batch() -> torch.Tensor:
    return torch.cat([ImageTarget(photo(64, 64, seed=seed), 64).x for seed in range(4)])


def train(task: BoundTask, steps: int) -> list[float]:
    optimizer = torch.optim.Adam(task.parameters(), 3e-3)
    found = []
    for _ in range(steps):
        losses = task.training_step(batch(), "joint")
        optimizer.zero_grad()
        losses.by_optimizer["model"].backward()
        optimizer.step()
        found.append(losses.scalars["loss"])
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_training_lowers_the_bound_and_every_part_learns(name: str) -> None:
    task = bound_task(name)
    before = {key: value.clone() for key, value in task.state_dict().items()}
    losses = train(task, 40)
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    same = [key for key, value in task.state_dict().items() if torch.equal(value, before[key])]
    assert not same, "parts that no loss reaches"


def test_the_loss_is_that_of_the_estimator() -> None:
    task = bound_task("res_hyper")
    train(task, 10)
    torch.manual_seed(1)  # the same noise for both
    losses = [task.training_step(batch()[:1], "joint").scalars for _ in range(50)]
    target = ImageTarget(photo(64, 64, seed=0), 64)
    target.measured_mse = target.mse  # type: ignore[method-assign]  # training neither rounds nor clips
    torch.manual_seed(1)
    point = upper_bound(task.latent_model().requires_grad_(False), target, LAM, steps=0, samples=50)
    assert np.mean([each["bpp"] for each in losses]) == pytest.approx(point.rate, rel=0.01)
    assert np.mean([each["psnr"] for each in losses]) == pytest.approx(
        10 * np.log10(255**2 / point.mse), abs=0.05
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_keep_what_is_drawn_from(name: str, tmp_path: Path) -> None:
    task = bound_task(name)
    train(task, 10)
    task.export(tmp_path / "bound.safetensors", [photo(128, 192)], {"codec": name})
    codec = pycodec.load(weights_file=tmp_path / "bound.safetensors")
    image = photo(64, 128, seed=9)
    model = codec.latent_model()
    found = model.encode(ImageTarget(image, 64).x)
    expected = task.latent_model().encode(ImageTarget(image, 64).x)
    for (_, scale), (_, trained) in zip(found, expected, strict=True):
        assert not torch.allclose(scale, torch.full_like(scale, ROUNDING_SCALE), rtol=1e-3)
        assert scale.log().sub(trained.log()).abs().max() < 0.05  # half precision, integer transforms
    figures = GaussianUpperBound(steps=0, seed=3).estimate(codec, [Image.fromarray(image)])
    generator = torch.Generator().manual_seed(zlib.crc32(image.tobytes(), 3))
    rates = [transmit(model, found, GaussianNoise(generator))[1].item() / (64 * 128) for _ in range(8)]
    assert figures["rate_bpp"] == pytest.approx(np.mean(rates), rel=1e-3)
    assert np.array_equal(codec.decompress(codec.compress(image)), codec.reconstruct(image))


def test_a_bound_starts_from_its_codec(tmp_path: Path) -> None:
    """y between what the codec measures and what the prior says, the narrower the prior the closer to it."""
    torch.manual_seed(1)
    ResTask(SMALL, {"lambda": LAM}).export(
        tmp_path / "codec.safetensors", [photo(128, 192)], {"codec": "res_hyper"}
    )
    model = pycodec.load(weights_file=tmp_path / "codec.safetensors").latent_model()
    task = bound_task("res_hyper")
    task.initialize(tmp_path / "codec.safetensors")
    x = batch()
    (z, _), (y, rounding) = model.encode(x)
    (own_z, _), (mean, scale) = task.latent_model().encode(x)
    prior: list[GaussianPrior] = []
    task.latent_model().receive_y(z, lambda told: prior.append(told) or y)
    assert torch.equal(z, own_z) and (scale < rounding).all()
    belief = (mean - prior[0].mean) / (y - prior[0].mean)
    assert torch.allclose(belief, prior[0].scale ** 2 / (prior[0].scale ** 2 + ROUNDING_SCALE**2), atol=1e-2)
    divergence = prior[0].divergence(mean, scale, mean)
    naive = prior[0].divergence(y, rounding, y)
    assert divergence.mean() < 0.9 * naive.mean()
