"""Pages that show codecs: the report of an evaluation, a comparison of files, a look into one file.

Each is one HTML file that fetches nothing: pictures, curves, style and script are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycodec.errors import InvalidInput
from pycodec.evaluation.report import curves, gallery, page, summary
from pycodec.evaluation.report.comparison import write_comparison, write_view

__all__ = ["write_comparison", "write_report", "write_view"]


def write_report(
    document: summary.Document,
    images: Sequence[Path],
    out: Path,
    *,
    shown: int = 4,
    notes: Sequence[str] = (),
) -> None:
    """Write the report of an evaluation: curves, comparisons, speed, codecs, and a few pictures.

    Args:
        document: results as ``pycodec eval`` writes them to ``results.json``.
        images: files of the data set; those shown are coded again.
        out: the page.
        shown: how many images to show, from the one where the first codec gains most to where it gains least.
        notes: sentences to add, on what could not be measured for one.

    Raises:
        InvalidInput: a document without codecs, or a page that cannot be written.
    """
    if not document["rows"]:
        raise InvalidInput("the results hold no row, so there is nothing to report; measure something first")
    series = summary.series_of(document)
    scales = summary.scales(document)
    pictures = gallery.Gallery(document, series, scales) if images and shown > 0 else None
    scenes = list(pictures.scenes(gallery.choose(document, series, images, shown))) if pictures else []
    page.write(
        out,
        "report.html.jinja",
        title=f"{document['dataset']['name']}: codecs compared",
        dataset=document["dataset"],
        series=list(series.values()),
        charts=[curves.chart(s, list(series.values()), f"curve-{s.name}") for s in scales],
        matrices=summary.matrices(document, scales, series) if len(series) > 2 else [],
        comparisons=summary.comparisons(document, scales, series),
        highlights=summary.highlights(document, series),
        speeds=summary.speeds(document, series),
        speed_bpp=summary.SPEED_BPP,
        codecs=summary.codecs(document, series),
        sets=summary.sets(document, series),
        notes=[*notes, *summary.left_out(document, series), *(pictures.problems if pictures else [])],
        scenes_shown=scenes,
    )
