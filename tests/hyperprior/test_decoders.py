"""One file, several decoders: what is in a file does not depend on who will look at it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pycodec
from pycodec import cli, weights
from pycodec.errors import InvalidInput, WeightsMismatch
from pycodec.testing.samples import photo
from pycodec.training.task import as_batch
from pycodec_plugins.hyperprior import Decoder, decoders
from pycodec_plugins.hyperprior.task import HyperpriorTask

CONFIG = {
    "hyper": {"hyper_channels": 4, "width": 8},
    "quantizer": {"width": 8},
    "entropy_model": {"width": 8},
    "transform": {
        "name": "residual_dct",
        "config": {
            "luma": 12, "chroma": 4, "fine": 8, "coarse": 16, "encoder_depth": 1, "decoder_depth": 1, "fine_depth": 1
        },
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "base.safetensors"
    HyperpriorTask(CONFIG).export(path, [photo(128, 128)], {"codec": "hyperprior"})
    return path


@pytest.fixture(scope="module")
def brighter(base: Path) -> Path:
    """A decoder whose pictures are a little brighter."""
    tensors, metadata = weights.load(base)
    tensors["quantized.decoder.last.bias"] = tensors["quantized.decoder.last.bias"] + 8
    path = base.with_name("brighter.safetensors")
    decoders.save(path, tensors, metadata["fingerprint"], {})
    return path


def test_a_file_is_for_every_decoder(base: Path, brighter: Path) -> None:
    usual, other = (pycodec.load(weights_file=base), pycodec.load(weights_file=base, decoder=str(brighter)))
    image = photo(70, 90)
    data = usual.compress(image, 5)
    assert other.compress(image, 5) == usual.compress(
        image, 5, effort=0
    )  # errors of another decoder say nothing
    difference = np.asarray(other.decompress(data)).astype(int) - np.asarray(usual.decompress(data))
    assert 6 <= difference.mean() <= 8


def test_a_user_chooses_when_decoding(
    base: Path, brighter: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    Image.fromarray(photo(64, 64)).save(tmp_path / "x.png")
    given = ["--weights", str(base)]
    assert cli.main(["compress", str(tmp_path / "x.png"), "-o", str(tmp_path / "x.pci"), *given]) == 0
    for name, options in (("usual", []), ("other", ["--decoder", str(brighter)])):
        target = str(tmp_path / f"{name}.png")
        assert cli.main(["decompress", str(tmp_path / "x.pci"), "-o", target, *given, *options]) == 0
    usual, other = (np.asarray(Image.open(tmp_path / f"{name}.png")).mean() for name in ("usual", "other"))
    assert other > usual + 4
    capfd.readouterr()
    better = ["-o", str(tmp_path / "better.png"), "--decoder", "better"]
    assert cli.main(["decompress", str(tmp_path / "x.pci"), *given, *better]) == 2
    assert "no decoder 'better', expected one of mse" in capfd.readouterr().err


def test_a_decoder_for_other_weights_is_refused(base: Path, tmp_path: Path) -> None:
    tensors, _ = weights.load(base)
    decoders.save(tmp_path / "stray.safetensors", tensors, "0" * 64, {})
    with pytest.raises(WeightsMismatch, match="belongs to weights 00000000"):
        pycodec.load(weights_file=base, decoder=str(tmp_path / "stray.safetensors"))


def test_a_decoder_cannot_bring_probabilities(base: Path, tmp_path: Path) -> None:
    tensors, metadata = weights.load(base)
    foreign = {"coder.tables.freqs": tensors["coder.tables.freqs"]}
    weights.save(tmp_path / "x.safetensors", foreign, {"config": {}, "base": metadata["fingerprint"]})
    with pytest.raises(WeightsMismatch, match=r"coder\.tables\.freqs"):
        pycodec.load(weights_file=base, decoder=str(tmp_path / "x.safetensors"))


def test_what_was_measured_belongs_to_the_decoder(
    base: Path, brighter: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    """Of another decoder under the same path, whose files are the same, nothing is known."""
    (tmp_path / "images").mkdir()
    Image.fromarray(photo(64, 64)).save(tmp_path / "images" / "x.png")
    decoder = tmp_path / "decoder.safetensors"
    spec = f"hyperprior+weights_file={base}+decoder={decoder}"
    options = ["--metrics", "psnr", "--settings", f"{spec}=5", "--no-report", "--out", str(tmp_path / "out")]

    def measured() -> tuple[float, str]:
        assert cli.main(["eval", str(tmp_path / "images"), "--codecs", spec, *options]) == 0
        (row,) = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
        out, err = capfd.readouterr()
        return row["metrics"]["psnr"], out + err

    tensors, metadata = weights.load(base)
    decoders.save(decoder, tensors, metadata["fingerprint"], {})
    usual, said = measured()
    assert "1 rows measured, 0 kept" in said
    assert measured()[0] == usual
    shutil.copy(brighter, decoder)
    worse, said = measured()
    assert "1 rows measured, 0 kept" in said and "another version of the codec" in said
    assert worse < usual - 0.1
    codecs = [pycodec.load(weights_file=base, **chosen) for chosen in ({}, {"decoder": str(brighter)})]
    assert codecs[0].fingerprint == codecs[1].fingerprint
    assert codecs[0].version() == codecs[0].fingerprint.hex() != codecs[1].version()


def test_other_codecs_say_that_they_have_one() -> None:
    with pytest.raises(InvalidInput, match="'ctx3d' has one decoder"):
        pycodec.load("ctx3d", decoder="mse")


def test_a_decoder_starts_where_its_codec_is(base: Path, tmp_path: Path) -> None:
    decoder, codec = Decoder(base), pycodec.load(weights_file=base)
    image = photo(128, 64)
    x, quality = as_batch(image)[None][0], torch.tensor([4.0])
    y = decoder.latents(x, quality)
    assert y.shape == (1, decoder.channels, 8, 4)
    assert not y.requires_grad and decoder(y, quality).requires_grad
    found = decoder(y, quality)[0].permute(1, 2, 0).add(128).clamp(0, 255).round().detach().numpy()
    assert (
        np.abs(found - codec.reconstruct(image, 4, effort=0)).max() <= 2
    )  # the codec's synthesis is in integers
    decoder.save(tmp_path / "same.safetensors", [image], [4.0], {})
    same = pycodec.load(weights_file=base, decoder=str(tmp_path / "same.safetensors"))
    apart = same.reconstruct(image, 4).astype(int) - codec.reconstruct(image, 4, effort=0)
    assert np.abs(apart).max() <= 2


def test_only_the_synthesis_is_trained(base: Path) -> None:
    decoder = Decoder(base)
    trained = {id(p) for p in decoder.trained()}
    names = {name for name, p in decoder.transform.named_parameters() if id(p) in trained}
    assert {name.split(".")[0] for name in names} == {"decoder", "synthesis_dct", "log_step"}
