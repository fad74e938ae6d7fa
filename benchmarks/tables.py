"""The tables of the pages, each from a results file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput
from pycodec.evaluation import curves, rd
from pycodec.evaluation.printing import markdown
from pycodec_plugins.rdgap.gap import figures as gaps
from pycodec_plugins.rdgap.gap import report

from . import common, crops, mean_scale
from .goals import describe, short

RATES = (0.15, 0.3, 0.5, 1.0, 1.5)  # bits per pixel that tables show
PUBLISHED = (0.370, 0.975), (0.677, 0.987), (1.051, 0.992)  # bpp, MS-SSIM: the authors' README, Kodak
TIMED = ("range_coder", "context_decode", "masked_conv3d", "codec")  # in the order of the table of goals


def is_learned(entry: dict[str, Any]) -> bool:
    """Whether a codec of a results document writes files of ours, not those of somebody else's format."""
    return bool(entry["suffix"] == ".pci")


def caption(what: str, environment: dict[str, Any]) -> str:
    where = common.machine_line(environment)
    return f"\n{what} {environment['date'][:10]}, {where}, commit {environment['commit']}.\n"


def number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def rd_table(document: dict[str, Any]) -> str:
    """BD-rate of every learned codec against every other."""
    codecs = document["codecs"]
    anchors = [name for name in codecs if not is_learned(codecs[name])]
    rows = []
    for test in (name for name in codecs if is_learned(codecs[name])):
        for metric, title in (("psnr", "PSNR"), ("ms_ssim", "MS-SSIM")):
            cells = [document["comparisons"][test][name][metric]["bd_rate"] for name in anchors]
            rows.append(
                [
                    f"{test}, {title}",
                    *("-" if cell is None else f"{cell['percent']:+.1f} %" for cell in cells),
                ]
            )
    options = "; ".join(f"{codecs[name]['label']}, {codecs[name]['description']}" for name in anchors)
    newest = max((entry["environment"] for entry in codecs.values()), key=lambda entry: entry["date"])
    text = (
        f"Bits at equal quality on the {document['dataset']['images']} images of "
        f"{document['dataset']['name']} (BD-rate per image, then averaged; real file bytes). "
        f"Anchors: {options}."
    )
    return markdown(["BD-rate against", *(codecs[name]["label"] for name in anchors)], rows) + caption(
        text, newest
    )


def rd_points_table(document: dict[str, Any], codec: str) -> str:
    """Mean points of a learned codec."""
    rows = [
        [
            f"{point['setting']:g}",
            f"{point['bpp']:.3f}",
            f"{point['psnr']:.2f}",
            number(point["ms_ssim"], ".4f"),
        ]
        for point in document["mean_points"].get(codec, [])
    ]
    return markdown(["quality", "bpp", "PSNR, dB", "MS-SSIM"], rows)


def published_table(document: dict[str, Any], codec: str) -> str:
    """MS-SSIM of a learned codec, its mean points interpolated, at the rates of the published ones."""
    own = [rd.Row(**row) for row in document["rows"] if row["codec"] == codec]
    found = curves.mean_at_rates(curves.mean_rows(own), "ms_ssim", [bpp for bpp, _ in PUBLISHED])
    rows = [
        [f"{bpp:.3f}", f"{published:.3f}", number(value, ".4f")]
        for (bpp, published), value in zip(PUBLISHED, found, strict=True)
    ]
    return markdown(["bpp", "Mentzer et al. 2018", codec], rows)


def card_table(metadata: dict[str, Any]) -> str:
    """Runs that made the weights, in order."""
    rows = [
        [
            ", ".join(run["stages"]),
            f"{run['steps']}",
            f"{run['images']}",
            run["device"],
            f"{run['seconds'] / 3600:.2f}",
            f"{run['cpu_seconds'] / 3600:.2f}",
        ]
        for run in metadata["model_card"]["runs"]
    ]
    headings = ["stages", "steps", "images", "device", "hours", "core-hours"]
    return markdown(headings, rows)


def ms_ssim_table(document: dict[str, Any]) -> str:
    """MS-SSIM of every codec at fixed rates, curves of the images interpolated and averaged."""
    rows = []
    for name, entry in document["codecs"].items():
        own = [rd.Row(**row) for row in document["rows"] if row["codec"] == name]
        means = curves.mean_at_rates(own, "ms_ssim", RATES)
        rows.append([entry["label"], *(number(mean, ".4f") for mean in means)])
    note = "\nMean over images of interpolated curves; a dash where not every image reaches the rate.\n"
    return markdown(["MS-SSIM at", *(f"{rate:g} bpp" for rate in RATES)], rows) + note


def verify_table(results: Path) -> str:
    """What was checked of each codec, and how many of its files passed."""
    documents = [common.read_json(path) for path in sorted(results.glob("verify_*.json"))]
    if not documents:
        raise InvalidInput(f"{results} has no verify_*.json; run python -m benchmarks.verify_kodak")
    checks = max((document["passed"] for document in documents), key=len)
    rows = [[check, *(_passed(document, check) for document in documents)] for check in checks]
    for title, key in (
        ("file over the ideal", "excess_percent"),
        ("integers against float", "integer_loss_percent"),
    ):
        figures = (number(document[key], "+.2f") for document in documents)
        rows.append([title, *(figure if figure == "-" else f"{figure} %" for figure in figures)])
    captions = (
        caption(
            f"{document['codec']}: SIMD levels {', '.join(document['simd_levels'])}.", document["environment"]
        )
        for document in documents
    )
    return markdown(["check", *(document["codec"] for document in documents)], rows) + "".join(captions)


def optimize_table(results: Path) -> str:
    """What optimising files for their image gained, of each codec and quality."""
    documents = [common.read_json(path) for path in sorted(results.glob("optimize_*.json"))]
    if not documents:
        return "Not measured yet.\n"
    rows = [
        [
            document["codec"],
            f"{one['quality']:g}",
            f"{document['steps']:,}",
            f"{one['lower']} of {one['images']}",
            f"{one['lagrangian_percent']:+.1f} %",
            f"{one['worst_percent']:+.1f} %",
            f"{one['bytes_percent']:+.1f} %",
            f"{one['psnr_db']:+.2f} dB",
        ]
        for document in documents
        for one in document["qualities"]
    ]
    headings = ["codec", "quality", "steps", "rate + lambda error is lower", "mean", "least", "bytes", "PSNR"]
    text = "Means over so many Kodak images, real files, each decoded once more; lambda is the codec's own."
    return markdown(headings, rows) + caption(text, documents[0]["environment"])


def context_training_table(document: dict[str, Any]) -> str:
    """What each context network costs, and the bits that it takes at every quality."""
    variants = document["variants"]
    qualities = list(next(iter(variants.values()))["curve"][-1]["bpp"])
    first = next(iter(variants.values()))["curve"][-1]["bpp"]
    rows = []
    for name, variant in variants.items():
        rates = variant["curve"][-1]["bpp"]
        changes = (f"{100 * (rates[q] / first[q] - 1):+.1f} %" for q in qualities)
        shown = (f"{rates[q]:.3f}" for q in qualities) if rates is first else changes
        rows.append([name, f"{variant['parameters']:,}", f"{variant['kmac_per_pixel']:.1f}", *shown])
    text = (
        f"{document['steps']:,} steps of {document['batch']} crops, {document['crop']} x {document['crop']} "
        f"pixels, from nothing, on the latents of ctx3d; {len(document['validated'])} Kodak images; bits per "
        "pixel under the float networks, and changes."
    )
    headings = ["network", "parameters", "kMAC per pixel", *(f"quality {q}" for q in qualities)]
    return markdown(headings, rows) + caption(text, document["environment"])


def effort_table(document: dict[str, Any]) -> str:
    """What choosing symbols gains over rounding them."""
    rows = [
        [
            name,
            str(one["effort"]),
            f"{one['bd_rate_percent']:+.1f} %",
            f"{one['gained']} of {one['images']}",
            f"{one['time']:.2f}",
        ]
        for name, found in document["codecs"].items()
        for one in found
    ]
    text = (
        "Bits at equal PSNR against effort 0 on Kodak, all whole qualities, real files (BD-rate per image, "
        "then averaged), images that gained, and time to encode over that of effort 0, on one thread."
    )
    headings = ["codec", "effort", "BD-rate", "images that gained", "time"]
    return markdown(headings, rows) + caption(text, document["environment"])


def crops_table(document: dict[str, Any]) -> str:
    """Means over the images whose crops are looked at."""
    rows = []
    for rate in crops.RATES:
        for codec in dict.fromkeys(row["codec"] for row in document["rows"]):
            mean = crops.means(document["rows"], rate, codec)
            figures = f"{mean['bpp']:.3f}", f"{mean['psnr']:.2f}", f"{mean['ms_ssim']:.4f}"
            rows.append([f"{rate:g}", codec, *figures])
    text = (
        f"Means over {', '.join(crops.CROPS)}; the best file of at most the rate, or the smallest there is."
    )
    headings = ["rate", "codec", "bpp", "PSNR, dB", "MS-SSIM"]
    return markdown(headings, rows) + caption(text, document["environment"])


def _passed(document: dict[str, Any], check: str) -> str:
    count = document["passed"].get(check)
    return "-" if count is None else f"{count} of {document['cases']}"


def timed_caption(what: str, document: dict[str, Any]) -> str:
    """The same for what is timed: medians, with clock and SIMD level."""
    quick = " A quick run: its figures mean nothing." if document["settings"]["quick"] else ""
    return caption(f"{what} Medians of interleaved rounds.{quick}", document["environment"])


def by_case(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Every case with its rows by subject, in order."""
    for case in dict.fromkeys(row["case"] for row in document["results"]):
        yield case, {row["subject"]: row for row in document["results"] if row["case"] == case}


def times(rows: dict[str, dict[str, Any]], subject: str) -> str:
    """How many times longer than pycodec ``subject`` takes."""
    return short(rows[subject]["ratio"]) if subject in rows else "-"


def speedup(rows: dict[str, dict[str, Any]]) -> str:
    """What a second thread gains."""
    return number(rows.get("pycodec, 2 threads", {}).get("speedup"), ".2f")


def fastest_peer(rows: dict[str, dict[str, Any]]) -> str:
    peers = [row for row in rows.values() if row["peer"]]
    if not peers:
        return "-"
    best = min(peers, key=lambda row: float(row["ratio"]))
    return f"{short(best['ratio'])} x {best['subject']}"


def codec_table(document: dict[str, Any]) -> str:
    cases = dict(by_case(document))
    lines = []
    for case, rows in cases.items():
        if not case.endswith(" encode"):
            continue
        name = case.removesuffix(" encode")
        ways = rows, cases[f"{name} decode"]
        for subject in ("pycodec", mean_scale.NAME):
            if subject in rows:
                lines.append(_codec_line(name if subject == "pycodec" else subject, subject, ways))
    image = document["settings"]["image"]
    per_way = ["transform", "tables and coding", "gain of 2 threads"]
    headings = ["codec, quality", "bpp", "encode", *per_way, "decode", *per_way]
    text = (
        f"Milliseconds on one core, {image['width']} x {image['height']} pixels from an array, codec loaded."
    )
    if mean_scale.NAME in document["peers_absent"]:
        text += f" Not measured: {mean_scale.NAME}."
    elif any(mean_scale.NAME in rows for rows in cases.values()):
        text += (
            f" {mean_scale.NAME} is untrained and made to code as many bits as hyperprior: compare its speed."
        )
    return markdown(headings, lines) + timed_caption(text, document)


def _codec_line(title: str, subject: str, ways: Sequence[dict[str, dict[str, Any]]]) -> list[str]:
    cells = [title, f"{ways[0][subject]['bpp']:.3f}"]
    for rows in ways:
        ms, stages = rows[subject]["ms"], rows[subject]["stages_ms"]
        transform = stages.get("transform", 0)
        if subject == "pycodec":
            coding = sum(taken for stage, taken in stages.items() if "tables" in stage or "coding" in stage)
        else:
            coding = ms - transform
        cells += [f"{ms:.0f}", f"{transform:.0f}", f"{coding:.0f}"]
        cells.append(speedup(rows) if subject == "pycodec" else "-")
    return cells


def range_coder_table(document: dict[str, Any]) -> str:
    cases = dict(by_case(document))
    lines = []
    for case, rows in cases.items():
        if "overhead_percent" not in rows["pycodec"] or not case.endswith(" encode"):
            continue
        name = case.removesuffix(" encode")
        ways = rows, cases[f"{name} decode"]
        lines.append(
            [
                name,
                *(f"{way['pycodec']['work'] / way['pycodec']['seconds'] / 1e6:.0f}" for way in ways),
                f"{rows['pycodec']['overhead_percent']:+.2f} %",
                *map(fastest_peer, ways),
            ]
        )
    headings = [
        "workload",
        "encode, M symbols/s",
        "decode, M symbols/s",
        "overhead",
        "encode, faster than the next",
        "decode, faster than the next",
    ]
    absent = ", ".join(document["peers_absent"])
    text = "One core, workloads as in benchmarks/README.md." + (f" Not measured: {absent}." if absent else "")
    return markdown(headings, lines) + timed_caption(text, document)


def context_decode_table(document: dict[str, Any]) -> str:
    lines = []
    for case, rows in by_case(document):
        own = rows["pycodec"]
        peers = ("torch int8", "torch wavefront", "torch naive")
        lines.append(
            [
                case,
                f"{own['ns_per_symbol']:.0f}",
                number(own.get("share_of_peak"), ".0%"),
                speedup(rows),
                times(rows, "pycodec, scalar"),
                *(times(rows, peer) for peer in peers),
            ]
        )
    headings = ["3D context model", "ns per symbol", "of int8 peak", "gain of 2 threads", "scalar", *peers]
    text = "One core; right of that gain, times the time of pycodec."
    return markdown(headings, lines) + timed_caption(text, document)


def masked_conv3d_table(document: dict[str, Any]) -> str:
    launches = document["settings"]["launches"]
    lines = []
    for case, rows in by_case(document):
        own = rows["pycodec"]
        lines.append(
            [
                case,
                f"{1e3 * own['seconds'] / launches:.3g}",
                f"{own['gflops']:.0f}",
                number(own.get("share_of_peak"), ".0%"),
                fastest_peer(rows),
            ]
        )
    headings = ["masked 3D convolution", "ms", "GFLOP/s", "of peak", "faster than the next"]
    where = document["settings"]["device"]
    text = f"One layer, 24 to 24 channels, on {'one core' if where == 'cpu' else where}."
    return markdown(headings, lines) + timed_caption(text, document)


def goals_table(documents: Sequence[dict[str, Any]]) -> str:
    """Goals of every timed benchmark, and what came of them."""
    lines = [describe(goal) for document in documents for goal in document["goals"]]
    return markdown(["goal", "bound", "measured", "verdict"], lines) + "".join(
        timed_caption(f"{document['benchmark']}:", document) for document in documents
    )


def cuda_table(results: Path) -> str:
    """What the GPUs measured so far make of it; one sentence where there is none."""
    documents = [common.read_json(path) for path in sorted(results.glob("*.json"))]
    of_gpus = [document for document in documents if "gpu" in document]
    if not of_gpus:
        return "On CUDA: not yet measured.\n"
    lines = []
    for document in of_gpus:
        for name, part in document["benchmarks"].items():
            for case, rows in by_case(part):
                if "pycodec" in rows:
                    own, launches = rows["pycodec"], part["settings"].get("launches", 1)
                    ms = f"{1e3 * own['seconds'] / launches:.3g}"
                    cells = ms, times(rows, common.ON_CPU), fastest_peer(rows)
                    lines.append([f"{document['gpu']}, {name}, {case}", *cells])
    parity = "; ".join(
        f"{document['gpu']}, {check['codec']}: {'yes' if check['decodes'] else 'NO'}"
        for document in of_gpus
        for check in document["parity"]
    )
    newest = max((document["environment"] for document in of_gpus), key=lambda entry: str(entry["date"]))
    text = f"Files of the CPU decode on the GPU and the other way round: {parity}."
    headings = ["GPU, benchmark, case", "ms", "faster than one core", "faster than the next"]
    goals = [
        describe(goal)
        for document in of_gpus
        for part in document["benchmarks"].values()
        for goal in part["goals"]
    ]
    bounds = "\n" + markdown(["goal on CUDA", "bound", "measured", "verdict"], goals) if goals else ""
    return markdown(headings, lines) + bounds + caption(text, newest)


def decoders_table(document: dict[str, Any], anchor: str = "hyperprior") -> str:
    """Every decoder of a sweep at every rate, beside one of them, or the one that all of them start from."""
    points = {point["name"]: point for point in document["points"]}
    runs = {name: _by_setting(document, name) for name in ["hyperprior", *points]}
    varied = any(point["value"] is not None for point in points.values())
    rows = []
    for name, measured in runs.items():
        row = [points[name]["series"] if name in points else name]
        if varied:
            value = points[name]["value"] if name in points else None
            row.append("" if value is None else f"{value:g}")
        for setting, one in measured.items():
            beside = runs[anchor][setting]
            decibels, distance = one["psnr"] - beside["psnr"], one["swd"] / beside["swd"] - 1
            against = "" if name == anchor else f" ({decibels:+.2f} dB, {distance:+.0%})"
            row.append(f"{one['psnr']:.2f} dB, {one['swd']:.1f}{against}")
        rows.append(row)
    trained = [point["trained"]["steps"] for point in points.values()]
    assert len(set(trained)) == 1
    text = (
        "PSNR and sliced Wasserstein distance (less is better) on the "
        f"{document['dataset']['images']} images of {document['dataset']['name']}, in brackets against "
        f"{anchor} at the same bits; `hyperprior` is the decoder that all of them start from. "
        f"{trained[0]} steps each;"
    )
    weight = ["lambda_d"] if varied else []
    headings = ["decoder", *weight, *(f"{one['bpp']:.3f} bpp" for one in runs[anchor].values())]
    environment = document["codecs"][next(iter(points))]["environment"]
    where = f"{environment['date'][:10]}, {environment['machine']['cpu']}"
    return markdown(headings, rows) + f"\n{text} {where}.\n"


def gap_table(results: Path) -> str:
    """Reports of ``pycodec gap`` with their figures; one sentence where there is none."""
    documents = [common.read_json(path) for path in sorted(results.glob("gap_*.json"))]
    if not documents:
        return "Not measured yet.\n"
    return "\n".join(report.tables(document) + _gap_figures(document) for document in documents)


def _gap_figures(document: dict[str, Any]) -> str:
    names = gaps.figures_of(document)
    return "".join(f"\n![{gaps.TITLES[n]}](figures/gap_{document['gap']}_{n}.svg)\n" for n in names)


def labeler_table(document: dict[str, Any]) -> str:
    """What ``pycodec labeler`` says of the labeler that ships."""
    row = [
        f"{document['codes']}, one for {document['stride']} x {document['stride']} pixels",
        f"{document['used']:.1%}",
        f"{document['perplexity']:.0f}",
        f"{document['psnr']:.2f} dB",
    ]
    text = f"\n{document['images']} images of Kodak, weights {document['fingerprint'][:8]}.\n"
    return markdown(["labels", "in use", "perplexity", "PSNR of its reconstructions"], [row]) + text


def huge_table(document: dict[str, Any]) -> str:
    """Peak memory of every step with a huge picture."""
    steps = ("compress", "decompress", "crop")
    settings = document["settings"]
    rows = [
        [
            f"`{codec}`",
            f"{found['bytes'] / 1e6:.1f} MB",
            *(f"{found[step]['peak_bytes'] / 2**30:.2f} GiB" for step in steps),
            "equal" if found["crop_equals_whole"] else "DIFFERENT",
            "equal" if found["tiles_equal_whole"] else "DIFFERENT",
        ]
        for codec, found in document["results"].items()
    ]
    pixels = settings["width"] * settings["height"] / 1e6
    text = (
        "Peak of resident memory of whole commands, PNG files read and written, Python and torch included, "
        f"on a picture of {pixels:.0f} megapixels ({settings['picture']}). Tiles against the whole: on a "
        "part of the picture that fits at once."
    )
    headings = ["codec", "file", *steps, "crop against whole", "tiles against whole"]
    return markdown(headings, rows) + caption(text, document["environment"])


def _by_setting(document: dict[str, Any], name: str) -> dict[float, dict[str, Any]]:
    sets = {one["setting"]: one for one in document["set_metrics"][name]}
    return {one["setting"]: one | sets[one["setting"]] for one in document["mean_points"][name]}


def fuzz_table(document: dict[str, Any]) -> str:
    """How often each target ran, and what came of it."""
    rows = [
        [
            name,
            "native" if target["native"] else "Python",
            f"{target['executions']:,}",
            str(target["findings"]),
        ]
        for name, target in sorted(
            document["targets"].items(), key=lambda item: (not item[1]["native"], item[0])
        )
    ]
    return markdown(["target", "code", "executions", "findings"], rows) + caption(
        "Executions of libFuzzer and atheris in all.", document["environment"]
    )


def hostile_table(document: dict[str, Any]) -> str:
    """What became of the damaged files of every codec."""
    rows = []
    for result in document["results"]:
        kinds = result["damage"].values()
        tried, same, failed = (sum(kind[name] for kind in kinds) for name in ("tried", "identical", "failed"))
        rows.append([result["codec"], f"{tried:,}", f"{tried - same - failed:,}", str(same), str(failed)])
    titles = ["codec", "damaged files", "typed errors", "the same picture", "anything else"]
    return markdown(titles, rows) + caption("Two small files of each codec.", document["environment"])


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "rd": ("rd_kodak.json", rd_table),
    "ms-ssim": ("rd_kodak.json", ms_ssim_table),
    "codec": ("codec.json", codec_table),
    "labeler": ("labeler.json", labeler_table),
    "huge": ("huge.json", huge_table),
    "fuzz": ("fuzz.json", fuzz_table),
    "hostile": ("hostile.json", hostile_table),
    "illm": ("sweep_hyperprior_illm.json", functools.partial(decoders_table, anchor="No-GAN")),
    "illm-norms": ("sweep_hyperprior_illm_norms.json", decoders_table),
    "illm-labels": ("sweep_hyperprior_illm_labels.json", decoders_table),
    "range-coder": ("range_coder.json", range_coder_table),
    "context-decode": ("context_decode.json", context_decode_table),
    "context-training": ("context_training.json", context_training_table),
    "crops": ("crops.json", crops_table),
    "effort": ("effort.json", effort_table),
    "masked-conv3d": ("masked_conv3d.json", masked_conv3d_table),
}
PLUGINS = common.ROOT / "plugins" / "pycodec_plugins"
SHIPPED = (
    ("ctx3d", "cpm"),
    ("ctx3d-msssim", "cpm"),
    ("cpm", "cpm"),
    ("hyperprior", "hyperprior"),
    ("hyperprior.illm", "hyperprior"),
    ("illm_labeler", "illm"),
)
CARDS = {name: PLUGINS / plugin / "weights" / f"{name}.md" for name, plugin in SHIPPED}
for name, card in CARDS.items():
    TABLES[f"card-{name}"] = (str(card.with_suffix(".safetensors")), card_table)
    TABLES[f"published-{name}"] = ("rd_kodak.json", functools.partial(published_table, codec=name))
    TABLES[f"rd-points-{name}"] = ("rd_kodak.json", functools.partial(rd_points_table, codec=name))
