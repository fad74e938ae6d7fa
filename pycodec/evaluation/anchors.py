"""Curves that others published, from CSV files, to compare with."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput
from pycodec.evaluation.curves import MEAN
from pycodec.evaluation.rd import Row


@dataclass(frozen=True)
class Published:
    """The curves of one codec as somebody else measured it.

    Attributes:
        name: of the codec, as in the file.
        rows: its points; those of means have `pycodec.evaluation.curves.MEAN` as their image.
        file: name of the CSV file.
        sha256: of that file.
    """

    name: str
    rows: list[Row]
    file: str
    sha256: str

    def entry(self) -> dict[str, Any]:
        """What a results document says of it, beside the codecs that were measured."""
        mean_only = self.rows[0].image == MEAN
        return {
            "name": self.name,
            "label": self.name,
            "description": f"published{', means over images only' if mean_only else ''}: {self.file}",
            "version": self.sha256,
            "fingerprint": None,
            "suffix": None,
            "settings": [],
            "environment": None,
            "published": {"file": self.file, "sha256": self.sha256, "mean_only": mean_only},
        }


def read_published(path: Path, metrics: Sequence[str], images: Collection[str]) -> list[Published]:
    """The codecs in a CSV file.

    Its first line names the columns: ``codec``, ``bpp``, at least one metric by its name (``psnr``,
    ``ms_ssim``, ...), and ``image``, a file name, where the points are of single images. Without it they are
    means over all images. Other columns are ignored, and so is a line of an image that is not measured here.

    Args:
        path: the file.
        metrics: names of the metrics that are wanted.
        images: file names of the images that are measured.

    Raises:
        InvalidInput: a missing column, a value that is no number, or no line of one of these images.
        OSError: the file cannot be read.
    """
    data = path.read_bytes()
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        columns, lines = list(reader.fieldnames or ()), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} is no CSV file in UTF-8: {error}") from error
    given = [name for name in metrics if name in columns]
    if not {"codec", "bpp"} <= set(columns) or not given:
        raise InvalidInput(
            f"{path} has the columns {', '.join(columns) or 'none'}, expected codec, bpp and one of "
            f"{', '.join(metrics)} in its first line"
        )
    rows: dict[str, list[Row]] = {}
    for number, line in enumerate(lines, start=2):
        image = (line.get("image") or "").strip() if "image" in columns else MEAN
        if image != MEAN and image not in images:
            continue
        codec = (line["codec"] or "").strip()
        if not codec:
            raise InvalidInput(f"{path}, line {number}: no codec, expected its name")
        own = rows.setdefault(codec, [])
        index = sum(row.image == image for row in own)
        values: dict[str, float | None] = dict.fromkeys(metrics)
        values.update({name: _number(path, number, name, line[name]) for name in given})
        bpp = _number(path, number, "bpp", line["bpp"])
        if bpp is None or bpp <= 0:
            raise InvalidInput(f"{path}, line {number}: bpp {line['bpp']!r}, expected a positive number")
        own.append(Row(image, codec, index, None, bpp, values, None, None))
    if not rows:
        raise InvalidInput(
            f"{path} has no point of an image that is measured here, expected file names such as "
            f"{next(iter(images))} in its column image"
        )
    digest = hashlib.sha256(data).hexdigest()
    return [Published(codec, own, path.name, digest) for codec, own in rows.items()]


def _number(path: Path, line: int, column: str, text: str | None) -> float | None:
    """A field as a number, None if it is empty."""
    if not (text := (text or "").strip()):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidInput(f"{path}, line {line}: {column} is {text!r}, expected a number")
    return value
