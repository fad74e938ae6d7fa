"""The labeler: what its networks are, and labels that stay what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pycodec
from pycodec import weights
from pycodec.errors import InvalidInput, MissingWeights, WeightsMismatch
from pycodec_plugins.hyperprior import ChannelNorm
from pycodec_plugins.illm import VQVAE, Labeler, UNet, load_labeler, load_vqvae
from pycodec_plugins.illm.labeler_task import LabelerTask
from pycodec_plugins.illm.vqgan import CrossCovarianceAttention

SMALL: dict[str, Any] = {"widths": [4, 6], "blocks": 1, "stem": 4, "codes": 9, "dimensions": 3}


def images(n: int = 2, height: int = 32, width: int = 48) -> torch.Tensor:
    return 50 * torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file, as training would export it."""
    torch.manual_seed(0)
    task = LabelerTask({"labeler": SMALL}, perceptual="ms_ssim")
    task.model.labeler.codebook.revive(task.model.labeler.embed(images()), 1)
    path = tmp_path_factory.mktemp("weights") / "labeler.safetensors"
    pictures = [np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)]
    task.export(path, pictures, {"codec": "discriminator:unet", "model_card": {"runs": []}})
    return path


@pytest.mark.parametrize(
    ("options", "stride"),
    [({}, 8), ({"widths": [4, 4, 4, 6, 6], "stem": 1}, 16), ({"widths": [6], "stem": 8}, 8)],
)
def test_a_label_for_each_square_of_pixels(options: dict[str, Any], stride: int) -> None:
    torch.manual_seed(0)
    model = VQVAE(**{**SMALL, **options})
    found = model.labeler.labels(images())
    assert model.labeler.stride == stride
    assert found.dtype == torch.int64 and found.shape == (2, 32 // stride, 48 // stride)
    assert found.min() >= 0 and found.max() < 9
    x_hat, labels = model.reconstruct(images())
    assert torch.equal(labels, found) and x_hat.shape == (2, 3, 32, 48)


def test_labels_have_no_gradient() -> None:
    labeler = Labeler(**SMALL)
    assert not labeler.labels(images().requires_grad_()).requires_grad
    z = labeler.embed(images())
    assert z.requires_grad and torch.allclose(z.square().sum(3), torch.ones(2, 4, 6))


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def residual(inputs: int, outputs: int) -> int:
    shortcut = inputs * outputs + outputs if inputs != outputs else 0
    return 2 * inputs + 9 * inputs * outputs + outputs + 2 * outputs + 9 * outputs**2 + outputs + shortcut


def attention(width: int) -> int:
    return 2 * width + 3 * (width**2 + width) + 1 + width**2 + width


def resampling(width: int) -> int:
    return 9 * width**2 + width


def test_the_labeler_of_the_paper_has_its_parameters() -> None:
    with torch.device("meta"):
        model = VQVAE()
    middle = 2 * residual(256, 256) + attention(256)
    encoder = (
        (27 * 64 + 64)
        + (2 * residual(64, 64) + resampling(64))
        + (residual(64, 128) + residual(128, 128) + resampling(128))
        + (2 * residual(128, 128) + resampling(128))
        + (residual(128, 256) + residual(256, 256) + 2 * attention(256))
        + middle
        + (2 * 256 + 9 * 256 * 256 + 256)
    )
    decoder = (
        (9 * 256 * 256 + 256)
        + middle
        + (3 * residual(256, 256) + 3 * attention(256) + resampling(256))
        + (residual(256, 128) + 2 * residual(128, 128) + resampling(128))
        + (3 * residual(128, 128) + resampling(128))
        + (residual(128, 64) + 2 * residual(64, 64))
        + (2 * 64 + 27 * 64 + 3)
    )
    assert parameters(model.labeler.encoder) == encoder
    assert parameters(model.decoder) == decoder
    bottleneck = (256 * 8 + 8) + 1024 * 8 + (8 * 256 + 256)
    assert parameters(model) == encoder + decoder + bottleneck == 18_116_178


def test_attention_is_between_channels() -> None:
    torch.manual_seed(0)
    layer = CrossCovarianceAttention(4)
    layer.temperature.data.fill_(3.0)
    x = torch.randn(2, 4, 3, 5)
    parts = layer.qkv(layer.norm(x)).detach().double().flatten(2).numpy()
    mixed = np.empty((2, 4, 15))
    for n in range(2):
        q, k, v = parts[n, :4], parts[n, 4:8], parts[n, 8:]
        for i in range(4):
            cosines = [q[i] @ k[j] / np.linalg.norm(q[i]) / np.linalg.norm(k[j]) for j in range(4)]
            shares = np.exp(3 * np.array(cosines))
            mixed[n, i] = shares / shares.sum() @ v
    expected = x + layer.project(torch.from_numpy(mixed).float().view(2, 4, 3, 5))
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_normalisation_is_that_of_hific() -> None:
    names = {type(m) for m in VQVAE(**SMALL).modules()}
    assert ChannelNorm in names and not {nn.GroupNorm, nn.BatchNorm2d} & names


def test_labels_survive_a_file(trained: Path) -> None:
    first, second = load_labeler(trained), load_labeler(trained)
    x = images(1, 64, 64)
    labels = first.labels(x)
    assert len(labels.unique()) > 1 and torch.equal(second.labels(x), labels)
    critic = UNet(trained, channels=3, widths=[4, 4, 4, 4], features=4, context=2)
    assert torch.equal(critic.labeler.labels(x), labels)
    assert critic.config()["labeler"] == str(trained)
    again = pycodec.create("discriminator", "unet", **critic.config())
    assert torch.equal(again.labeler.labels(x), labels)
    untrained = UNet(first.config(), channels=3, widths=[4, 4, 4, 4], features=4, context=2)
    untrained.load_state_dict(critic.state_dict())
    assert torch.equal(untrained.labeler.labels(x), labels)
    with torch.no_grad():  # and what is stored in half precision reconstructs alike
        assert torch.equal(load_vqvae(trained).reconstruct(x)[0], load_vqvae(trained).reconstruct(x)[0])


def test_labels_of_one_image_do_not_depend_on_its_batch(trained: Path) -> None:
    labeler, x = load_labeler(trained), images(3)
    assert torch.equal(labeler.labels(x)[1:2], labeler.labels(x[1:2]))


def test_wrong_images_and_files_are_refused(tmp_path: Path) -> None:
    labeler = Labeler(**SMALL)
    for wrong in (images()[:, :1], images()[..., :44], images()[0]):
        with pytest.raises(InvalidInput, match="multiples of 8"):
            labeler.labels(wrong)
    with pytest.raises(InvalidInput, match="at least 1"):
        Labeler(codes=0)
    with pytest.raises(MissingWeights):
        UNet(tmp_path / "none.safetensors")
    weights.save(tmp_path / "other.safetensors", {}, {"config": {}})
    with pytest.raises(WeightsMismatch, match="pycodec train illm_labeler"):
        load_labeler(tmp_path / "other.safetensors")
