"""Training of a hyperprior codec towards a rate."""

import pytest
import torch

from pycodec.errors import InvalidInput
from pycodec_plugins.hyperprior.task import HyperpriorTask

CONFIG = {
    "qualities": 1,
    "transform": {
        "name": "hific_autoencoder",
        "config": {"channels": 3, "widths": [4, 4, 4, 4, 4], "depth": 1},
    },
    "hyper": {"hyper_channels": 2, "width": 4},
    "quantizer": {"width": 4},
    "entropy_model": {"width": 4},
}


def test_the_loss_weighs_the_rate_by_what_is_above_the_target():
    torch.manual_seed(0)
    task = HyperpriorTask(CONFIG, rate=0.9, perceptual="none")
    images = 100 * torch.randn(1, 3, 64, 64)
    losses = {}
    for first, lam in ((10, 0.125), (0, 0.25)):
        task.rate_target.first_batches = first
        torch.manual_seed(1)
        task.rate_target.log_rates.fill_(-20.0)  # every image is above
        step = task.training_step(images, "pretrain")
        mse = 255**2 / 10 ** (step.scalars["psnr"] / 10)
        assert step.scalars["loss"] == pytest.approx(lam * step.scalars["bpp"] + 150 * mse / 255**2)
        losses[lam] = step.by_optimizer["model"]
    losses[0.25].backward()
    assert task.parts.transform.transform.encoder[0].weight.grad.norm() > 0
    assert task.state_dict()["rate_target.batches"] == 2


def test_a_rate_is_for_one_quality():
    with pytest.raises(InvalidInput, match=r"rate is 0\.14, but the codec has 8 qualities"):
        HyperpriorTask({}, rate=0.14)
