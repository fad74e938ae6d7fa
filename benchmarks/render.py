"""Write the figures of the README, of benchmarks/README.md and of the model cards: tables and plots.

A table goes between <!-- results:NAME --> and <!-- /results:NAME -->. Names: rd, ms-ssim, codec, range-coder,
context-decode, context-training, crops, masked-conv3d, each from its results file; goals, from all that is
timed; cuda, from the files of GPUs; verify and optimize, from those of the codecs that were checked and whose
files were optimised; gap, from the reports of pycodec gap; for a codec that ships weights, card-CODEC (how
they were trained), rd-points-CODEC, and published-CODEC beside the figures of Mentzer et al. 2018.
With --check nothing is written; exit status 1 when a table or a plot is not up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pycodec import weights
from pycodec.errors import InvalidInput
from pycodec.files import write_bytes

from . import common, figures
from .tables import CARDS, TABLES, TIMED, cuda_table, gap_table, goals_table, optimize_table, verify_table

FOLDER_TABLES = {
    "cuda": cuda_table,
    "gap": gap_table,
    "optimize": optimize_table,
    "verify": verify_table,
}  # of all results files of a kind
MARKER = re.compile(r"(<!-- results:([a-z0-9_.-]+) -->\n).*?(<!-- /results:\2 -->)", re.DOTALL)


def read(path: Path) -> dict[str, Any]:
    return weights.load(path)[1] if path.suffix == ".safetensors" else common.read_json(path)


def timed(results: Path) -> list[dict[str, Any]]:
    return [common.read_json(results / f"{name}.json") for name in TIMED]


def table(name: str, results: Path) -> str:
    if name == "goals":
        return goals_table(timed(results))
    if name in FOLDER_TABLES:
        return FOLDER_TABLES[name](results)
    if name not in TABLES:
        known = ", ".join(["goals", *FOLDER_TABLES, *TABLES])
        raise InvalidInput(f"There is no table results:{name}; known are {known}.")
    file, make = TABLES[name]
    return make(read(results / file))


def render(text: str, results: Path) -> str:
    """``text`` with every marked table written anew."""
    opened = re.findall(r"<!-- results:([a-z0-9_.-]+) -->", text)
    done, count = MARKER.subn(
        lambda match: match.group(1) + table(match.group(2), results) + match.group(3), text
    )
    if count != len(opened):
        raise InvalidInput(
            f"{len(opened)} tables are opened ({', '.join(opened)}) and {count} closed; close each one."
        )
    return done


def plots(results: Path) -> dict[str, tuple[str, Callable[[], bytes]]]:
    """By file name: what identifies the plot, and how it is drawn; those whose results are there."""
    found = {"rd_kodak.svg": figures.rate_distortion(common.read_json(results / "rd_kodak.json"))}
    if all((results / f"{name}.json").exists() for name in TIMED):
        found["speed.svg"] = figures.speed(timed(results))
    if (path := results / "context_training.json").exists():
        found["context_training.svg"] = figures.context_training(common.read_json(path))
    for name, card in CARDS.items():
        runs = weights.read_metadata(card.with_suffix(".safetensors"))["model_card"]["runs"]
        if curve := figures.learning(name, runs):
            found[f"learning_{name}.svg"] = curve
    for path in sorted(results.glob("sweep_*.json")):
        found |= figures.sweep(common.read_json(path))
    for path in sorted(results.glob("gap_*.json")):
        found |= figures.gap(common.read_json(path))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pages",
        type=Path,
        nargs="+",
        default=[
            common.ROOT / "README.md",
            common.ROOT / "benchmarks" / "README.md",
            common.ROOT / "docs" / "bounds.md",
            common.ROOT / "docs" / "training.md",
            common.ROOT / "docs" / "crops.md",
            common.ROOT / "docs" / "rdoq.md",
            common.ROOT / "docs" / "illm.md",
            common.ROOT / "docs" / "res.md",
            common.ROOT / "docs" / "large.md",
            common.ROOT / "docs" / "fuzzing.md",
            *CARDS.values(),
        ],
        help="files with markers",
    )
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder of the JSON files")
    parser.add_argument(
        "--figures", type=Path, default=common.ROOT / "docs" / "figures", help="folder of the plots"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 when something is stale"
    )
    arguments = parser.parse_args()

    texts = {page: page.read_text() for page in arguments.pages}
    rendered = {page: render(text, arguments.results) for page, text in texts.items()}
    fresh: dict[Path, Callable[[], bytes]] = {
        page: text.encode for page, text in rendered.items() if text != texts[page]
    }
    for name, (key, draw) in plots(arguments.results).items():
        path = arguments.figures / name
        if not path.exists() or key not in path.read_text():
            fresh[path] = draw
    for path, make in fresh.items():
        if arguments.check:
            print(
                f"{path} is not up to date with the results; run: python -m benchmarks.render",
                file=sys.stderr,
            )
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, make())
    return 1 if arguments.check and fresh else 0


if __name__ == "__main__":
    common.run(main)
