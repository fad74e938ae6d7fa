"""The second stage: a decoder learns to look real, and the codec's files stay what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pycodec
from pycodec import cli, weights
from pycodec.errors import InvalidInput
from pycodec.testing.samples import photo
from pycodec.training.task import as_batch
from pycodec_plugins.hyperprior import decoders
from pycodec_plugins.hyperprior.latent import split
from pycodec_plugins.hyperprior.task import HyperpriorTask
from pycodec_plugins.illm.decoder_task import DecoderTask

CONFIG: dict[str, Any] = {
    "hyper": {"hyper_channels": 4, "width": 8},
    "quantizer": {"width": 8},
    "entropy_model": {"width": 8},
    "transform": {
        "name": "residual_dct",
        "config": {
            "luma": 12, "chroma": 4, "fine": 8, "coarse": 16, "encoder_depth": 1, "decoder_depth": 1, "fine_depth": 1
        },
    },
}  # fmt: skip
LABELER = {"widths": [4, 6], "blocks": 1, "stem": 4, "codes": 5, "dimensions": 3}
CRITICS: dict[str, Any] = {
    "unet": {"name": "unet", "config": {"labeler": LABELER, "widths": [4, 4, 4, 4], "features": 4}},
    "patchgan": {"name": "patchgan", "config": {"widths": [4, 4]}},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "base.safetensors"
    HyperpriorTask(CONFIG).export(path, [photo(128, 128)], {"codec": "hyperprior"})
    return path


def task(base: Path, **options: Any) -> DecoderTask:
    torch.manual_seed(0)
    return DecoderTask({"weights_file": str(base)}, **{"perceptual": "ms_ssim", **options})


def crops(n: int = 2, side: int = 192) -> torch.Tensor:
    return torch.cat([as_batch(photo(side, side, seed=s)) for s in range(n)])


def train(model: DecoderTask, stage: str, steps: int, images: torch.Tensor) -> list[dict[str, float]]:
    """As the loop does it; the scalars of each step."""
    optimizers = {
        name: torch.optim.Adam([p for group in groups for p in group["params"]], 1e-3)
        for name, groups in model.parameter_groups(stage).items()
    }
    scalars = []
    for _ in range(steps):
        found = model.training_step(images, stage)
        assert found.by_optimizer.keys() == optimizers.keys()
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        for name, loss in found.by_optimizer.items():
            own = [p for group in optimizers[name].param_groups for p in group["params"]]
            loss.backward(inputs=own, retain_graph=True)
        for optimizer in optimizers.values():
            optimizer.step()
        scalars.append(found.scalars)
    return scalars


def test_without_a_discriminator_the_distortion_falls(base: Path) -> None:
    scalars = train(task(base, qualities=[4]), "distortion", 12, crops())
    assert scalars[-1]["rho"] < 0.97 * scalars[0]["rho"]


@pytest.mark.parametrize("name", CRITICS)
def test_decoder_and_critic_learn_against_each_other(base: Path, name: str) -> None:
    model = task(base, discriminator=CRITICS[name], adversarial_weight=0.5)
    assert model.critic is not None and model.critic.channels == model.decoder.channels
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    scalars = train(model, "adversarial", 8, crops())
    assert scalars[-1]["critic"] < scalars[0]["critic"]
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert any(name.startswith("critic.") for name in changed)
    of_decoder = {name for name in changed if name.startswith("decoder.")}
    assert of_decoder and all(part not in name for name in of_decoder for part in ("encoder", "log_gain"))


def test_the_loss_of_the_decoder_is_equation_3(base: Path) -> None:
    weak, strong = (task(base, discriminator=CRITICS["unet"], adversarial_weight=w) for w in (0.25, 2.0))
    found = []
    for model in (weak, strong):
        torch.manual_seed(1)
        found.append(model.training_step(crops(), "adversarial"))
    for weight, step in zip((0.25, 2.0), found, strict=True):
        expected = step.scalars["rho"] + weight * step.scalars["generator"]
        assert step.by_optimizer["model"].item() == pytest.approx(expected, rel=1e-5)


def test_files_stay_what_they_are_and_the_picture_changes(base: Path, tmp_path: Path) -> None:
    model = task(base, discriminator=CRITICS["unet"], adversarial_weight=0.5, qualities=[1, 5])
    train(model, "adversarial", 6, crops())
    path = tmp_path / "look.safetensors"
    model.export(path, [photo(200, 180)], {"codec": "hyperprior-illm", "model_card": {"title": "test"}})
    metadata = weights.read_metadata(path)
    assert metadata["base"] == weights.read_metadata(base)["fingerprint"]
    assert metadata["model_card"]["rho"].startswith("150 MSE + (1 - MS-SSIM)")
    assert metadata["model_card"]["title"] == "test"
    usual = pycodec.load("hyperprior", weights_file=base)
    trained = pycodec.load("hyperprior", weights_file=base, decoder=str(path))
    image = photo(90, 70)
    data = usual.compress(image, 5)
    assert trained.compress(image, 5) == usual.compress(image, 5, effort=0)
    assert not np.array_equal(np.asarray(trained.decompress(data)), np.asarray(usual.decompress(data)))

    # Training goes on from it where it was: in integers, so nearly.
    again = task(base, qualities=[5])
    again.initialize(path)
    x, quality = crops(1), torch.tensor([5.0])
    y = model.decoder.latents(x, quality)
    with torch.no_grad():
        assert (again.decoder(y, quality) - model.decoder(y, quality)).abs().max() < 2


def test_the_latents_are_those_of_the_files(base: Path) -> None:
    codec, model = pycodec.load("hyperprior", weights_file=base), task(base)
    image = photo(128, 64, seed=3)
    seen = []
    transform = codec.transform
    synthesis = transform.synthesis
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transform, "synthesis", lambda y, q: seen.append(y) or synthesis(y, q))
        codec.decompress(codec.compress(image, 3))
    found = model.decoder.latents(as_batch(image), torch.tensor([3.0]))
    assert torch.equal(split(seen[0], CONFIG["hyper"]["hyper_channels"])[0], found)


def test_validation_says_how_good_each_quality_is_once(base: Path) -> None:
    figures = task(base, qualities=[1, 1, 5]).validation_step(photo(192, 200), "distortion")
    assert set(figures) == {"psnr_1", "ms_ssim_1", "psnr_5", "ms_ssim_5"}


@pytest.mark.parametrize(
    ("options", "stage", "message"),
    [
        ({}, "adversarial", "stage 'adversarial', expected .* with a discriminator"),
        ({}, "joint", "stage 'joint', expected one of distortion, adversarial"),
    ],
)
def test_stages_that_cannot_be_trained(base: Path, options: Any, stage: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        task(base, **options).parameter_groups(stage)


def test_the_command_line_trains_a_decoder_and_uses_it(base: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for seed in range(3):
        Image.fromarray(photo(400, 400, seed=seed)).save(tmp_path / "photos" / f"{seed}.png")
    recipe = f"""
codec = "hyperprior-illm"
precision = "32-true"
checkpoint_every = 1
config = {{ weights_file = "{base.as_posix()}" }}
[task]
perceptual = "ms_ssim"
discriminator = {{ name = "patchgan", config = {{ widths = [4, 4] }} }}
[[stage]]
name = "distortion"
steps = 1
learning_rate = {{ model = 1e-3 }}
batch = 1
crop = 192
[[stage]]
name = "adversarial"
steps = 1
learning_rate = {{ model = 1e-4, critic = 4e-4 }}
batch = 1
crop = 192
"""
    (tmp_path / "look.toml").write_text(recipe)
    given = ["--data", str(tmp_path / "photos"), "--out", str(tmp_path / "run"), "--holdout", "1"]
    assert cli.main(["train", str(tmp_path / "look.toml"), *given]) == 0
    decoder = tmp_path / "run" / "look.safetensors"
    files = [str(tmp_path / "photos" / "0.png"), "-o", str(tmp_path / "x.pci")]
    assert cli.main(["compress", *files, "--codec", "hyperprior", "--weights", str(base)]) == 0
    options = ["--weights", str(base), "--decoder", str(decoder)]
    assert cli.main(["decompress", str(tmp_path / "x.pci"), "-o", str(tmp_path / "y.png"), *options]) == 0
    with Image.open(tmp_path / "y.png") as image:
        assert image.size == (400, 400)


def test_a_decoder_holds_nothing_but_its_synthesis(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "look.safetensors"
    task(base, discriminator=CRITICS["unet"]).export(path, [photo(128, 128)], {})
    tensors, _ = weights.load(path)
    assert tensors and all(name.startswith(decoders.SYNTHESIS) for name in tensors)
