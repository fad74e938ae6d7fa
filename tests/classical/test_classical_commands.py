"""Classical codecs from the command line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pycodec
from pycodec import bitstream, cli
from pycodec.errors import CorruptStream

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs pycodec in this process: exit status, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A PNG file of 64 x 48 pixels."""
    y, x = np.mgrid[:48, :64]
    noise = np.random.default_rng(0).normal(0, 5, (48, 64, 3))
    pixels = np.stack([3 * x, 2 * x + y, 4 * y], 2) + noise
    path = tmp_path / "photo.png"
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def test_a_classical_file_takes_the_suffix_of_its_codec(run: Run, photo: Path) -> None:
    status, out, err = run("compress", "--codec", "jpeg", photo)
    target = photo.with_suffix(".jpg")
    assert (status, err) == (0, "")
    assert out.startswith(f"{target}: {target.stat().st_size} bytes, ")
    with Image.open(photo) as image:
        assert target.read_bytes() == pycodec.load("jpeg").compress(image)
    status, _, err = run("compress", "--codec", "jpeg", "--quality", "5", photo)
    assert status == 2 and "photo.jpg is there already" in err
    with Image.open(photo) as image:
        assert target.read_bytes() == pycodec.load("jpeg").compress(image)


def test_an_original_stays_where_its_copy_would_take_its_name(run: Run, photo: Path) -> None:
    original = photo.read_bytes()
    assert run("compress", photo)[0] == 0
    status, _, err = run("decompress", photo.with_suffix(".pci"))
    assert status == 2 and "photo.png is there already" in err and photo.read_bytes() == original
    assert run("compress", photo, "--quality", "3")[0] == 0  # a .pci file is no original
    assert run("decompress", photo.with_suffix(".pci"), "-o", photo)[0] == 0


def test_a_pci_file_that_names_a_codec_of_other_files_is_damaged(tmp_path: Path) -> None:
    container = bitstream.parse(pycodec.load("ctx3d").compress(np.zeros((16, 16, 3), np.uint8)))
    fingerprint = pycodec.load("jpeg").fingerprint[: len(container.header.fingerprint)]
    header = dataclasses.replace(container.header, codec="jpeg", fingerprint=fingerprint)
    with pytest.raises(CorruptStream, match=r"'jpeg' wrote it, which writes \.jpg files"):
        pycodec.decompress(dataclasses.replace(container, header=header).to_bytes())


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000"])
def test_bpp_is_used_up_and_never_exceeded(run: Run, photo: Path, name: str) -> None:
    target = photo.with_suffix(".out")
    assert run("compress", "--codec", name, "--bpp", "2", photo, "-o", target)[0] == 0
    assert 0.9 * 2 < 8 * target.stat().st_size / (64 * 48) <= 2


def test_a_classical_file_is_decompressed_by_the_codec_that_is_named(run: Run, photo: Path) -> None:
    file, back = photo.with_suffix(".j2k"), photo.with_name("back.png")
    assert run("compress", "--codec", "jpeg2000", "--quality", "2.5", photo)[0] == 0
    assert run("decompress", "--codec", "jpeg2000", file, "-o", back)[0] == 0
    with Image.open(back) as image:
        expected = pycodec.load("jpeg2000").decompress(file.read_bytes())
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    status, _, err = run("decompress", "--codec", "jpeg2000", file, "-o", back, "--device", "cuda")
    assert (status, err) == (2, "error: codecs that write .j2k run on the CPU; leave out --device cuda\n")
    status, _, err = run("decompress", "--codec", "jpeg", file, "-o", back)
    assert (status, err) == (2, "error: not a JPEG file: Pillow does not know it\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--bpp", "0.01"], "3 bytes are out of reach: at the lowest setting, 2, this image already takes"),
        (["--bpp", "1", "--quality", "5"], "both quality and bpp"),
        (["--bpp", "nan"], "bpp nan, expected a positive number"),
        (["--device", "cuda"], "codecs that write .jpg run on the CPU; leave out --device cuda"),
        (["--quality", "0"], "quality 0, expected a whole number from 1 to 100"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    run: Run, photo: Path, arguments: list[str], sentence: str
) -> None:
    status, out, err = run("compress", "--codec", "jpeg", photo, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ") and sentence in err
    assert list(photo.parent.iterdir()) == [photo]


def test_codecs_are_listed_with_what_they_need(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("PYCODEC_BPG_ENCODER", raising=False)
    rows = {row["name"]: row["missing"] for row in json.loads(run("codecs", "--json")[1])}
    assert {"jpeg", "webp", "avif", "jpeg2000", "jxl", "heic", "vtm", "bpg", "x265", "ctx3d"} <= set(rows)
    assert (rows["jpeg"], rows["bpg"]) == ("", "needs bpgenc and bpgdec")
    (line,) = [line for line in run("codecs")[1].splitlines() if line.startswith("bpg ")]
    assert "needs bpgenc and bpgdec" in line
