"""Res-hyper and Res-context: files that come back, close to their ideal length, and are refused when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pycodec
from pycodec import cli, weights
from pycodec.errors import CorruptStream, InvalidInput, MissingWeights, WeightsMismatch
from pycodec.optimization.channels import rounding, transmit
from pycodec.optimization.target import ImageTarget
from pycodec.testing import check_codec
from pycodec.testing.samples import photo
from pycodec.types import Prior
from pycodec_plugins.hyperprior import HyperpriorTask, gaussian, split
from pycodec_plugins.rdgap import sizes
from pycodec_plugins.rdgap.estimators import AnnealedRD, GaussianUpperBound
from pycodec_plugins.rdgap.quadtree import PASSES, passes
from pycodec_plugins.rdgap.task import ResTask

SMALL = {"depth": 1, "width": 16}
CONTEXT = {"context": {"width": 8, "depth": 1}}
CONFIGS = {"res_hyper": SMALL, "res_context": {**SMALL, **CONTEXT}}
HYPER = {"hyper_channels": 4, "width": 8}


@pytest.fixture(autouse=True, scope="module")
def small_parts(monkeymodule: pytest.MonkeyPatch) -> None:
    monkeymodule.setattr(sizes, "LUMA", 13)
    monkeymodule.setattr(sizes, "CHROMA", 4)
    monkeymodule.setattr(sizes, "HYPER", HYPER)


@pytest.fixture(scope="module")
def monkeymodule() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def task_of(name: str) -> ResTask:
    """With random networks, the last layers of the context too."""
    torch.manual_seed(0)
    task = ResTask(CONFIGS[name], {"lambda": 0.0162})
    if "context" in CONFIGS[name]:
        for part in (task.parts.quantizer, task.parts.entropy_model):
            torch.nn.init.normal_(part.context.head.weight, std=0.1)
    return task


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, small_parts: None) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    for name in CONFIGS:
        task_of(name).export(folder / f"{name}.safetensors", [photo(128, 192)], {"codec": name})
    return {name: folder / f"{name}.safetensors" for name in CONFIGS}


@pytest.fixture(params=CONFIGS)
def codec(request: pytest.FixtureRequest, files: dict[str, Path]) -> pycodec.Codec:
    return pycodec.load(weights_file=files[request.param])


@pytest.fixture
def context_codec(files: dict[str, Path]) -> pycodec.Codec:
    return pycodec.load(weights_file=files["res_context"])


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (70, 131)])
def test_a_file_decodes_to_its_reconstruction(codec: pycodec.Codec, size: tuple[int, int]) -> None:
    image = photo(*size)
    found = np.asarray(codec.decompress(codec.compress(image)))
    assert found.shape == image.shape
    assert np.array_equal(found, codec.reconstruct(image))


def test_files_from_the_command_line(files: dict[str, Path], tmp_path: Path) -> None:
    image = photo(64, 80)
    Image.fromarray(image).save(tmp_path / "x.png")
    given = ["--weights", str(files["res_context"])]
    assert cli.main(["compress", str(tmp_path / "x.png"), "-o", str(tmp_path / "x.pci"), *given]) == 0
    assert cli.main(["decompress", str(tmp_path / "x.pci"), "-o", str(tmp_path / "y.png"), *given]) == 0
    codec = pycodec.load(weights_file=files["res_context"])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "y.png")), codec.reconstruct(image))


def test_files_are_nearly_as_short_as_their_code_length(codec: pycodec.Codec) -> None:
    symbols, step = codec.symbols(photo(256, 320)), codec.quality_step()
    ideal = codec.entropy_model.code_length_bits(symbols, step)
    bits = 8 * len(codec.entropy_model.encode(symbols, step))
    assert 0.995 * ideal <= bits <= 1.005 * ideal + 300


def test_scales_are_close_to_those_of_the_float_network(codec: pycodec.Codec) -> None:
    y, z = split(codec.symbols(photo(128, 192)), HYPER["hyper_channels"])
    floats = task_of(codec.name).parts.entropy_model.half().float()
    with torch.no_grad():
        raw = floats.raw_scales(*(torch.from_numpy(part).float()[None] for part in (y, z)))[0].numpy()
    scales = np.linspace(np.log(0.11), np.log(256), 64)
    apart = np.abs(codec.entropy_model.scale_indexes(y, z) - np.abs(raw[..., None] - scales).argmin(-1))
    assert apart.max() <= 2 and apart.mean() < 0.25


def test_damaged_payloads_are_refused(codec: pycodec.Codec) -> None:
    symbols, step = codec.symbols(photo(64, 64)), codec.quality_step()
    data = codec.entropy_model.encode(symbols, step)
    with pytest.raises(CorruptStream, match="expected"):
        codec.entropy_model.decode(data, (len(symbols), 2, 1), step)
    for position in range(0, len(data), 11):
        broken = bytearray(data)
        broken[position] ^= 0x10
        with pytest.raises(CorruptStream):
            codec.entropy_model.decode(bytes(broken), symbols.shape, step)
        with pytest.raises(CorruptStream):
            codec.entropy_model.decode(data[:position], symbols.shape, step)


def test_rounded_latents_of_the_model_are_the_symbols_and_cost_what_these_do(codec: pycodec.Codec) -> None:
    model, image = codec.latent_model(), Image.fromarray(photo(70, 131))
    assert model.lam == pytest.approx(0.0162)
    target = ImageTarget(image, model.stride)
    latents = model.encode(target.x)
    assert len(latents) == (1 + PASSES if codec.name == "res_context" else 2)
    x_hat, bits = transmit(model, latents, rounding)
    symbols = codec.latent_symbols([mean for mean, _ in latents])
    assert np.mean(symbols != codec.symbols(image)) < 0.02
    packed = torch.from_numpy(symbols)[None].float()
    expected = model.entropy_model.bits(packed, packed, model.quality).sum()
    assert bits.item() == pytest.approx(expected.item(), rel=0.02)
    error = np.square(codec.reconstruct(image) - photo(70, 131).astype(float)).mean()
    assert target.measured_mse(x_hat).item() == pytest.approx(error, rel=0.05)


def test_a_pass_of_the_model_is_decoded_from_those_before(context_codec: pycodec.Codec) -> None:
    """Noise in the last pass changes no prior, that in the first one all that follow."""
    model = context_codec.latent_model()
    latents = model.encode(torch.from_numpy(photo(64, 64)).permute(2, 0, 1)[None].float() - 128)

    def priors(noisy: int) -> list[torch.Tensor]:
        found, waiting = [], iter(enumerate(latents))

        def receive(prior: Prior) -> torch.Tensor:
            number, (mean, _) = next(waiting)
            found.append(torch.cat([prior.mean, prior.scale]) if number else prior.mean)
            return mean + 3 * (number == noisy)

        model.decode(receive)
        return found

    plain = priors(-1)
    for noisy in range(1, 1 + PASSES):
        changed = [not torch.equal(a, b) for a, b in zip(plain, priors(noisy), strict=True)]
        assert changed == [number > noisy for number in range(1 + PASSES)]


def test_annealing_and_the_bound_lower_their_loss(codec: pycodec.Codec) -> None:
    image = Image.fromarray(photo(64, 64))
    for estimator in (AnnealedRD, GaussianUpperBound):
        few, many = (estimator(steps=steps).estimate(codec, [image]) for steps in (0, 30))
        few, many = (found["rate_bpp"] + 0.0162 * found["distortion_mse"] for found in (few, many))
        assert many < few


def test_an_order_that_means_and_scales_do_not_share_has_no_model(small_parts: None, tmp_path: Path) -> None:
    config = sizes.config_of(CONFIGS["res_context"], 0.0162)
    del config["entropy_model"]
    torch.manual_seed(0)
    HyperpriorTask(config).export(tmp_path / "w.safetensors", [photo(128, 128)], {"codec": "hyperprior"})
    with pytest.raises(InvalidInput, match="means follow in 4 passes, scales in 1"):
        pycodec.load(weights_file=tmp_path / "w.safetensors").latent_model()


def test_threads_do_not_matter(context_codec: pycodec.Codec) -> None:
    image, before, found = photo(100, 190), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            data = context_codec.compress(image)
            found.append((data, np.asarray(context_codec.decompress(data)).tobytes()))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_scales_and_means_follow_from_earlier_passes_alone(context_codec: pycodec.Codec) -> None:
    symbols = context_codec.symbols(photo(128, 128))
    y, z = split(symbols, HYPER["hyper_channels"])
    order = passes(*y.shape).numpy()
    model, quantizer = context_codec.entropy_model, context_codec.quantizer
    tensors = torch.from_numpy(y).float(), torch.from_numpy(z).float()

    def means(y: torch.Tensor) -> torch.Tensor:
        return quantizer.centred(tensors[1], lambda mean: y)[1]

    scale_indexes, mean = model.scale_indexes(y, z), means(tensors[0])
    for number in range(PASSES):
        later = order >= number
        changed = np.where(later, y + 9, y)
        found = model.scale_indexes(changed, z), means(torch.from_numpy(changed).float())
        now = order == number
        assert np.array_equal(found[0][now], scale_indexes[now])
        assert torch.equal(found[1][torch.from_numpy(now)], mean[torch.from_numpy(now)])
        if number < PASSES - 1:  # and the later ones do follow from it
            assert (found[0] != scale_indexes).any() and not torch.equal(found[1], mean)


def test_the_float_model_sees_no_future() -> None:
    model = task_of("res_context").parts.entropy_model
    generator = torch.Generator().manual_seed(0)
    symbols = torch.randint(-3, 4, (1, model.channels, 2, 2), generator=generator).float()
    y, z = split(symbols, HYPER["hyper_channels"])
    order = passes(*y.shape[1:])
    with torch.no_grad():
        before = model.raw_scales(y, z)
        after = model.raw_scales(torch.where(order >= 2, y + 7, y), z)
    assert torch.equal(after[:, order <= 2], before[:, order <= 2])
    assert not torch.equal(after, before)


def test_what_is_trained_is_what_is_coded() -> None:
    """The means and differences of training are those of files, up to the integers."""
    task = task_of("res_context")
    transform, quantizer, _ = task.parts
    x = torch.from_numpy(photo(128, 128)).permute(2, 0, 1)[None].float() - 128
    with torch.no_grad():
        latent = transform.analysis(x, torch.ones(1))
        quantizer.mean[-1].bias += 3  # far from the corrections
        differences, _ = quantizer.differences(latent)
        symbols = quantizer.quantize(latent)
        assert np.array_equal(differences[0].round().int().numpy(), symbols)
        y, z = split(torch.from_numpy(symbols).float(), HYPER["hyper_channels"])
        floats = quantizer.centred(z, lambda mean: y)[1]
        corrections = floats - quantizer.hyper_mean(z)
        quantizer.freeze([latent])
        error = quantizer.centred(z, lambda mean: y)[1] - floats
    assert corrections.abs().mean() > 0.01
    assert error.abs().mean() < 0.1 * corrections.abs().mean()


def test_res_context_starts_as_a_res_hyper(files: dict[str, Path]) -> None:
    torch.manual_seed(3)
    hyper, context = (ResTask(config, {}) for config in CONFIGS.values())
    context.initialize(files["res_hyper"])
    hyper.initialize(files["res_hyper"])
    found, expected = (t.eval().validation_step(photo(128, 128), "joint") for t in (context, hyper))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"depth": 2, "width": 16},
            r"fine_depth = 1, encoder_depth = 1, decoder_depth = 1, this one has fine",
        ),
        (
            {"depth": 1, "width": 24},
            r"fine = 8, coarse = 16, this one has fine = 12, coarse = 24; take weights",
        ),
        ({**SMALL, "context": {"width": 8, "depth": 2}}, r"missing .*context\.blocks\.1"),
    ],
)
def test_weights_of_another_size_are_refused(config: dict, sentence: str, files: dict[str, Path]) -> None:
    with pytest.raises(WeightsMismatch, match=sentence):
        ResTask(config, {}).initialize(files["res_context" if "context" in config else "res_hyper"])


def test_deeper_weights_are_not_cut_short(tmp_path: Path) -> None:
    deep = ResTask({"depth": 2, "width": 16}, {})
    deep.export(tmp_path / "deep.safetensors", [photo(64, 64)], {"codec": "res_hyper"})
    with pytest.raises(WeightsMismatch, match="encoder_depth = 2"):
        ResTask(SMALL, {}).initialize(tmp_path / "deep.safetensors")


def test_photographs_smaller_than_a_stride_are_no_obstacle(tmp_path: Path) -> None:
    task = task_of("res_hyper").eval()
    images = [photo(128, 128), photo(40, 200)]
    assert all(np.isfinite(list(task.validation_step(image, "joint").values())).all() for image in images)
    task.export(tmp_path / "w.safetensors", images, {"codec": "res_hyper"})
    pycodec.load(weights_file=tmp_path / "w.safetensors").compress(images[1])


@pytest.mark.parametrize("name", CONFIGS)
def test_training_lowers_the_loss_and_goes_on_from_a_file(name: str, tmp_path: Path) -> None:
    task = task_of(name)
    images = torch.from_numpy(np.stack([photo(64, 128, s) for s in range(2)])).permute(0, 3, 1, 2) - 128.0
    optimizer = torch.optim.Adam(task.parameters(), 2e-3)
    losses = []
    for step in range(20):
        torch.manual_seed(step % 5)
        loss = task.training_step(images, "joint").by_optimizer["model"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert all(p.grad is not None and p.grad.any() for n, p in task.named_parameters() if "context" in n)
    task.eval().export(tmp_path / "w.safetensors", [photo(128, 128)], {"codec": name})
    again = ResTask(CONFIGS[name], {"lambda": 0.0162})
    again.initialize(tmp_path / "w.safetensors")
    found, expected = (t.eval().validation_step(photo(128, 128), "joint") for t in (again, task))
    assert found == pytest.approx(expected, rel=0.03)


def test_the_codec_conforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codecs without weights of their own are left out where the kit checks what is installed.

    The kit compares the Gaussians of the latent model with the tables of files. Those fit far better than an
    untrained network; so tables stay Gaussian here, and wide enough for all symbols.
    """
    monkeypatch.setattr(gaussian, "PRIOR_SYMBOLS", 1 << 40)
    task = task_of("res_context")
    task.parts.entropy_model.scale[-1].bias.data.fill_(3.0)
    task.export(tmp_path / "w.safetensors", [photo(128, 192)], {"codec": "res_context"})
    check_codec("res_context", weights_file=str(tmp_path / "w.safetensors"))


def test_the_lambda_weighs_the_distortion() -> None:
    for lam in (0.0018, 0.0483):
        task = ResTask(SMALL, {"lambda": lam})
        images = torch.zeros(1, 3, 64, 64)
        assert task.lambda_of(torch.ones(1)).item() == pytest.approx(lam)
        step = task.parts.transform.transform.log_step(torch.ones(1)).exp()
        assert step.square().mean().item() / 12 == pytest.approx(1 / (2 * np.log(2) * lam))
        assert torch.isfinite(task.training_step(images, "joint").by_optimizer["model"])


@pytest.mark.parametrize(
    ("config", "options", "sentence"),
    [
        ({}, {}, "config has none of them, expected a size of 1 to 8"),
        ({"size": 9}, {}, "size = 9, expected a size of 1 to 8"),
        ({"size": 1, "depth": 2}, {}, "depth = 2, size = 1"),
        ({"depth": 1, "width": 12}, {}, "width 12, expected at least 1, and a multiple of 8"),
        ({"size": 1, "sise": 1}, {}, "no option 'sise'"),
        ({"size": 1}, {"lambda": -1}, "expected lambda alone, above 0 and below 100"),
        ({"size": 1}, {"lambda": 200}, "above 0 and below 100"),
        ({"size": 1}, {"lambda": True}, "above 0 and below 100"),
        ({**SMALL, "posterior": 0}, {}, r"config\.posterior is 0, expected a whole number"),
        ({**SMALL, "context": {"width": 8, "depth": -1}}, {}, r"config\.context\.depth is -1"),
        ({"size": 1}, {"lambdas": [1, 2]}, "expected lambda alone"),
    ],
)
def test_what_no_codec_can_be_is_refused(config: dict, options: dict, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        ResTask(config, options)


def test_weights_of_another_codec_and_none_at_all(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="no weights at"):
        pycodec.load("res_hyper", weights_file=tmp_path / "absent.safetensors")
    model = ResTask(CONFIGS["res_context"], {}).parts.entropy_model
    with pytest.raises(MissingWeights):
        model.encode(np.zeros((model.channels, 1, 1), np.int32), 16)
    tensors, metadata = weights.load(files["res_context"])
    del tensors["coder.context.squash"]
    weights.save(tmp_path / "broken.safetensors", tensors, metadata)
    with pytest.raises(InvalidInput, match="squash"):
        pycodec.load(weights_file=tmp_path / "broken.safetensors")


def test_weights_of_another_lambda_start_with_its_steps(files: dict[str, Path]) -> None:
    tasks = {lam: ResTask(CONFIGS["res_hyper"], {"lambda": lam}) for lam in (0.0162, 0.0018)}
    for task in tasks.values():
        task.initialize(files["res_hyper"])
    x = ImageTarget(photo(64, 64), 64).x
    same, coarser = (task.parts.transform.transform.eval() for task in tasks.values())
    quality = torch.ones(1)
    with torch.no_grad():
        y, z = same.analysis(x, quality), coarser.analysis(x, quality)
        assert torch.allclose(z, y / 3, atol=1e-5)  # the square root of the ratio of the lambdas
        assert torch.allclose(coarser.synthesis(z, quality), same.synthesis(y, quality), atol=1e-3)
