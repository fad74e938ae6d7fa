"""``pycodec eval``: codecs on a folder of images, as curves, tables and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pycodec.cli.compress import use_threads
from pycodec.errors import InvalidInput
from pycodec.evaluation.printing import bd_text, print_table, progress

if TYPE_CHECKING:
    from pycodec.evaluation.run import Failure

_NAMED = 10  # failures that are printed in full


@click.command("eval")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--codecs", required=True, metavar="SPEC,...", help="Codecs, each NAME[+KEY=VALUE]...")
@click.option("--metrics", default="psnr,ms_ssim", show_default=True, metavar="SPEC,...", help="Likewise.")
@click.option(
    "--settings",
    multiple=True,
    metavar="SPEC=N,...",
    help="Qualities of one codec, instead of those it declares; may be repeated.",
)
@click.option(
    "--anchors",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Published curves to compare with; may be repeated.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="OUT", help="Folder of results."
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: as torch decides].")
@click.option("--report/--no-report", default=True, help="Write OUT/report.html.  [default: report]")
@click.option(
    "--shown", type=click.IntRange(min=0), default=4, show_default=True, help="Pictures in the report."
)
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path,
    codecs: str,
    metrics: str,
    settings: tuple[str, ...],
    anchors: tuple[Path, ...],
    out: Path,
    device: str,
    threads: int | None,
    report: bool,
    shown: int,
) -> None:
    """Measure codecs on the losslessly stored images of DIR: bytes of real files, quality, seconds.

    What is measured is kept in OUT/rows.jsonl as it comes: a run that was stopped goes on where it was. In
    the end OUT has rows.csv, results.json with curves and BD-rates, and report.html. What could not be
    measured is named, and the exit status is then 1.
    """
    from pycodec.evaluation.anchors import read_published
    from pycodec.evaluation.environment import environment
    from pycodec.evaluation.quality import load_qualities
    from pycodec.evaluation.rd import image_files
    from pycodec.evaluation.run import evaluate
    from pycodec.evaluation.subject import load_subject

    specs = names_of(codecs)
    chosen = _settings(settings, specs)
    paths = image_files(folder)
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out} is a file, expected the name of a folder for the results")
    use_threads(threads)
    qualities = load_qualities(names_of(metrics), device)
    subjects = [load_subject(spec, chosen.get(spec), device, threads) for spec in specs]
    images = [path.name for path in paths]
    per_image = [quality.name for quality in qualities if not quality.of_set]
    published = [curve for file in anchors for curve in read_published(file, per_image, images)]
    _refuse_namesakes([*specs, *(curve.name for curve in published)])
    with progress() as watcher:
        outcome = evaluate(paths, subjects, qualities, out, environment(), published, watcher)
    print_points(outcome.document)
    print_bd_rates(outcome.document)
    written = ["rows.csv", "results.json"]
    if report and outcome.document["rows"]:
        from pycodec.evaluation.report import write_report

        failed = [f"{f.what}, {f.image}: {f.sentence}" for f in outcome.failures]
        write_report(outcome.document, outcome.images, out / "report.html", shown=shown, notes=failed)
        written.append("report.html")
    click.echo(
        f"\n{outcome.measured} rows measured, {outcome.kept} kept from before; "
        f"wrote {', '.join(str(out / name) for name in written)}"
    )
    if outcome.failures:
        print_failures(outcome.failures)
        ctx.exit(1)


def names_of(text: str) -> list[str]:
    """What stands between commas."""
    names = [name for name in (part.strip() for part in text.split(",")) if name]
    if not names:
        raise InvalidInput(f"{text!r} names nothing, expected names with commas between them")
    return names


def _refuse_namesakes(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(
            f"{', '.join(twice)} is named twice, expected every codec and published curve once"
        )


def _settings(options: tuple[str, ...], specs: list[str]) -> dict[str, list[float]]:
    """``("jpeg=10,50",)`` -> ``{"jpeg": [10, 50]}``; whole numbers are ints, which read well in JSON."""
    found = {}
    for option in options:
        spec, _, text = option.rpartition("=")
        if spec not in specs:
            raise InvalidInput(
                f"--settings {option!r} is for {spec!r}, expected SPEC=N,N with one of {', '.join(specs)}"
            )
        try:
            values = [float(item) for item in text.split(",") if item.strip()]
        except ValueError as error:
            raise InvalidInput(
                f"--settings {option!r} has {text!r}, expected numbers like 10,50,90"
            ) from error
        if not values:
            raise InvalidInput(f"--settings {option!r} has no values, expected numbers like 10,50,90")
        numbers: list[float] = [int(value) if value.is_integer() else value for value in values]
        found[spec] = list(dict.fromkeys(numbers))
    return found


def print_points(document: dict[str, Any]) -> None:
    """Mean points of every codec."""
    metrics = {name: entry for name, entry in document["metrics"].items() if name in _per_image(document)}
    sets = [name for name in document["metrics"] if name not in metrics]
    rows = []
    for codec, points in document["mean_points"].items():
        of_sets = {values["setting"]: values for values in document["set_metrics"].get(codec, [])}
        for point in points:
            rows.append(
                [
                    codec,
                    f"{point['setting']:g}",
                    f"{point['bpp']:.4f}",
                    *(
                        _cell(point.get(name), ".4f" if not entry["unit"] else ".2f")
                        for name, entry in metrics.items()
                    ),
                    *(_cell(of_sets.get(point["setting"], {}).get(name), ".4g") for name in sets),
                    _cell(point["encode_seconds"], ".3f"),
                    _cell(point["decode_seconds"], ".3f"),
                ]
            )
    titles = [_title(document["metrics"][name]) for name in (*metrics, *sets)]
    click.echo("")
    print_table(("codec", "setting", "bpp", *titles, "encode, s", "decode, s"), rows)


def print_bd_rates(document: dict[str, Any]) -> None:
    """Every codec against every other, in each metric."""
    comparisons = document["comparisons"]
    if len(comparisons) < 2:
        return
    means = False
    for metric in _per_image(document):
        rows = []
        for test, anchors in comparisons.items():
            cells = [test]
            for anchor in comparisons:
                entry = anchors[anchor][metric]["bd_rate"] if anchor in anchors else None
                cells.append(bd_text(entry) if anchor != test else "")
                means |= bool(entry and entry["of_means"])
            rows.append(cells)
        click.echo(
            f"\nBD-rate, % of bits at equal {document['metrics'][metric]['label']}, 95 % interval, against"
        )
        print_table(("", *comparisons), rows)
    if means:
        click.echo("* between mean curves, as one of the two was published without its images")


def _per_image(document: dict[str, Any]) -> list[str]:
    sets = {name for values in document["set_metrics"].values() for point in values for name in point}
    return [name for name in document["metrics"] if name not in sets]


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _title(entry: dict[str, Any]) -> str:
    return f"{entry['label']}, {entry['unit']}" if entry["unit"] else str(entry["label"])


def print_failures(failures: list[Failure]) -> None:
    """What could not be measured, on standard error."""
    click.echo(f"{len(failures)} could not be measured:", err=True)
    for failure in failures[:_NAMED]:
        click.echo(f"  {failure.what}, {failure.image}: {failure.sentence}", err=True)
    if len(failures) > _NAMED:
        click.echo(f"  and {len(failures) - _NAMED} more", err=True)
