"""Write the figures of the README and the model cards from benchmarks/results: tables and a plot.

A table goes between <!-- results:NAME --> and <!-- /results:NAME -->. Names: rd, ms-ssim, verify, speed,
coding, context, masked-conv3d; for a codec that ships weights, card-CODEC (how they were trained) and
rd-points-CODEC. With --check nothing is written; exit status 1 when a table or the figure is not up to date.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import common

from pycodec import weights
from pycodec.errors import InvalidInput
from pycodec.evaluation import classical, rd
from pycodec.evaluation.metrics import decibels
from pycodec.files import write_bytes

MARKER = re.compile(r"(<!-- results:([a-z0-9-]+) -->\n).*?(<!-- /results:\2 -->)", re.DOTALL)
FIGURE = "rd_kodak.svg"
LABELS = {"jpeg": "JPEG", "webp": "WebP", "jpeg2000": "JPEG 2000", "avif": "AVIF"}
RATES = (0.15, 0.3, 0.5, 1.0, 1.5)  # bits per pixel that tables show


def label(name: str) -> str:
    return LABELS.get(name, name)


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and the others numbers."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def caption(what: str, environment: dict[str, Any]) -> str:
    machine = environment["machine"]
    return f"\n{what} {environment['date'][:10]}, {machine['cpu']}, commit {environment['commit']}.\n"


def number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def rd_table(document: dict[str, Any]) -> str:
    """BD-rate of every learned codec against every classical one."""
    comparisons = document["comparisons"]
    anchors = [name for name in document["codecs"] if name in classical.CODECS]
    rows = []
    for test, against in comparisons.items():
        for metric, title in (("psnr", "PSNR"), ("ms_ssim", "MS-SSIM")):
            cells = [against[name]["bd_rate"][metric] for name in anchors]
            rows.append(
                [
                    f"{test}, {title}",
                    *("-" if cell is None else f"{cell['percent']:+.1f} %" for cell in cells),
                ]
            )
    options = "; ".join(document["codecs"][name]["description"].partition(";")[0] for name in anchors)
    newest = max(
        (entry["environment"] for entry in document["codecs"].values()), key=lambda entry: entry["date"]
    )
    text = (
        f"Bits at equal quality on the {document['dataset']['images']} images of "
        f"{document['dataset']['name']} (BD-rate per image, then averaged; real file bytes). "
        f"Anchors: {options}."
    )
    return markdown(["BD-rate against", *map(label, anchors)], rows) + caption(text, newest)


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
    for name in document["codecs"]:
        own = [rd.Row(**row) for row in document["rows"] if row["codec"] == name]
        values = list(rd.at_rates(own, "ms_ssim", RATES).values())
        means = []
        for index in range(len(RATES)):
            present = [float(curve[index]) for curve in values if curve[index] == curve[index]]
            means.append(sum(present) / len(present) if len(present) == len(values) and present else None)
        rows.append([label(name), *(number(mean, ".4f") for mean in means)])
    note = "\nMean over images of interpolated curves; a dash where not every image reaches the rate.\n"
    return markdown(["MS-SSIM at", *(f"{rate:g} bpp" for rate in RATES)], rows) + note


def verify_table(document: dict[str, Any]) -> str:
    rows = [[name, f"{count} of {document['cases']}"] for name, count in document["passed"].items()]
    text = (
        f"{document['codec']}: files are "
        f"{document['excess_percent']:.2f} % over the ideal code length; "
        f"SIMD levels {', '.join(document['simd_levels'])}."
    )
    if document["integer_loss_percent"] is not None:
        text += (
            f" The integer tables cost {document['integer_loss_percent']:+.2f} % against the float network."
        )
    return markdown(["check", "passed"], rows) + caption(text, document["environment"])


def speed_table(document: dict[str, Any]) -> str:
    stages = ("encode", "analysis", "entropy_encode", "decode", "entropy_decode", "synthesis")
    rows = [
        [
            f"{r['codec']} {r['quality']:g}",
            f"{r['bpp']:.3f}",
            *(f"{r[stage + '_ms']:.0f}" for stage in stages),
        ]
        for r in document["results"]
    ]
    image = document["image"]
    text = (
        f"Milliseconds on one core, {image['width']} x {image['height']} pixels, codec loaded, best of "
        f"{document['repeats']}."
    )
    headings = ["codec, quality", "bpp", *(stage.replace("_", " ") for stage in stages)]
    return markdown(headings, rows) + caption(text, document["environment"])


def coding_table(document: dict[str, Any]) -> str:
    rows = [
        [
            f"{r['workload']}, {r['coder']}",
            f"{r['encode_msymbols_per_second']:.0f}",
            f"{r['decode_msymbols_per_second']:.0f}",
            f"{r['overhead_percent']:+.2f} %",
            f"{r['encode_ratio']:.1f} / {r['decode_ratio']:.1f}",
        ]
        for r in document["results"]
    ]
    headings = [
        "workload, coder",
        "encode, M symbols/s",
        "decode, M symbols/s",
        "overhead",
        "pycodec is x faster",
    ]
    text = f"One core, best of {document['repeats']}, workloads as in benchmarks/README.md."
    return markdown(headings, rows) + caption(text, document["environment"])


def context_table(document: dict[str, Any]) -> str:
    rows = [
        [f"{r['head']}, {r['what']}", f"{r['threads']}", f"{r['ns_per_symbol']:.0f}", f"{r['ratio']:.1f}"]
        for r in document["results"]
    ]
    headings = ["3D context model", "threads", "ns per symbol", "times pycodec on one thread"]
    return markdown(headings, rows) + caption(f"Best of {document['repeats']}.", document["environment"])


def conv_table(document: dict[str, Any]) -> str:
    rows = [
        [
            f"{r['type']}, {r['direction']}, {r['coder']}",
            f"{1e3 * r['seconds']:.1f}",
            f"{r['gflops']:.0f}",
            f"{100 * r['share_of_matmul']:.0f} %",
            f"{r['ratio']:.1f}",
        ]
        for r in document["results"]
    ]
    headings = ["masked 3D convolution", "ms", "GFLOP/s", "of torch's matmul", "times pycodec"]
    text = f"One layer, 24 to 24 channels, on one core, best of {document['repeats']}."
    return markdown(headings, rows) + caption(text, document["environment"])


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "rd": ("rd_kodak.json", rd_table),
    "ms-ssim": ("rd_kodak.json", ms_ssim_table),
    "verify": ("verify_kodak.json", verify_table),
    "speed": ("codec_speed.json", speed_table),
    "coding": ("coding.json", coding_table),
    "context": ("context.json", context_table),
    "masked-conv3d": ("masked_conv3d.json", conv_table),
}
CARDS = common.ROOT / "plugins" / "pycodec_plugins" / "cpm" / "weights"
for codec in ("ctx3d", "cpm"):
    TABLES[f"card-{codec}"] = (str(CARDS / f"{codec}.safetensors"), card_table)
    TABLES[f"rd-points-{codec}"] = ("rd_kodak.json", functools.partial(rd_points_table, codec=codec))


def read(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        return weights.load(path)[1]
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise InvalidInput(
            f"{path} is missing; run the benchmark that writes it (see benchmarks/README.md)."
        ) from None
    return document


def render(text: str, results: Path) -> str:
    """``text`` with every marked table written anew."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(2)
        if name not in TABLES:
            raise InvalidInput(f"There is no table results:{name}; known are {', '.join(TABLES)}.")
        file, make = TABLES[name]
        return match.group(1) + make(read(results / file)) + match.group(3)

    opened = re.findall(r"<!-- results:([a-z0-9-]+) -->", text)
    done, count = MARKER.subn(replace, text)
    if count != len(opened):
        raise InvalidInput(
            f"{len(opened)} tables are opened ({', '.join(opened)}) and {count} closed; close each one."
        )
    return done


def digest(document: dict[str, Any]) -> str:
    """Identifies what the plot shows; stored in it, as its bytes depend on the version of matplotlib."""
    return hashlib.sha256(json.dumps(document["mean_points"], sort_keys=True).encode()).hexdigest()


def figure(document: dict[str, Any]) -> bytes:
    """Mean rate-distortion points of all codecs as SVG: PSNR, and MS-SSIM in dB."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "pycodec", "font.size": 9})
    made, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for name, points in document["mean_points"].items():
        classic = name in classical.CODECS
        style = {"linewidth": 1.0, "linestyle": "--"} if classic else {"linewidth": 2.0}
        for axis, metric in zip(axes, ("psnr", "ms_ssim"), strict=True):
            shown = [(p["bpp"], p[metric]) for p in points if p[metric] is not None and p["bpp"] <= 2.1]
            values = [value if metric == "psnr" else decibels(value) for _, value in shown]
            axis.plot([bpp for bpp, _ in shown], values, marker="o", markersize=3, label=label(name), **style)
    for axis, title in zip(axes, ("PSNR, dB", "MS-SSIM, -10 log10(1 - x), dB"), strict=True):
        axis.set(xlabel="bits per pixel", ylabel=title, xlim=(0, 2.1))
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower right")
    buffer = io.BytesIO()
    made.savefig(buffer, format="svg", metadata={"Date": None, "Description": digest(document)})
    plt.close(made)
    return buffer.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pages",
        type=Path,
        nargs="+",
        default=[common.ROOT / "README.md", *sorted(CARDS.glob("*.md"))],
        help="files with markers",
    )
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder of the JSON files")
    parser.add_argument(
        "--figures", type=Path, default=common.ROOT / "docs" / "figures", help="folder of the figures"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 when something is stale"
    )
    arguments = parser.parse_args()

    texts = {page: page.read_text() for page in arguments.pages}
    rendered = {page: render(text, arguments.results) for page, text in texts.items()}
    points = read(arguments.results / "rd_kodak.json")
    target = arguments.figures / FIGURE
    stale = [page for page in arguments.pages if rendered[page] != texts[page]]
    if not target.exists() or digest(points) not in target.read_text():
        stale.append(target)
    for path in stale:
        if arguments.check:
            print(
                f"{path} is not up to date with the results; run: python benchmarks/render.py",
                file=sys.stderr,
            )
        elif path == target:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, figure(points))
        else:
            write_bytes(path, rendered[path].encode())
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    common.run(main)
