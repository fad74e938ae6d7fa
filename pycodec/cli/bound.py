"""``pycodec bound``: what estimators say of a codec on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pycodec.cli.compress import use_threads
from pycodec.cli.eval import names_of
from pycodec.errors import InvalidInput
from pycodec.evaluation.printing import print_table, progress


@click.command("bound")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--codec", required=True, metavar="SPEC", help="Codec, NAME[+KEY=VALUE]...")
@click.option(
    "--estimators",
    default="operational_rd,gaussian_upper_bound",
    show_default=True,
    metavar="SPEC,...",
    help="Likewise.",
)
@click.option(
    "--qualities", metavar="N,...", help="Points of the curve [default: as the estimators have it]."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="OUT", help="Folder of results."
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: as torch decides].")
def command(
    folder: Path, codec: str, estimators: str, qualities: str | None, out: Path, threads: int | None
) -> None:
    """Apply estimators to a codec and the losslessly stored images of DIR: rates in real files, upper bounds
    of the rate-distortion function.

    Answers are kept in OUT/estimates.jsonl as they come: a run that was stopped goes on where it was. In the
    end OUT/estimates.json has the figures of every image, and their averages, which are printed.
    """
    from pycodec.evaluation.environment import environment
    from pycodec.evaluation.estimates import ask, questions
    from pycodec.evaluation.rd import image_files
    from pycodec.evaluation.spec import load_codec

    points = _numbers(qualities) if qualities else []
    paths = image_files(folder)
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out} is a file, expected the name of a folder for the results")
    use_threads(threads)
    asked = [question for spec in dict.fromkeys(names_of(estimators)) for question in questions(spec, points)]
    loaded = load_codec(codec)
    with progress() as watcher:
        document = ask(paths, codec, loaded, asked, out, environment(), watcher)
    _print(document["means"])
    click.echo(f"\nwrote {out / 'estimates.json'}")


def _numbers(text: str) -> list[float]:
    try:
        return [float(item) for item in names_of(text)]
    except ValueError as error:
        raise InvalidInput(f"--qualities {text!r}, expected numbers like 1,3.5,6") from error


def _print(means: list[dict[str, Any]]) -> None:
    figures = list(dict.fromkeys(name for mean in means for name in mean))
    print_table(figures, [[_cell(mean.get(name)) for name in figures] for mean in means])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
