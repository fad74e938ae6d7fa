"""The codec: files that come back, close to their ideal length, and are refused when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pycodec
from pycodec import weights
from pycodec.errors import CorruptStream, InvalidInput, MissingWeights
from pycodec.testing.samples import photo
from pycodec_plugins.hyperprior.codec import build_parts
from pycodec_plugins.hyperprior.entropy import ScaleHyperprior
from pycodec_plugins.hyperprior.gaussian import SCALE_MAX, SCALE_MIN, fitted_tables, log_scales
from pycodec_plugins.hyperprior.latent import fold, split
from pycodec_plugins.hyperprior.task import HyperpriorTask

HYPER = {"hyper": {"hyper_channels": 4, "width": 8}, "quantizer": {"width": 8}, "entropy_model": {"width": 8}}
DCT = {
    "luma": 12,
    "chroma": 4,
    "fine": 8,
    "coarse": 16,
    "encoder_depth": 1,
    "decoder_depth": 1,
    "fine_depth": 1,
}
CONFIGS = {
    "light": {**HYPER, "transform": {"name": "residual_dct", "config": DCT}},
    "hific": {
        "transform": {
            "name": "hific_autoencoder",
            "config": {"channels": 6, "widths": [4, 4, 6, 6, 8], "depth": 1},
        },
        "hyper": {"hyper_channels": 4, "width": 8},
        "quantizer": {"width": 8, "deconvolution": True},
        "entropy_model": {"width": 8, "deconvolution": True, "logarithmic": False},
        "qualities": 1,
    },
}


@pytest.fixture(scope="module", params=CONFIGS)
def codec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pycodec.Codec:
    """With random networks, as training starts."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    task = HyperpriorTask(CONFIGS[request.param])
    task.export(path, [photo(128, 192, seed=s) for s in range(2)], {"codec": "hyperprior"})
    return pycodec.load(weights_file=path)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (70, 131)])
def test_a_file_decodes_to_its_reconstruction(codec: pycodec.Codec, size: tuple[int, int]) -> None:
    image = photo(*size)
    for quality in {*codec.qualities, codec.default_quality}:
        data = codec.compress(image, quality)
        found = np.asarray(codec.decompress(data))
        assert found.shape == image.shape
        assert np.array_equal(found, codec.reconstruct(image, quality))


def test_a_weights_file_has_every_network_once(codec: pycodec.Codec) -> None:
    """In integers, or else in floats. What is float to train on and what codes files agree."""
    path, _ = codec._source
    names = weights.load(path)[0].keys()
    assert not any(name.startswith(("quantizer.mean.", "entropy_model.scale.")) for name in names)
    assert any(name.startswith("quantized.") for name in names) != any(
        name.startswith("transform.transform.") for name in names
    )
    _, z = split(codec.symbols(photo(128, 192)), 4)
    z_hat, model = torch.from_numpy(z).float(), codec.latent_model()
    with torch.no_grad():
        mean = model.quantizer.mean(z_hat[None])[0]
    error = codec.quantizer.hyper_mean(z_hat) - mean
    assert error.abs().max() < 2 / 256  # they are whole numbers of 1 / 256


def test_files_are_nearly_as_short_as_their_code_length(codec: pycodec.Codec) -> None:
    image = photo(256, 320)
    symbols, step = codec.symbols(image), codec.quality_step()
    ideal = codec.entropy_model.code_length_bits(symbols, step)
    assert ideal <= 8 * len(codec.entropy_model.encode(symbols, step)) <= 1.005 * ideal + 300


def test_bits_are_told_where_they_are(codec: pycodec.Codec) -> None:
    model, step = codec.entropy_model, codec.quality_step()
    symbols = codec.symbols(photo(128, 192))
    before = model.code_lengths(symbols, step)
    surprising = symbols.copy()
    surprising[5, 1, 2] += 3000  # of y: nothing depends on it
    changed = model.code_lengths(surprising, step) != before
    assert changed[5, 1, 2] and changed.sum() == 1
    assert before.sum() == model.code_length_bits(symbols, step)


def test_each_symbol_has_the_scale_nearest_to_the_networks(codec: pycodec.Codec) -> None:
    model = codec.entropy_model
    y, z = split(codec.symbols(photo(128, 192)), 4)
    values = model.integer.reference(z) / 256
    logarithms = values if model.logarithmic else np.log(np.maximum(values, 1e-9))
    nearest = np.abs(logarithms[..., None] - log_scales()).argmin(-1)
    apart = np.abs(model.scale_indexes(y, z) - nearest)
    assert apart.max() <= 1 and apart.mean() < 0.1  # thresholds are rounded to 1 / 256


def test_damaged_payloads_are_refused(codec: pycodec.Codec) -> None:
    symbols, step = codec.symbols(photo(64, 64)), codec.quality_step()
    data = codec.entropy_model.encode(symbols, step)
    with pytest.raises(CorruptStream):
        codec.entropy_model.decode(data[:-1], symbols.shape, step)
    with pytest.raises(CorruptStream, match="expected"):
        codec.entropy_model.decode(data, (len(symbols), 2, 1), step)
    for position in range(0, len(data), 7):
        broken = bytearray(data)
        broken[position] ^= 0x10
        with pytest.raises(CorruptStream):
            codec.entropy_model.decode(bytes(broken), symbols.shape, step)


def test_a_symbol_of_zero_is_the_mean() -> None:
    torch.manual_seed(1)
    quantizer = build_parts(CONFIGS["light"]).quantizer
    z = torch.randint(-3, 4, (4, 2, 3)).float()
    symbols = torch.cat([torch.zeros(20 * 16, 2, 3), z]).int().numpy()
    with torch.no_grad():
        mean = quantizer.mean(z[None])
    y, again = split(quantizer.dequantize(symbols), 4)
    assert torch.allclose(y, mean, atol=1e-6) and torch.equal(again[0], z)
    shifted = torch.cat([fold(mean[0] + 2.4), z])[None]  # 2.4 above the mean rounds to 2
    assert (quantizer.quantize(shifted)[: 20 * 16] == 2).all()


def test_tables_learn_the_symbols_they_code() -> None:
    rng = np.random.default_rng(0)
    symbols = rng.choice([-1, 0, 0, 0, 5], 20000).astype(np.int32)
    indexes = np.full(symbols.shape, 20)
    fitted = fitted_tables([(symbols, indexes)])
    plain = fitted_tables([])
    length = pycodec.coding.code_length_bits
    assert length(symbols, fitted, indexes) < 0.8 * length(symbols, plain, indexes)
    other = rng.integers(-2, 3, 100)
    assert length(other, fitted, np.full(100, 30)) == length(other, plain, np.full(100, 30))


def test_a_bound_of_the_scale_holds_in_training_and_in_files() -> None:
    torch.manual_seed(0)
    model, bounded = (ScaleHyperprior(2, 2, width=4, **option) for option in ({}, {"scale_min": 0.5}))
    bounded.load_state_dict(model.state_dict())
    z = torch.zeros(1, 2, 3, 3)
    for parameter in (model.scale[-1], bounded.scale[-1]):
        parameter.bias.data.fill_(-1.5)  # scales of about 0.2
    assert model.scales(model.scale(z)).max() < 0.3
    assert torch.all(bounded.scales(bounded.scale(z)) == 0.5)
    symbols = np.zeros((34, 3, 3), np.int32)
    for each in (model, bounded):
        each.freeze([(symbols, 1.0)], lambda symbols: torch.from_numpy(symbols)[None])
    y, z = split(symbols, 2)
    found, expected = bounded.scale_indexes(y, z), model.scale_indexes(y, z)
    assert (found > expected).all()
    assert np.exp(log_scales()[found]).min() == pytest.approx(0.5, rel=0.07)
    assert ScaleHyperprior(**bounded.config()).scale_min == 0.5
    for wrong in (0, 256):
        with pytest.raises(InvalidInput, match=f"scale_min is {wrong}, expected a positive number below 256"):
            ScaleHyperprior(2, 2, scale_min=wrong)


@pytest.mark.parametrize("options", [{}, {"scale_min": 0.5}, {"logarithmic": False}, {"scale_min": 0.01}])
def test_a_scale_has_the_table_of_the_nearest(options):
    model = ScaleHyperprior(2, 2, width=4, **options)
    ends = [-(2**31), 2**31 - 1]
    values = np.array([*ends, *range(-3000, 20000, 7), *range(20000, 40000, 501)], np.int32)[:, None]
    found = model.table_indexes(torch.from_numpy(values).expand(-1, 2))
    # Neighbours part where the logarithm of a scale is the mean of theirs, to the unit of the network.
    scales = np.log(SCALE_MIN) + np.arange(64) * np.log(SCALE_MAX / SCALE_MIN) / 63
    between = (scales[1:] + scales[:-1]) / 2
    units = np.rint(256 * (np.exp(between) if options.get("logarithmic") is False else between))
    least = (between <= np.log(options.get("scale_min", SCALE_MIN))).sum()
    expected = np.maximum((values >= units).sum(1), least)
    assert np.array_equal(found, np.repeat(expected, 2))
    assert found[0] == least and found[2] == 63


def test_without_integers_nothing_is_coded() -> None:
    model = ScaleHyperprior(2, 2, width=4)
    with pytest.raises(MissingWeights):
        model.encode(np.zeros((34, 1, 1), np.int32), 16)
    with pytest.raises(MissingWeights):
        model.scale_indexes(np.zeros((2, 4, 4), np.int32), np.zeros((2, 1, 1), np.int32))


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = HyperpriorTask(CONFIGS["light"])
    images = (
        torch.from_numpy(np.stack([photo(128, 128, s) for s in range(2)])).permute(0, 3, 1, 2).float() - 128
    )
    optimizer = torch.optim.Adam(
        [p for g in task.parameter_groups("joint")["model"] for p in g["params"]], 2e-3
    )
    losses = []
    for step in range(60):
        torch.manual_seed(step % 5)
        loss = task.training_step(images, "joint").by_optimizer["model"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


@pytest.mark.parametrize("name", CONFIGS)
def test_training_goes_on_from_a_weights_file(name: str, tmp_path: Path) -> None:
    torch.manual_seed(2)
    task, again = HyperpriorTask(CONFIGS[name]), HyperpriorTask(CONFIGS[name])
    for parameter in task.parts.transform.parameters():  # also those that training starts from zero
        parameter.data += 0.01 * torch.randn_like(parameter)
    image = photo(128, 128)
    task.export(tmp_path / "first.safetensors", [image], {"codec": "hyperprior"})
    again.initialize(tmp_path / "first.safetensors")
    found, expected = (t.eval().validation_step(image, "joint") for t in (again, task))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=0.02), key
