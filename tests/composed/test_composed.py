"""The codec composed: parts of anybody's by name, trained by a recipe, frozen, loaded, and told when they do not fit."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import pycodec
from pycodec import loading, runtime, weights
from pycodec.cli import cli
from pycodec.errors import InvalidInput, MissingWeights, PluginError, UnknownComponent, WeightsMismatch
from pycodec.training.export import export
from pycodec.training.recipe import find_recipe, load_recipe, read_recipe
from pycodec.training.task import make_task

CONTEXT = "config = { planes = 48, width = 8 }"
CATEGORICAL = "config = { planes = 48, width = 8, centers = 5 }"
CENTERS = "config = { count = 5 }"


def recipe(
    transform="mixed", quantizer="integer_rounding", entropy_model="ranked", of_quantizer="", of_model=""
):
    return f"""
codec = "composed"
precision = "32-true"
checkpoint_every = 2
validate_every = 2
[config]
qualities = [2, 6]
[config.transform]
name = "{transform}"
[config.quantizer]
name = "{quantizer}"
{of_quantizer}
[config.entropy_model]
name = "{entropy_model}"
{of_model}
[[stage]]
name = "joint"
steps = 3
learning_rate = {{ model = 1e-3 }}
batch = 2
crop = 16
[[stage]]
name = "entropy_model"
steps = 2
learning_rate = {{ model = 1e-3 }}
batch = 2
crop = 16
"""


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    """Somebody's parts beside ours."""
    theirs = EntryPoint("haar", "haar_parts", "pycodec")
    monkeypatch.setattr(
        runtime,
        "_runtime",
        runtime.Runtime(
            [
                theirs,
                *(
                    entry
                    for entry in runtime.entry_points(group="pycodec")
                    if entry.value[:15] == "pycodec_plugins"
                ),
            ]
        ),
    )
    loading._kept.cache_clear()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for i in range(3):
        coarse = np.random.default_rng(i).integers(0, 256, (5, 6, 3), np.uint8)
        Image.fromarray(coarse).resize((37, 30), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def train(tmp_path, photographs):
    """Trains a recipe: the weights file."""

    def train(text, *options):
        (tmp_path / "own.toml").write_text(text)
        out = tmp_path / f"run {len(list(tmp_path.iterdir()))}"
        arguments = ["train", tmp_path / "own.toml", "--data", photographs, "--out", out, "--holdout", 1]
        arguments += ["--threads", 1, *options]
        result = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return out / "own.safetensors"

    return train


@pytest.mark.parametrize(
    "text",
    [
        recipe(),
        recipe(entropy_model="parametric_context3d", of_model=CONTEXT),
        recipe("squares", "learned_centers", "categorical_context3d", CENTERS, CATEGORICAL),
    ],
    ids=["theirs", "their transform", "our centres"],
)
def test_from_recipe_to_picture(train, text, photographs, monkeypatch):
    file = train(text)
    codec = pycodec.load(weights_file=file)
    assert (codec.name, codec.qualities, codec.default_quality) == ("composed", (2, 6), 4)
    data = codec.compress(photographs / "0.png", 3)
    assert np.array_equal(np.asarray(codec.decompress(data)), codec.reconstruct(photographs / "0.png", 3))
    with pytest.raises(MissingWeights, match=r"needs weights .* of codec 'composed'"):
        pycodec.decompress(data)
    monkeypatch.setenv("PYCODEC_WEIGHTS", str(file))
    assert np.array_equal(np.asarray(pycodec.decompress(data)), codec.reconstruct(photographs / "0.png", 3))


def test_what_the_weights_file_says(train):
    tensors, metadata = weights.load(train(recipe("squares")))
    assert metadata["codec"] == "composed"
    assert metadata["config"] == {
        "transform": {"name": "blocks", "config": {"step": 16.0}},  # no alias, and every default
        "quantizer": {"name": "integer_rounding", "config": {}},
        "entropy_model": {"name": "ranked", "config": {}},
        "qualities": [2.0, 6.0],
    }
    assert tensors.keys() == {"entropy_model.log_scale", "frozen.order"}
    assert tensors["entropy_model.log_scale"] != 0


def test_the_centres_reach_the_entropy_model(train):
    codec = pycodec.load(
        weights_file=train(recipe("mixed", "learned_centers", "categorical_context3d", CENTERS, CATEGORICAL))
    )
    centers = codec.quantizer.centers.detach().numpy()
    assert np.array_equal(codec.entropy_model.centers.numpy(), centers)
    symbols = codec.symbols(np.full((20, 20, 3), 90, np.uint8))
    floats = codec.entropy_model.float_code_length_bits(symbols, 64)
    assert codec.entropy_model.code_length_bits(symbols, 64) <= 1.005 * floats + 32


def test_training_moves_what_the_stage_names(train):
    before = train(recipe())
    after = train(recipe(), "--init", before, "--first-stage", "entropy_model", "--steps", 2)
    first, second = (weights.load(path)[0] for path in (before, after))
    assert np.array_equal(first["transform.mix"], second["transform.mix"])
    assert first["entropy_model.log_scale"] != second["entropy_model.log_scale"]
    assert not np.array_equal(first["transform.mix"], np.eye(48)[:, :, None, None])


def test_parts_without_weights_need_no_training(tmp_path, photographs, monkeypatch):
    parts = {
        "transform": {"name": "blocks", "config": {"step": 8.0}},
        "quantizer": {"name": "integer_rounding"},
    }
    codec = pycodec.load("composed", **parts, entropy_model={"name": "deflate"}, qualities=(1, 1))
    data = codec.compress(photographs / "0.png")
    assert np.array_equal(np.asarray(codec.decompress(data)), codec.reconstruct(photographs / "0.png"))
    config = codec.config()
    assert config.pop("name") == "composed"
    assert config["transform"] == parts["transform"]
    # A weights file without tensors makes a codec of the command line of them.
    file = tmp_path / "blocks.safetensors"
    assert weights.save(file, {}, {"codec": "composed", "config": config}) == codec.fingerprint
    monkeypatch.setenv("PYCODEC_WEIGHTS", str(tmp_path))
    assert np.array_equal(np.asarray(pycodec.decompress(data)), codec.reconstruct(photographs / "0.png"))


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({}, MissingWeights, "comes without weights: train"),
        ({"transform": {"name": "blocks"}}, InvalidInput, "needs a quantizer"),
        ({"transform": {"name": "mixed"}}, MissingWeights, "transform 'mixed' has weights"),
        ({"entropy_model": {"name": "ranked"}}, MissingWeights, "entropy_model 'ranked' has weights"),
        ({"transform": {"name": "block"}}, UnknownComponent, "did you mean 'blocks'"),
        ({"transform": {"name": "blocks", "config": {"stop": 1}}}, InvalidInput, "did you mean 'step'"),
        ({"qualities": (5, 2)}, InvalidInput, r"qualities are \(5, 2\)"),
        ({"qualities": 5}, InvalidInput, "qualities are 5"),
    ],
)
def test_sentences_about_parts(options, error, sentence):
    if options and sentence != "needs a quantizer":
        defaults = {"transform": "blocks", "quantizer": "integer_rounding", "entropy_model": "deflate"}
        options = {**{kind: {"name": name} for kind, name in defaults.items()}, **options}
    with pytest.raises(error, match=sentence):
        pycodec.load("composed", **options)


def test_weights_of_other_parts(train, tmp_path):
    tensors, metadata = weights.load(train(recipe()))
    lacking = {name: array for name, array in tensors.items() if name != "frozen.order"}
    weights.save(tmp_path / "a.safetensors", lacking, metadata)
    with pytest.raises(MissingWeights, match="hold no tables of entropy_model 'ranked'"):
        pycodec.load(weights_file=tmp_path / "a.safetensors")
    lacking = {name: array for name, array in tensors.items() if name != "transform.mix"}
    weights.save(tmp_path / "b.safetensors", lacking, metadata)
    with pytest.raises(WeightsMismatch, match="do not fit Mixed: missing mix"):
        pycodec.load(weights_file=tmp_path / "b.safetensors")
    with pytest.raises(InvalidInput, match="name either these or the file"):
        pycodec.load(weights_file=tmp_path / "b.safetensors", transform={"name": "blocks"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            recipe(entropy_model="parametric_context3d", of_model="config = { planes = 47 }"),
            "transform 'mixed', quantizer 'integer_rounding', entropy_model 'parametric_context3d' do not fit",
        ),
        (recipe().replace("[config.quantizer]", "[config.quantiser]"), "no option 'quantiser'"),
        (recipe() + "[task]\nlambdas = [1]", r"lambdas are \[1\], expected two positive numbers"),
        (recipe() + "[task]\nlambda = 1", "does not take .* 'lambda'"),
    ],
)
def test_recipes_that_do_not_fit(text, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        make_task(read_recipe(text))


def test_stages_and_crops_that_do_not_fit(train):
    with pytest.raises(InvalidInput, match="no stage 'last', expected one of joint, entropy_model"):
        train(recipe().replace('"entropy_model"\nsteps', '"last"\nsteps'))
    with pytest.raises(InvalidInput, match="stage 'joint' has nothing to train"):
        train(recipe("blocks", entropy_model="deflate"))
    with pytest.raises(InvalidInput, match="stage 'joint': crop is 18, expected a multiple of 4"):
        train(recipe().replace("crop = 16", "crop = 18"))


def test_the_recipe_that_ships_fits():
    component, task = make_task(load_recipe(find_recipe("composed")))
    assert component.name == "composed"
    assert task.config["transform"]["name"] == "residual_dct"


def test_a_task_that_drops_its_metadata_is_named(train, tmp_path, monkeypatch):
    from pycodec_plugins.composed import task

    run = train(recipe()).parent
    monkeypatch.setattr(
        task.ComposedTask,
        "export",
        lambda self, path, images, metadata: weights.save(path, {}, {"config": {}}),
    )
    with pytest.raises(
        PluginError, match=r"task of codec 'composed' wrote .* without the metadata it was given"
    ):
        export(run, tmp_path / "a.safetensors")


def test_a_checkpoint_of_other_parts(train, tmp_path, monkeypatch):
    import haar_parts

    run = train(recipe()).parent
    before = haar_parts.Mixed.__init__

    def grown(self):
        before(self)
        self.more = torch.nn.Parameter(torch.zeros(1))

    monkeypatch.setattr(haar_parts.Mixed, "__init__", grown)
    with pytest.raises(WeightsMismatch, match="does not fit codec 'composed' as it is installed"):
        export(run, tmp_path / "a.safetensors")
