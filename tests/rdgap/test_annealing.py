"""Stochastic Gumbel annealing: what it rounds to, and files that cost less and decode exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pycodec
from pycodec.errors import InvalidInput
from pycodec.optimization import precision
from pycodec.optimization.channels import Gumbel, rounding, transmit
from pycodec.optimization.latents import annealed, lagrangian, temperature
from pycodec.optimization.target import ImageTarget
from pycodec.testing import sample_codec
from pycodec.testing.samples import photo
from pycodec_plugins.hyperprior import GaussianPrior
from pycodec_plugins.hyperprior.task import HyperpriorTask
from pycodec_plugins.rdgap.estimators import AnnealedRD, GaussianUpperBound, OperationalRD

CONFIG = {
    "qualities": 2,
    "hyper": {"hyper_channels": 4, "width": 8},
    "quantizer": {"width": 8},
    "entropy_model": {"width": 8},
    "transform": {
        "name": "residual_dct",
        "config": {
            "luma": 12,
            "chroma": 4,
            "qualities": 2,
            "fine": 8,
            "coarse": 16,
            "encoder_depth": 1,
            "decoder_depth": 1,
            "fine_depth": 1,
        },
    },
}
IMAGE = Image.fromarray(photo(70, 90))


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> pycodec.Codec:
    """A hyperprior codec as its training starts."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    task = HyperpriorTask(CONFIG, lambdas=(0.002, 0.02))
    task.export(path, [photo(128, 192, seed=s) for s in range(2)], {"codec": "hyperprior"})
    return pycodec.load(weights_file=path)


def test_a_cold_choice_is_the_nearest_integer_around_the_mean() -> None:
    mean = torch.tensor(0.3)
    prior = GaussianPrior(mean, torch.tensor(1.0))
    latent = torch.tensor([[-1.4, -0.25, 0.31, 0.6, 2.7]])
    value, _ = Gumbel(1e-3, torch.Generator().manual_seed(0))((latent, latent), prior)
    assert torch.allclose(value, (latent - mean).round() + mean, atol=1e-3)


def test_the_odds_of_rounding_up_are_those_of_the_paper() -> None:
    """Yang et al. 2020, equation 8: proportional to exp(-atanh(distance) / T)."""
    prior = GaussianPrior(torch.tensor(0.0), torch.tensor(1.0))
    latent = torch.full((1, 20000), 0.7)
    value, _ = Gumbel(0.5, torch.Generator().manual_seed(0))((latent, latent), prior)
    up, down = (np.exp(-np.arctanh(distance) / 0.5) for distance in (0.3, 0.7))
    assert (value > 0.5).float().mean().item() == pytest.approx(up / (up + down), abs=0.01)


def test_integers_and_their_gradients_are_finite() -> None:
    latent = torch.tensor([[-2.0, 0.0, 3.0]], requires_grad=True)
    prior = GaussianPrior(torch.tensor(0.0), torch.tensor(0.2))
    value, bits = Gumbel(0.1, torch.Generator().manual_seed(0))((latent, latent), prior)
    (value.sum() + bits.sum()).backward()
    assert torch.allclose(value, latent, atol=1e-3)
    assert latent.grad is not None and latent.grad.isfinite().all()


def test_the_temperature_over_2000_steps_is_that_of_the_paper() -> None:
    assert [temperature(step / 2000) for step in (0, 700)] == [0.5, 0.5]
    assert temperature(1) == pytest.approx(0.5 * np.exp(-1.3))


def test_annealing_lowers_the_loss_of_rounded_latents(codec: pycodec.Codec) -> None:
    model = codec.latent_model(2)
    assert model.lam == pytest.approx(0.02)
    target = ImageTarget(IMAGE, model.stride)
    losses = []
    for steps in (0, 60):
        values = annealed(model, target, model.lam, steps, torch.Generator().manual_seed(0))
        losses.append(lagrangian(model, target, [(v, v) for v in values], rounding, model.lam).item())
    assert losses[1] < losses[0]


def test_rounded_latents_cost_what_the_symbols_do(codec: pycodec.Codec) -> None:
    model = codec.latent_model(1)
    target = ImageTarget(IMAGE, model.stride)
    _, bits = transmit(model, model.encode(target.x), rounding)
    symbols = codec.latent_symbols([mean for mean, _ in model.encode(target.x)])
    assert np.mean(symbols != codec.symbols(IMAGE, 1)) < 0.02
    packed = torch.from_numpy(symbols)[None].float()
    written = model.entropy_model.bits(packed, packed, model.quality).sum().item()
    assert bits.item() == pytest.approx(written, rel=0.02)


def test_without_steps_files_are_the_codecs_own(codec: pycodec.Codec) -> None:
    plain, none, some = (
        estimator.estimate(codec, [IMAGE])
        for estimator in (OperationalRD(2), AnnealedRD(2, steps=0), AnnealedRD(2, steps=60))
    )
    assert none["rate_bpp"] == pytest.approx(plain["rate_bpp"], rel=0.05)
    assert none["psnr_db"] == pytest.approx(plain["psnr_db"], abs=0.2)
    assert some["rate_bpp"] + 0.02 * some["distortion_mse"] < none["rate_bpp"] + 0.02 * none["distortion_mse"]
    assert some["rate_error_bpp"] == some["distortion_error_mse"] == 0


def test_images_that_are_asked_one_by_one_do_not_share_their_noise(codec: pycodec.Codec) -> None:
    """Their standard errors are added up as those of independent draws."""
    images = [Image.fromarray(photo(64, 96, seed)) for seed in (1, 2)]
    drawn = [
        [
            GaussianUpperBound(2, steps=0, samples=2, seed=seed).estimate(codec, [image])["distortion_mse"]
            for image in images
        ]
        for seed in range(20)
    ]
    assert abs(np.corrcoef(np.transpose(drawn))[0, 1]) < 0.7


def test_only_steps_of_an_optimiser_may_have_few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fast:
        has_avx512_bf16 = staticmethod(lambda: True)

    monkeypatch.setattr(precision, "native", lambda: Fast)

    def digits(x: torch.Tensor) -> torch.dtype:
        with precision.training_precision(x):
            return (torch.ones(2, 2) @ x).dtype

    x = torch.ones(2, 2, requires_grad=True)
    assert digits(x) == torch.float32
    with precision.optimizing():
        assert digits(x) == torch.bfloat16
        assert digits(x.detach()) == torch.float32
    assert digits(x) == torch.float32


@pytest.mark.parametrize("options", [{"steps": 1e3}, {"steps": -1}, {"seed": 1.5}, {"steps": True}])
def test_options_are_whole_numbers(options: dict) -> None:
    with pytest.raises(InvalidInput, match="expected a whole number, 0 or more"):
        AnnealedRD(**options)


def test_symbols_of_ones_own_become_a_file(codec: pycodec.Codec) -> None:
    symbols = codec.symbols(IMAGE, 1)
    symbols[:3] += 1
    data = codec.compress_symbols(symbols, IMAGE, 1)
    assert np.array_equal(codec.file_symbols(data), symbols)
    assert codec.decompress(data).size == IMAGE.size
    assert codec.compress_symbols(codec.symbols(IMAGE, 1), IMAGE, 1) == codec.compress(IMAGE, 1)
    with pytest.raises(InvalidInput, match="expected"):
        codec.compress_symbols(symbols[:, :1], IMAGE, 1)


def test_steps_lower_the_bound_and_its_error_is_that_of_samples(codec: pycodec.Codec) -> None:
    few, many = (GaussianUpperBound(2, steps=steps, samples=4).estimate(codec, [IMAGE]) for steps in (0, 60))
    assert many["rate_bpp"] + 0.02 * many["distortion_mse"] < few["rate_bpp"] + 0.02 * few["distortion_mse"]
    seeds = [GaussianUpperBound(2, steps=0, samples=4, seed=s).estimate(codec, [IMAGE]) for s in range(8)]
    spread = np.std([found["distortion_mse"] for found in seeds], ddof=1)
    error = np.mean([found["distortion_error_mse"] for found in seeds])
    assert 0.4 * error < spread < 2.5 * error


def test_an_average_over_images_is_that_of_each_alone() -> None:
    codec, images = sample_codec(), [Image.fromarray(photo(24, 32, seed=s)) for s in range(2)]
    both = OperationalRD(3).estimate(codec, images)
    alone = [OperationalRD(3).estimate(codec, [image]) for image in images]
    for name in ("rate_bpp", "distortion_mse", "psnr_db"):
        assert both[name] == pytest.approx(np.mean([found[name] for found in alone]))


def test_what_cannot_be_estimated_says_why(codec: pycodec.Codec) -> None:
    with pytest.raises(InvalidInput, match="codec 'jpeg' has no latent_model"):
        AnnealedRD().estimate(_named("jpeg"), [IMAGE])
    with pytest.raises(InvalidInput, match="steps is -1"):
        AnnealedRD(steps=-1)
    with pytest.raises(InvalidInput, match="lam is 0"):
        GaussianUpperBound(lam=0.0)
    with pytest.raises(InvalidInput, match="samples is 1"):
        GaussianUpperBound(samples=1)


def test_weights_trained_towards_a_rate_know_no_lambda(tmp_path: Path) -> None:
    transform = {
        "name": "hific_autoencoder",
        "config": {"channels": 3, "widths": [4, 4, 4, 4, 4], "depth": 1},
    }
    task = HyperpriorTask({**CONFIG, "transform": transform, "qualities": 1}, rate=0.3)
    task.export(tmp_path / "rate.safetensors", [photo(128, 128)], {"codec": "hyperprior"})
    codec = pycodec.load(weights_file=tmp_path / "rate.safetensors")
    assert codec.latent_model().lam is None
    with pytest.raises(InvalidInput, match="name one by lam"):
        AnnealedRD(steps=0).estimate(codec, [IMAGE])


def _named(name: str) -> object:
    return type("Codec", (), {"name": name})()
