"""Windows of a latent, crops of files, and what is refused for its size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageCms

import pycodec
from pycodec import bitstream, cli, images, limits, progress, tiled
from pycodec.errors import InvalidInput, LimitExceeded
from pycodec.window import Window


@pytest.mark.parametrize("seed", range(20))
def test_tiles_cover_a_window_once_and_are_small_enough(seed: int) -> None:
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, 20, 2)
    height, width = rng.integers(1, 90, 2)
    window = Window(int(top), int(top + height), int(left), int(left + width))
    most = int(rng.integers(1, 400))
    seen = np.zeros((window.height, window.width), int)
    for tile in window.tiles(most):
        assert 0 < tile.height * tile.width <= most
        seen[tile.within(window)] += 1
    assert (seen == 1).all()


def test_one_tile_is_the_window_itself() -> None:
    window = Window(3, 10, 0, 7)
    assert window.tiles(49) == [window]
    assert [tile.width for tile in Window(0, 1, 0, 10).tiles(4)] == [3, 3, 4]


def _bands(mode: str, rgb: np.ndarray) -> Image.Image:
    image = Image.fromarray(rgb).convert(mode[:-1] if mode in ("LA", "RGBA") else mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray((rgb[:, :, 0] // 2).astype(np.uint8)))
    return image


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_crop_is_that_of_the_whole(codec, photo, mode: str) -> None:
    image = _bands(mode, photo(75, 61))
    image.info["icc_profile"] = profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = codec.compress(image, quality=6)
    whole = pycodec.decompress(data)
    for left, top, width, height in [(0, 0, 75, 61), (13, 7, 30, 41), (74, 60, 1, 1), (8, 16, 8, 8)]:
        found = pycodec.decompress(data, crop=(left, top, width, height))
        assert found.mode == mode
        assert np.array_equal(found, np.asarray(whole)[top : top + height, left : left + width])
        assert found.info.get("icc_profile") == (profile if mode.startswith("RGB") else None)


@pytest.mark.parametrize("crop", [(0, 0, 76, 1), (-1, 0, 5, 5), (0, 0, 0, 4), (3, 58, 4, 4)])
def test_a_crop_beyond_the_image_is_refused(toy, photo, crop: tuple[int, int, int, int]) -> None:
    data = toy.compress(photo(75, 61))
    with pytest.raises(InvalidInput, match=r"a crop of .* is not within the image, which has 75 x 61"):
        toy.decompress(data, crop=crop)
    with pytest.raises(InvalidInput, match="expected four whole numbers"):
        toy.decompress(data, crop=(1, 2, 3))


def test_a_transform_without_halo_has_a_limit_of_its_own(toy, photo) -> None:
    data = toy.compress(photo(8, 9))
    with limits.using(pixels_at_once=71):
        for call in (lambda: toy.compress(photo(8, 9)), lambda: toy.decompress(data)):
            with pytest.raises(
                LimitExceeded, match=r"8 x 9 = 72 pixels, expected at most 71; take a codec that"
            ):
                call()
    assert toy.decompress(data).size == (8, 9)


def test_a_narrow_image_is_measured_by_its_latent(toy, photo) -> None:
    """A column of pixels is a column of whole blocks, eight times as many."""
    container = bitstream.parse(toy.compress(photo(1, 8)))
    column = replace(container, header=replace(container.header, height=2**22)).to_bytes()
    with limits.using(pixels=2**22), pytest.raises(LimitExceeded) as told, limits.using(symbols=2**26):
        toy.decompress(column)
    assert "latent of 192 x 524288 x 1 symbols, expected at most 67108864" in str(told.value)
    assert "PYCODEC_MAX_SYMBOLS" in str(told.value)


def test_limits_come_from_the_environment_and_from_the_option(
    toy, photo, tmp_path, monkeypatch, capsys
) -> None:
    source, target = tmp_path / "a.png", tmp_path / "a.pci"
    Image.fromarray(photo(8, 9)).save(source)
    monkeypatch.setenv("PYCODEC_MAX_PIXELS", "71")
    assert cli.main(["compress", str(source)]) == 2
    error = capsys.readouterr().err
    assert "8 x 9 = 72 pixels, expected at most 71" in error and "--max-pixels" in error
    assert error.count("\n") == 1 and not target.exists()
    assert cli.main(["compress", str(source), "--max-pixels", "72"]) == 0
    assert limits.current().pixels == 71
    decompress = ["decompress", str(target), "-o", str(tmp_path / "b.png")]
    assert cli.main(decompress) == 2
    assert cli.main([*decompress, "--max-pixels", "72"]) == 0
    monkeypatch.setenv("PYCODEC_MAX_PIXELS", "many")
    with pytest.raises(InvalidInput, match="PYCODEC_MAX_PIXELS is 'many', expected a positive whole number"):
        limits.current()


def test_more_pixels_bring_room_for_their_symbols() -> None:
    allowed = limits.allowing(10**9)
    assert (allowed.pixels, allowed.symbols) == (10**9, 4 * 10**9)
    assert limits.allowing(5) == replace(limits.Limits(), pixels=5)


def test_an_image_beyond_pillows_own_limit_is_read(photo, tmp_path, monkeypatch) -> None:
    Image.fromarray(photo(64, 64)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert images.as_picture(tmp_path / "a.png").size == (64, 64)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_the_command_crops(toy, photo, tmp_path, capsys) -> None:
    source, packed, part = (tmp_path / name for name in ("a.png", "a.pci", "b.png"))
    Image.fromarray(photo(40, 24)).save(source)
    assert cli.main(["compress", str(source), "--quality", "8"]) == 0
    assert cli.main(["decompress", str(packed), "-o", str(part), "--crop", "5,6,20,10"]) == 0
    with Image.open(part) as image:
        assert np.array_equal(image, photo(40, 24)[6:16, 5:25])
    part.unlink()
    capsys.readouterr()
    for crop, sentence in [
        ("5,6,36,10", "a crop of 36 x 10 pixels at 5,6 is not within the image, which has 40 x 24"),
        ("5,6,20", "expected four whole numbers: left,top,width,height"),
    ]:
        assert cli.main(["decompress", str(packed), "-o", str(part), "--crop", crop]) == 2
        error = capsys.readouterr().err
        assert sentence in error and error.count("\n") == 1 and not part.exists()


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_an_interrupt_leaves_the_older_output_alone(
    toy, photo, tmp_path, monkeypatch, capsys, command: str
) -> None:
    source, target = tmp_path / "a.png", tmp_path / ("b.pci" if command == "compress" else "b.png")
    Image.fromarray(photo(40, 24)).save(source)
    if command == "decompress":
        assert cli.main(["compress", str(source)]) == 0
        source = source.with_suffix(".pci")
    target.write_bytes(b"old")
    files = sorted(tmp_path.iterdir())

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiled, "analyzed" if command == "compress" else "synthesized", interrupted)
    capsys.readouterr()
    assert cli.main([command, str(source), "-o", str(target)]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"
    assert sorted(tmp_path.iterdir()) == files and target.read_bytes() == b"old"


def test_progress_reaches_whoever_watches() -> None:
    seen = []
    with progress.watched(lambda *report: seen.append(report)):
        progress.report("coding", 1, 2)
    progress.report("coding", 2, 2)
    assert seen == [("coding", 1, 2)]
