"""Results of an evaluation: rows as they are measured, and the document made of them.

``rows.jsonl`` only ever grows: a line is written as soon as its row is measured, so that a run that is killed
loses nothing. Each line has the keys of what it was measured from; a later run takes those rows whose keys
are its own and measures the others anew.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from pycodec import files
from pycodec.errors import InvalidInput
from pycodec.evaluation.anchors import Published
from pycodec.evaluation.curves import bd_quality, bd_rate, mean_at_rates
from pycodec.evaluation.quality import Quality
from pycodec.evaluation.rd import Row, mean_points

GRID = tuple(round(0.05 * step, 2) for step in range(1, 41))
"""Rates at which the document gives the mean of interpolated curves, in bits per pixel."""

_FIELDS = {field.name for field in fields(Row)}


def key(what: Any) -> str:
    """Sixteen hexadecimal digits that differ where ``what``, ready for JSON, does."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Keys:
    """What a row depends on beside what it names.

    Attributes:
        image: of the image's file.
        codec: of the codec's version, fingerprint, device and threads.
        metrics: of the configuration of each metric.
    """

    image: str
    codec: str
    metrics: dict[str, str]

    def difference(self, now: Keys) -> str | None:
        """What has changed since, so that the row no longer holds; None if nothing."""
        if self.image != now.image:
            return "another image of that name"
        if self.codec != now.codec:
            return "another version of the codec, other weights, or another device or number of threads"
        if any(self.metrics.get(name) != digest for name, digest in now.metrics.items()):
            return "other metrics"
        return None


@contextmanager
def journal(path: Path) -> Iterator[Journal]:
    """Open a file of lines for reading and growing; it is ours until the block ends.

    Raises:
        InvalidInput: another process has it open.
        OSError: it cannot be written.
    """
    with path.open("a+b", buffering=0) as file:
        if not files.lock(file):
            raise InvalidInput(
                f"another run writes to {path}; wait for it, or name another folder with --out"
            )
        yield Journal(file)


class Journal:
    """A file with one JSON object a line."""

    def __init__(self, file: IO[bytes]):
        self.file = file

    def read(self) -> list[dict[str, Any]]:
        """Every whole line. A last one that was cut by a kill is cut off, so that the next begins on its own.

        Raises:
            InvalidInput: a line that is no JSON object.
        """
        lines = []
        for number, line in enumerate(files.whole_lines(self.file).splitlines(), start=1):
            try:
                lines.append(dict(json.loads(line)))
            except (ValueError, TypeError) as error:
                raise InvalidInput(
                    f"{self.file.name}, line {number} is no JSON object: delete the line, or the file, "
                    "and run again"
                ) from error
        return lines

    def append(self, line: Mapping[str, Any]) -> None:
        """Write a line, out of reach of a kill."""
        files.append_line(self.file, json.dumps(line, allow_nan=False).encode())


def row_line(row: Row, keys: Keys) -> dict[str, Any]:
    """A row as a line of ``rows.jsonl``."""
    return {**asdict(row), "keys": asdict(keys)}


def read_row(line: Mapping[str, Any]) -> tuple[Row, Keys]:
    """Inverse of `row_line`.

    Raises:
        InvalidInput: a line that is no row.
    """
    try:
        return Row(**{name: line[name] for name in _FIELDS}), Keys(**line["keys"])
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"no row of an evaluation: {json.dumps(line)[:80]}; delete the file") from error


def summarise(
    dataset: Mapping[str, Any],
    codecs: Mapping[str, Mapping[str, Any]],
    qualities: Sequence[Quality],
    rows: Sequence[Row],
    published: Sequence[Published] = (),
    set_metrics: Mapping[str, list[dict[str, Any]]] | None = None,
) -> dict[str, Any]:
    """The results document.

    Args:
        dataset: name, number and checksum of the images.
        codecs: by spec, `pycodec.evaluation.spec.describe` and the environment of each.
        qualities: the metrics.
        rows: of all codecs.
        published: curves of others.
        set_metrics: by spec, the values of metrics that belong to a set of images, at each setting; and
            "info", what those metrics say of how they were made.
    """
    of = {name: [row for row in rows if row.codec == name] for name in codecs}
    of.update({anchor.name: anchor.rows for anchor in published})
    per_image = [quality for quality in qualities if not quality.of_set]
    entries = {**codecs, **{anchor.name: anchor.entry() for anchor in published}}
    return {
        "dataset": dict(dataset),
        "codecs": entries,
        "metrics": {quality.name: quality.entry() for quality in qualities},
        "mean_points": {name: mean_points(own) for name, own in of.items()},
        "set_metrics": dict(set_metrics or {}),
        "at_rates": {
            "bpp": GRID,
            "values": {
                name: {
                    quality.name: mean_at_rates(own, quality.name, GRID, quality.higher_is_better)
                    for quality in per_image
                }
                for name, own in of.items()
            },
        },
        "comparisons": {
            test: {
                anchor: {quality.name: _comparison(of[anchor], of[test], quality) for quality in per_image}
                for anchor in of
                if anchor != test
            }
            for test in of
        },
        "rows": [asdict(row) for row in rows],
    }


def rows_csv(rows: Iterable[Row], metrics: Sequence[str]) -> str:
    """The rows as a table, a metric a column; empty where there is no value."""
    out = io.StringIO()
    names = ["image", "codec", "setting", "bytes", "bpp", *metrics, "encode_seconds", "decode_seconds"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        flat = {**asdict(row), **row.metrics}
        del flat["metrics"]
        writer.writerow(flat)
    return out.getvalue()


def json_text(document: Mapping[str, Any]) -> str:
    """A document as JSON, the items of a list in a line each; numbers that are not finite are refused."""
    parts = []
    for name, value in document.items():
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(json.dumps(item, allow_nan=False) for item in value) + "\n ]"
        else:
            text = json.dumps(value, indent=1, allow_nan=False).replace("\n", "\n ")
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _comparison(anchor: Sequence[Row], test: Sequence[Row], quality: Quality) -> dict[str, Any]:
    """BD-rate and BD-quality; None where the two curves have nothing in common."""
    found: dict[str, Any] = {}
    for name, compare in (("bd_rate", bd_rate), ("bd_quality", bd_quality)):
        try:
            found[name] = asdict(compare(anchor, test, quality.name, quality.higher_is_better))
        except InvalidInput:
            found[name] = None
    return found


def finite(value: float) -> float | None:
    """A value for JSON, which has no infinity."""
    return value if math.isfinite(value) else None
