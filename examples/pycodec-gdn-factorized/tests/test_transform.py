"""The transform: GDN against its formula, and the start as the orthonormal transform it claims to be."""

import pytest
import torch
from torch import nn

from pycodec_gdn_factorized.gdn import BETA_MIN, GDN
from pycodec_gdn_factorized.quality import at_quality
from pycodec_gdn_factorized.start import principal_kernels, start_analysis, start_synthesis
from pycodec_gdn_factorized.transform import GDNTransform


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_is_its_formula(inverse):
    torch.manual_seed(0)
    gdn, x = GDN(4, inverse), torch.randn(2, 4, 3, 5)
    nn.init.normal_(gdn.beta_root)
    nn.init.normal_(gdn.gamma_root)
    beta, gamma = gdn.beta_root**2 + BETA_MIN, gdn.gamma_root**2
    expected = torch.empty_like(x)
    for i in range(4):
        norm = beta[i] + sum(gamma[i, j] * x[:, j] ** 2 for j in range(4))
        expected[:, i] = x[:, i] * norm**0.5 if inverse else x[:, i] / norm**0.5
    assert torch.allclose(gdn(x), expected, rtol=1e-5)


def test_kernels_are_orthonormal_and_keep_most_of_the_variance():
    for kernel in principal_kernels([12, 48, 20]):
        rows = kernel.flatten(1)
        assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=1e-5)
    first = principal_kernels([12])[0]
    assert torch.allclose(first[0].abs(), torch.full((3, 2, 2), 12**-0.5), atol=1e-4)  # the mean


def test_the_start_is_inverted_by_its_transpose():
    """Without truncation nothing is lost, and channels too many do not disturb."""
    torch.manual_seed(0)
    down = [nn.Conv2d(a, b, 5, 2, padding=2) for a, b in ((3, 12), (12, 52), (52, 192))]
    up = [
        nn.ConvTranspose2d(a, b, 5, 2, padding=2, output_padding=1) for a, b in ((192, 52), (52, 12), (12, 3))
    ]
    start_analysis(down)
    start_synthesis(up)
    x = torch.randn(1, 3, 16, 24)
    assert torch.allclose(nn.Sequential(*down, *up)(x), x, atol=1e-5)


def test_an_untrained_transform_keeps_a_smooth_image():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="ij")
    x = (100 * torch.sin(rows / 20) * torch.cos(columns / 15)).expand(1, 3, 64, 48)
    transform, quality = GDNTransform(), torch.tensor([4.0])
    y = transform.analysis(x, quality)
    assert y.shape == (1, 128, 4, 3)
    assert (transform.synthesis(y, quality) - x).square().mean().sqrt() < 4


def test_finer_steps_at_higher_quality():
    x, transform = torch.full((2, 3, 16, 16), 50.0), GDNTransform()
    low, high = transform.analysis(x, torch.tensor([1.0, 8.0]))
    assert torch.allclose(8 * low, high)


def test_tables_are_linear_between_whole_qualities():
    table = torch.tensor([[1.0], [2.0], [4.0]])
    found = at_quality(table, torch.tensor([1.0, 1.5, 2.0, 2.25, 3.0]))
    assert found.flatten().tolist() == [1, 1.5, 2, 2.5, 4]
