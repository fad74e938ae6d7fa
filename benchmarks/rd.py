"""Rate-distortion of learned codecs beside JPEG, WebP, JPEG 2000 and AVIF, on real file bytes.

What `pycodec eval` does, on one thread and with the machine recorded as every benchmark records it. Rows in
the results file are kept where codec, version and images are the same, so that a new codec is measured alone;
an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pycodec.cli.eval import print_bd_rates, print_points, progress
from pycodec.errors import InvalidInput
from pycodec.evaluation import rd
from pycodec.evaluation.quality import DEFAULT, load_qualities
from pycodec.evaluation.run import evaluate, lines_of
from pycodec.evaluation.subject import load_subject
from pycodec.files import write_bytes

from . import common

ANCHORS = ["jpeg", "webp", "jpeg2000", "avif"]
THREADS = 1


def main() -> int:
    import torch

    parser = common.parser(__doc__, "rd_kodak.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of losslessly stored images")
    parser.add_argument(
        "--codecs",
        type=common.names,
        default=[],
        help="codecs to measure beside those in the results file, e.g. ctx3d,cpm",
    )
    parser.add_argument(
        "--anchors", type=common.names, default=ANCHORS, help=f"likewise (default: {','.join(ANCHORS)})"
    )
    parser.add_argument(
        "--recompute", action="store_true", help="measure again what the results file already holds"
    )
    arguments = parser.parse_args()

    torch.set_num_threads(THREADS)
    target = common.target(arguments)
    work = target.with_suffix(".run")  # what an interrupted run leaves
    paths = rd.image_files(arguments.data)
    before = common.read_json(target) if target.exists() else None
    names = [*(before["codecs"] if before else ()), *arguments.anchors, *arguments.codecs]
    subjects = [load_subject(name, threads=THREADS) for name in dict.fromkeys(names)]
    if before and not work.exists() and not arguments.recompute:
        begin(work, target, before, paths)
    with progress() as watcher:
        qualities = load_qualities(DEFAULT)
        outcome = evaluate(paths, subjects, qualities, work, common.environment(), watcher=watcher)
    for failure in outcome.failures:
        raise InvalidInput(f"{failure.what}, {failure.image}: {failure.sentence}; {target} stays as it is")
    common.write_json(target, outcome.document)
    shutil.rmtree(work)
    print_points(outcome.document)
    print_bd_rates(outcome.document)
    return 0


def begin(work: Path, target: Path, before: dict[str, Any], paths: list[Path]) -> None:
    """Make a folder for a run that keeps what the results file already holds."""
    lines = lines_of(before, paths)
    if not lines:
        raise InvalidInput(f"{target} holds results of other images; give another --json or delete it.")
    work.mkdir()
    write_bytes(work / "results.json", target.read_bytes())
    write_bytes(work / "rows.jsonl", b"".join(json.dumps(line).encode() + b"\n" for line in lines))


if __name__ == "__main__":
    common.run(main)
