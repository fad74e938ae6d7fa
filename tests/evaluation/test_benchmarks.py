"""The modules under benchmarks: they run, their files say what happened, and pages come from those alone."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from interpreters import python_path
from PIL import Image

import pycodec
from pycodec import bitstream
from pycodec.testing.samples import photo

ROOT = Path(__file__).resolve().parents[2]
DEVICE_CODERS = {"range_coder": "device_rans", "context_decode": "device_context"}
TIMED = ("range_coder", "context_decode", "masked_conv3d", "codec")


def run(module: str, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    assert done.returncode == status, done.stderr
    return done


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module(f"benchmarks.{name}")


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
    run("rd", "--data", images, "--anchors", "jpeg", "--json", folder / "rd_kodak.json")
    return folder


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

    def symbols(self, image: np.ndarray, quality: float) -> np.ndarray:
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
    assert result["ideal_bits"] < 1.003 * result["float_bits"]
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


@pytest.fixture(scope="module")
def quick(results: Path) -> Path:
    """The results folder with quick runs of everything that is timed."""
    extra = {
        "range_coder": ("--symbols", 2048),
        "context_decode": ("--size", "4,6"),
        "masked_conv3d": (),
        "codec": ("--image", results / "tiny" / "1.png", "--codecs", "ctx3d,hyperprior", "--qualities", 5),
    }
    for name in TIMED:
        run(name, "--quick", "--seconds", 0, *extra[name], "--json", results / f"{name}.json")
    return results


@pytest.mark.parametrize("name", TIMED)
def test_timed_results_say_what_happened(quick: Path, name: str) -> None:
    document = json.loads((quick / f"{name}.json").read_text())
    assert document["benchmark"] == name
    assert document["settings"]["quick"] is True and document["settings"]["seed"] == 1
    assert {"cpu", "clock_ghz", "cores", "simd"} <= set(document["environment"]["machine"])
    keys = {"case", "subject", "peer", "work", "unit", "seconds", "best_seconds", "rounds", "ratio"}
    rows = document["results"]
    assert all(keys <= set(row) for row in rows)
    assert all(row["best_seconds"] <= row["seconds"] and row["rounds"] == 2 for row in rows)
    assert all(row.get("exact", True) for row in rows)
    named = {(row["case"], row["subject"]): row for row in rows}
    assert len(named) == len(rows)
    for case in {row["case"] for row in rows}:
        assert next(row["ratio"] for row in rows if row["case"] == case) == 1
    assert document["goals"]
    for goal in document["goals"]:
        if goal["verdict"] == "not measured":  # a machine that never had a second core to give
            assert goal["field"] == "speedup" and (goal["at_best"] is None or goal["at_best"] < 1.8)
        else:
            assert goal["verdict"] in ("met", "missed", "peer not installed")
        assert (goal["case"], goal["subject"]) in named  # a goal of a row that no longer exists never fails
        if goal["verdict"] != "peer not installed":
            assert goal["field"] or (goal["case"], goal["against"]) in named


def test_a_second_thread_counts_where_there_is_a_second_core(monkeypatch: pytest.MonkeyPatch) -> None:
    second_thread, timing = module("second_thread", monkeypatch), module("timing", monkeypatch)
    one, two = [8.0, 8.0, 8.0, 8.0], [4.0, 8.0, 5.0, 7.0]
    alone, together = [1.0] * 4, [1.0, 2.0, 1.05, 1.9]  # for twice the work: gains of 2, 1, 1.9 and 1.05
    monkeypatch.setattr(second_thread.machine, "multiply_adds", lambda kind: (lambda: None, 1))
    monkeypatch.setattr(
        second_thread, "rounds", lambda calls, effort: [one, two, alone, together, one][: len(calls)]
    )
    names = ("pycodec", "pycodec, 2 threads", "peer")
    subjects = [timing.Subject(name, lambda: None, 1) for name in names]
    rows = second_thread.measure_beside("case", "unit", subjects, timing.QUICK)
    assert [row["subject"] for row in rows] == list(names)
    assert rows[1]["speedup"] == pytest.approx((8 / 4 + 8 / 5) / 2) and rows[1]["counted_rounds"] == 2
    assert rows[1]["at_best"] == pytest.approx((2 + 2 / 1.05) / 2)
    together[:] = [2.0] * 4
    rows = second_thread.measure_beside("case", "unit", subjects, timing.QUICK)
    assert "speedup" not in rows[1] and rows[1]["at_best"] == 1


def test_two_results_side_by_side(quick: Path, tmp_path: Path) -> None:
    document = json.loads((quick / "masked_conv3d.json").read_text())
    row = document["results"][0]
    row["seconds"] /= 4
    (tmp_path / "faster.json").write_text(json.dumps(document))
    done = run("masked_conv3d", "--compare", quick / "masked_conv3d.json", tmp_path / "faster.json")
    lines = done.stdout.splitlines()
    changed = [line for line in lines if line.endswith(" 4.00")]
    assert [line.split("  ")[0] for line in changed] == [f"{row['case']}, {row['subject']}"]
    assert sum(line.endswith(" 1.00") for line in lines) == len(document["results"]) - 1
    pair = quick / "masked_conv3d.json", quick / "codec.json"
    assert "expected one benchmark" in run("codec", "--compare", *pair, status=2).stderr
    assert "no timed rows" in run("codec", "--compare", quick / "rd_kodak.json", pair[1], status=2).stderr


def test_pages_of_timed_results(quick: Path, tmp_path: Path) -> None:
    names = ("range-coder", "context-decode", "masked-conv3d", "codec", "goals", "cuda")
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- results:{name} -->\n<!-- /results:{name} -->\n" for name in names))
    options = ("--pages", page, "--results", quick, "--figures", tmp_path)
    run("render", *options)
    text = page.read_text()
    for shown in (
        "| W2 |",
        "| parametric decode |",
        "| float32 backward |",
        "| ctx3d 5 |",
        "| hyperprior 5 |",
        "figures mean nothing",
    ):
        assert shown in text
    assert "not yet measured" in text
    machine = json.loads((quick / "codec.json").read_text())["environment"]["machine"]
    assert machine["simd"] in text and (
        machine["clock_ghz"] is None or f"{machine['clock_ghz']:.2f} GHz" in text
    )
    figure = (tmp_path / "speed.svg").read_bytes()
    run("render", *options, "--check")
    (tmp_path / "speed.svg").unlink()
    assert "speed.svg is not up to date" in run("render", *options, "--check", status=1).stderr
    run("render", *options)
    assert (tmp_path / "speed.svg").read_bytes() == figure


def test_a_peer_has_its_line_beside_the_codec(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, mean_scale = module("tables", monkeypatch), module("mean_scale", monkeypatch)
    document = json.loads((quick / "codec.json").read_text())
    document["results"] = [row for row in document["results"] if row["subject"] != mean_scale.NAME]
    document["peers_absent"] = {mean_scale.NAME: "not installed"}
    assert f"Not measured: {mean_scale.NAME}." in tables.codec_table(document)
    for way in ("encode", "decode"):
        times = {"ms": 640.0, "stages_ms": {"transform": 500.0}, "bpp": 0.4, "ratio": 4.0, "peer": True}
        document["results"].append({"case": f"hyperprior 5 {way}", "subject": mean_scale.NAME, **times})
    document["peers_absent"] = {}
    text = tables.codec_table(document)
    assert f"| {mean_scale.NAME} | 0.400 | 640 | 500 | 140 | - | 640 | 500 | 140 | - |" in text
    assert "is untrained" in text


def test_the_peer_codes_as_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    mean_scale = module("mean_scale", monkeypatch)
    if reason := mean_scale.missing():
        pytest.skip(f"compressai: {reason}")
    image = photo(100, 150)
    peer = mean_scale.MeanScale(image, 1500)
    assert mean_scale.size_of(peer.coded) == pytest.approx(1500, rel=0.02)
    assert peer.decompress(peer.coded).shape == image.shape


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Quick results of the device's coders, whose kernels run as plain loops."""
    folder = tmp_path_factory.mktemp("emulated")
    files = {name: folder / f"{name}.json" for name in DEVICE_CODERS}
    for name, file in files.items():
        run(name, "--quick", "--seconds", 0, "--device", "emulated", "--json", file)
    return files


def test_coders_of_a_device_are_measured_beside_the_cpu(emulated: dict[str, Path]) -> None:
    cases = {
        "range_coder": {
            f"{work} {way}" for work in ("W1", "W2", "W2u", "W3") for way in ("encode", "decode")
        },
        "context_decode": {
            *(
                f"{head} {case}"
                for head in ("categorical", "parametric")
                for size in ("Kodak", "1080p", "4K")
                for case in (f"{size} encode", f"{size} decode", "Kodak batch decode")
            )
        },
    }
    for name, file in emulated.items():
        document = json.loads(file.read_text())
        assert document["settings"]["device"] == "cpu"
        rows = {(row["case"], row["subject"]): row for row in document["results"]}
        assert set(rows) == {(case, s) for case in cases[name] for s in ("pycodec", "pycodec, cpu")}
        assert all(row["exact"] for (_, subject), row in rows.items() if subject == "pycodec")
        assert all(row["ms"] == 1e3 * row["seconds"] for row in rows.values())
        assert all(goal["verdict"] in ("met", "missed") for goal in document["goals"])
        assert [goal["case"] for goal in document["goals"]] == (
            []
            if name == "range_coder"
            else [f"categorical {case} decode" for case in ("Kodak", "1080p", "4K", "Kodak batch")]
        )
        batch = [row for row in rows.values() if row["case"].endswith("batch decode")]
        assert all(row["images_per_second"] == row["work"] / row["seconds"] for row in batch)


@pytest.mark.parametrize(("way", "fault"), [("encode", b"\0"), ("decode", 1)])
@pytest.mark.parametrize("name", DEVICE_CODERS)
def test_another_result_on_a_device_is_no_success(
    name: str, way: str, fault: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes or symbols of the device that are not the CPU's are found in every case."""
    benchmark = module(name, monkeypatch)
    ops = getattr(benchmark, DEVICE_CODERS[name])
    for function in (f for f in (way, f"{way}_pmfs") if hasattr(ops, f)):
        right = getattr(ops, function)
        monkeypatch.setattr(
            ops, function, lambda *args, right=right, **options: right(*args, **options) + fault
        )
    file = tmp_path / "results.json"
    options = ["--quick", "--seconds", "0", "--device", "emulated", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", [name, *options])
    assert benchmark.main() == 1
    for row in json.loads(file.read_text())["results"]:
        if row["subject"] == "pycodec":
            assert row["exact"] == (way == "encode" and row["case"].endswith("batch decode"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("name", DEVICE_CODERS)
def test_no_device_is_one_sentence(name: str) -> None:
    assert "error: no CUDA device here" in run(name, "--quick", "--device", "cuda", status=2).stderr


def test_results_of_a_gpu(quick: Path, emulated: dict[str, Path], tmp_path: Path) -> None:
    image, part = quick / "tiny" / "1.png", quick / "masked_conv3d.json"
    run(
        "gpu",
        "--device",
        "cpu",
        "--codecs",
        "ctx3d",
        "--image",
        image,
        "--parts",
        part,
        *emulated.values(),
        "--json",
        tmp_path / "gpu.json",
    )
    document = json.loads((tmp_path / "gpu.json").read_text())
    assert document["parity"] == [
        {"codec": "ctx3d", "decodes": True, "same_bytes": True, "largest_difference": 0}
    ]
    (tmp_path / "rd_kodak.json").write_bytes((quick / "rd_kodak.json").read_bytes())
    page = tmp_path / "page.md"
    page.write_text("<!-- results:cuda -->\n<!-- /results:cuda -->\n")
    run("render", "--pages", page, "--results", tmp_path, "--figures", tmp_path)
    assert "| cpu, masked_conv3d, float32 forward |" in page.read_text()
    assert "cpu, ctx3d: yes" in page.read_text()
    assert "| cpu, context_decode, categorical 4K decode |" in page.read_text()
    assert "| categorical Kodak batch decode, images per second | >= 5000 /s |" in page.read_text()
    other = json.loads(part.read_text())
    other["settings"]["device"] = "another"
    (tmp_path / "other.json").write_text(json.dumps(other))
    done = run("gpu", "--device", "cpu", "--image", image, "--parts", tmp_path / "other.json", status=2)
    assert "no results of cpu" in done.stderr


def test_a_ratio_is_the_median_of_the_ratios_in_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    timing = module("timing", monkeypatch)
    monkeypatch.setattr(timing, "rounds", lambda calls, effort: [[1.0, 2.0, 4.0], [2.0, 6.0, 4.0]])
    subjects = [timing.Subject("a", int, work=10), timing.Subject("b", int, work=5, peer=True)]
    a, b = timing.measure("case", "symbol", subjects, timing.QUICK)
    assert (a["ratio"], a["seconds"], a["best_seconds"]) == (1, 2, 1)
    assert b["ratio"] == 2 * 10 / 5  # the median of 2, 3 and 1, and half the work


def test_rounds_interleave(monkeypatch: pytest.MonkeyPatch) -> None:
    timing = module("timing", monkeypatch)
    called: list[str] = []
    calls = [lambda: called.append("a"), lambda: called.append("b")]
    samples = timing.rounds(calls, timing.Effort(seconds=0, sample=0, least=3))
    assert "".join(called) == "aabb" + "ab" * 3  # warm-up, the number of repeats, then rounds
    assert [len(own) for own in samples] == [3, 3]


def test_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    goals = module("goals", monkeypatch)
    rows = [
        {"case": "c", "subject": "pycodec", "peer": False, "ratio": 1.0, "us": 3.0},
        {"case": "c", "subject": "slow", "peer": True, "ratio": 9.0},
        {"case": "c", "subject": "quick", "peer": True, "ratio": 5.0},
        {"case": "c", "subject": "half", "peer": False, "ratio": 2.0},
    ]
    wanted = {
        goals.Goal("c", against="quick", at_least=5): ("met", 5, 1),
        goals.Goal("c", against=goals.FASTEST_PEER, at_least=6): ("missed", 5, 5 / 6),
        goals.Goal("c", subject="half", against="slow", at_least=4): ("met", 4.5, 4.5 / 4),
        goals.Goal("c", against="half", at_most=3): ("met", 2, 1.5),
        goals.Goal("c", field="us", at_most=2): ("missed", 3, 2 / 3),
        goals.Goal("c", against="absent", at_least=1): ("peer not installed", None, None),
        goals.Goal("d", against="quick", at_least=1): ("not measured", None, None),
        goals.Goal("c", subject="half", field="us", at_most=2): ("not measured", None, None),
    }
    for goal, judged in zip(wanted, goals.judge(wanted, rows), strict=True):
        assert (judged["verdict"], judged["value"], goals.score(judged)) == wanted[goal]


def test_no_peak_without_its_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = module("machine", monkeypatch)
    monkeypatch.setattr(machine, "flags", lambda: frozenset())
    assert machine.clock_ghz() is None
    assert [machine.multiply_adds(kind) for kind in machine.INSTRUCTIONS] == [None] * 3


@torch.inference_mode()
def test_the_int8_peer_computes_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    context_decode = module("context_decode", monkeypatch)
    model, symbols = context_decode.make("categorical", (4, 8, 12), 1)
    x, quality = model.network_input(torch.from_numpy(symbols)), torch.tensor([5.0])
    expected = model.network(x[None], quality).softmax(1)
    found = context_decode.Int8Forward(model.network, x, quality)()
    assert (found - expected).abs().mean() < 0.05 * (expected - expected.mean()).abs().mean()
