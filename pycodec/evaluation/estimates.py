"""What estimators say of a codec on a folder of images, image by image, all of it kept."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pycodec import files
from pycodec.evaluation import results
from pycodec.evaluation.rd import load_image
from pycodec.evaluation.run import Watcher, dataset
from pycodec.evaluation.spec import describe, parse
from pycodec.runtime import get_runtime
from pycodec.types import Estimator


@dataclass(frozen=True)
class Question:
    """An estimator at a point of the curve.

    Attributes:
        spec: ``NAME[+KEY=VALUE]...``, without the quality.
        quality: that it was made with; None if it was left to it.
        estimator: the component.
    """

    spec: str
    quality: float | None
    estimator: Estimator


def questions(spec: str, qualities: Sequence[float]) -> list[Question]:
    """An estimator at each of the qualities, or as it is where there are none.

    Raises:
        InvalidInput: not a spec, or an option that the estimator does not take.
        UnknownComponent, PluginError: as `pycodec.create`.
    """
    name, options = parse(spec)
    factory = get_runtime().find("estimator", name)
    if not qualities:
        return [Question(spec, options.get("quality"), factory.create(**options))]
    return [Question(spec, q, factory.create(**{**options, "quality": q})) for q in qualities]


def ask(
    paths: Sequence[Path],
    codec_spec: str,
    codec: Any,
    asked: Sequence[Question],
    out: Path,
    environment: Mapping[str, Any],
    watcher: Watcher | None = None,
) -> dict[str, Any]:
    """Put every question about every image, and write the answers to ``out``.

    ``estimates.jsonl`` grows as answers come, so that a run that was stopped goes on where it was;
    ``estimates.json``, the document that is returned, is written at the end.

    Args:
        paths: the images.
        codec_spec, codec: what is asked about.
        asked: the questions.
        out: a folder; made if need be.
        environment: where this runs, for the record.
        watcher: told about progress, by the spec of an estimator.

    Returns:
        dataset, codec, environment; estimators, their configurations without the quality; means, the averages
        over images for each estimator and quality; rows, the figures of each image.

    Raises:
        InvalidInput: an image that cannot be read, or another run writes to ``out``; or what an estimator
            raises.
    """
    watcher = watcher or Watcher()
    out.mkdir(parents=True, exist_ok=True)
    sums = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    entry = describe(codec_spec, codec, sorted({q.quality for q in asked if q.quality is not None}))
    rows = []
    with results.journal(out / "estimates.jsonl") as journal:
        known = {line["key"]: line["row"] for line in journal.read()}
        for question in asked:
            keys = {
                path: results.key([checksum, entry["version"], question.spec, question.estimator.config()])
                for path, checksum in sums.items()
            }
            watcher.begin(question.spec, sum(key not in known for key in keys.values()))
            for path, key in keys.items():
                if key not in known:
                    figures = question.estimator.estimate(codec, [Image.fromarray(load_image(path))])
                    row = {"image": path.name, "estimator": question.spec, "quality": question.quality}
                    known[key] = {**row, **figures}
                    journal.append({"key": key, "row": known[key]})
                    watcher.measured(question.spec)
                rows.append(known[key])
    document = {
        "dataset": dataset(sums),
        "codec": entry,
        "environment": dict(environment),
        "estimators": {q.spec: _without_quality(q.estimator.config()) for q in asked},
        "means": means(rows),
        "rows": rows,
    }
    files.write_bytes(out / "estimates.json", results.json_text(document).encode())
    return document


def means(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Averages over the images of each estimator and quality, with how many images there are.

    Standard errors (names with ``_error_``) are those of the averages. A figure that an image lacks has none.
    """
    groups: dict[tuple[str, float | None], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["estimator"], row["quality"]), []).append(row)
    found = []
    for (estimator, quality), group in groups.items():
        names = [n for n in group[0] if n not in ("image", "estimator", "quality")]
        averages = {
            name: _mean(name, [row[name] for row in group]) for name in names if all(name in r for r in group)
        }
        found.append({"estimator": estimator, "quality": quality, "images": len(group), **averages})
    return found


def _without_quality(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the questions of one spec have in common."""
    return {name: value for name, value in config.items() if name != "quality"}


def _mean(name: str, values: Sequence[float]) -> float:
    total = math.hypot(*values) if "_error_" in name else math.fsum(values)
    return total / len(values)
