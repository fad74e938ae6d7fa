"""The integer transform by tiles: the same bits as at once, for networks of any depth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pycodec
from pycodec import progress, tiled
from pycodec.coding import context
from pycodec.testing.samples import photo
from pycodec.window import Window
from pycodec_plugins.cpm import IntegerRounding, QuantizedResidualDCT, ResidualDCT, input_ranges, quantize

DEPTHS = [(1, 1, 1, 8), (3, 1, 2, 4), (1, 2, 3, 8)]  # of encoder, decoder, fine; block
STEP = 40
ROUNDING = IntegerRounding()


def random_transform(encoder: int, decoder: int, fine: int, block: int) -> QuantizedResidualDCT:
    torch.manual_seed(encoder + 10 * decoder + 100 * fine)
    made = ResidualDCT(
        luma=11,
        chroma=2,
        qualities=3,
        fine=12,
        coarse=20,
        encoder_depth=encoder,
        decoder_depth=decoder,
        block=block,
        fine_depth=fine,
    )
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    x = torch.from_numpy(photo(64, 96)).permute(2, 0, 1)[None].float() - 128
    arrays = quantize(made, input_ranges(made, [(x, 2.5)]), range(16, 49))
    return QuantizedResidualDCT(arrays, made.config())


def by_tiles(
    transform: QuantizedResidualDCT, image: np.ndarray, box: Window
) -> tuple[np.ndarray, np.ndarray]:
    """Symbols, and the pixels in a box."""
    symbols = tiled.analyzed(transform, ROUNDING, image, STEP, "cpu", False)
    return symbols, tiled.synthesized(transform, ROUNDING, symbols, STEP, box, "cpu")


@pytest.mark.parametrize("depths", DEPTHS)
@pytest.mark.parametrize("size", [(131, 94), (45, 203), (19, 22)])
def test_tiles_are_the_whole(depths, size, monkeypatch) -> None:
    transform, image = random_transform(*depths), photo(*size)
    height, width = size
    whole, box = Window(0, height, 0, width), Window(11, height - 3, 5, width - 9)
    symbols, pixels = by_tiles(transform, image, whole)
    assert np.abs(symbols).max() > 3 and pixels.std() > 10
    for most in (height * width // 2, height * width // 9, transform.stride**2 if height < 20 else 2**10):
        monkeypatch.setattr(tiled, "TILE_PIXELS", most)
        found = by_tiles(transform, image, whole)
        assert np.array_equal(found[0], symbols) and np.array_equal(found[1], pixels)
        cropped = tiled.synthesized(transform, ROUNDING, symbols, STEP, box, "cpu")
        assert np.array_equal(cropped, pixels[box.within(whole)])


def test_less_than_the_halo_is_not_enough(monkeypatch) -> None:
    """So that the test above would see a halo that is too small."""
    image, whole = photo(131, 94), Window(0, 131, 0, 94)
    for which, depths in ((1, DEPTHS[0]), (0, DEPTHS[1])):  # the decoder looks farther, then the encoder
        transform = random_transform(*depths)
        monkeypatch.setattr(tiled, "TILE_PIXELS", 2**23)
        expected = by_tiles(transform, image, whole)[which]
        monkeypatch.setattr(tiled, "TILE_PIXELS", 2**11)
        transform.halo //= 2
        assert not np.array_equal(by_tiles(transform, image, whole)[which], expected)


def test_the_default_codec_writes_the_same_file_by_tiles(monkeypatch) -> None:
    codec, image = pycodec.load("ctx3d"), photo(190, 277)
    data = codec.compress(image, 5)
    expected = np.asarray(codec.decompress(data))
    monkeypatch.setattr(tiled, "TILE_PIXELS", 2**14)
    assert codec.compress(image, 5) == data
    assert np.array_equal(codec.decompress(data), expected)
    assert np.array_equal(codec.decompress(data, crop=(100, 50, 80, 90)), expected[50:140, 100:180])


@pytest.mark.parametrize("threads", [1, 3])
def test_coding_reports_planes_and_can_be_interrupted(threads: int, monkeypatch) -> None:
    codec = pycodec.load("ctx3d")
    model, symbols = codec.entropy_model, codec.symbols(photo(64, 96), 5)
    data = model.encode(symbols, 80, threads)
    monkeypatch.setattr(context, "WATCHED", 1)
    seen: list[tuple[str, int, int]] = []
    with progress.watched(lambda *report: seen.append(report)):
        assert model.encode(symbols, 80, threads) == data
        assert np.array_equal(model.decode(data, symbols.shape, 80, threads), symbols)
    assert len(seen) >= 2 and {(what, total) for what, _, total in seen} == {("coding", len(symbols))}
    assert all(0 < done <= total for _, done, total in seen)

    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with progress.watched(interrupt):
        for call in (
            lambda: model.encode(symbols, 80, threads),
            lambda: model.decode(data, symbols.shape, 80, threads),
        ):
            with pytest.raises(KeyboardInterrupt):
                call()
    assert model.encode(symbols, 80, threads) == data
