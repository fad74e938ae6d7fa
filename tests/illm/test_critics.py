"""The discriminators: shapes, losses against their equations, and where gradients go and do not go."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput
from pycodec_plugins.illm import PatchGAN, UNet
from pycodec_plugins.illm.critic import Conditioned

LABELER = {"widths": [4, 6], "blocks": 1, "stem": 4, "codes": 7, "dimensions": 3}
NARROW: dict[str, Any] = {"channels": 5, "widths": [4, 6, 6, 8], "features": 4, "context": 2}

CRITICS = {
    "labels": lambda **o: UNet(LABELER, **NARROW, **o),
    "binary": lambda **o: UNet(None, **NARROW, **o),
    "patchgan": lambda **o: PatchGAN(5, [4, 6], 2, **o),
}


@pytest.fixture(params=CRITICS)
def critic(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return CRITICS[request.param]()


def batch(n: int = 2, side: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    x = 50 * torch.randn(n, 3, side, side)
    return x, x + 10 * torch.randn_like(x), torch.randn(n, 5, side // 16, side // 16)


def log_softmax(logits: Tensor) -> np.ndarray:
    z = logits.detach().double().numpy()
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def test_the_unet_tells_labels_at_their_resolution() -> None:
    x, _, y = batch(side=128)
    assert UNet(LABELER, **NARROW)(x, y).shape == (2, 8, 16, 16)
    coarse = UNet({**LABELER, "widths": [4, 6, 6]}, **{**NARROW, "widths": [4, 6, 6, 8, 8]})
    assert coarse.labeler.labels(x).shape == (2, 8, 8) and coarse(x, y).shape == (2, 8, 8, 8)
    assert UNet(None, **NARROW, stride=4)(x, y).shape == (2, 1, 32, 32)
    assert PatchGAN(5, [4, 6, 6, 6], 2)(x, y).shape == (2, 1, 8, 8)


def convolution(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def block(inputs: int, outputs: int) -> int:
    shortcut = convolution(inputs, outputs, 1) if inputs != outputs else 0
    return convolution(inputs, outputs, 3) + convolution(outputs, outputs, 3) + shortcut


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_unet_of_the_paper_has_its_parameters() -> None:
    with torch.device("meta"):
        unet = UNet({})
        shape = unet(torch.empty(1, 3, 256, 256), torch.empty(1, 220, 16, 16)).shape
    path = [19, 128, 128, 256, 256, 512, 512, 512, 256, 64]  # six blocks down, three up
    blocks = sum(block(a, b) for a, b in pairwise(path))
    assert count(unet) == convolution(220, 16, 3) + blocks + convolution(64, 1025, 1) == 17_877_073
    assert shape == (1, 1025, 32, 32)


def test_the_patchgan_of_hific_has_its_parameters() -> None:
    with torch.device("meta"):
        patchgan = PatchGAN()
        shape = patchgan(torch.empty(1, 3, 256, 256), torch.empty(1, 220, 16, 16)).shape
    path = [15, 64, 128, 256, 512]
    layers = sum(convolution(a, b, 4) for a, b in pairwise(path))
    assert count(patchgan) == convolution(220, 12, 3) + layers + convolution(512, 1, 1)
    assert shape == (1, 1, 16, 16)


def test_losses_of_labels_are_equations_6_and_7() -> None:
    x, x_hat, y = batch()
    critic = CRITICS["labels"]().eval()
    critic.labeler.codebook.revive(critic.labeler.embed(x), 1)
    labels = critic.labeler.labels(x).numpy()
    assert len(np.unique(labels)) == 7
    on_real, on_fake = log_softmax(critic(x, y)), log_softmax(critic(x_hat, y))
    places = [(n, i, j) for n in range(2) for i in range(8) for j in range(8)]
    real = -np.mean([on_real[n, labels[n, i, j] + 1, i, j] for n, i, j in places])
    fake = -np.mean([on_fake[n, 0, i, j] for n, i, j in places])
    fooled = -np.mean([on_fake[n, labels[n, i, j] + 1, i, j] for n, i, j in places])
    assert critic.critic_loss(x, x_hat, y).item() == pytest.approx(real + fake, rel=1e-5)
    assert critic.generator_loss(x, x_hat, y).item() == pytest.approx(fooled, rel=1e-5)


@pytest.mark.parametrize("name", ["binary", "patchgan"])
def test_binary_losses_are_equations_4_and_5(name: str) -> None:
    torch.manual_seed(0)
    x, x_hat, y = batch()
    critic = CRITICS[name]().eval()
    real, fake = (1 / (1 + np.exp(-critic(image, y).detach().double().numpy())) for image in (x, x_hat))
    expected = np.mean(-np.log(real)) + np.mean(-np.log(1 - fake))
    assert critic.critic_loss(x, x_hat, y).item() == pytest.approx(expected, rel=1e-5)
    assert critic.generator_loss(x, x_hat, y).item() == pytest.approx(np.mean(-np.log(fake)), rel=1e-5)
    critic = CRITICS[name](saturating=True).eval()
    fake = 1 / (1 + np.exp(-critic(x_hat, y).detach().double().numpy()))
    assert critic.generator_loss(x, x_hat, y).item() == pytest.approx(np.mean(np.log(1 - fake)), rel=1e-5)


def test_the_critics_loss_trains_its_parameters_alone(critic: Any) -> None:
    tensors = [t.requires_grad_() for t in batch()]
    critic.critic_loss(*tensors).backward()
    assert tensors[1].grad is None and tensors[2].grad is None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())


def test_the_generators_loss_trains_what_made_x_hat_alone(critic: Any) -> None:
    tensors = [t.requires_grad_() for t in batch()]
    critic.generator_loss(*tensors).backward()
    x, x_hat, y = tensors
    assert x_hat.grad is not None and x_hat.grad.abs().sum() > 0
    assert x.grad is None and y.grad is None
    assert all(p.grad is None and p.requires_grad for p in critic.parameters())


def test_a_labeler_is_no_part_of_what_is_trained() -> None:
    critic = CRITICS["labels"]()
    assert not [name for name, _ in critic.named_parameters() if name.startswith("labeler")]
    assert any(name.startswith("labeler.encoder") for name in critic.state_dict())


def test_losses_are_float32_under_autocast(critic: Any) -> None:
    critic.eval()
    x, x_hat, y = batch()
    for loss in (critic.critic_loss, critic.generator_loss):
        plain = loss(x, x_hat, y)
        with torch.autocast("cpu", torch.bfloat16):
            found = loss(x, x_hat, y)
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(plain.item(), rel=0.02)


def test_labels_are_the_same_under_autocast() -> None:
    labeler = CRITICS["labels"]().labeler
    x = batch()[0]
    plain = labeler.labels(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(labeler.labels(x), plain)


def test_disjoint_halves_share_no_image() -> None:
    critic = CRITICS["labels"](disjoint=True).eval()
    x, x_hat, y = batch(4)
    before = critic.critic_loss(x, x_hat, y)
    other_x, other_x_hat = x.clone(), x_hat.clone()
    other_x[:2], other_x_hat[2:] = (
        0,
        0,
    )  # of the first two the reconstruction counts, of the others the original
    assert torch.equal(critic.critic_loss(other_x, other_x_hat, y), before)
    other_x[3] = 0
    assert critic.critic_loss(other_x, x_hat, y) != before
    assert critic.critic_loss(x[:1], x_hat[:1], y[:1]).isfinite()


def test_the_critic_looks_at_the_latent(critic: Any) -> None:
    critic.eval()
    x, x_hat, y = batch()
    assert critic.critic_loss(x, x_hat, y) != critic.critic_loss(x, x_hat, -y)


def test_spectral_normalisation_bounds_every_convolution() -> None:
    for critic in (UNet(None, **NARROW, norm="spectral"), CRITICS["patchgan"]()):
        layers = [m for m in critic.modules() if isinstance(m, nn.Conv2d) and hasattr(m, "parametrizations")]
        for _ in range(30):  # of its power iteration, one step a call
            critic.critic_loss(*batch())
        plain = {id(critic.head) if isinstance(critic, UNet) else id(critic.layers[-1])}
        plain.add(id(critic.conditioned.convolution))
        assert len(layers) == sum(isinstance(m, nn.Conv2d) for m in critic.modules()) - len(plain)
        for layer in layers:
            norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item()
            assert norm == pytest.approx(1, abs=0.05)


def test_instance_normalisation_acts_between_all_convolutions() -> None:
    critic = UNet(None, **NARROW, norm="instance")
    layers = [m for m in critic.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert len(layers) == 2 * 5 - 1  # two for each of four blocks down and one up, none in front of the first
    means: list[float] = []
    for layer in layers:
        layer.register_forward_hook(lambda m, i, o: means.append(o.mean((2, 3)).abs().max().item()))
    x, _, y = batch()
    x = 20 * x + 3000
    critic(x, y)
    assert len(means) == len(layers) and max(means) < 1e-4


def test_a_critic_learns_to_tell_blurred_images(critic: Any) -> None:
    optimizer = torch.optim.Adam(critic.parameters(), 5e-3)
    losses = []
    for step in range(40):
        torch.manual_seed(step)
        x, y = 60 * torch.randn(2, 3, 32, 32), torch.zeros(2, 5, 2, 2)
        loss = critic.critic_loss(x, nn.functional.avg_pool2d(x, 5, 1, 2), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"norm": "spektral"}, "did you mean 'spectral'"),
        ({"labeler": LABELER, "saturating": True}, "without labels"),
        ({"stride": 6}, "power of 2"),
        ({"stride": 16}, "more halvings"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        UNet(**{"labeler": None, **NARROW, **options})


@pytest.mark.parametrize("name", CRITICS)
def test_batches_that_do_not_fit_are_refused(name: str) -> None:
    critic = CRITICS[name]()
    x, x_hat, y = batch()
    for loss in (critic.critic_loss, critic.generator_loss):
        with pytest.raises(InvalidInput, match="multiples of"):
            loss(x[..., :50], x_hat[..., :50], y)
        with pytest.raises(InvalidInput, match=r"expected \[2, 5, h, w\]"):
            loss(x, x_hat, y[:, :3])
        with pytest.raises(InvalidInput, match="twice"):
            loss(x, x_hat[:1], y)


def test_images_of_one_coarse_position_have_no_instance_statistics() -> None:
    with pytest.raises(InvalidInput, match="at least 32"):
        UNet(None, **NARROW, norm="instance").critic_loss(*batch(side=16))


def test_detail_is_what_an_image_has_beyond_its_local_means() -> None:
    torch.manual_seed(0)
    plain, detailed = Conditioned(5, 2), Conditioned(5, 2, detail=4.0)
    detailed.load_state_dict(plain.state_dict())
    x, _, y = batch(side=32)
    planes = detailed(x, y)
    assert plain.planes == 5 and detailed.planes == 8 and planes.shape == (2, 8, 32, 32)
    assert torch.equal(planes[:, :5], plain(x, y))
    around = x[:, :, 9:12, 19:22].mean((2, 3))
    assert torch.allclose(planes[:, 5:, 10, 20], (x[:, :, 10, 20] - around) * 4 / 128, atol=1e-5)
    assert detailed(torch.full_like(x, 77.0), y)[:, 5:].abs().max() < 1e-4  # up to the very edges
