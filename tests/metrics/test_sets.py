"""FID and KID: patches, networks, and distances that are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import pycodec
from pycodec.errors import InvalidInput
from pycodec.testing import samples
from pycodec_plugins.metrics import weights as metric_weights
from pycodec_plugins.metrics.inception import Inception, resized
from pycodec_plugins.metrics.sets import frechet_distance, kernel_distances, patches
from pycodec_plugins.metrics.swav import SwAV


def normal(count: int, channels: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, generator=generator, dtype=torch.float64)


def test_patches_are_those_of_two_passes():
    rows, columns = np.mgrid[:25, :36]
    picture = np.stack([rows, columns, rows], 2).astype(np.uint8)
    corners = [(int(p[0, 0, 0]), int(p[0, 0, 1])) for p in patches(picture, 10)]
    first = [(top, left) for top in (0, 10) for left in (0, 10, 20)]
    second = [(top, left) for top in (5, 15) for left in (5, 15, 25)]
    assert corners == first + second
    assert all(p.shape == (10, 10, 3) for p in patches(picture, 10))
    assert len(list(patches(picture[:14], 10))) == 3  # below one and a half patches: one pass
    assert len(list(patches(picture[:15], 10))) == 3 + 3


def test_fid_of_gaussians_is_the_closed_form():
    """Sets whose means and covariances are exact: white samples, then scaled along and across two bases."""
    white = normal(200, 6)
    white -= white.mean(0)
    white = white @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(white.T))).T
    basis, _ = torch.linalg.qr(normal(6, 6, seed=1))
    variances, others = torch.arange(1.0, 7).double(), torch.tensor([2, 0.5, 3, 3, 1, 9.0]).double()
    shift = torch.arange(6).double() / 4
    x = white @ (basis * variances.sqrt()).T
    x_hat = white @ (basis * others.sqrt()).T + shift
    expected = shift.square().sum() + (variances.sqrt() - others.sqrt()).square().sum()
    assert frechet_distance(x_hat, x) == pytest.approx(expected.item(), rel=1e-9)
    turned = white @ torch.linalg.qr(normal(6, 6, seed=2))[0] * 2  # covariance 4 I, whatever the rotation
    expected = (variances.sqrt() - 2).square().sum().item()
    assert frechet_distance(turned, x) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_kid_is_the_unbiased_estimate():
    x, x_hat = normal(40, 5), normal(40, 5, seed=1) + 0.3
    kernel = lambda a, b: float((a @ b / 5 + 1) ** 3)  # noqa: E731
    expected = 0.0
    for i in range(40):
        for j in range(40):
            if i != j:
                expected += (kernel(x[i], x[j]) + kernel(x_hat[i], x_hat[j])) / (40 * 39)
            expected -= 2 * kernel(x[i], x_hat[j]) / 40**2
    assert kernel_distances(x_hat, x, 1, 40, seed=0) == [pytest.approx(expected, rel=1e-9)]


def test_kid_is_zero_on_average_for_one_distribution():
    values = np.array(
        [kernel_distances(normal(30, 4, 2 * k), normal(30, 4, 2 * k + 1), 1, 30, 0) for k in range(400)]
    )
    standard_error = values.std() / 20
    assert abs(values.mean()) < 3 * standard_error
    different = kernel_distances(normal(30, 4) + 1, normal(30, 4, 1), 1, 30, 0)
    assert different[0] > 10 * values.std()


def test_kid_depends_on_its_seed_alone():
    x_hat, x = normal(50, 4) + 0.1, normal(50, 4, 1)
    assert kernel_distances(x_hat, x, 3, 20, seed=5) == kernel_distances(x_hat, x, 3, 20, seed=5)
    assert kernel_distances(x_hat, x, 3, 20, seed=5) != kernel_distances(x_hat, x, 3, 20, seed=6)


def scrambled(network: nn.Module) -> nn.Module:
    """Normalisations that do something."""
    generator = torch.Generator().manual_seed(1)
    for m in network.modules():
        if isinstance(m, nn.BatchNorm2d):
            shape = m.running_mean.shape
            m.running_mean.copy_(0.1 * torch.randn(shape, generator=generator))
            m.running_var.copy_(0.5 + torch.rand(shape, generator=generator))
            m.weight.data.copy_(0.5 + torch.rand(shape, generator=generator))
            m.bias.data.copy_(0.1 * torch.randn(shape, generator=generator))
    return network


@pytest.fixture
def full_width_networks(monkeypatch):
    monkeypatch.setattr(metric_weights, "NARROW", 1)


def test_inception_is_the_one_of_torch_fidelity(full_width_networks):
    """Its figures for these weights and images, by FeatureExtractorInceptionV3 of torch-fidelity 0.4.0."""
    network = scrambled(Inception("random"))
    assert sum(p.numel() for p in network.parameters()) == 21_785_568
    images = (samples.images(1, 200, 256) + 128).byte()
    found = network(images)
    assert found.shape == (1, 2048)
    assert found[0, :4].tolist() == pytest.approx([1.327326, 0.730078, 0.096553, 2.556456], rel=1e-4)
    assert (found.mean().item(), found.std().item()) == pytest.approx((1.572914, 2.191282), rel=1e-4)


def test_swav_is_a_resnet_50_of_torchvision(full_width_networks):
    """Its figures for these weights and images, by torchvision 0.28.0."""
    network = scrambled(SwAV("random"))
    assert sum(p.numel() for p in network.parameters()) == 23_508_032
    images = (samples.images(1, 64, 96) + 128).byte()
    found = network(images)
    assert found.shape == (1, 2048)
    assert found[0, :4].tolist() == pytest.approx([2135.096, 1228.520, 0, 330.504], rel=1e-4)
    assert (found.mean().item(), found.std().item()) == pytest.approx((2044.643, 1931.456), rel=1e-4)


def test_images_are_resized_as_tensorflow_1_did():
    """Pixel k of the result lies at k * size / 299, and beyond the last pixel there is that pixel."""
    ramp = torch.arange(100.0).repeat(1, 3, 50, 1)
    expected = (torch.arange(299) * 100 / 299).clamp(max=99)
    torch.testing.assert_close(resized(ramp), expected.repeat(1, 3, 299, 1), rtol=0, atol=1e-4)
    torch.testing.assert_close(resized(ramp.mT), expected.repeat(1, 3, 299, 1).mT, rtol=0, atol=1e-4)


def test_the_components_measure_their_patches():
    x = samples.images(3, 130, 140)
    x_hat = (x + samples.normal(*x.shape, scale=20)).clamp(-128, 127)
    fid = pycodec.create("metric", "fid", weights="random", patch=80)
    kid = pycodec.create("metric", "kid", weights="random", patch=80, subsets=5, subset_size=6)
    with pytest.raises(InvalidInput, match="at least 2 patches, there are 0"):
        fid.compute()
    for metric in (fid, kid):
        metric.update(x_hat, x)
        assert metric.info()["patches"] == 6  # one a pass and image
    network = Inception("random")
    sets = []
    for images in (x_hat, x):
        squares = [image[:, k : k + 80, k : k + 80] + 128 for image in images for k in (0, 40)]
        sets.append(network(torch.stack(squares).clamp(0, 255).round().byte()).double())
    assert fid.compute() == pytest.approx(frechet_distance(*sets), rel=1e-5)
    values = kernel_distances(*sets, 5, 6, 0)
    assert kid.compute() == pytest.approx(np.mean(values), rel=1e-5)
    assert kid.info()["standard_deviation_over_subsets"] == pytest.approx(np.std(values), abs=1e-9)


def test_what_cannot_be_measured_gets_one_sentence():
    x = samples.images(1, 64, 200)
    metric = pycodec.create("metric", "kid", weights="random", patch=64)
    metric.update(x, x)
    with pytest.raises(
        InvalidInput, match=r"KID .* needs at least 1000 patches, there are 3; .* subset_size="
    ):
        metric.compute()
    with pytest.raises(
        InvalidInput, match="at least 256 pixels, this image is 200 x 64; choose a smaller patch="
    ):
        pycodec.create("metric", "fid", weights="random").update(x, x)
    with pytest.raises(InvalidInput, match=r"no network 'incepton'; did you mean 'inception'"):
        pycodec.create("metric", "fid", network="incepton")
    with pytest.raises(InvalidInput, match=r"patch is 16, expected a whole number from 32 on"):
        pycodec.create("metric", "fid", network="swav", weights="random", patch=16)
    with pytest.raises(InvalidInput, match=r"subsets is 'ten'"):
        pycodec.create("metric", "kid", weights="random", subsets="ten")
