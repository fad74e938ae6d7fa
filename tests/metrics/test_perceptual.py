"""PSNR, MS-SSIM, LPIPS and DISTS: against their functions, torchmetrics, and what a loss needs."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.image import dists as their_dists
from torchmetrics.functional.image import lpips as their_lpips

import pycodec
from pycodec.config import canonical_json
from pycodec.errors import InvalidInput
from pycodec.evaluation.metrics import ms_ssim, psnr
from pycodec.testing import samples
from pycodec_plugins.metrics import DISTS, LPIPS
from pycodec_plugins.metrics.networks import BACKBONES, vgg16

RANDOM = {"lpips": {"weights": "random"}, "dists": {"weights": "random"}}


def pair(height: int = 80, width: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """Two reconstructions and their originals, 8-bit values minus 128."""
    x = samples.images(2, height, width)
    return (x + samples.normal(*x.shape, scale=12)).clamp(-128, 127).round(), x


def unit(x: torch.Tensor) -> torch.Tensor:
    """As torchmetrics takes images."""
    return (x + 128) / 255


@pytest.mark.parametrize(("name", "function"), [("psnr", psnr), ("ms_ssim", ms_ssim)])
def test_components_average_the_functions(name, function):
    x_hat, x = pair(180, 190)
    metric = pycodec.create("metric", name)
    metric.update(x_hat, x)
    arrays = [(t + 128).byte().permute(0, 2, 3, 1).numpy() for t in (x, x_hat)]
    assert metric.compute() == pytest.approx(np.mean([function(a, b) for a, b in zip(*arrays, strict=True)]))
    metric.update(x.numpy(), x.numpy())  # arrays are as good as tensors
    assert metric.info()["images"] == 4


def test_values_between_and_beyond_8_bits_count_as_the_picture_shown():
    x_hat, x = pair()
    metric = pycodec.create("metric", "psnr")
    metric.update(x_hat, x)
    expected = metric.compute()
    metric.reset()
    x_hat[x_hat == 127] = 400.0
    metric.update(x_hat + 0.3, x - 0.3)
    assert metric.compute() == expected


@pytest.mark.parametrize("name", ["psnr", "ms_ssim", "lpips", "dists"])
def test_wrong_images_get_one_sentence(name):
    metric = pycodec.create("metric", name, **RANDOM.get(name, {}))
    x_hat, x = pair(12, 200)
    with pytest.raises(InvalidInput, match="call update first"):
        metric.compute()
    with pytest.raises(InvalidInput, match=r"\[2, 1, 12, 200\] and originals \[2, 3, 12, 200\], expected"):
        metric.update(x_hat[:, :1], x)
    with pytest.raises(InvalidInput, match="not finite"):
        metric.update(x_hat.fill_(torch.nan), x)
    if name != "psnr":
        with pytest.raises(InvalidInput, match=r"at least \d+ pixels, this image is 200 x 12"):
            metric.update(x, x)


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_lpips_agrees_with_torchmetrics(network, monkeypatch):
    ours = LPIPS(network, "random")
    layers = BACKBONES[network].layers(8)
    layers.load_state_dict(ours.features.state_dict())
    monkeypatch.setattr(their_lpips, "_get_tv_model_features", lambda net, pretrained: layers)
    theirs = their_lpips._LPIPS(pretrained=False, net=network, pnet_rand=True)
    for linear, head in zip(theirs.lins, ours.heads, strict=True):
        linear.model[-1].weight.data = head.data[None, :, None, None].clone()
    x_hat, x = pair()
    expected = theirs(unit(x_hat), unit(x), normalize=True).flatten()
    torch.testing.assert_close(ours(x_hat, x), expected, rtol=1e-4, atol=1e-7)
    metric = pycodec.create("metric", "lpips", network=network, weights="random")
    metric.update(x_hat, x)
    assert metric.compute() == pytest.approx(expected.mean().item(), rel=1e-4)


def test_dists_agrees_with_torchmetrics(monkeypatch):
    ours = DISTS("random")
    layers = vgg16(8)
    layers.load_state_dict(ours.features.state_dict())
    monkeypatch.setattr(their_dists, "_TORCHVISION_AVAILABLE", True)
    monkeypatch.setattr(their_dists, "VGG16_Weights", SimpleNamespace(DEFAULT=None), raising=False)
    monkeypatch.setattr(their_dists, "vgg16", lambda weights: SimpleNamespace(features=layers), raising=False)
    theirs = their_dists.DISTSNetwork(load_weights=False)
    theirs.chns = ours.widths
    theirs.alpha.data, theirs.beta.data = (p.data[None, :, None, None] for p in (ours.alpha, ours.beta))
    for pool in theirs.modules():
        if isinstance(pool, their_dists.L2pooling):
            pool.filter = pool.filter[: pool.channels // 8]
    x_hat, x = pair(81, 97)  # odd sizes: pooling of borders
    torch.testing.assert_close(ours(x_hat, x), theirs(unit(x_hat), unit(x)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("module", [LPIPS("alex", "random"), DISTS("random")], ids=["lpips", "dists"])
def test_as_a_loss_it_leads_back_to_the_original(module):
    x_hat, x = pair()
    assert module(x, x).abs().max() < 1e-6
    assert not any(p.requires_grad for p in module.parameters())
    x_hat.requires_grad_()
    before = module(x_hat, x).sum()
    (gradient,) = torch.autograd.grad(before, x_hat)
    assert module(x_hat - 5 * gradient / gradient.abs().max(), x).sum() < before


@pytest.mark.parametrize("module", [LPIPS("alex", "random"), DISTS("random")], ids=["lpips", "dists"])
def test_the_gradient_is_finite_at_no_difference_and_where_features_vanish(module):
    x = samples.images(1, 64, 64)
    for faint in (False, True):
        if faint:  # features so small that their squares are zero, where a root has no slope
            for layer in module.features:
                if isinstance(layer, nn.Conv2d):
                    layer.weight.data.fill_(0)
                    layer.bias.data.fill_(1e-25)
        x_hat = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(module(x_hat, x).sum(), x_hat)
        assert gradient.isfinite().all() and gradient.abs().max() < 1e-4


@pytest.mark.parametrize("name", ["psnr", "ms_ssim", "lpips", "dists", "fid", "kid", "swd"])
def test_what_a_report_asks_is_there_before_and_after_images(name):
    config = {} if name in ("psnr", "ms_ssim", "swd") else {"weights": "random"}
    if name in ("fid", "kid"):
        config |= {"patch": 96} | ({"subset_size": 3} if name == "kid" else {})
    metric = pycodec.create("metric", name, **config)
    before = metric.info()
    assert before["images"] == 0 and metric.label and isinstance(metric.unit, str)
    metric.update(*pair(192, 192))
    after = metric.info()
    canonical_json(before), canonical_json(after)
    assert after["images"] == 2 and "8-bit" in after["preprocessing"]
    assert after.get("weights", "random") == "random"
    assert metric.of_set == (name in ("fid", "kid", "swd"))


def test_metrics_without_networks_do_without_torch():
    program = (
        "import sys, numpy, pycodec\n"
        "x = numpy.zeros((1, 3, 176, 176), numpy.float32)\n"
        "for name in ('psnr', 'ms_ssim', 'swd'):\n"
        "    metric = pycodec.create('metric', name, **({'levels': 3} if name == 'swd' else {}))\n"
        "    metric.update(x, x + 1); metric.compute(), metric.info()\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
