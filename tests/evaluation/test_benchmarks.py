"""The scripts under benchmarks: figures come from the results files, and anchors are measured once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pycodec import bitstream

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


def run(script: str, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with JPEG measured on two small images."""
    folder = tmp_path_factory.mktemp("results")
    images = folder / "tiny"
    images.mkdir()
    y, x = np.mgrid[:176, :176]
    for k in (1, 2):
        wave = 128 + 80 * np.sin(x / (5 * k)) * np.cos(y / 11)
        Image.fromarray(np.repeat(wave[..., None], 3, 2).astype(np.uint8)).save(images / f"{k}.png")
    run("bench_rd.py", "--data", images, "--anchors", "jpeg", "--out", folder / "rd_kodak.json")
    return folder


def test_anchors_are_kept(results: Path) -> None:
    out = results / "rd_kodak.json"
    document = json.loads(out.read_text())
    assert len(document["rows"]) == 2 * len(document["codecs"]["jpeg"]["settings"])
    assert document["codecs"]["jpeg"]["environment"]["versions"]["numpy"] == np.__version__
    # A second run with another codec measures that one alone: a changed row survives.
    document["rows"][0]["encode_seconds"] = 12345.0
    out.write_text(json.dumps(document))
    run("bench_rd.py", "--data", results / "tiny", "--anchors", "jpeg,webp", "--out", out)
    after = json.loads(out.read_text())
    assert set(after["codecs"]) == {"jpeg", "webp"}
    assert sum(row["encode_seconds"] == 12345.0 for row in after["rows"]) == 1


def test_other_images_are_refused(results: Path, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "other.png")
    done = run("bench_rd.py", "--data", tmp_path, "--out", results / "rd_kodak.json", status=2)
    assert "results of other images" in done.stderr
    assert "Traceback" not in done.stderr


def test_render_writes_and_checks(results: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results:ms-ssim -->\nold\n<!-- /results:ms-ssim -->\nafter\n")
    options = ("--pages", readme, "--results", results, "--figures", tmp_path)
    stale = run("render.py", *options, "--check", status=1)
    assert "README.md is not up to date" in stale.stderr and "rd_kodak.svg is not" in stale.stderr
    run("render.py", *options)
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| JPEG |" in text
    assert (tmp_path / "rd_kodak.svg").read_text().startswith("<?xml")
    run("render.py", *options, "--check")
    readme.write_text(text.replace("| JPEG |", "| JPEG! |"))
    run("render.py", *options, "--check", status=1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<!-- results:nothing -->\n<!-- /results:nothing -->\n", "no table results:nothing"),
        ("<!-- results:rd -->\n", "1 tables are opened"),
        ("<!-- results:speed -->\n<!-- /results:speed -->\n", "codec_speed.json is missing"),
    ],
)
def test_render_says_what_is_wrong(results: Path, tmp_path: Path, text: str, sentence: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    done = run("render.py", "--pages", readme, "--results", results, "--figures", tmp_path, status=2)
    assert sentence in done.stderr
    assert readme.read_text() == text


class ZlibCodec:
    """Codes pixels losslessly through the container, with one thing wrong on demand."""

    def __init__(self, fault: str):
        self.fault, self.entropy_model, self.calls = fault, self, 0

    def compress(self, image: np.ndarray, quality: float) -> bytes:
        self.calls += 1
        payload = zlib.compress(self.symbols(image, quality).tobytes())
        if self.fault == "bytes":
            payload = zlib.compress(self.symbols(image, quality).tobytes(), 5 + self.calls)
        header = bitstream.Header("zlib", b"\0" * 32, image.shape[1], image.shape[0], 16, 0)
        return bitstream.Container(header, payload).to_bytes()

    def symbols(self, image: np.ndarray, quality: float) -> np.ndarray:
        return image.astype("<i4")

    def quality_step(self, quality: float) -> int:
        return round(16 * quality)

    def decode(self, data: bytes, shape: tuple[int, ...], step: int, threads: int = 1) -> np.ndarray:
        found = np.frombuffer(zlib.decompress(data), "<i4").reshape(shape)
        return found + (self.fault == "symbols" and threads == 2)

    def code_length_bits(self, symbols: np.ndarray, step: int) -> float:
        bits = 8.0 * len(zlib.compress(symbols.tobytes()))
        return bits - 0.05 * bits - 400 if self.fault == "length" else bits

    def decompress(self, data: bytes) -> Image.Image:
        container = bitstream.parse(data)
        shape = (container.header.height, container.header.width, 3)
        return Image.fromarray(self.decode(container.payload, shape, 16).astype(np.uint8))

    def reconstruct(self, image: np.ndarray, quality: float) -> np.ndarray:
        return image + np.uint8(self.fault == "reconstruction")


@pytest.mark.parametrize("fault", ["none", "reconstruction", "length", "symbols", "bytes"])
def test_acceptance_check_finds_each_fault(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import verify_kodak

    image = np.random.default_rng(3).integers(0, 40, (24, 32, 3), dtype=np.uint8)
    result = verify_kodak.check(ZlibCodec(fault), image, 5)
    assert {name for name in verify_kodak.CHECKS if not result[name]} == {fault} - {"none"}
