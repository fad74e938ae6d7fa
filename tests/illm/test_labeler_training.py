"""Training of the labeler: eq. 10, its substitute for LPIPS, and the way from the command line to a critic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import pycodec
from pycodec import weights
from pycodec.cli import main
from pycodec.errors import InvalidInput, MissingWeights, PycodecError
from pycodec.testing.samples import photo
from pycodec.training.recipe import load_recipe, parse_recipe
from pycodec.training.task import make_task, ms_ssim, name_in_weights
from pycodec_plugins import illm
from pycodec_plugins.illm.labeler_task import LabelerTask, measure
from pycodec_plugins.metrics import Distortion

SMALL: dict[str, Any] = {"widths": [6], "blocks": 1, "stem": 8, "codes": 20, "dimensions": 3}
RECIPES = Path(illm.__file__).parent / "recipes"

RECIPE = """
codec = "discriminator:unet"
precision = "32-true"
checkpoint_every = 2
validate_every = 2
[config.labeler]
widths = [6]
blocks = 1
stem = 8
codes = 20
dimensions = 3
[task]
perceptual = "ms_ssim"
patience = 1
[[stage]]
name = "vqvae"
steps = 4
learning_rate = { model = 1e-3 }
batch = 1
crop = 176
"""


def crops(n: int = 1, side: int = 176) -> torch.Tensor:
    pictures = np.stack([photo(side, side, seed=s) for s in range(n)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 128


def task(**options: Any) -> LabelerTask:
    torch.manual_seed(0)
    return LabelerTask({"labeler": SMALL}, **{"perceptual": "ms_ssim", **options})


def test_the_loss_is_equation_10() -> None:
    model, x = task(rho_weight=2.0, beta=0.3), crops()
    labeler = model.model.labeler
    labeler.codebook.revive(labeler.embed(x), 1)
    # Away from their positions, or both losses of the codebook would be 0.
    labeler.codebook.vectors.data += 0.2 * torch.randn_like(labeler.codebook.vectors)
    z = labeler.embed(x)
    codes = F.normalize(labeler.codebook.vectors, dim=1)
    vectors = codes[(z[..., None, :] - codes).square().sum(-1).argmin(-1)]
    x_hat = model.model.decode(vectors)
    rho = (x_hat - x).square().mean() / 255**2 + 1 - ms_ssim(x_hat, x)
    distance = (z - vectors).square().mean()
    expected = 2 * rho + distance + 0.3 * distance
    assert distance > 1e-3
    assert model.training_step(x, "vqvae").by_optimizer["model"].item() == pytest.approx(
        expected.item(), rel=1e-4
    )


def gradients(**options: Any) -> dict[str, float]:
    model = task(**options)
    model.training_step(crops(), "vqvae").by_optimizer["model"].backward()
    named = model.model.named_parameters()
    return {name: 0.0 if p.grad is None else p.grad.abs().sum().item() for name, p in named}


def test_the_encoder_learns_from_the_image_and_the_codebook_does_not() -> None:
    with pytest.MonkeyPatch.context() as patch:  # without the losses of the codebook, rho alone
        patch.setattr(F, "mse_loss", lambda a, b: torch.zeros(()))
        found = gradients()
    assert found.pop("labeler.codebook.vectors") == 0
    assert min(found.values()) > 0


def test_the_codebook_learns_to_follow_the_encoder() -> None:
    model, x = task(), crops()
    labeler = model.model.labeler
    labeler.codebook.revive(labeler.embed(x), 1)
    labeler.codebook.vectors.data += 0.2 * torch.randn_like(labeler.codebook.vectors)
    labels = labeler.labels(x).unique()
    model.training_step(x, "vqvae").by_optimizer["model"].backward()
    gradient = labeler.codebook.vectors.grad
    used = torch.zeros(20, dtype=torch.bool).index_fill(0, labels, True)
    assert ((gradient != 0).any(1) == used).all() and 0 < len(labels) < 20


def test_training_lowers_the_loss_and_uses_the_codes() -> None:
    model = task(patience=2)
    x = crops()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(20):
        found = model.training_step(x, "vqvae")
        optimizer.zero_grad()
        found.by_optimizer["model"].backward()
        optimizer.step()
        losses.append(found.scalars["loss"])
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    assert measure(model.model, [photo(176, 176, seed=0)]).used > 0.8


def test_what_is_measured() -> None:
    model = task().model
    pictures = [photo(40, 57, seed=s) for s in range(3)]
    found = measure(model, pictures)
    labels = [
        model.labeler.labels(torch.from_numpy(p[:40, :56]).permute(2, 0, 1)[None].float() - 128)
        for p in pictures
    ]
    histogram = np.bincount(torch.cat([each.flatten() for each in labels]).numpy()) / (3 * 35)
    entropy = -sum(share * np.log(share) for share in histogram if share)
    assert found.used == np.count_nonzero(histogram) / 20
    assert found.perplexity == pytest.approx(np.exp(entropy), rel=1e-5)
    assert 0 < found.psnr < 30


def test_without_lpips_its_substitute_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PYCODEC_METRIC_WEIGHTS", raising=False)
    with pytest.raises(MissingWeights, match="lpips_vgg"):
        task(perceptual="lpips")
    substitute = task(perceptual="auto")
    assert substitute.distortion.label == (
        "1 MSE + (1 - MS-SSIM) in place of LPIPS (vgg), whose weights were not at hand"
    )
    substitute.export(tmp_path / "a.safetensors", [photo(64, 64)], {"codec": "discriminator:unet"})
    assert (
        weights.read_metadata(tmp_path / "a.safetensors")["model_card"]["rho"] == substitute.distortion.label
    )
    with pytest.raises(InvalidInput, match="expected one of auto"):
        task(perceptual="vgg")
    with pytest.raises(InvalidInput, match="sides of at least 176"):
        substitute.training_step(crops(side=128), "vqvae")


def test_lpips_is_used_where_its_weights_are() -> None:
    x, x_hat = crops(side=32), (crops(side=32) + 10).requires_grad_()
    rho = Distortion("vgg", 3.0, "lpips", weights="random")
    plain = Distortion("vgg", 0.0, "lpips", weights="random")
    found = rho(x_hat, x)
    assert "LPIPS (vgg, random)" in rho.label
    assert (found - plain(x_hat, x)).item() == pytest.approx(3 * (10 / 255) ** 2, rel=1e-4)
    found.backward()
    assert x_hat.grad is not None and x_hat.grad.isfinite().all()


def test_lpips_is_no_part_of_a_checkpoint() -> None:
    assert not [
        name for name in task(lpips_weights="random", perceptual="lpips").state_dict() if "model." not in name
    ]


def test_ms_ssim_is_the_same_under_autocast() -> None:
    x = crops()
    x_hat = x + 5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = ms_ssim(x_hat, x)
    assert torch.equal(found, ms_ssim(x_hat, x))


def test_from_a_folder_to_a_critic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "data").mkdir()
    for i in range(3):
        Image.fromarray(photo(240, 250, seed=i)).save(tmp_path / "data" / f"{i}.png")

    def run(*arguments: Any) -> str:
        assert main([str(a) for a in arguments]) in (0, None)
        return capsys.readouterr().out

    out = run(
        "train",
        tmp_path / "tiny.toml",
        "--data",
        tmp_path / "data",
        "--out",
        tmp_path / "run",
        "--holdout",
        1,
    )
    file = tmp_path / "run" / "tiny.safetensors"
    assert f"finished: {file}" in out
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    validated = [event for event in events if event["event"] == "validation"]
    assert len(validated) == 2 and 0 < validated[0]["used_by_image"] <= 1
    metadata = weights.read_metadata(file)
    assert metadata["codec"] == "discriminator:unet"
    assert metadata["config"]["labeler"]["codes"] == 20
    assert metadata["model_card"]["rho"] == "1 MSE + (1 - MS-SSIM)"
    assert metadata["model_card"]["training_images"]["images"] == 2
    assert metadata["model_card"]["runs"][0]["steps"] == 4
    again = tmp_path / "again.safetensors"
    assert run("export", tmp_path / "run", "-o", again) == f"{again}\n"
    assert again.read_bytes() == file.read_bytes()
    assert "3 images, 20 codes of stride 8" in run("labeler", file, "--data", tmp_path / "data")
    figures = json.loads(run("labeler", file, "--data", tmp_path / "data", "--json"))
    assert figures["fingerprint"] == metadata["fingerprint"] and 0 < figures["used"] <= 1
    critic = pycodec.create(
        "discriminator", "unet", labeler=str(file), channels=3, widths=[4, 4, 4, 4], features=4
    )
    assert critic.generator_loss(crops(), crops(), torch.zeros(1, 3, 11, 11)).isfinite()
    # Nobody compresses with it.
    with pytest.raises(PycodecError, match="names no codec"):
        pycodec.load(weights_file=file)


@pytest.mark.parametrize("name", ["illm_labeler", "illm_labeler_full"])
def test_the_recipes_name_what_there_is(name: str) -> None:
    recipe = load_recipe(RECIPES / f"{name}.toml")
    with torch.device("meta"):
        component, made = make_task(recipe)
    assert name_in_weights(component) == "discriminator:unet"
    assert made.model.labeler.stride == 8 and made.model.labeler.codes == 1024
    (group,) = made.parameter_groups(recipe.stages[0].name)["model"]
    assert len(group["params"]) == len(list(made.parameters()))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"codec": "discriminator:patchgan"}, "discriminator 'patchgan' .* cannot be trained"),
        ({"codec": "critic:unet"}, "unknown kind 'critic'"),
        ({"codec": "discriminator:unit"}, "unknown discriminator 'unit'; did you mean 'unet'"),
        ({"config": {"codes": 3}}, "expected \\[config.labeler\\] alone"),
        ({"task": {"rho": 3}}, "does not take"),
    ],
)
def test_mistakes_in_a_recipe_are_named(change: dict[str, Any], sentence: str) -> None:
    table = {
        "codec": "discriminator:unet",
        "stage": [{"name": "vqvae", "steps": 1, "learning_rate": {"model": 1.0}}],
        "config": {"labeler": SMALL},
    }
    with pytest.raises(PycodecError, match=sentence):
        make_task(parse_recipe({**table, **change}))
    with pytest.raises(InvalidInput, match="expected 'vqvae'"):
        task().parameter_groups("joint")
