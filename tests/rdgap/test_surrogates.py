"""Stand-ins for rounding: what they give, and what the comparison with rounding says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import pycodec
from pycodec.cli import main
from pycodec.optimization.target import Target
from pycodec.testing.samples import photo
from pycodec_plugins.rdgap.gaussian_source import PlainLatents
from pycodec_plugins.rdgap.mismatch import Mismatch, mismatch

NAMES = ("additive_noise", "straight_through", "mixed", "soft_to_hard")


def compared(name: str, scale: float, **config: float) -> Mismatch:
    drawn = torch.randn(1 << 14, 1, generator=torch.Generator().manual_seed(7)) * scale
    model = PlainLatents(scale)
    return mismatch(pycodec.create("quantizer", name, **config), model, [Target(drawn)], model.lam)


def test_surrogates_are_what_they_are_called() -> None:
    torch.manual_seed(0)
    y = torch.randn(1, 2, 50, 50) * 3
    pairs = {name: pycodec.create("quantizer", name).surrogate(y) for name in NAMES}
    for name in ("additive_noise", "straight_through", "soft_to_hard"):
        assert pairs[name][0] is pairs[name][1]
    assert (pairs["additive_noise"][0] - y).abs().max() <= 0.5
    assert (pairs["additive_noise"][0] - y).var().item() == pytest.approx(1 / 12, rel=0.05)
    assert torch.allclose(pairs["straight_through"][0], y.round())
    assert torch.allclose(pairs["mixed"][0], y.round()) and (pairs["mixed"][1] - y).abs().max() <= 0.5


def test_soft_gets_hard() -> None:
    y = torch.tensor([[[[-1.3, 0.2, 0.45, 1.8]]]])
    soft, hard = (pycodec.create("quantizer", "soft_to_hard", hardness=h).surrogate(y)[0] for h in (1, 200))
    assert torch.allclose(hard, y.round(), atol=1e-3)
    assert not torch.allclose(soft, y.round(), atol=0.05)


def test_noise_promises_another_loss_with_its_exact_gradient() -> None:
    found = compared("additive_noise", 0.3)
    assert abs(found.loss - found.true_loss) > 0.1
    assert found.gradient == pytest.approx(found.own_gradient, abs=0.002)


def test_straight_through_has_the_true_loss_with_another_gradient() -> None:
    found = compared("straight_through", 0.3)
    assert (found.loss, found.rate, found.mse) == (found.true_loss, found.true_rate, found.true_mse)
    assert found.own_gradient == found.true_gradient
    assert abs(found.gradient - found.own_gradient) > 0.5


def test_mixed_has_the_rate_of_noise_and_the_error_of_rounding() -> None:
    found, noise = compared("mixed", 0.3), compared("additive_noise", 0.3)
    assert found.mse == pytest.approx(found.true_mse)
    assert found.rate == pytest.approx(noise.rate, rel=0.01)
    assert abs(found.gradient - found.own_gradient) > 0.1


def test_at_high_rates_all_but_the_soft_one_agree() -> None:
    for name in ("additive_noise", "straight_through", "mixed"):
        found = compared(name, 4.0)
        assert found.loss == pytest.approx(found.true_loss, rel=0.005)


def test_a_harder_mean_is_nearer_to_the_truth() -> None:
    soft, hard = (compared("soft_to_hard", 1.0, hardness=h) for h in (2, 30))
    assert abs(hard.loss - hard.true_loss) < 0.5 * abs(soft.loss - soft.true_loss)


def test_the_command_compares_on_sources_and_on_a_codec(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    assert main(["surrogates", "additive_noise,soft_to_hard+hardness=9", "--scales", "0.5,2", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert [(row["source"], row["quantizer"]) for row in rows][1] == (
        "N(0, 0.5^2)",
        "soft_to_hard+hardness=9",
    )
    Image.fromarray(photo(64, 64)).save(tmp_path / "a.png")
    assert (
        main(["surrogates", "mixed", "--codec", "hyperprior", "--data", str(tmp_path), "--quality", "3"]) == 0
    )
    assert capfd.readouterr().out.splitlines()[1].split()[:2] == ["hyperprior", "mixed"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["learned_centers"], "does not round each latent"),
        (["mixed", "--codec", "hyperprior"], "go together"),
        (["mixed", "--scales", "a"], "expected numbers"),
        (["mixed", "--scale-min", "0"], "0.11 at least"),
        (["mixed", "--scales", "1,nan"], "expected positive numbers"),
        (["mixed", "--scale-min", "inf"], "0.11 at least"),
        (["mixed", "--lam", "-1"], "expected a positive number"),
        (["mixed", "--quality", "3"], "expected --codec"),
        (
            ["mixed", "--codec", "hyperprior", "--data", ".", "--scales", "1"],
            "--scales is of Gaussian values",
        ),
        ([","], "no quantizer in ','"),
        (["mxed"], "mxed"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, sentence, capfd: pytest.CaptureFixture) -> None:
    assert main(["surrogates", *arguments]) == 2
    assert sentence in capfd.readouterr().err
