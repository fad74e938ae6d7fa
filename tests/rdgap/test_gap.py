"""``pycodec gap``: curves of all kinds against an anchor, what lies between them, going on, what is missing."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

import pycodec
from pycodec import cli
from pycodec.errors import InvalidInput
from pycodec.evaluation.rd import Row
from pycodec.testing import sample_codec
from pycodec.testing.samples import photo
from pycodec_plugins.rdgap import sizes
from pycodec_plugins.rdgap.estimators import OperationalRD
from pycodec_plugins.rdgap.gap import report, spec
from pycodec_plugins.rdgap.gap.decomposition import compared, curve, decompose, lagrangian_changes, overhead
from pycodec_plugins.rdgap.gap.figures import figures_of
from pycodec_plugins.rdgap.task import ResTask

ROOT = Path(__file__).resolve().parents[2]
LAMBDAS = 0.002, 0.05
GAP = """
[anchor]
codec = "jpeg"
settings = [10, 40, 80]

[estimators]
operational = "operational_rd"
optimized = "sga+steps=2"
bound = "gaussian_upper_bound+steps=0+samples=2"
optimized_bound = "gaussian_upper_bound+steps=2+samples=2"

[[codec]]
name = "small"
family = "Res-hyper"
files = ["res_hyper+weights_file={low}", "res_hyper+weights_file={high}"]
bounds = ["res_hyper+weights_file={high}"]

[[codec]]
name = "blocks"
files = ["jpeg"]
qualities = [20, 60]
optimize = false

[files]
low = "low.safetensors"
high = "nowhere.safetensors"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two images, the report's file, and untrained weights for two lambdas."""
    folder = tmp_path_factory.mktemp("gap")
    (folder / "images").mkdir()
    for seed in range(2):
        Image.fromarray(photo(48, 64, seed)).save(folder / "images" / f"{seed}.png")
    (folder / "tiny.toml").write_text(GAP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "LUMA", 13)
        patch.setattr(sizes, "CHROMA", 4)
        patch.setattr(sizes, "HYPER", {"hyper_channels": 4, "width": 8})
        for name, lam in zip(("low", "high"), LAMBDAS, strict=True):
            torch.manual_seed(0)
            task = ResTask({"depth": 1, "width": 16}, {"lambda": lam})
            task.export(folder / f"{name}.safetensors", [photo(64, 64)], {"codec": "res_hyper", **card(name)})
    return folder


def card(name: str) -> dict:
    """The one file says how it was trained."""
    stage = '[[stage]]\nname = "joint"\nsteps = 70\nlearning_rate = { model = 1.0 }\nbatch = 3\ncrop = 32\n'
    run = {"steps": 60, "images": 1234, "recipe": f'codec = "res_hyper"\n{stage}', "settings": []}
    return {"model_card": {"runs": [run]}} if name == "low" else {}


@pytest.fixture
def gap(site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    """Runs the command without figures, which take longer than all else: exit status, output, errors."""
    monkeypatch.chdir(site)
    monkeypatch.setattr(report, "draw", lambda document, folder: folder.mkdir(exist_ok=True) or [])

    def run(*arguments: str, out: str = "out") -> tuple[int, str, str]:
        status = cli.main(["gap", "tiny.toml", "--images", "images", "--out", out, *arguments])
        return status, *capsys.readouterr()

    return run


def document(site: Path, out: str = "out") -> dict:
    return json.loads((site / out / "gap.json").read_text())


def journals(site: Path, out: str = "out") -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted((site / out).rglob("*.jsonl"))}


def test_a_report_on_everything_and_again_from_what_is_known(gap, site: Path) -> None:
    status, _, err = gap("--file", "high=high.safetensors")
    assert status == 0, err
    found = document(site)
    assert found["gap"] == "tiny" and found["missing"] == [] and found["dataset"]["images"] == 2
    assert len(found["anchor_rows"]) == 3 * 2 and found["anchor"]["label"] == "JPEG"
    counts = {("small", "operational"): 2, ("small", "optimized"): 2, ("small", "bound"): 1}
    counts |= {("small", "optimized_bound"): 1, ("blocks", "operational"): 2}
    assert {(p["codec"], p["curve"]): p["point"] + 1 for p in found["points"]} == counts
    for (name, kind), points in counts.items():
        rows = [row for row in found["rows"] if (row["codec"], row["curve"]) == (name, kind)]
        assert [(r["point"], r["image"]) for r in rows] == [
            (p, image) for p in range(points) for image in ("0.png", "1.png")
        ]
        assert all({"rate_bpp", "distortion_mse", "psnr_db", "seconds"} <= row.keys() for row in rows)
    small, blocks = found["codecs"]
    lambdas = [p["lambda"] for p in found["points"] if p["curve"] == "optimized"]
    assert lambdas == pytest.approx(LAMBDAS)
    assert 0 < small["parameters"]["transforms"] < small["parameters"]["all"]
    assert blocks["parameters"] is None and blocks["overhead"] is None
    assert 0 < small["overhead"]["percent"] < 100 and len(small["overhead"]["points"]) == 2
    changes = small["amortisation"]["files"]["lagrangian"]
    assert [one["images"] for one in changes] == [2, 2]
    assert small["bd_rates"]["operational"]["per_image"].keys() == {"0.png", "1.png"}
    assert "curve of 1 point" in small["bd_rates"]["bound"]["reason"]
    assert blocks["bd_rates"]["operational"]["percent"] == pytest.approx(0, abs=3)  # JPEG against itself
    assert "bound" not in blocks["bd_rates"] and blocks["amortisation"] == {"files": None, "bound": None}
    assert "60 steps of 3 crops of 32 x 32 pixels, from 1,234 images" in found["notes"]["training"]
    assert "do not say how they were trained" in found["notes"]["training"]

    before = journals(site)
    assert gap("--file", "high=high.safetensors")[0] == 0
    assert journals(site) == before
    again = document(site)
    assert {**again, "environment": None} == {**found, "environment": None}


def test_the_page_says_what_each_number_is(gap, site: Path) -> None:
    status, out, err = gap("--file", "high=high.safetensors")
    assert status == 0, err
    found, page = document(site), (site / "out" / "report" / "report.md").read_text()
    assert out.startswith("BD-rate against JPEG") and "blocks" in out
    percent = found["codecs"][0]["bd_rates"]["operational"]["percent"]
    assert f"{percent:+.1f} (" in page and f"{percent:+.1f} (" in out
    assert all(sentence in page for sentence in found["notes"].values())
    assert "No BD-rate of small, bound; bound, optimised" in page
    assert "| small, files | 0.05 |" in page and " of 2 |" in page
    assert str(site) not in page + (site / "out" / "gap.json").read_text()


def test_missing_weights_are_named_and_the_rest_is_reported(gap, site: Path) -> None:
    status, _, err = gap(out="partly")
    assert status == 1
    assert "missing: small, res_hyper+weights_file={high}: no weights at nowhere.safetensors" in err
    found = document(site, "partly")
    assert found["missing"] == ["small, res_hyper+weights_file={high}"]
    assert {(r["codec"], r["curve"]) for r in found["rows"]} == {
        ("small", "operational"), ("small", "optimized"), ("blocks", "operational"),
    }  # fmt: skip
    assert found["missing"][0] in (site / "partly" / "report" / "report.md").read_text()


def test_the_page_says_nothing_of_what_was_not_asked(gap, site: Path) -> None:
    (site / "files.toml").write_text(re.sub(r"(?m)^(optimized|bound|optimized_bound|bounds) = .*\n", "", GAP))
    status = cli.main(
        ["gap", "files.toml", "--images", "images", "--out", "files", "--file", "high=high.safetensors"]
    )
    assert status == 0
    found = document(site, "files")["notes"]
    assert found.keys() >= {"operational", "overhead", "training"}
    assert found.keys().isdisjoint({"bound", "amortisation", "lagrangian", "digitisation", "sampling"})
    assert "bound" not in found["training"]


def test_only_some_codecs_and_a_published_anchor(gap, site: Path) -> None:
    lines = ["codec,bpp,psnr", "VTM,0.1,24", "VTM,1.0,33", "VTM,3.0,42"]
    (site / "vtm.csv").write_text("\n".join(lines))
    text = GAP.replace('codec = "jpeg"\nsettings = [10, 40, 80]', 'published = "vtm.csv"')
    (site / "published.toml").write_text(text)
    status = cli.main(["gap", "published.toml", "--images", "images", "--out", "some", "--only", "blocks"])
    assert status == 0
    found = document(site, "some")
    assert [codec["name"] for codec in found["codecs"]] == ["blocks"]
    assert found["anchor"]["name"] == "VTM" and found["codecs"][0]["bd_rates"]["operational"]["of_means"]


def test_figures_are_drawn_from_the_document(gap, site: Path) -> None:
    assert gap("--file", "high=high.safetensors")[0] == 0
    found = document(site)
    assert figures_of(found).keys() == {"operational", "gain", "rates"}  # bounds have one point each
    lines = figures_of(found)["operational"].axes[0].lines
    small = found["codecs"][0]
    assert [line.get_label() for line in lines] == ["Res-hyper, files", "Res-hyper, files, optimised"]
    assert lines[0].get_xydata().tolist() == [
        [small["parameters"]["transforms"] / 1e6, small["bd_rates"]["operational"]["percent"]]
    ]
    rates = figures_of(found)["rates"].axes
    assert [axis.get_title() for axis in rates] == ["small", "blocks"]
    assert [len(axis.lines) for axis in rates] == [5, 2]


def test_pages_show_what_is_in_a_results_file(gap, site: Path, tmp_path: Path, monkeypatch) -> None:
    assert gap("--file", "high=high.safetensors")[0] == 0
    monkeypatch.syspath_prepend(str(ROOT))
    tables, drawings = (importlib.import_module(f"benchmarks.{name}") for name in ("tables", "figures"))
    assert tables.gap_table(tmp_path) == "Not measured yet.\n"
    shutil.copy(site / "out" / "gap.json", tmp_path / "gap_tiny.json")
    found = drawings.gap(document(site))
    assert re.findall(r"\]\(figures/(.*?)\)", tables.gap_table(tmp_path)) == list(found)
    key, draw = found["gap_tiny_operational.svg"]
    assert key.encode() in draw() and b"Res-hyper, files" in draw()


RATES = 0.2, 0.5, 1.1, 2.0


def figures(scale: float = 1.0, **more: float) -> list[dict]:
    """Two images at four points, with a share of the bits."""
    return [
        {
            "point": point,
            "image": image,
            "rate_bpp": scale * factor * rate,
            "psnr_db": 28 + 3 * point,
            "distortion_mse": 100 / 2**point,
            **more,
        }
        for point, rate in enumerate(RATES)
        for image, factor in (("a", 1.0), ("b", 1.7))
    ]


def test_a_tenth_fewer_bits_are_minus_ten_percent() -> None:
    anchor = curve(figures())
    curves = {
        "operational": figures(0.9),
        "optimized": figures(0.9 * 0.8),
        "bound": figures(0.9 * 0.5),
        "optimized_bound": figures(0.9 * 0.4),
    }
    nothing = dict.fromkeys(range(4))
    found = decompose(curves, anchor, dict.fromkeys(curves, nothing))
    percent = {name: one["percent"] for name, one in found["bd_rates"].items()}
    assert percent == pytest.approx(
        {"operational": -10, "optimized": -28, "bound": -55, "optimized_bound": -64}
    )
    gains = {kind: one["bd_rate"]["percent"] for kind, one in found["amortisation"].items()}
    assert gains == pytest.approx({"files": -20, "bound": -20})
    gaps = {kind: one["percent"] for kind, one in found["digitisation"].items()}
    assert gaps == pytest.approx({"plain": -50, "optimized": -50})
    assert found["bd_rates"]["bound"]["low"] == pytest.approx(-55)
    assert found["overhead"] is None and found["amortisation"]["files"]["lagrangian"] == []


def test_what_is_not_there_has_no_numbers() -> None:
    found = decompose({"bound": figures(0.5)}, curve(figures()), {"bound": {}})
    assert found["bd_rates"].keys() == {"bound"}
    assert found["amortisation"] == {"files": None, "bound": None}
    assert found["digitisation"] == {"plain": None, "optimized": None}
    single = [row for row in curve(figures()) if row.setting == 0]
    assert (
        compared(curve(figures()), single)["reason"] == "a curve of 1 point has no BD-rate, which needs two"
    )
    falling = curve([{**one, "psnr_db": -one["psnr_db"]} for one in figures()])
    assert "does not rise with the rate" in compared(curve(figures()), falling)["reason"]
    other = [Row("c", "", row.setting, None, row.bpp, row.metrics, None, None) for row in curve(figures())]
    assert "no curve of a common image" in compared(other, curve(figures()))["reason"]


def test_the_lagrangian_changes_image_by_image() -> None:
    before = [
        {"point": 0, "image": "a", "rate_bpp": 1.0, "distortion_mse": 50.0},
        {"point": 0, "image": "b", "rate_bpp": 2.0, "distortion_mse": 100.0},
        {"point": 1, "image": "a", "rate_bpp": 3.0, "distortion_mse": 10.0},
    ]
    after = [{**before[0], "rate_bpp": 0.5}, {**before[1], "distortion_mse": 130.0}, before[2]]
    (found,) = lagrangian_changes(before, after, {0: 0.02, 1: None})
    # 2 to 1.5, and 4 to 4.6
    assert found == pytest.approx(
        {"point": 0, "lambda": 0.02, "images": 2, "lower": 1, "mean_percent": -5, "worst_percent": 15}
    )


def test_the_overhead_is_of_all_bytes_of_a_point() -> None:
    rows = [
        {"point": 0, "image": "a", "rate_bpp": 1.1, "ideal_bpp": 1.0},
        {"point": 0, "image": "b", "rate_bpp": 3.1, "ideal_bpp": 3.0},
        {"point": 1, "image": "a", "rate_bpp": 1.01, "ideal_bpp": 1.0},
    ]
    found = overhead(rows)
    assert [one["percent"] for one in found["points"]] == pytest.approx([5, 1])
    assert found["percent"] == pytest.approx(3) and [one["images"] for one in found["points"]] == [2, 1]


def test_files_tell_what_an_ideal_coder_would_take() -> None:
    codec, image = sample_codec(), Image.fromarray(photo(24, 32))
    bits = codec.entropy_model.code_length_bits(codec.symbols(image), codec.quality_step())
    found = OperationalRD().estimate(codec, [image])
    assert found["ideal_bpp"] == pytest.approx(bits / (24 * 32))
    assert "ideal_bpp" not in OperationalRD(quality=50).estimate(pycodec.load("jpeg"), [image])


def test_the_report_that_comes_along_can_be_read() -> None:
    found = spec.load_gap("res")
    assert [one.name for one in found.codecs if one.family == "Res-context"] == ["Res-context, size 4"]
    assert all(len(one.files) == len(one.bounds) == 4 for one in found.codecs)
    named = {text for one in found.codecs for text in (*one.files, *one.bounds)}
    assert {text.partition("{")[2].rstrip("}") for text in named} == found.files.keys()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('codec = "jpeg"', "", r"expected in \[anchor\] a codec, or a published file"),
        (
            "[estimators]",
            "[estimators]\noptimised = 'sga'",
            "unknown key 'optimised'.*did you mean 'optimized'",
        ),
        ("{low}", "{lowest}", "speaks of {lowest}, expected one of low, high"),
        ('name = "blocks"', 'name = "small"', "codec 'small' is there twice"),
        ("qualities = [20, 60]", "qualities = 20", "qualities is 20; expected a list of numbers"),
        ("optimize = false", "optimize = 0", "optimize is 0; expected true or false"),
        ('files = ["jpeg"]', "files = ['jpeg', 'webp']", "2 files, 0 bounds and 2 qualities"),
        ('files = ["jpeg"]', "files = ['jpeg+x=1+x=2']", "gives the option 'x' twice"),
        (
            "[anchor]",
            "text = ''\n[anchor]",
            "unknown key 'text'; expected anchor, estimators, codec and files",
        ),
        ("[[codec]]", "[[codec", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused(old: str, new: str, sentence: str) -> None:
    assert old in GAP
    with pytest.raises(InvalidInput, match=sentence):
        spec.read_gap(GAP.replace(old, new, 1), "tiny", "tiny.toml")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "smal"], "has no codec 'smal', expected one of small, blocks; did you mean 'small'?"),
        (["--file", "hgh=x"], "has no file 'hgh', expected one of low, high"),
        (["--file", "high"], "expected NAME=PATH"),
    ],
)
def test_wrong_options_are_refused(gap, site: Path, arguments: list[str], sentence: str) -> None:
    status, _, err = gap(*arguments, out="wrong")
    assert status == 2 and sentence in err
    assert not (site / "wrong").exists()


def test_a_wrong_estimator_is_refused_before_anything_is_measured(gap, site: Path) -> None:
    (site / "wrong.toml").write_text(GAP.replace("sga+steps=2", "sga+stps=2"))
    assert cli.main(["gap", "wrong.toml", "--images", "images", "--out", "wrong"]) == 2
    assert not (site / "wrong").exists()
