"""An autoencoder that starts as a block DCT."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pycodec.errors import InvalidInput
from pycodec_plugins.cpm.cpm import CpmTask

CONFIG = {"transform": {"channels": 32, "width": 48, "groups": 2, "maps": 5}}


def smooth(count: int = 2) -> torch.Tensor:  # [count, 3, 176, 192], nearly grey
    g = torch.Generator().manual_seed(4)
    coarse = (
        90 * torch.rand(count, 1, 12, 13, generator=g) - 45 + 4 * torch.rand(count, 3, 12, 13, generator=g)
    )
    return torch.nn.functional.interpolate(coarse, (176, 192), mode="bicubic").contiguous()


@pytest.fixture
def task() -> CpmTask:
    return CpmTask(CONFIG, start="dct").eval()


@torch.no_grad()
def test_what_is_smooth_comes_back(task):
    x, quality = smooth(), torch.tensor([5.0, 5.0])
    # The highest map leaves some of the last channels out, which would be those of high frequencies.
    error = (task.transform.synthesis(task.transform.analysis(x, quality), quality) - x).square().mean()
    assert error < 0.01 * x.var()
    random = CpmTask(CONFIG).eval().transform
    assert (random.synthesis(random.analysis(x, quality), quality) - x).square().mean() > 0.5 * x.var()


@torch.no_grad()
def test_it_is_linear(task):
    decode = lambda z: task.transform.synthesis(z, torch.ones(len(z)))  # noqa: E731
    a, b = (torch.randn(1, 32, 4, 5, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    nothing = decode(torch.zeros_like(a))
    torch.testing.assert_close(
        decode(a + 2 * b) - nothing, decode(a) + 2 * decode(b) - 3 * nothing, atol=0.05, rtol=0
    )


@torch.no_grad()
def test_channels_have_the_spread_that_centres_are_for(task):
    centers = task.quantizer.centers
    assert 0 in centers and torch.allclose(centers.diff(), centers.diff()[:1])
    z, _ = task.transform._bottleneck(smooth(8), torch.full((8,), 5.0))
    assert 0.1 < z[:, :3].std() < 4


def test_the_frozen_stage_keeps_statistics(task):
    def statistics() -> list[torch.Tensor]:
        return [b.clone() for n, b in task.transform.named_buffers() if "running" in n]

    before = statistics()
    for stage, same in (("context", True), ("frozen", True), ("concurrent", False)):
        task.train()
        task.training_step(smooth(), stage)
        unchanged = all(torch.equal(a, b) for a, b in zip(before, statistics(), strict=True))
        assert unchanged == same, stage


def test_steps_of_the_optimiser_are_small_ones():
    """At a usual rate, the loss neither explodes nor stands still."""
    torch.manual_seed(5)
    task = CpmTask(CONFIG, start="dct", regularization=0.0, target_bpp=3.0)
    parameters = [p for g in task.parameter_groups("frozen")["autoencoder"] for p in g["params"]]
    optimizer = torch.optim.Adam(parameters, lr=4e-4)
    task.train()
    x, distortions = smooth(4), []
    for _ in range(12):
        torch.manual_seed(6)
        losses = task.training_step(x, "frozen")
        optimizer.zero_grad()
        losses.by_optimizer["autoencoder"].backward()
        optimizer.step()
        distortions.append(losses.scalars["distortion"])
    assert max(distortions) < 1.3 * distortions[0] and distortions[-1] < 0.9 * distortions[0]


def test_what_cannot_start_so_is_refused():
    with pytest.raises(InvalidInput, match="a trunk of 32 channels, expected 48 at least"):
        CpmTask({"transform": {"width": 32, "groups": 1}}, start="dct")
    with pytest.raises(InvalidInput, match="start is 'haar'"):
        CpmTask(CONFIG, start="haar")
    other = CpmTask({"transform": {"channels": 40, "width": 64, "groups": 1, "maps": 1}}, start="dct").eval()
    x = smooth(1)
    with torch.no_grad():
        back = other.transform.synthesis(other.transform.analysis(x, torch.ones(1)), torch.ones(1))
    assert np.isfinite(back.numpy()).all() and (back - x).square().mean() < 0.02 * x.var()
