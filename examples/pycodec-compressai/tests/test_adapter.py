"""The adapter beside CompressAI itself, with seeded weights: nothing is downloaded."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("compressai", reason="CompressAI is not installed")

import torch
from click.testing import CliRunner
from compressai.models import FactorizedPrior

import pycodec
from pycodec.errors import InvalidInput, MissingWeights, WeightsMismatch
from pycodec.testing import check_codec
from pycodec_compressai.codec import CompressAITransform, bottleneck_tables, create, save
from pycodec_compressai.convert import command


@pytest.fixture(scope="module")
def model() -> FactorizedPrior:
    """Small, and with latents large enough for symbols other than 0, some of them escaped."""
    torch.manual_seed(0)
    made = FactorizedPrior(16, 24)
    with torch.no_grad():
        made.g_a[-1].weight *= 40
        made.entropy_bottleneck.quantiles[:, 0, 1] = torch.linspace(-0.4, 0.4, 24)
    made.update(force=True)
    return made.eval()


@pytest.fixture(scope="module")
def file(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save(path, model, quality=3)
    return path


def image(height: int = 64, width: int = 96) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_it_is_a_codec(file):
    check_codec(create, weights_file=str(file))


@torch.no_grad()
def test_symbols_and_pictures_are_those_of_compressai(model, file):
    """Its own coder, on the same image, decodes to the same picture."""
    codec = create(file)
    x = torch.from_numpy(image().copy()).permute(2, 0, 1)[None] / 255
    coded = model.compress(x)
    theirs = model.decompress(**coded)["x_hat"][0].permute(1, 2, 0).mul(255).round().byte().numpy()
    ours = np.asarray(codec.decompress(codec.compress(image())))
    assert np.abs(ours.astype(int) - theirs).max() <= 1  # rounding of a half

    symbols = codec.symbols(image())
    assert len(np.unique(symbols)) > 5
    payload = codec.entropy_model.encode(symbols, 48)
    assert len(payload) == pytest.approx(len(coded["strings"][0][0]), rel=0.02, abs=24)


def test_tables_are_its_frequencies_in_fewer_bits(model):
    tables = bottleneck_tables(model.state_dict())
    bottleneck = model.entropy_bottleneck
    assert tables.precision == 14 and len(tables) == 24
    assert np.array_equal(tables.sizes, bottleneck._cdf_length.numpy() - 1)
    first = np.diff(bottleneck._quantized_cdf[0, : tables.sizes[0] + 1].numpy())
    assert np.abs(tables.freqs[: tables.sizes[0]] - first / 4).max() <= 1


@torch.no_grad()
def test_bits_are_what_the_tables_say(file):
    codec = create(file)
    symbols = codec.symbols(image()).clip(-4, 4)
    values = torch.from_numpy(symbols)[None].float()
    bits = codec.entropy_model.bits(values, values, torch.tensor([3.0])).sum()
    assert codec.entropy_model.code_length_bits(symbols, 48) == pytest.approx(bits.item(), rel=0.02)


def test_a_state_dict_becomes_a_weights_file(model, file, tmp_path):
    torch.save(model.state_dict(), tmp_path / "model.pth")
    options = [
        "--state",
        str(tmp_path / "model.pth"),
        "--quality",
        "3",
        "-o",
        str(tmp_path / "w.safetensors"),
    ]
    done = CliRunner().invoke(command, options)
    assert done.exit_code == 0, done.output
    assert create(tmp_path / "w.safetensors").fingerprint == create(file).fingerprint


def test_what_is_missing_is_said(model, file, tmp_path):
    with pytest.raises(MissingWeights, match="compressai-weights"):
        pycodec.load("compressai_factorized")
    with pytest.raises(InvalidInput, match=r"update\(\)"):
        save(tmp_path / "w.safetensors", FactorizedPrior(8, 8), 1)
    data = create(file).compress(image())
    torch.manual_seed(1)
    other = FactorizedPrior(16, 24)
    other.update()
    save(tmp_path / "other.safetensors", other, quality=3)
    with pytest.raises(WeightsMismatch):
        create(tmp_path / "other.safetensors").decompress(data)


def test_the_transform_takes_the_medians(model):
    transform = CompressAITransform(model)
    x = torch.from_numpy(image().copy()).permute(2, 0, 1)[None].float() - 128
    with torch.no_grad():
        y = model.g_a((x + 128) / 255)
        medians = model.entropy_bottleneck.quantiles[:, :, 1][None, :, :, None]
        assert torch.equal(transform.analysis(x, torch.ones(1)), y - medians)
