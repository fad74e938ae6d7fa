"""``pycodec selftest``: whether this machine reads and writes what every other one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

import click

from pycodec.cli.plugins import as_json
from pycodec.errors import InvalidInput
from pycodec.evaluation.printing import print_table
from pycodec.native import native
from pycodec.runtime import components, get_runtime
from pycodec.selftest import CHECKS, PROMISES, Row, check, codecs_with_golden_files, passed, record, rows_from

LEVEL = "PYCODEC_SIMD"
PROMISED = (
    "Weights, the symbols in a file, and the file of symbols are promised to be the same everywhere; what "
    'float networks make is not: symbols of a picture, and pixels, which have to be "close".'
)


@click.command("selftest")
@click.argument("names", metavar="[CODEC]...", nargs=-1)
@as_json
@click.option("--record", "recorded", is_flag=True, help="Write the golden files of these codecs anew.")
@click.option(
    "--promise",
    "promises",
    type=click.Choice(PROMISES),
    multiple=True,
    help="With --record: what is the same everywhere beside symbols. May be repeated.",
)
def command(names: tuple[str, ...], as_json: bool, recorded: bool, promises: tuple[str, ...]) -> int:
    """Check that this machine reads and writes what every other one does.

    Golden files that come with the codecs are decoded, and made again, at each SIMD level that runs here (or
    that of PYCODEC_SIMD alone), and on the GPU if there is one. The exit status is 1 if anything differs.
    """
    chosen = [get_runtime().find("codec", name) for name in names]
    if recorded:
        if not chosen:
            raise InvalidInput("--record needs the names of the codecs whose golden files it writes")
        for component in chosen:
            click.echo(f"written: {record(component, promises)}")
        return 0
    if promises:
        raise InvalidInput("--promise goes with --record")
    found = codecs_with_golden_files(chosen or components("codec"))
    for component in chosen:
        if component not in found:
            raise InvalidInput(
                f"codec {component.name!r} brings no golden files; its author writes them with --record"
            )
    rows = _rows([component.name for component in found])
    if as_json:
        click.echo(json.dumps({"passed": passed(rows), "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        _show(rows)
    return 0 if passed(rows) else 1


def _rows(names: Sequence[str]) -> list[Row]:
    """Of all levels; the native core decides its level once, so that each has a process of its own."""
    levels = list(native().simd_available())
    if os.environ.get(LEVEL) or len(levels) == 1:
        return _rows_here(names)
    rows = []
    for level in levels:
        rows += _rows_at(level, names, with_gpu=level == levels[-1])
    return rows


def _rows_here(names: Sequence[str]) -> list[Row]:
    import torch

    chosen = [get_runtime().find("codec", name) for name in names]
    rows = [check(component, native().simd_in_use()) for component in chosen]
    if torch.cuda.is_available():
        rows += [check(component, "cuda", "cuda") for component in chosen]
    return rows


def _rows_at(level: str, names: Sequence[str], with_gpu: bool) -> list[Row]:
    environment = {**os.environ, LEVEL: level, **({} if with_gpu else {"CUDA_VISIBLE_DEVICES": ""})}
    run = subprocess.run(
        [sys.executable, "-m", "pycodec", "selftest", *names, "--json"],
        env=environment,
        capture_output=True,
        check=False,
    )
    try:
        return list(rows_from(json.loads(run.stdout)["rows"]))
    except (ValueError, LookupError, TypeError):
        said = run.stderr.decode(errors="replace").strip().splitlines()
        how = signal.Signals(-run.returncode).name if run.returncode < 0 else f"status {run.returncode}"
        row = Row(", ".join(names), level)
        row.problems.append(f"the process of this level ended with {how}" + (f": {said[-1]}" if said else ""))
        return [row]


def _show(rows: Sequence[Row]) -> None:
    print_table(("codec", "where", *CHECKS), [(row.codec, row.where, *row.checks.values()) for row in rows])
    for row in rows:
        for problem in row.problems:
            click.echo(f"{row.codec}, {row.where}: {problem}")
    click.echo(PROMISED)
    where = ", ".join(dict.fromkeys(row.where for row in rows))
    if passed(rows):
        codecs = len({row.codec for row in rows})
        click.echo(
            f"passed: {codecs} codec{'s' * (codecs > 1)} at {where}: files are read and written as everywhere"
        )
    elif rows:
        bad = sum(bool(row.problems) for row in rows)
        click.echo(f"FAILED: {bad} of {len(rows)} lines; do not trust files made here, see pycodec doctor")
    else:
        click.echo("FAILED: no codec that is installed brings golden files")
