"""Batches of this machine as a user meets them: outputs, manifest, errors, resuming, interruptions."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from folders import contents, write_images
from PIL import Image
from tile_codec import DIES, DIES_ONCE, TileCodec

import pycodec
from pycodec import batch, cli, limits
from pycodec.errors import InvalidInput, MissingWeights, UnknownComponent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the folder ``in`` of six images."""
    write_images(tmp_path / "in", 6)
    return tmp_path


def run(folder: Path, jobs: int = 1, **options) -> batch.Summary:
    return batch.run([folder / "in"], folder / "out", codec="tile", jobs=jobs, **options)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_there_and_back_with_a_manifest_each(folder: Path) -> None:
    codec, seen = TileCodec(), []
    summary = run(folder, jobs=2, quality=8, progress=seen.append)
    images = sorted((folder / "in").rglob("*.png"))
    expected = {
        p.relative_to(folder / "in").with_suffix(".pci").as_posix(): codec.compress(p, 8) for p in images
    }
    assert contents(folder / "out") == expected
    sizes = sum(path.stat().st_size for path in images), sum(map(len, expected.values()))
    assert (summary.made, summary.kept, summary.errors) == (6, 0, ())
    assert (summary.source_bytes, summary.target_bytes) == sizes
    assert [state.done for state in seen] == [0, 1, 2, 3, 4, 5, 6]
    assert (seen[-1].total, seen[-1].done_bytes, seen[-1].total_bytes) == (6, sizes[0], sizes[0])

    by_target = {line["target"]: line for line in lines(folder / "out")}
    assert by_target.keys() == expected.keys()
    for target, line in by_target.items():
        source = folder / "in" / Path(target).with_suffix(".png")
        with Image.open(source) as image:
            assert line["pixels"] == image.width * image.height
        assert (line["source"], line["status"], line["error"]) == (str(source), "ok", "")
        assert (line["source_sha256"], line["source_bytes"]) == (sha256(source), source.stat().st_size)
        assert line["target_sha256"] == sha256(folder / "out" / target)
        assert (line["target_bytes"], line["seconds"] > 0) == (len(expected[target]), True)
        assert (line["codec"], line["quality"]) == ("tile", 8)
        assert codec.fingerprint.hex().startswith(line["fingerprint"])

    summary = batch.run([folder / "out"], folder / "back", image_format="webp", jobs=1)
    assert (summary.direction, summary.made, summary.left_out) == ("decompress", 6, 0)
    for source in images:
        back = folder / "back" / source.relative_to(folder / "in").with_suffix(".webp")
        assert np.array_equal(pixels(back), pixels(source))
    assert {line["codec"] for line in lines(folder / "back")} == {"tile"}


def test_workers_keep_the_limits_of_whoever_started_them(folder: Path) -> None:
    with limits.using(pixels=10):
        summary = run(folder)
    assert len(summary.errors) == 6
    assert all("pixels, expected at most 10;" in record.error for record in summary.errors)


def test_a_resumed_run_makes_what_is_missing_damaged_or_changed(folder: Path) -> None:
    (folder / "in/bad.png").write_text("no image")
    first = run(folder)
    assert (first.made, [record.target for record in first.errors]) == (6, ["bad.pci"])
    made = contents(folder / "out")
    times = {name: os.stat(folder / "out" / name).st_mtime_ns for name in made}

    write_images(folder / "more", 1)
    (folder / "more/a/0000.png").rename(folder / "in/bad.png")  # mended
    (folder / "out/a/0000.pci").unlink()
    (folder / "out/b/deep/0001.pci").write_bytes(b"damaged")
    Image.new("RGB", (20, 20), "red").save(folder / "in/c/0002.png")  # changed
    (folder / "out/.bad.pci.0123abcd.tmp").write_bytes(b"half")
    (folder / "out/.mine.tmp").write_bytes(b"of somebody else")
    second = run(folder, resume=True)
    assert (second.made, second.kept, second.errors) == (4, 3, ())
    now = contents(folder / "out")
    assert now.pop(".mine.tmp") == b"of somebody else"
    assert now.keys() == {*made, "bad.pci"}
    assert now["c/0002.pci"] == TileCodec().compress(folder / "in/c/0002.png", 5) != made["c/0002.pci"]
    same = made.keys() - {"c/0002.pci"}
    assert {name: now[name] for name in same} == {name: made[name] for name in same}
    again = {"a/0000.pci", "b/deep/0001.pci", "c/0002.pci"}
    kept = made.keys() - again
    assert {name: os.stat(folder / "out" / name).st_mtime_ns for name in kept} == {
        name: times[name] for name in kept
    }
    assert {line["target"] for line in lines(folder / "out")[7:]} == {*again, "bad.pci"}
    third = run(folder, resume=True)
    assert (third.made, third.kept) == (0, 7) and len(lines(folder / "out")) == 11


def test_one_folder_has_the_outputs_of_one_set_of_options(folder: Path) -> None:
    run(folder, quality=5)
    before = contents(folder)
    with pytest.raises(InvalidInput, match=r"is of an earlier run: go on with it by --resume"):
        run(folder, quality=5)
    for options, sentence in [
        ({"quality": 3}, r"begun with quality 5\.0, now it is 3\.0: resume with the same options"),
        ({"bpp": 2}, "begun with quality 5.0, now it is None"),
    ]:
        with pytest.raises(InvalidInput, match=sentence):
            run(folder, resume=True, **options)
    with pytest.raises(InvalidInput, match="begun with direction compress, now it is decompress"):
        write_images(folder / "other", 1)
        (folder / "other/x.pci").write_bytes(before["out/a/0000.pci"])
        batch.run([folder / "other/x.pci"], folder / "out", resume=True)
    assert contents(folder / "out") == {
        name.removeprefix("out/"): data for name, data in before.items() if name.startswith("out/")
    }


def test_a_cut_last_line_is_made_again_and_a_damaged_one_named(folder: Path) -> None:
    run(folder)
    manifest = folder / "out/manifest.jsonl"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-20])
    summary = run(folder, resume=True)
    assert (summary.made, summary.kept) == (1, 5)
    assert len({line["target"] for line in lines(folder / "out")}) == len(lines(folder / "out")) == 6
    manifest.write_bytes(b"no JSON\n" + whole)
    with pytest.raises(InvalidInput, match=r"line 1 of .*manifest\.jsonl is not of a manifest"):
        run(folder, resume=True)


def test_a_worker_that_dies_costs_one_retry_and_one_file(folder: Path) -> None:
    Image.new("RGB", (DIES, 16)).save(folder / "in/a/dies.png")
    Image.new("RGB", (DIES_ONCE, 16)).save(folder / "in/a/once.png")
    summary = run(folder, jobs=2)
    (error,) = summary.errors
    assert (summary.made, error.target) == (7, "a/dies.pci")
    assert error.error == "the worker process was killed by SIGKILL (out of memory?), 2 times in a row"
    assert "a/once.pci" in contents(folder / "out")


def test_ctrl_c_keeps_what_is_finished(folder: Path) -> None:
    def press(state: batch.Progress) -> None:
        if state.done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # an earlier test may have left another
    try:
        with pytest.raises(KeyboardInterrupt):
            run(folder, progress=press)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    finished = lines(folder / "out")
    assert 2 <= len(finished) < 6
    assert contents(folder / "out").keys() == {line["target"] for line in finished}
    assert run(folder, resume=True).kept == len(finished)


def test_two_runs_never_write_to_one_folder(folder: Path) -> None:
    def another(state: batch.Progress) -> None:
        with pytest.raises(InvalidInput, match="another pycodec batch is writing to"):
            run(folder, resume=True)

    assert run(folder, progress=another).made == 6


def test_a_file_that_no_batch_made_is_not_overwritten(folder: Path) -> None:
    (folder / "out/a").mkdir(parents=True)
    (folder / "out/a/0000.pci").write_bytes(b"mine")
    for resume in (False, True):
        with pytest.raises(InvalidInput, match=r"a/0000\.pci is there already"):
            run(folder, resume=resume)
    assert contents(folder / "out") == {"a/0000.pci": b"mine"}


def test_a_script_without_a_guard_is_told_so(folder: Path, tile: dict[str, str]) -> None:
    script = folder / "script.py"
    call = f"batch.run(['{folder}/in'], '{folder}/out', codec='tile', resume=True, jobs=1)"
    script.write_text(f"from pycodec import batch\nprint({call}.made)\n")
    done = subprocess.run([sys.executable, script], env=tile, capture_output=True, text=True)
    assert done.returncode == 1
    assert "workers cannot start: the first one ended with status 1; in a script" in done.stderr
    script.write_text(f"from pycodec import batch\nif __name__ == '__main__':\n    print({call}.made)\n")
    done = subprocess.run([sys.executable, script], env=tile, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")


def test_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    Path("in/bad.png").write_text("no image")
    Path("in/old.pci").write_bytes(TileCodec().compress("in/a/0000.png"))
    arguments = ["batch", "in", "-o", "out", "--compress", "--codec", "tile", "--jobs", "2"]
    assert cli.main(arguments) == 1
    out, err = capsys.readouterr()
    assert out.startswith("out: 6 files compressed, 1 failed, 1 of the other kind left out; ")
    assert (
        err == f"failed: in/bad.png: cannot read {folder}/in/bad.png: not an image of a format Pillow knows\n"
    )
    os.remove("in/bad.png")
    assert cli.main([*arguments, "--resume"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("out: 0 files compressed, 6 kept of an earlier run, 1 of the other") and err == ""
    assert cli.main(["batch", "in/old.pci", "-o", "back", "--format", "jpg"]) == 0
    with Image.open("back/old.jpg") as image:
        assert image.format == "JPEG"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--codec", "tyle"], "unknown codec 'tyle'; did you mean 'tile'"),
        (["--quality", "9"], "quality 9, expected 1 to 8"),
        (["--quality", "5", "--bpp", "1"], "both quality and bpp"),
        (["--bpp", "0"], "bpp 0, expected a positive number"),
        (["--weights", "none.safetensors"], "none.safetensors"),
        (["--format", "png"], "format png is for decompressing"),
        (["--decompress", "--quality", "5"], "quality 5.0 is for compressing"),
        (["--decompress", "--format", "xyz"], "Pillow writes no .xyz"),
        (["--jobs", "0"], "0 is not in the range"),
        (["--engine", "ray", "--address", "localhost:1"], "no Ray cluster at localhost:1"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments, sentence
) -> None:
    monkeypatch.chdir(folder)
    before = contents(folder)
    inputs = "in"
    if "--decompress" in arguments:
        inputs = "x.pci"
        Path(inputs).write_bytes(TileCodec().compress("in/a/0000.png"))
        before = contents(folder)
    codec = [] if "--decompress" in arguments or "--codec" in arguments else ["--codec", "tile"]
    assert cli.main(["batch", inputs, "-o", "out", *codec, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert sentence in err
    assert contents(folder) == before


def test_the_default_codec_writes_what_it_writes_alone(tmp_path: Path) -> None:
    try:
        codec = pycodec.load("default")
    except (MissingWeights, UnknownComponent) as error:
        pytest.skip(f"the default codec does not load: {error}")
    names = write_images(tmp_path / "in", 4)
    assert batch.run([tmp_path / "in"], tmp_path / "out", quality=6, jobs=1).made == 4
    packed = {str(Path(n).with_suffix(".pci")): codec.compress(tmp_path / "in" / n, 6) for n in names}
    assert contents(tmp_path / "out") == packed
    assert batch.run([tmp_path / "out"], tmp_path / "back", jobs=1).made == 4
    for name in names:
        assert np.array_equal(pixels(tmp_path / "back" / name), codec.reconstruct(tmp_path / "in" / name, 6))
