"""compress, decompress, info and demo as a user meets them: files, exit status, one line of error."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import pycodec
from pycodec import bitstream, cli, weights
from pycodec.evaluation.rd import encode_to_size


@pytest.fixture
def run(toy, capsys):
    """Runs pycodec in this process: exit status, standard output, standard error."""

    def run(*arguments) -> tuple[int, str, str]:
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def fails(run):
    """Runs pycodec, which has to end with status 2 and one line; the line."""

    def fails(*arguments) -> str:
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return fails


@pytest.fixture
def picture(tmp_path, photo):
    """A PNG file of 40 x 24 pixels."""
    path = tmp_path / "picture.png"
    Image.fromarray(photo(40, 24)).save(path)
    return path


@pytest.fixture
def stream(run, picture):
    """The .pci file of the picture, at the highest quality: the toy codec is lossless there."""
    assert run("compress", picture, "--quality", 8)[0] == 0
    return picture.with_suffix(".pci")


def test_profile_names_every_stage(run, picture, tmp_path):
    def stages(text: str) -> dict[str, float]:
        return {name: float(ms) for name, ms in re.findall(r"([a-z][a-z ]*[a-z]) ([\d.]+) ms", text)}

    status, out, _ = run("compress", picture, "-o", tmp_path / "a.pci", "--profile")
    encoding = stages(out)
    assert status == 0
    assert list(encoding) == ["transform", "coding", "container"]
    whole = float(re.search(r"; ([\d.]+) ms in all", out)[1])
    assert sum(encoding.values()) <= whole + 0.2  # of rounding
    status, out, _ = run("decompress", tmp_path / "a.pci", "-o", tmp_path / "a.png", "--profile")
    assert list(stages(out)) == ["container", "tables and coding", "transform"]
    assert "ms in all" not in run("compress", picture, "-o", tmp_path / "b.pci")[1]


def test_there_and_back(run, picture, stream, tmp_path):
    status, out, err = run("decompress", stream, "-o", tmp_path / "back.png")
    assert (status, err) == (0, "")
    assert "back.png: 40 x 24 RGB" in out
    assert np.array_equal(np.asarray(Image.open(tmp_path / "back.png")), np.asarray(Image.open(picture)))


def test_standard_input_and_output(installed, picture, stream):
    def piped(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "pycodec", *arguments]
        return subprocess.run(command, env=installed, input=data, capture_output=True, check=False)

    there = piped(picture.read_bytes(), "compress", "-", "--codec", "toy", "--quality", "8", "-o", "-")
    assert there.returncode == 0
    assert there.stdout == stream.read_bytes()
    wrong = piped(b"no image", "compress", "-", "--codec", "toy", "-o", "-")
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert b"cannot read standard input: not an image" in wrong.stderr


def test_compress_reports_size_and_rate(run, picture, tmp_path):
    target = tmp_path / "small.pci"
    status, out, err = run("compress", picture, "-o", target, "--codec", "toy", "--bpp", 18)
    size = target.stat().st_size
    assert (status, err) == (0, "")
    assert 8 * size / 960 <= 18
    assert f"small.pci: {size} bytes, {8 * size / 960:.3f} bpp, 1:{2880 / size:.1f} of the raw pixels" in out


def test_compress_warns_of_what_is_lost(run, tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).save(path)
    status, _, err = run("compress", path)
    assert (status, err) == (0, f"warning: {path}: 16 bits a channel: scaled to 8\n")
    assert bitstream.parse(path.with_suffix(".pci").read_bytes()).header.grey


@pytest.mark.parametrize("suffix", ["bmp", "jpg", "tif", "webp", "JPEG"])
def test_any_suffix_that_pillow_writes(run, picture, stream, tmp_path, suffix):
    target = tmp_path / f"back.{suffix}"
    assert run("decompress", stream, "-o", target)[0] == 0
    with Image.open(target) as image:
        error = np.asarray(image.convert("RGB")).astype(int) - np.asarray(Image.open(picture))
    assert np.abs(error).max() == 0 or (suffix.lower() in ("jpg", "jpeg") and np.abs(error).mean() < 4)


def test_transparency_and_profile_reach_the_output(run, tmp_path, photo):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(photo(9, 9))
    image.putalpha(Image.fromarray(photo(9, 9, seed=1)[:, :, 0]))
    image.save(tmp_path / "clear.png", icc_profile=profile)
    assert run("compress", tmp_path / "clear.png", "--quality", 8)[0] == 0
    for name in ("back.png", "back.webp"):
        assert run("decompress", tmp_path / "clear.pci", "-o", tmp_path / name)[0] == 0
        with Image.open(tmp_path / name) as back:
            assert np.array_equal(np.asarray(back), np.asarray(image))
            assert back.info["icc_profile"] == profile


def test_jpeg_has_no_transparency(fails, run, tmp_path):
    Image.new("LA", (8, 8), (7, 9)).save(tmp_path / "clear.png")
    assert run("compress", tmp_path / "clear.png")[0] == 0
    assert "JPEG has no transparency" in fails(
        "decompress", tmp_path / "clear.pci", "-o", tmp_path / "back.jpg"
    )
    assert not (tmp_path / "back.jpg").exists()


def test_info_names_fields_sizes_and_codec(run, stream):
    status, out, _ = run("info", stream, "--json")
    fields = json.loads(out)
    assert status == 0
    assert fields.pop("bytes") == stream.stat().st_size
    assert (fields["codec"], fields["width"], fields["height"], fields["quality"]) == ("toy", 40, 24, 8.0)
    assert (fields["installed"], fields["weights_match"]) == (True, None)
    status, out, _ = run("info", stream)
    assert status == 0
    assert "installed        yes\n" in out
    assert "weights          not known" in out


@pytest.mark.parametrize("match", [True, False])
def test_info_compares_the_weights(run, stream, monkeypatch, match, tmp_path):
    path = tmp_path / "toy.safetensors"
    digest = weights.save(path, {}, {"config": {}})
    container = bitstream.parse(stream.read_bytes())
    written = digest if match else bytes(32)
    stream.write_bytes(replace(container, header=replace(container.header, fingerprint=written)).to_bytes())
    monkeypatch.setattr(weights, "shipped", lambda module, codec: path)
    assert json.loads(run("info", stream, "--json")[1])["weights_match"] is match
    assert ("weights          match\n" in run("info", stream)[1]) is match


def test_info_of_a_codec_that_is_not_installed(run, stream, monkeypatch):
    from pycodec import runtime

    monkeypatch.setattr(runtime, "_runtime", runtime.Runtime([], ()))
    status, out, _ = run("info", stream)
    assert status == 0
    assert "installed        no\n" in out


def test_demo_draws_the_photograph_three_times(run, tmp_path):
    status, out, err = run("demo", "--out", tmp_path / "demo")
    assert (status, err) == (0, "")
    size = (tmp_path / "demo" / "pycodec-demo.pci").stat().st_size
    lines = {line.split(":")[0]: line for line in out.splitlines()}
    assert f"{size} bytes" in lines["pycodec toy"]
    for name in ("pycodec toy", "JPEG"):
        assert all(figure in lines[name] for figure in ("bpp", "PSNR", "MS-SSIM"))
    assert int(lines["JPEG"].split(":")[1].split()[0]) <= size
    with Image.open(tmp_path / "demo" / "pycodec-demo.png") as drawing:
        assert drawing.width > 3 * 512
        assert drawing.height > 600


@pytest.mark.parametrize("size", [900, 2000, 4000])
def test_demo_compares_with_the_largest_jpeg_that_fits(photo, size):
    jpeg = pycodec.load("jpeg")
    sizes = [len(jpeg.compress(photo(64, 64), quality)) for quality in range(2, 93)]
    data, _ = encode_to_size(jpeg, photo(64, 64), size)
    assert len(data) == pytest.approx(max(s for s in sizes if s <= size), rel=0.02)
    assert len(data) <= size


def test_demo_does_without_a_jpeg_where_none_is_as_small(run, tmp_path):
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "grey.png")
    status, out, err = run("demo", "--image", tmp_path / "grey.png", "--out", tmp_path)
    assert status == 0
    assert "no JPEG to compare with" in err and "JPEG:" not in out


def test_demo_takes_an_image_too_small_for_ms_ssim(run, picture, tmp_path):
    status, out, _ = run("demo", "--image", picture, "--out", tmp_path)
    assert status == 0
    assert "MS-SSIM" not in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["compress", "none.png"], "none.png: No such file"),
        (["compress", "text.png"], "not an image of a format Pillow knows"),
        (["compress", "picture.png", "-o", "picture.png"], "picture.png is the input itself"),
        (["compress", "picture.png", "-o", "none/out.pci"], "does not exist"),
        (["compress", "picture.png", "--quality", "9"], "quality 9, expected 1 to 8 for codec 'toy'"),
        (["compress", "picture.png", "--quality", "x"], "'x' is not a valid float"),
        (["compress", "picture.png", "--bpp", "0.01"], "out of reach"),
        (["compress", "picture.png", "--bpp", "1", "--quality", "5"], "both quality and bpp"),
        (["compress", "picture.png", "--codec", "toi"], "unknown codec 'toi'; did you mean 'toy'"),
        (["compress", "picture.png", "--device", "abacus"], "'abacus' is not one of"),
        (["compress", "-"], "what is read from standard input has no name; name the output with -o"),
        (
            ["compress", "picture.png", "-o", "a.JPG"],
            "a.JPG is to be a .pci file, and ends in .jpg; end it in",
        ),
        (["decompress", "none.pci", "-o", "out.png"], "none.pci: No such file"),
        (
            ["decompress", "picture.png", "-o", "out.png"],
            "is no .pci file; name the codec that wrote it with",
        ),
        (["decompress", "text", "-o", "out.png"], "not a .pci file: it begins with 6e 6f 20 69"),
        (["decompress", "picture.pci", "-o", "out.xyz"], "Pillow writes no .xyz; name it .png"),
        (["decompress", "picture.pci", "-o", "out"], "Pillow writes no file without suffix"),
        (["decompress", "picture.pci", "-o", "picture.pci"], "picture.pci is the input itself"),
        (["info", "text.png"], "not a .pci file"),
        (["demo", "--image", "none.png"], "No such file"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(
    fails, stream, tmp_path, monkeypatch, arguments, sentence
):
    tmp_path.joinpath("text.png").write_text("no image")
    tmp_path.joinpath("text").write_text("no image")
    monkeypatch.chdir(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sentence in fails(*arguments)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_damaged_files_leave_an_older_output_alone(fails, stream, tmp_path):
    data, damaged, target = stream.read_bytes(), tmp_path / "damaged.pci", tmp_path / "out.png"
    target.write_text("older")
    for i in range(0, len(data), max(1, len(data) // 60)):
        for wrong in (data[:i], data[:i] + bytes([data[i] ^ 0x55]) + data[i + 1 :]):
            damaged.write_bytes(wrong)
            fails("decompress", damaged, "-o", target)
            fails("info", damaged)
    assert target.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "damaged.pci",
        "out.png",
        "picture.pci",
        "picture.png",
    ]


def _process(environment, *arguments) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pycodec", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_another_process_writes_and_reads_the_same_files(installed, picture, stream, tmp_path):
    other = tmp_path / "other.pci"
    result = _process(installed, "compress", picture, "--codec", "toy", "--quality", 8, "-o", other)
    assert (result.returncode, result.stderr) == (0, "")
    assert other.read_bytes() == stream.read_bytes()
    other.write_bytes(other.read_bytes()[:-5])
    result = _process(installed, "decompress", other, "-o", tmp_path / "out.png")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: truncated .pci file: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_info_never_imports_torch(installed, stream):
    code = (
        "import sys; from pycodec.cli import main; status = main(sys.argv[1:]); "
        "sys.exit(status or 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "info", str(stream), "--json"]
    result = subprocess.run(command, env=installed, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["installed"] is True
