"""The float networks: DCT start, causality of the context model, cost."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pycodec.errors import WeightsMismatch
from pycodec.training.recipe import find_recipe, load_recipe
from pycodec_plugins.cpm import ctx3d
from pycodec_plugins.cpm.autoencoder import ResidualAutoencoder
from pycodec_plugins.cpm.context import ContextNetwork
from pycodec_plugins.cpm.residual_dct import ResidualDCT


def macs_per_pixel(module, call, pixels):
    """Multiply-accumulates of all convolutions that ``call`` runs, per pixel."""
    total = 0

    def count(conv, inputs, output):
        nonlocal total
        positions = inputs[0] if isinstance(conv, nn.ConvTranspose2d) else output
        total += conv.weight.numel() * positions[0, 0].numel()

    handles = [
        m.register_forward_hook(count)
        for m in module.modules()
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    call()
    for handle in handles:
        handle.remove()
    return total / pixels


@pytest.fixture(scope="module")
def image():
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 9, 12, generator=generator) * 255 - 128
    return F.interpolate(coarse, (72, 96), mode="bicubic").clamp(-128, 127)


@torch.no_grad()
def test_training_starts_at_a_plain_dct(image):
    transform = ResidualDCT(luma=64, chroma=64)
    quality = torch.tensor([4.5])
    y = transform.analysis(image, quality)
    assert y.shape == (1, 192, 9, 12)
    assert torch.allclose(transform.synthesis(y, quality), image, atol=0.01)  # orthonormal and complete
    step = float(transform.log_step(quality)[0, 0].exp())
    assert y[0, 0, 0, 0] * step == pytest.approx(
        8 * float((image[0, :, :8, :8] * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0).mean()),
        abs=0.01,
    )


def test_higher_quality_quantises_finer(image):
    transform = ResidualDCT()
    errors = []
    for q in (1.0, 4.0, 8.0):
        quality = torch.tensor([q])
        x_hat = transform.synthesis(transform.analysis(image, quality).round(), quality)
        errors.append(F.mse_loss(x_hat, image).item())
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("recipe", ["ctx3d", "ctx3d_msssim"])
def test_default_transform_costs_at_most_25_kmac_a_pixel_each_way(recipe, image):
    config = load_recipe(find_recipe(recipe)).config.get("transform", {})
    transform, quality, pixels = ResidualDCT(**config), torch.tensor([3.0]), 72 * 96
    dct = transform.analysis_dct.numel() / 64
    y = transform.analysis(image, quality)
    assert macs_per_pixel(transform, lambda: transform.analysis(image, quality), pixels) + dct <= 25_000
    assert macs_per_pixel(transform, lambda: transform.synthesis(y, quality), pixels) + dct <= 25_000


@torch.no_grad()
def test_costs_on_the_card_are_those_of_the_networks(image):
    card = Path(ctx3d.WEIGHTS_MSSSIM).with_suffix(".md").read_text()
    _, _, said = card.partition("**Cost.**")
    pixels, quality = 72 * 96, torch.tensor([3.0])
    ours = ResidualDCT(**load_recipe(find_recipe("ctx3d_msssim")).config.get("transform", {}))
    paper = ResidualAutoencoder(**load_recipe(find_recipe("cpm")).config["transform"]).eval()
    costs = []
    for transform, start in ((ours, ours.analysis_dct.numel() / 64), (paper, 0)):
        y = transform.analysis(image, quality)
        for call in (
            lambda t=transform: t.analysis(image, quality),
            lambda t=transform, y=y: t.synthesis(y, quality),
        ):
            costs.append((start + macs_per_pixel(transform, call, pixels)) / 1000)
    k = 24
    symbol = 13 * k + 14 * 2 * k * k
    costs += [96 * (symbol + 14 * k * 2 + 95 * k) / 64000, 32 * (symbol + 14 * k * 6) / 64000]
    assert [f"{cost:.1f}" for cost in costs] == ["18.5", "22.2", "310.8", "309.5", "29.1", "9.2"]
    assert [cost for cost in costs if f"{cost:.1f}" not in said] == []
    assert sum(costs[2:4]) > 15 * sum(costs[:2])
    assert sum(costs[2:4]) + 2 * costs[5] > 6 * (sum(costs[:2]) + 2 * costs[4])


def test_each_importance_map_gives_its_own_mask():
    torch.manual_seed(0)
    net = ResidualAutoencoder(channels=8, width=8, groups=1, maps=3)  # in training: statistics of the batch
    x = torch.rand(1, 3, 24, 32) * 255 - 128
    latents = [net.masked_analysis(x, torch.tensor([q])) for q in (1.0, 2.0, 3.0)]
    assert latents[0][0].shape == (1, 8, 3, 4)
    used = [mask.mean().item() for _, mask in latents]  # a third, two thirds and all, but for 5 %
    assert used == pytest.approx([0.95 / 3, 0.95 * 2 / 3, 0.95], abs=0.15)
    for z, mask in latents:
        assert bool((z[mask == 0] == 0).all())
    assert net.synthesis(latents[0][0], torch.tensor([1.0])).shape == x.shape


@torch.no_grad()
def test_a_deeper_transform_starts_where_a_shallower_one_ended(image):
    torch.manual_seed(6)
    sizes = {"luma": 6, "chroma": 3, "fine": 8, "coarse": 8, "fine_depth": 1}
    given = ResidualDCT(**sizes, encoder_depth=1, decoder_depth=2)
    for parameter in given.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape))
    deeper = ResidualDCT(**sizes | {"fine_depth": 2}, encoder_depth=3, decoder_depth=3)
    deeper.start_from(given)
    quality = torch.tensor([2.5])
    y = given.analysis(image, quality)
    torch.testing.assert_close(deeper.analysis(image, quality), y)
    torch.testing.assert_close(deeper.synthesis(y, quality), given.synthesis(y, quality))
    for other in (deeper, ResidualDCT(**sizes | {"coarse": 12}, encoder_depth=1, decoder_depth=2)):
        with pytest.raises(WeightsMismatch, match="fewer blocks"):
            given.start_from(other)


def test_the_limit_of_the_third_layer_is_where_its_codes_end():
    torch.manual_seed(4)
    free, limited = (ContextNetwork(3, 2, width=8, qualities=2, limit=limit) for limit in (None, 0.5))
    limited.load_state_dict(free.state_dict())
    x, quality = torch.randn(1, 3, 6, 7), torch.tensor([1.0])
    third = free.activations(x, quality)[2]
    assert third.abs().max() > 0.5
    assert torch.equal(limited.activations(x, quality)[2], third.clamp(-0.5, 0.5))


@pytest.mark.parametrize("earlier_planes", [False, True])
def test_context_network_sees_only_the_past(earlier_planes):
    torch.manual_seed(3)
    planes, height, width = 7, 5, 6
    net = ContextNetwork(planes, 2, width=8, qualities=2, earlier_planes=earlier_planes)
    nn.init.normal_(net.layers[3].weight)
    if earlier_planes:
        nn.init.normal_(net.earlier_planes.weight)
    x, quality = torch.randn(1, planes, height, width, requires_grad=True), torch.tensor([1.5])
    for position in ((0, 0, 0), (1, 2, 3), (2, 4, 5), (2, 0, 2), (6, 1, 1)):
        (gradient,) = torch.autograd.grad(net(x, quality)[(0, slice(None), *position)].sum(), x)
        flat = gradient.abs().flatten()
        index = (position[0] * height + position[1]) * width + position[2]
        assert bool((flat[index:] == 0).all())
        if position == (1, 2, 3):
            assert flat[index - 1] > 0  # the left neighbour
            assert gradient[0, 0, 2, 3] != 0  # the same place one plane before
        if position == (6, 1, 1):
            assert bool(gradient[0, 0].any()) is earlier_planes  # further than four layers reach
