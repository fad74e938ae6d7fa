"""Files optimised for their image: better by real bytes and pixels, or the codec's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pycodec
from pycodec import cli
from pycodec.errors import InvalidInput
from pycodec.images import Picture, as_picture
from pycodec.optimization.files import compress_optimized, cost, tangent
from pycodec.optimization.target import ImageTarget
from pycodec.testing import sample_codec
from pycodec.testing.samples import photo
from pycodec_plugins.cpm.cpm import CpmTask
from pycodec_plugins.cpm.optimize import SymbolModel

CONFIG = {
    "transform": {"channels": 6, "width": 8, "groups": 1, "maps": 2},
    "quantizer": {"count": 5},
    "entropy_model": {"width": 8},
}
LAMBDA = 0.01
IMAGE = photo(40, 56)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of cpm as its training starts, with centres that are neither sorted nor evenly spaced."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "cpm.safetensors"
    task = CpmTask(CONFIG)
    torch.nn.init.normal_(task.entropy_model.network.layers[-1].weight, std=0.3)  # it starts as 0
    task.quantizer.centers.data = torch.tensor([0.9, -1.6, 0.1, 2.0, -0.5])
    task.export(path, [photo(64, 64)], {"codec": "cpm"})
    return path


@pytest.fixture(scope="module")
def cpm(weights_file: Path) -> pycodec.Codec:
    return pycodec.load(weights_file=weights_file)


def symbol_model(codec: pycodec.Codec) -> tuple[SymbolModel, ImageTarget]:
    model = SymbolModel(codec.transform, codec.quantizer, codec.entropy_model, 2)
    return model, ImageTarget(IMAGE, codec.transform.stride)


def test_an_optimised_file_costs_less_and_decodes(cpm: pycodec.Codec) -> None:
    for codec in (cpm, pycodec.load("ctx3d"), sample_codec()):
        found = compress_optimized(codec, IMAGE, 150, quality=2, lam=LAMBDA)
        assert found.better
        assert found.plain == cost(codec, as_picture(IMAGE), codec.compress(IMAGE, 2))
        assert found.optimized == cost(codec, as_picture(IMAGE), found.data)
        assert found.optimized.lagrangian(LAMBDA) < found.plain.lagrangian(LAMBDA)
        assert codec.decompress(found.data).size == (56, 40)


def test_what_came_out_worse_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = sample_codec()
    inverted = -codec.symbols(IMAGE, 2)
    monkeypatch.setattr(codec, "latent_symbols", lambda latents: inverted)
    found = compress_optimized(codec, IMAGE, 1, quality=2, lam=1.0)
    assert not found.better
    assert found.optimized.mse > found.plain.mse
    assert found.data == codec.compress(IMAGE, 2)


def test_positions_round_to_the_codecs_own_symbols(cpm: pycodec.Codec) -> None:
    model, target = symbol_model(cpm)
    z = cpm.transform.analysis(target.x, model.quality)
    positions = model.positions(z)
    assert positions.min() >= 0 and positions.max() <= 4
    own = torch.from_numpy(cpm.symbols(IMAGE, 2)).long()
    assert torch.equal(model.symbols[positions[0].round().long()], own)
    centers = cpm.quantizer.centers.detach()
    assert torch.equal(model.positions(centers).round(), torch.tensor([3.0, 0.0, 2.0, 4.0, 1.0]))


def test_a_cold_position_costs_what_its_symbol_does(cpm: pycodec.Codec) -> None:
    """And the gradient by every position goes through the centres to the image and to the rate."""
    model, target = symbol_model(cpm)
    rank = model.positions(cpm.transform.analysis(target.x, model.quality)).detach().round()
    generator = torch.Generator().manual_seed(0)
    losses = [model.lagrangian(target, lam, rank, 1e-3, generator).item() for lam in (0, 1)]
    symbols = cpm.symbols(IMAGE, 2)
    assert losses[0] == pytest.approx(
        cpm.entropy_model.float_code_length_bits(symbols, 32) / target.units, rel=1e-4
    )
    x_hat = cpm.transform.synthesis(cpm.quantizer.dequantize(symbols), model.quality)
    assert losses[1] - losses[0] == pytest.approx(target.mse(x_hat).item(), rel=1e-4)
    for lam in (0.0, 1.0):
        warm = (rank + 0.2).requires_grad_()
        (gradient,) = torch.autograd.grad(model.lagrangian(target, lam, warm, 0.5, generator), warm)
        assert gradient.isfinite().all() and (gradient != 0).float().mean() > 0.9


def test_seeds_and_steps_are_those_that_were_asked_for(cpm: pycodec.Codec) -> None:
    told: list[int] = []

    def symbols(seed: int) -> np.ndarray:
        return cpm.optimized_symbols(
            IMAGE, LAMBDA, 5, 2, seed=seed, watcher=lambda done, loss: told.append(done)
        )

    assert np.array_equal(symbols(1), symbols(1))
    assert told == [1, 2, 3, 4, 5] * 2


def test_the_tangent_is_the_slope_of_the_codecs_curve() -> None:
    codec, picture = sample_codec(), as_picture(IMAGE)
    costs = {q: cost(codec, picture, codec.compress(picture, q)) for q in (2, 4)}
    slope = (costs[4].bpp - costs[2].bpp) / (costs[2].mse - costs[4].mse)
    assert tangent(codec, picture, 3) == pytest.approx(slope)
    codec.qualities = (3.0, 3.0)
    with pytest.raises(InvalidInput, match="name a lambda"):
        tangent(codec, picture, 3)


def test_where_the_curve_rises_the_tangent_is_that_of_all_of_it() -> None:
    class Rising:
        """Quality 3 is worse than 2 in squared error, as of a codec that was trained on another error."""

        name, qualities = "rising", (1.0, 3.0)

        def quality_step(self, quality: float) -> int:
            return round(16 * quality)

        def compress(self, picture: Picture, quality: float) -> bytes:
            return bytes(int(100 * quality))

        def decompress(self, data: bytes) -> Image.Image:
            return Image.fromarray(picture.rgb + np.uint8({100: 20, 200: 4, 300: 10}[len(data)]))

    picture = as_picture(np.zeros((10, 10, 3), np.uint8))
    assert tangent(Rising(), picture, 3) == pytest.approx((24 - 8) / (20**2 - 10**2))


def test_from_the_command_line(weights_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "x.png")
    source, target, given = str(tmp_path / "x.png"), str(tmp_path / "x.pci"), ["--weights", str(weights_file)]
    options = ["--optimize", "3", "--lambda", "0.02", "--quality", "2"]
    assert cli.main(["compress", source, "-o", target, *given, *options]) == 0
    assert "3 steps at lambda 0.02: " in capsys.readouterr().err
    assert cli.main(["decompress", target, "-o", str(tmp_path / "y.png"), *given]) == 0
    with Image.open(tmp_path / "y.png") as back:
        assert back.size == (56, 40)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--lambda", "0.1"], "--lambda goes with --optimize"),
        (["--optimize", "3", "--bpp", "1"], "leave out --bpp"),
        (["--optimize", "3", "--lambda", "-1"], "lambda is -1, expected a positive number"),
        (["--optimize", "3", "--codec", "jpeg"], "codec 'jpeg' cannot optimise a file"),
    ],
)
def test_what_cannot_be_optimised_says_why(
    options: list[str], sentence: str, tmp_path: Path, weights_file: Path, capsys: pytest.CaptureFixture
) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "x.png")
    given = [] if "--codec" in options else ["--weights", str(weights_file)]
    target = tmp_path / "x.out"
    status = cli.main(["compress", str(tmp_path / "x.png"), "-o", str(target), *given, *options])
    assert status == 2 and sentence in capsys.readouterr().err
    assert not target.exists()
