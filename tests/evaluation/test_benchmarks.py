"""The modules under benchmarks that measure codecs and draw pages: their files say what happened, and pages come from
those alone.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmark_modules import ROOT, module, run
from PIL import Image

import pycodec
from pycodec import bitstream
from pycodec.testing.samples import photo


def test_anchors_are_kept(results: Path) -> None:
    out = results / "rd_kodak.json"
    document = json.loads(out.read_text())
    assert len(document["rows"]) == 2 * len(document["codecs"]["jpeg"]["settings"])
    assert document["codecs"]["jpeg"]["environment"]["versions"]["numpy"] == np.__version__
    # A second run with another codec measures that one alone: a changed row survives.
    document["rows"][0]["encode_seconds"] = 12345.0
    out.write_text(json.dumps(document))
    run("rd", "--data", results / "tiny", "--anchors", "webp", "--json", out)
    after = json.loads(out.read_text())
    assert set(after["codecs"]) == {"jpeg", "webp"}
    assert sum(row["encode_seconds"] == 12345.0 for row in after["rows"]) == 1


def test_other_images_are_refused(results: Path, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "other.png")
    done = run("rd", "--data", tmp_path, "--json", results / "rd_kodak.json", status=2)
    assert "results of other images" in done.stderr
    assert "Traceback" not in done.stderr


def test_render_writes_and_checks(results: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results:ms-ssim -->\nold\n<!-- /results:ms-ssim -->\nafter\n")
    options = ("--pages", readme, "--results", results, "--figures", tmp_path)
    stale = run("render", *options, "--check", status=1)
    assert "README.md is not up to date" in stale.stderr and "rd_kodak.svg is not" in stale.stderr
    run("render", *options)
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| JPEG |" in text
    assert (tmp_path / "rd_kodak.svg").read_text().startswith("<?xml")
    run("render", *options, "--check")
    readme.write_text(text.replace("| JPEG |", "| JPEG! |"))
    run("render", *options, "--check", status=1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<!-- results:nothing -->\n<!-- /results:nothing -->\n", "no table results:nothing"),
        ("<!-- results:rd -->\n", "1 tables are opened"),
        ("<!-- results:verify -->\n<!-- /results:verify -->\n", "has no verify_*.json"),
    ],
)
def test_render_says_what_is_wrong(results: Path, tmp_path: Path, text: str, sentence: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    done = run("render", "--pages", readme, "--results", results, "--figures", tmp_path, status=2)
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

    def symbols(self, image: np.ndarray, quality: float, effort: int = 1) -> np.ndarray:
        return image.astype("<i4")

    def quality_step(self, quality: float) -> int:
        return round(16 * quality)

    def decode(self, data: bytes, shape: tuple[int, ...], step: int) -> np.ndarray:
        found = np.frombuffer(zlib.decompress(data), "<i4").reshape(shape)
        return found + (self.fault == "symbols" and torch.get_num_threads() == 2)

    def code_length_bits(self, symbols: np.ndarray, step: int) -> float:
        bits = 8.0 * len(zlib.compress(symbols.tobytes()))
        return 0.992 * bits if self.fault == "length" else bits

    def decompress(self, data: bytes) -> Image.Image:
        container = bitstream.parse(data)
        shape = (container.header.height, container.header.width, 3)
        return Image.fromarray(self.decode(container.payload, shape, 16).astype(np.uint8))

    def reconstruct(self, image: np.ndarray, quality: float) -> np.ndarray:
        return image + np.uint8(self.fault == "reconstruction")


@pytest.mark.parametrize("fault", ["none", "reconstruction", "length", "symbols", "bytes"])
def test_acceptance_check_finds_each_fault(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    verify_kodak = module("verify_kodak", monkeypatch)
    image = np.random.default_rng(3).integers(0, 40, (96, 128, 3), dtype=np.uint8)
    result = verify_kodak.check(ZlibCodec(fault), image, 5)
    assert {name for name in verify_kodak.CHECKS if not result.get(name, True)} == {fault} - {"none"}


def test_acceptance_check_of_a_hyper_latent(monkeypatch: pytest.MonkeyPatch) -> None:
    """One backend that computes another mean or scale is found; so is what integers cost too much."""
    verify_kodak = module("verify_kodak", monkeypatch)
    codec, image = pycodec.load("hyperprior"), photo(128, 192)
    result = verify_kodak.check(codec, image, 3)
    # Of so small a file the container is more than the bound on its length allows.
    assert all(result[name] for name in verify_kodak.CHECKS if name != "length")
    assert result["integer_bits"] < 1.003 * result["float_bits"]
    for part in (codec.entropy_model, codec.quantizer):
        right = part.integer.reference
        monkeypatch.setattr(part.integer, "reference", lambda z, right=right: right(z) + (z.size > 0))
        assert verify_kodak.check(codec, image, 3)["tables"] is False
        monkeypatch.setattr(part.integer, "reference", right)


def test_optimized_files_are_measured_once(tmp_path: Path) -> None:
    images, results, page = tmp_path / "images", tmp_path / "optimize_hyperprior.json", tmp_path / "page.md"
    images.mkdir()
    for name in "ab":
        Image.fromarray(photo(48, 64)).save(images / f"{name}.png")
    arguments = ["--data", images, "--codecs", "hyperprior", "--steps", "2", "--json", results]  # too few
    assert "0 of 2" in run("optimize", *arguments, status=1).stdout
    first = json.loads(results.read_text())
    assert [(row["image"], row["exact"]) for row in first["results"]] == [("a.png", True), ("b.png", True)]
    for row in first["results"]:
        row["bpp"], row["mse"], row["lambda"] = [1.0, 0.9], [10.0, 10.0], 0.1
    results.write_text(json.dumps(first))
    Image.fromarray(photo(48, 64)).save(images / "c.png")
    assert "2 of 3" in run("optimize", *arguments, status=1).stdout
    second = json.loads(results.read_text())
    assert second["results"][:2] == first["results"] and len(second["results"]) == 3
    second["results"][2] = {**second["results"][1], "image": "c.png"}
    results.write_text(json.dumps(second))
    assert "3 of 3  3 of 3     -5.00 %  -5.00 %  -10.00 %  +0.00 dB" in run("optimize", *arguments).stdout
    (tmp_path / "rd_kodak.json").write_bytes((ROOT / "benchmarks" / "results" / "rd_kodak.json").read_bytes())
    page.write_text("<!-- results:optimize -->\n<!-- /results:optimize -->\n")
    run("render", "--pages", page, "--results", tmp_path, "--figures", tmp_path)
    assert "| hyperprior | 3 | 2 | 3 of 3 | -5.0 % |" in page.read_text()


def test_context_networks_are_compared_on_the_same_latents(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("data", 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.fromarray(photo(168 + i, 176)).save(tmp_path / name / f"{i}.png")
    results, page = tmp_path / "context_training.json", tmp_path / "page.md"
    arguments = [
        "--train",
        tmp_path / "train",
        "--data",
        tmp_path / "data",
        "--steps",
        "2",
        "--json",
        results,
    ]
    run("context_training", *arguments)
    first = json.loads(results.read_text())
    assert list(first["variants"]) == ["near", "earlier", "earlier 16", "earlier 32"]
    planes = pycodec.load("ctx3d").transform.channels
    near, earlier = (first["variants"][name] for name in ("near", "earlier"))
    assert earlier["parameters"] - near["parameters"] == planes * (planes - 1) // 2 * 24 * 2
    # Before the first step nothing is predicted, whatever is seen; then both learn.
    assert near["curve"][0]["bpp"] == pytest.approx(earlier["curve"][0]["bpp"])
    for variant in first["variants"].values():
        assert [at["step"] for at in variant["curve"]] == [0, 2]
        assert all(variant["curve"][1]["bpp"][q] < bpp for q, bpp in variant["curve"][0]["bpp"].items())
    del first["variants"]["earlier"]
    first["variants"]["near"]["curve"][-1]["bpp"] = {"1": 1.0, "3": 2.0, "5": 4.0, "7": 8.0}
    first["variants"]["earlier 16"]["curve"][-1]["bpp"] = {"1": 0.9, "3": 2.0, "5": 4.0, "7": 8.4}
    results.write_text(json.dumps(first))
    run("context_training", *arguments)  # only what is missing
    second = json.loads(results.read_text())
    assert second["variants"]["near"] == first["variants"]["near"]
    assert second["variants"]["earlier"]["curve"][1]["bpp"] == earlier["curve"][1]["bpp"]
    (tmp_path / "rd_kodak.json").write_bytes((ROOT / "benchmarks" / "results" / "rd_kodak.json").read_bytes())
    page.write_text("<!-- results:context-training -->\n<!-- /results:context-training -->\n")
    run("render", "--pages", page, "--results", tmp_path, "--figures", tmp_path)
    assert "| 1.000 | 2.000 | 4.000 | 8.000 |\n" in page.read_text()
    assert "| -10.0 % | +0.0 % | +0.0 % | +5.0 % |\n" in page.read_text()
    assert (tmp_path / "context_training.svg").exists()


def test_crops_are_shown_at_equal_rates(tmp_path: Path) -> None:
    for number in ("04", "07", "08", "13", "19", "23"):
        Image.fromarray(photo(530, 500, seed=int(number))).save(tmp_path / f"kodim{number}.png")
    results, sheets, page = tmp_path / "crops.json", tmp_path / "sheets", tmp_path / "page.md"
    run("crops", "--data", tmp_path, "--sheets", sheets, "--codecs", "jpeg,webp", "--json", results)
    document = json.loads(results.read_text())
    assert len(document["rows"]) == 6 * 2 * 2 and len(list(sheets.iterdir())) == 6
    row = document["rows"][0]
    assert (row["image"], row["rate"], row["codec"]) == ("kodim04", 0.15, "jpeg")
    codec, image = pycodec.load("jpeg"), Image.open(tmp_path / "kodim04.png")
    rates = {q: 8 * len(codec.compress(image, q)) / (530 * 500) for q in range(1, 101)}
    assert row["bpp"] == pytest.approx(max(bpp for bpp in rates.values() if bpp <= 0.15))
    sheet = np.asarray(Image.open(sheets / "kodim04.png"))
    assert sheet.shape == (2 * (384 + 26), 3 * 384, 3)
    assert np.array_equal(sheet[26:410:2, 0:384:2], np.asarray(image)[190:382, 150:342])
    (tmp_path / "rd_kodak.json").write_bytes((ROOT / "benchmarks" / "results" / "rd_kodak.json").read_bytes())
    page.write_text("<!-- results:crops -->\n<!-- /results:crops -->\n")
    run("render", "--pages", page, "--results", tmp_path, "--figures", tmp_path)
    assert "| 0.15 | jpeg |" in page.read_text()
    (tmp_path / "kodim07.png").unlink()
    done = run("crops", "--data", tmp_path, "--sheets", sheets, "--json", results, status=2)
    assert "has no kodim07" in done.stderr and json.loads(results.read_text()) == document


def test_the_table_of_what_was_checked(tmp_path: Path) -> None:
    environment = json.loads((ROOT / "benchmarks" / "results" / "codec.json").read_text())["environment"]
    common = {"environment": environment, "cases": 4, "simd_levels": ["default"], "excess_percent": 0.2}
    for codec, passed, loss in (("a", {"symbols": 4}, None), ("b", {"symbols": 3, "tables": 4}, 0.125)):
        document = {**common, "codec": codec, "passed": passed, "integer_loss_percent": loss}
        (tmp_path / f"verify_{codec}.json").write_text(json.dumps(document))
    page = tmp_path / "page.md"
    page.write_text("<!-- results:verify -->\n<!-- /results:verify -->\n")
    (tmp_path / "rd_kodak.json").write_bytes((ROOT / "benchmarks" / "results" / "rd_kodak.json").read_bytes())
    run("render", "--pages", page, "--results", tmp_path, "--figures", tmp_path)
    for line in (
        "| check | a | b |",
        "| symbols | 4 of 4 | 3 of 4 |",
        "| tables | - | 4 of 4 |",
        "| integers against float | - | +0.12 % |",
    ):
        assert line in page.read_text()


def test_the_table_of_decoders_compares_at_equal_bits(tmp_path: Path) -> None:
    environment = json.loads((ROOT / "benchmarks" / "results" / "codec.json").read_text())["environment"]
    runs = {"No-GAN": (24.0, 100.0), "ILLM 3": (23.5, 75.0), "hyperprior": (23.9, 110.0)}
    points = [("No-GAN", "No-GAN", None), ("ILLM 3", "ILLM", 3.0)]
    document = {
        "sweep": "hyperprior_illm",
        "dataset": {"name": "kodak", "images": 24},
        "metrics": {
            name: {"label": name, "unit": "", "higher_is_better": up, "config": {}}
            for name, up in (("psnr", True), ("swd", False))
        },
        "codecs": {"No-GAN": {"environment": environment}},
        "points": [
            {"name": name, "series": series, "vary": value and "w", "value": value, "trained": {"steps": 600}}
            for name, series, value in points
        ],
        "mean_points": {
            name: [{"setting": 1, "images": 24, "bpp": 0.08, "psnr": psnr}]
            for name, (psnr, _) in runs.items()
        },
        "set_metrics": {name: [{"setting": 1, "swd": swd}] for name, (_, swd) in runs.items()},
    }
    (tmp_path / "sweep_hyperprior_illm.json").write_text(json.dumps(document))
    (tmp_path / "rd_kodak.json").write_bytes((ROOT / "benchmarks" / "results" / "rd_kodak.json").read_bytes())
    page = tmp_path / "page.md"
    page.write_text("<!-- results:illm -->\n<!-- /results:illm -->\n")
    options = ("--pages", page, "--results", tmp_path, "--figures", tmp_path)
    run("render", *options)
    for line in (
        "| decoder | lambda_d | 0.080 bpp |",
        "| hyperprior |  | 23.90 dB, 110.0 (-0.10 dB, +10%) |",
        "| No-GAN |  | 24.00 dB, 100.0 |",
        "| ILLM | 3 | 23.50 dB, 75.0 (-0.50 dB, -25%) |",
    ):
        assert line in page.read_text()
    drawn = tmp_path / "hyperprior_illm_plane_swd.svg"
    assert b"<svg" in drawn.read_bytes()
    run("render", "--check", *options)
    document["set_metrics"]["ILLM 3"][0]["swd"] = 80.0  # type: ignore[index]
    (tmp_path / "sweep_hyperprior_illm.json").write_text(json.dumps(document))
    stale = run("render", "--check", *options, status=1)
    assert "hyperprior_illm_plane_swd.svg is not up to date" in stale.stderr
