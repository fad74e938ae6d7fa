"""The benchmarks that take times: they run, their files say what happened, and so do the pages made of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from benchmark_modules import module, run

from pycodec.testing.samples import photo

DEVICE_CODERS = {"range_coder": "device_rans", "context_decode": "device_context"}
TIMED = ("range_coder", "context_decode", "masked_conv3d", "codec")


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
