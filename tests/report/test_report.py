"""What the pages say: figures of the results, names escaped, everything missing named."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from pictures import AWKWARD, HEIGHT, WIDTH
from PIL import Image

from pycodec import bitstream, cli
from pycodec.cli import compare
from pycodec.errors import InvalidInput
from pycodec.evaluation import metrics
from pycodec.evaluation.report import scene, summary, write_comparison, write_report


class Text(HTMLParser):
    """Text of a page, and the attributes and tags that appear in it."""

    def __init__(self, path):
        super().__init__()
        self.words, self.tags, self.attributes = [], set(), set()
        self.feed(path.read_text("utf-8"))
        self.text = re.sub(r"[ \n]+", " ", " ".join(self.words))  # thin spaces stay

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def text(report):
    return Text(report)


def test_the_tables_hold_the_figures_of_the_results(text, document):
    for spec, points in document["mean_points"].items():
        for p in points:
            assert (
                f"{spec_label(document, spec)} {p['setting']:g} {p['bpp']:.4f} {p['psnr']:.2f} dB"
                in text.text
            )
    rate = document["comparisons"]["ctx3d"]["jpeg"]["psnr"]["bd_rate"]
    signed = f"{rate['percent']:+.1f} %".replace("-", "−")
    interval = f"{rate['low']:+.1f} to {rate['high']:+.1f} %".replace("-", "−")
    assert f"JPEG {signed} {interval}" in text.text
    assert (
        f"{abs(rate['percent']):.1f} % {'fewer' if rate['percent'] < 0 else 'more'} bits than JPEG"
        in text.text
    )
    assert document["dataset"]["sha256"] in text.text
    for entry in document["codecs"].values():
        assert entry["version"][:16] in text.text
        assert entry["environment"]["date"] in text.text


def spec_label(document, spec):
    return document["codecs"][spec]["label"]


def test_names_and_notes_are_text_not_markup(text, report, comparison, versions):
    assert 'jpeg <script>alert("note")</script>' in text.text
    assert "alert(" not in "".join(
        re.findall(r"<script>(.*?)</script>", report.read_text("utf-8"), re.DOTALL)
    )
    assert AWKWARD in Text(comparison).text
    for page in (report, comparison):
        found = Text(page)
        assert "b" not in found.tags or page is report  # the report has its own, the file name's is none
        assert "style" not in found.attributes  # the page's policy would refuse it


def test_pictures_are_the_files_of_the_codecs_or_exact_pixels(report, images):
    sources = re.findall(r'<img src="(data:[^"]+)"', report.read_text("utf-8"))
    kinds = [source[5 : source.index(";")] for source in sources if len(source) > 200]
    assert kinds.count("image/jpeg") == 2  # one for each picture shown
    assert set(kinds) == {"image/jpeg", "image/webp"}


def test_versions_have_about_equal_bytes(text):
    """The first codec's size is what the others stay below."""
    for figures in re.findall(r"Original(?: pixels [\d ×]+)(.*?)Curves of this picture", text.text):
        sizes = [int(size.replace("\u202f", "")) for size in re.findall(r"bytes ([\d\u202f]+)", figures)]
        assert len(sizes) >= 3
        assert max(sizes) == sizes[0]
        assert min(sizes) > 0.5 * sizes[0]


def test_what_is_missing_is_named(document, images, tmp_path):
    changed = copy.deepcopy(document)
    changed["rows"] = [
        r for r in changed["rows"] if (r["codec"], r["setting"], r["image"]) != ("jpeg", 10, "b.png")
    ]
    changed["comparisons"]["ctx3d"]["webp"]["psnr"]["bd_rate"] = None
    changed["comparisons"]["ctx3d"]["cpm"]["psnr"]["bd_rate"] = {
        "percent": 3.0,
        "low": None,
        "high": None,
        "per_image": {"a.png": 3.0},
        "left_out": ["b.png"],
        "overlap": 0.5,
        "of_means": False,
    }
    changed["codecs"]["no_such_codec"] = {**changed["codecs"]["jpeg"], "label": "Nobody's"}
    changed["mean_points"]["no_such_codec"] = changed["mean_points"]["jpeg"]
    write_report(changed, images[:1], tmp_path / "r.html", shown=1)
    text = Text(tmp_path / "r.html").text
    assert "JPEG at setting 10 is not measured on b.png" in text
    assert "ctx3d against cpm by PSNR: no common interval of quality on b.png" in text
    assert "No pictures of Nobody's: " in text and "no_such_codec" in text


def test_a_report_without_pictures_or_comparisons(document, tmp_path):
    few = {**document, "comparisons": {}, "codecs": {"jpeg": document["codecs"]["jpeg"]}}
    few["rows"] = [row for row in document["rows"] if row["codec"] == "jpeg"]
    write_report(few, [], tmp_path / "r.html")
    assert "1 codec on 3 images" in Text(tmp_path / "r.html").text
    with pytest.raises(InvalidInput, match="no row"):
        write_report({**few, "rows": []}, [], tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()


def test_published_curves_are_drawn_without_pictures(document, images, tmp_path):
    more = copy.deepcopy(document)
    more["codecs"]["paper"] = {
        "name": "paper",
        "label": "Paper",
        "description": "published: p.csv",
        "version": "0" * 64,
        "fingerprint": None,
        "settings": [],
        "environment": None,
        "published": {"file": "p.csv", "sha256": "0" * 64, "mean_only": True},
    }
    points = document["mean_points"]["jpeg"]
    more["mean_points"]["paper"] = [{**p, "encode_seconds": None, "decode_seconds": None} for p in points]
    write_report(more, images[:1], tmp_path / "r.html", shown=1)
    text = Text(tmp_path / "r.html").text
    assert "Paper 10 " in text
    assert "No pictures of" not in text
    assert not summary.series_of(more)["paper"].learned


def test_sets_have_their_table(document, tmp_path):
    more = copy.deepcopy(document)
    more["metrics"]["fid"] = {"label": "FID", "unit": "", "higher_is_better": False, "config": {}}
    more["set_metrics"] = {"jpeg": [{"setting": 10, "fid": 12.345}]}
    write_report(more, [], tmp_path / "r.html")
    text = Text(tmp_path / "r.html").text
    assert "codec setting FID JPEG 10 12.35" in text


def test_the_crop_is_where_most_is_lost():
    reference = np.zeros((240, 320, 3), np.uint8)
    spoiled = reference.copy()
    spoiled[100:150, 200:260] = 90
    left, top = scene.busiest_crop(reference, [spoiled])
    assert left <= 200 <= 260 <= left + scene.CROP and top <= 100 <= 150 <= top + scene.CROP
    assert scene.busiest_crop(reference[:50], [spoiled[:50]]) == (0, 0)


def test_the_comparison_says_what_each_file_is(comparison, versions):
    text = Text(comparison).text
    reference = np.asarray(Image.open(versions[0]).convert("RGB"))
    decoded = np.asarray(Image.open(versions[3]).convert("RGB"))
    size = versions[3].stat().st_size
    figures = f"bytes {size:,}".replace(",", "\u202f") + f" bpp {8 * size / (WIDTH * HEIGHT):.3f}"
    quality = (
        f"PSNR {metrics.psnr(reference, decoded):.2f} dB MS-SSIM {metrics.ms_ssim(reference, decoded):.4f}"
    )
    assert f"low.jpg {figures} {quality}" in text
    assert "PSNR equal MS-SSIM 1.0000 transparency is not shown" in text
    assert "Inside cpm.pci" in text and "Importance" in text  # from the reference


def test_the_view_says_what_info_says(view, versions, capsys):
    text = Text(view).text
    assert cli.main(["info", str(versions[2])]) == 0
    for line in capsys.readouterr().out.splitlines():
        key, value = line[:16].strip(), line[17:]
        assert f"{key} {value}" in text
    assert "Bits per position" in text and "Importance" in text and "channel 0" in text


def test_a_view_of_an_image_is_a_page_too(versions, tmp_path, capsys):
    assert cli.main(["view", str(versions[3]), "-o", str(tmp_path / "v.html"), "--no-open"]) == 0
    assert "low.jpg" in Text(tmp_path / "v.html").text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["compare", "{0}", "{small}", "-o", "{out}"], "expected versions of one picture, of one size"),
        (["compare", "{0}", "{text}", "-o", "{out}"], "not an image of a format Pillow knows"),
        (["compare", "{0}", "{broken}", "-o", "{out}"], "broken.pci: truncated"),
        (["compare", "{0}", "{3}", "-o", "{3}"], "is the input itself"),
        (["compare", "{0}"], "Missing argument"),
        (["view", "{out}"], "No such file"),
        (["view", "{1}", "--original", "{small}", "-o", "{out}"], "of one size"),
    ],
)
def test_bad_input_is_one_sentence_and_no_page(arguments, sentence, versions, tmp_path, capsys):
    small, text, broken = tmp_path / "small.png", tmp_path / "text.png", tmp_path / "broken.pci"
    Image.new("RGB", (8, 8)).save(small)
    text.write_text("no image")
    broken.write_bytes(versions[1].read_bytes()[:-9])
    names = {"small": small, "text": text, "broken": broken, "out": tmp_path / "out.html"}
    before = versions[3].read_bytes()
    assert cli.main([a.format(*versions, **names) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and sentence in error
    assert not (tmp_path / "out.html").exists()
    assert versions[3].read_bytes() == before


def test_the_page_is_opened_where_wanted(versions, tmp_path, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(compare.webbrowser, "open", lambda address: bool(opened.append(address)))
    page = tmp_path / "a b.html"
    assert cli.main(["compare", str(versions[0]), str(versions[3]), "-o", str(page), "--open"]) == 0
    assert opened == [page.as_uri()]
    assert "no browser" in capsys.readouterr().err
    monkeypatch.setattr(compare.tempfile, "tempdir", str(tmp_path))
    assert cli.main(["view", str(versions[3])]) == 0
    assert opened[1].startswith(tmp_path.as_uri()) and opened[1].endswith("/low.html")


def test_two_files_of_one_name_are_told_apart(versions, tmp_path):
    other = tmp_path / versions[3].name
    other.write_bytes(versions[3].read_bytes())
    write_comparison([versions[3], other], tmp_path / "c.html")
    text = Text(tmp_path / "c.html").text
    assert str(other) in text and str(versions[3]) in text
    assert bitstream.MAGIC not in other.read_bytes()
