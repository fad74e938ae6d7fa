"""A report as a page in Markdown: tables, what each of their numbers includes, figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pycodec.evaluation.printing import bd_text, markdown
from pycodec.files import write_bytes

from .figures import LABELS, TITLES, draw

Document = Mapping[str, Any]


def write_report(document: Document, folder: Path) -> list[Path]:
    """Write the page and its figures to ``folder``; returns the page, then the figures."""
    drawn = draw(document, folder)
    shown = "\n".join(f"![{TITLES[file.stem]}]({file.name})\n" for file in drawn if file.suffix == ".svg")
    missing = "\n".join(f"- missing: {name}" for name in document["missing"])
    text = "\n".join(filter(None, [f"# Gap report {document['gap']}\n", tables(document), missing, shown]))
    write_bytes(folder / "report.md", text.encode())
    return [folder / "report.md", *drawn]


def tables(document: Document) -> str:
    """All tables, with their sentences."""
    notes = "".join(f"- {sentence}\n" for sentence in document["notes"].values())
    lines = bd_lines(document), part_lines(document), point_lines(document)
    parts = [markdown(*one) for one in lines if one[1]]
    reasons = "".join(f"- {reason}\n" for reason in _reasons(document))
    return "\n".join(filter(None, [*parts, _origin(document), notes + reasons]))


def bd_lines(document: Document) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: BD-rates of all curves against the anchor."""
    curves = list(document["estimators"])
    heads = [f"BD-rate against {document['anchor']['label']}, %", "parameters, millions: transforms of all"]
    rows = [
        [codec["name"], _millions(codec), *(_bd(codec["bd_rates"].get(curve)) for curve in curves)]
        for codec in document["codecs"]
    ]
    return [*heads, *(LABELS[curve] for curve in curves)], rows


def part_lines(document: Document) -> tuple[list[str], list[list[str]]]:
    """What coder, encoder and rounding cost."""
    heads = [
        "%",
        "coder overhead",
        "amortisation, files",
        "amortisation, bound",
        "digitisation",
        "digitisation, both optimised",
    ]
    rows = []
    for codec in document["codecs"]:
        coder, gains, gaps = codec["overhead"], codec["amortisation"], codec["digitisation"]
        rows.append(
            [
                codec["name"],
                f"{coder['percent']:+.2f}" if coder else "-",
                *(_bd((gains[kind] or {}).get("bd_rate")) for kind in ("files", "bound")),
                *(_bd(gaps[kind]) for kind in ("plain", "optimized")),
            ]
        )
    return heads, rows


def point_lines(document: Document) -> tuple[list[str], list[list[str]]]:
    """Of each lambda, how the Lagrangian changes when latents are optimised for each image."""
    rows = [
        [
            f"{codec['name']}, {kind}",
            f"{one['lambda']:g}",
            f"{one['lower']} of {one['images']}",
            f"{one['mean_percent']:+.2f} %",
            f"{one['worst_percent']:+.2f} %",
        ]
        for codec in document["codecs"]
        for kind, gain in codec["amortisation"].items()
        for one in (gain or {}).get("lagrangian", ())
    ]
    return ["Lagrangian, optimised for each image", "lambda", "images lower", "mean change", "worst"], rows


def _reasons(document: Document) -> Iterator[str]:
    """Why there is no BD-rate where there is none."""
    for codec in document["codecs"]:
        gains, gaps = codec["amortisation"], codec["digitisation"]
        named = {
            **{LABELS[curve]: found for curve, found in codec["bd_rates"].items()},
            **{f"amortisation, {kind}": (gain or {}).get("bd_rate") for kind, gain in gains.items()},
            **{f"digitisation, {kind}": found for kind, found in gaps.items()},
        }
        found = [(what, one["reason"]) for what, one in named.items() if one and one["percent"] is None]
        for reason in dict.fromkeys(reason for _, reason in found):
            yield f"No BD-rate of {codec['name']}, {'; '.join(w for w, r in found if r == reason)}: {reason}"


def _origin(document: Document) -> str:
    """Where and on what it was measured."""
    images, where = document["dataset"], document["environment"]
    anchor = document["anchor"]
    return (
        f"{images['images']} images of {images['name']}; anchor {anchor['label']}, {anchor['description']}. "
        f"{where['date'][:10]}, {where['machine']['cpu']}.\n"
    )


def _millions(codec: Mapping[str, Any]) -> str:
    found = codec["parameters"]
    return f"{found['transforms'] / 1e6:.2f} of {found['all'] / 1e6:.2f}" if found else "-"


def _bd(found: Mapping[str, Any] | None) -> str:
    return bd_text(found if found and found["percent"] is not None else None)
