"""cpm and ctx3d from recipe to file: train a few steps, export, load the weights, compress, decompress."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import pycodec
from pycodec.cli import cli
from pycodec.errors import InvalidInput, WeightsMismatch
from pycodec.runtime import get_runtime
from pycodec.testing.samples import photo
from pycodec.training.recipe import parse_recipe
from pycodec.training.tables import tomllib
from pycodec.training.task import ms_ssim
from pycodec.weights import load as load_weights
from pycodec_plugins.cpm.cpm import CpmTask
from pycodec_plugins.cpm.ctx3d import Ctx3dTask

RECIPES = {
    "ctx3d": """
codec = "ctx3d"
checkpoint_every = 2
validate_every = 2
[config.transform]
luma = 10
chroma = 3
fine = 8
coarse = 16
encoder_depth = 1
decoder_depth = 1
[config.entropy_model]
width = 8
earlier_planes = true
[task]
lambdas = [0.001, 0.1]
[[stage]]
name = "transform"
steps = 2
learning_rate = { model = 1e-3 }
batch = 2
crop = 32
[[stage]]
name = "context"
steps = 2
learning_rate = { model = 1e-3 }
batch = 2
crop = 32
[[stage]]
name = "joint"
steps = 2
learning_rate = { model = 1e-3 }
batch = 2
crop = 32
""",
    "cpm": """
codec = "cpm"
checkpoint_every = 2
validate_every = 2
[config.transform]
channels = 6
width = 8
groups = 1
maps = 3
[config.entropy_model]
width = 8
[task]
distortion = "mse"
[[stage]]
name = "concurrent"
steps = 3
learning_rate = { autoencoder = 1e-3, context = 1e-3 }
batch = 2
crop = 32
""",
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Six smooth colour images with some texture."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(5)
    for i in range(6):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(
            (96, 80), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse).astype(int) + rng.integers(-8, 9, (80, 96, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


def invoke(*arguments):
    result = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module", params=["ctx3d", "cpm"])
def trained(request, photographs, tmp_path_factory):
    """Codec name and the weights file of a very short run."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "recipe.toml").write_text(RECIPES[request.param])
    run = folder / "run"
    invoke(
        "train", folder / "recipe.toml", "--data", photographs, "--out", run, "--holdout", 1, "--threads", 1
    )
    return request.param, run / "recipe.safetensors"


def test_files_decode_to_the_encoders_own_reconstruction(trained, photographs):
    name, weights = trained
    codec = pycodec.load(name, weights_file=weights)
    picture = Image.open(photographs / "2.png").crop((0, 0, 45, 51))
    low, high = codec.qualities
    sizes = []
    for quality in (low, high):
        data = codec.compress(picture, quality)
        assert np.array_equal(np.asarray(codec.decompress(data)), codec.reconstruct(picture, quality))
        assert data == codec.compress(picture, quality)
        sizes.append(len(data))
    if name == "ctx3d":
        assert sizes[0] < sizes[1]
        assert [codec.latent_model(q).lam for q in (low, high)] == pytest.approx([0.001, 0.1])


def test_integer_rate_is_near_the_float_rate(trained, photographs):
    name, weights = trained
    codec = pycodec.load(name, weights_file=weights)
    low, high = codec.qualities
    for quality in (low, high):
        symbols = codec.symbols(photographs / "3.png", quality)
        step = codec.quality_step(quality)
        floats = codec.entropy_model.float_code_length_bits(symbols, step)
        assert codec.entropy_model.code_length_bits(symbols, step) <= 1.005 * floats + 32


@pytest.mark.parametrize("side", [96, 176])
def test_validation_reports_rate_and_quality(trained, side):
    """MS-SSIM needs 176 pixels; smaller images go without."""
    name, _ = trained
    recipe = parse_recipe(tomllib.loads(RECIPES[name]))
    task = get_runtime().find("codec", name).load_factory().training_task(recipe.config, recipe.task)
    image = np.random.default_rng(0).integers(0, 256, (side, side + 9, 3), np.uint8)
    figures = task.eval().validation_step(image, recipe.stages[-1].name)
    kinds = {key.rpartition("_")[0] for key in figures}
    assert kinds == ({"bpp", "psnr", "ms_ssim"} if side >= 176 else {"bpp", "psnr"})
    assert all(np.isfinite(value) and value > 0 for value in figures.values())


def test_weights_of_another_run_are_refused(trained, photographs, tmp_path):
    name, weights = trained
    (tmp_path / "recipe.toml").write_text(RECIPES[name].replace("codec =", "seed = 7\ncodec ="))
    invoke(
        "train", tmp_path / "recipe.toml", "--data", photographs, "--out", tmp_path / "run", "--threads", 1
    )
    data = pycodec.load(name, weights_file=weights).compress(photographs / "1.png")
    with pytest.raises(WeightsMismatch, match="weights"):
        pycodec.load(name, weights_file=tmp_path / "run" / "recipe.safetensors").decompress(data)


def test_a_run_starts_from_weights(trained, photographs, tmp_path):
    name, weights = trained
    (tmp_path / "recipe.toml").write_text(RECIPES[name].replace("1e-3", "0.0"))
    last = {"ctx3d": "joint", "cpm": "concurrent"}[name]
    invoke(
        "train", tmp_path / "recipe.toml", "--data", photographs, "--out", tmp_path / "run", "--threads", 1,
        "--init", weights, "--first-stage", last, "--steps", 1,
    )  # fmt: skip
    before, after = (load_weights(w)[0] for w in (weights, tmp_path / "run" / "recipe.safetensors"))
    floats = [key for key in before if key.startswith(("transform.", "network.")) and "running" not in key]
    assert len(floats) > 8
    for key in floats:
        if key.endswith(("weight", "bias", "table")):
            assert np.array_equal(before[key], after[key]), key
    if name == "ctx3d":  # whose transform is stored in integers
        codecs = [
            pycodec.load(name, weights_file=w) for w in (weights, tmp_path / "run" / "recipe.safetensors")
        ]
        old, new = (codec.symbols(photographs / "4.png", 8.0) for codec in codecs)
        assert np.mean(old != new) < 0.02 < np.mean(old != 0)
    # Resumed without --init, the run still knows where its weights come from.
    invoke(
        "train", tmp_path / "recipe.toml", "--data", photographs, "--out", tmp_path / "run", "--threads", 1,
        "--first-stage", last, "--steps", 2, "--resume",
    )  # fmt: skip
    card = load_weights(tmp_path / "run" / "recipe.safetensors")[1]["model_card"]
    assert [run["steps"] for run in card["runs"]] == [{"ctx3d": 6, "cpm": 3}[name], 2]


def test_earlier_planes_start_as_nothing(tmp_path):
    """A run may begin with weights from before: their rates are those that it begins with."""
    torch.manual_seed(2)
    transform = {"luma": 6, "chroma": 3, "fine": 8, "coarse": 8, "encoder_depth": 1, "decoder_depth": 1}
    before, again, after = (
        Ctx3dTask({"transform": transform, "entropy_model": {"width": 8, "earlier_planes": sees}})
        for sees in (False, False, True)
    )
    torch.nn.init.normal_(before.entropy_model.network.layers[3].weight)
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    before.export(tmp_path / "w.safetensors", [image], {})
    y, quality = torch.randn(1, 12, 5, 6).mul(3).round(), torch.tensor([2.5])
    bits = []
    for task in (again, after):
        task.initialize(tmp_path / "w.safetensors")
        bits.append(task.entropy_model.bits(y, y, quality))
    torch.testing.assert_close(bits[1], bits[0])


def test_a_batch_of_cpm_has_images_of_all_maps():
    """So that the batch norms of the decoder, which sees what each map leaves, learn statistics of all."""
    config = {"transform": {"channels": 6, "width": 8, "groups": 1, "maps": 3}, "entropy_model": {"width": 8}}
    task = CpmTask(config, distortion="mse", target_bpp=90.0, beta=2.0)
    drawn = []
    analysis = task.transform.masked_analysis
    task.transform.masked_analysis = lambda x, quality: drawn.append(quality) or analysis(x, quality)
    torch.manual_seed(0)
    losses = task.training_step(torch.rand(32, 3, 16, 16) * 255 - 128, "concurrent")
    assert set(drawn[0].tolist()) == {1.0, 2.0, 3.0}
    # No file is as large as the targets, in bits per symbol here: rate clipping leaves them as the cost of rate.
    targets = 90 * drawn[0] / 3 * 256 / (6 * 2 * 2)
    rest = losses.by_optimizer["autoencoder"].item() - losses.scalars["distortion"]
    assert rest == pytest.approx(2 * targets.mean().item(), rel=0.01)


def test_training_for_ms_ssim(tmp_path):
    config = {"transform": {"fine": 8, "coarse": 8}, "entropy_model": {"width": 8}}
    task = Ctx3dTask(config, lambdas=(4.0, 64.0), distortion="ms_ssim")
    pixels = torch.from_numpy(np.stack([photo(176, 176, seed=i) for i in range(2)]))
    images = pixels.permute(0, 3, 1, 2).float() - 128
    torch.manual_seed(7)
    found = task.training_step(images, "joint").by_optimizer["model"]

    torch.manual_seed(7)
    quality = 1 + 7 * torch.rand(2)
    quality = torch.where(torch.rand(2) < 0.5, quality.round(), quality)
    rounded, noisy = task.quantizer.surrogate(task.transform.analysis(images, quality))
    bpp = task.entropy_model.bits(noisy, rounded, quality).sum((1, 2, 3)) / 176**2
    x_hat = task.transform.synthesis(rounded, quality)
    d = torch.stack([1 - ms_ssim(a[None], b[None]) for a, b in zip(x_hat, images, strict=True)])
    weight = 4 * 16 ** ((quality - 1) / 7)
    assert found.item() == pytest.approx(((bpp + weight * d) * (weight / 16) ** -0.5).mean().item(), rel=1e-4)

    task.export(tmp_path / "w.safetensors", [photo(64, 64)], {"codec": "ctx3d-msssim"})
    codec = pycodec.load(weights_file=tmp_path / "w.safetensors")
    assert codec.name == "ctx3d-msssim"
    assert codec.latent_model(3).lam is None  # of the squared error
    with pytest.raises(InvalidInput, match="distortion is 'psnr'"):
        Ctx3dTask(config, distortion="psnr")


def test_mistakes_are_one_sentence(photographs, tmp_path):
    result = CliRunner().invoke(cli, ["train", "nonsense", "--data", str(photographs)])
    assert "recipes that plugins bring: composed, cpm, cpm_ablation, cpm_light, ctx3d" in str(
        result.exception
    )
    (tmp_path / "r.toml").write_text(RECIPES["cpm"].replace('codec = "cpm"', 'codec = "cpn"'))
    result = CliRunner().invoke(cli, ["train", str(tmp_path / "r.toml"), "--data", str(photographs)])
    assert "cpn" in str(result.exception) and "cpm" in str(result.exception)
    (tmp_path / "r.toml").write_text(RECIPES["cpm"])
    result = CliRunner().invoke(
        cli, ["train", str(tmp_path / "r.toml"), "--data", str(photographs), "--holdout", "6"]
    )
    assert "expected 0 to 5" in str(result.exception)


@pytest.mark.parametrize("trained", ["cpm"], indirect=True)
def test_ablation_repeats_table_1(trained, photographs, tmp_path):
    weights, out = trained[1], tmp_path / "table1.json"
    invoke("ablation", "--data", photographs, "--train", photographs, "--weights", weights, "--out", out)
    bpp = json.loads(out.read_text())["bpp"]
    assert list(bpp) == ["uniform", "zeroth order", "first order", "3D model"]
    assert bpp["uniform"] == pytest.approx(6 * 10 * 12 * np.log2(6) / (80 * 96))
    assert bpp["first order"] < bpp["zeroth order"] < bpp["uniform"]
