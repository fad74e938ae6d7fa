"""Measuring codecs on a folder of images, with everything kept that was measured before."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pycodec import files
from pycodec.errors import InvalidInput, PycodecError
from pycodec.evaluation import results
from pycodec.evaluation.anchors import Published
from pycodec.evaluation.quality import Quality
from pycodec.evaluation.rd import Row, load_image, measure
from pycodec.evaluation.results import Journal, Keys
from pycodec.evaluation.subject import Subject, codec_key
from pycodec.images import as_picture

_WARM_UP = 64  # pixels a side


@dataclass(frozen=True)
class Failure:
    """What could not be measured, and why."""

    what: str
    """An image, or a codec at a setting."""
    image: str
    sentence: str


@dataclass
class Outcome:
    """What an evaluation leaves.

    Attributes:
        document: as `pycodec.evaluation.results.summarise` makes it.
        images: files that could be read.
        failures: everything that went wrong on the way.
        kept: rows that were measured before.
        measured: rows that are new.
    """

    document: dict[str, Any]
    images: list[Path]
    failures: list[Failure] = field(default_factory=list)
    kept: int = 0
    measured: int = 0


class Watcher:
    """Told what happens during an evaluation; each method may be overridden."""

    def begin(self, codec: str, total: int) -> None:
        """``total`` rows of ``codec`` are about to be measured; first of all, the images are read."""

    def measured(self, codec: str) -> None:
        """One more is, or has failed."""

    def note(self, sentence: str) -> None:
        """Something that whoever reads the results should know."""


def metric_keys(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Key of each metric, from what a results document says of them."""
    return {name: results.key(entry["config"]) for name, entry in metrics.items()}


def dataset(sums: Mapping[Path, str]) -> dict[str, Any]:
    """What a results document says of the images, given their checksums."""
    digest = hashlib.sha256()
    for path, checksum in sums.items():
        digest.update(os.fsencode(path.name) + b"\0" + bytes.fromhex(checksum))
    name = next(iter(sums)).parent.resolve().name
    return {"name": name, "images": len(sums), "sha256": digest.hexdigest()}


def lines_of(document: Mapping[str, Any], paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of a results document as lines of ``rows.jsonl``: `evaluate` then measures none of them anew.

    There are none if the document is of other images than ``paths``.
    """
    sums = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    if document["dataset"] != dataset(sums):
        return []
    images = {path.name: checksum[:16] for path, checksum in sums.items()}
    codecs = {name: codec_key(entry) for name, entry in document["codecs"].items()}
    metrics = metric_keys(document["metrics"])
    return [
        {**row, "keys": {"image": images[row["image"]], "codec": codecs[row["codec"]], "metrics": metrics}}
        for row in document["rows"]
    ]


def evaluate(
    paths: Sequence[Path],
    subjects: Sequence[Subject],
    qualities: Sequence[Quality],
    out: Path,
    environment: Mapping[str, Any],
    published: Sequence[Published] = (),
    watcher: Watcher | None = None,
) -> Outcome:
    """Measure every codec at each of its settings on every image, and write what comes of it to ``out``.

    ``rows.jsonl`` grows as rows are measured, and ``sets.jsonl`` with the values of metrics of sets;
    ``rows.csv`` and ``results.json`` are written at the end. Rows that ``out`` already holds are not measured
    again, if they are of the same images, codecs and metrics. What goes wrong with one image or setting is
    collected, and the others are measured.

    Args:
        paths: the images, each file name once.
        subjects: the codecs.
        qualities: the metrics.
        out: a folder; made if need be.
        environment: where this runs, for the record.
        published: curves of others, for comparison.
        watcher: told about progress.

    Raises:
        InvalidInput: no image can be read, or another run writes to ``out``.
        OSError: ``out`` cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        rows = opened.enter_context(results.journal(out / "rows.jsonl"))
        sets = None
        if any(quality.of_set for quality in qualities):
            sets = opened.enter_context(results.journal(out / "sets.jsonl"))
        run = _Run(paths, qualities, rows, sets, watcher or Watcher())
        for subject in subjects:
            run.measure(subject)
        outcome = run.outcome(subjects, environment, _previous(out), published)
        text = results.rows_csv(run.rows, [quality.name for quality in qualities if not quality.of_set])
        files.write_bytes(out / "rows.csv", text.encode(errors="backslashreplace"))
        files.write_bytes(out / "results.json", results.json_text(outcome.document).encode())
    return outcome


class _Run:
    """One evaluation on its way."""

    def __init__(
        self,
        paths: Sequence[Path],
        qualities: Sequence[Quality],
        journal: Journal,
        sets: Journal | None,
        watcher: Watcher,
    ):
        self.journal, self.sets, self.watcher = journal, sets, watcher
        self.earlier = [results.read_row(line) for line in journal.read()]
        self.earlier_sets = sets.read() if sets else []
        self.per_image = [quality for quality in qualities if not quality.of_set]
        self.of_set = [quality for quality in qualities if quality.of_set]
        self.metrics = metric_keys({quality.name: quality.entry() for quality in qualities})
        self.rows: list[Row] = []
        self.set_metrics: dict[str, list[dict[str, Any]]] = {}
        self.fresh: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.notes: set[str] = set()
        self.sums = self._readable(paths)
        if not self.sums:
            raise InvalidInput(f"none of the {len(paths)} images can be read: {self.failures[0].sentence}")

    def measure(self, subject: Subject) -> None:
        """Measure one codec, setting by setting, so that metrics of sets see all images of one."""
        known = self._known(subject)
        todo = {
            setting: [path for path in self.sums if (setting, path.name) not in known]
            for setting in subject.settings
        }
        done_sets = {setting: self._known_set(subject, setting) for setting in subject.settings}
        for setting in subject.settings:
            if self.of_set and (todo[setting] or done_sets[setting] is None):
                todo[setting] = list(self.sums)  # a set is only whole in one go
                done_sets[setting] = None
        self.watcher.begin(subject.spec, sum(map(len, todo.values())))
        if any(todo.values()):
            self._warm_up(subject)
        for setting in subject.settings:
            known.update(self._measured_setting(subject, setting, todo[setting]))
            if self.of_set:
                values = done_sets[setting] or self._set_values(subject, setting)
                self.set_metrics.setdefault(subject.spec, []).append({"setting": setting, **values})
        self.rows += known.values()

    def outcome(
        self,
        subjects: Sequence[Subject],
        environment: Mapping[str, Any],
        previous: Mapping[str, Any],
        published: Sequence[Published],
    ) -> Outcome:
        order = {subject.spec: index for index, subject in enumerate(subjects)}
        settings = {subject.spec: subject.settings for subject in subjects}
        self.rows = sorted(
            self.rows,
            key=lambda row: (order[row.codec], settings[row.codec].index(row.setting), row.image),
        )
        codecs = {}
        for subject in subjects:
            before = previous.get("codecs", {}).get(subject.spec)
            if before and not self.fresh[subject.spec] and codec_key(before) == subject.key:
                where = before["environment"]
            else:
                where = {
                    **environment,
                    "device": subject.entry["device"],
                    "threads": subject.entry["threads"],
                }
            entry = {
                name: value for name, value in subject.entry.items() if name not in ("device", "threads")
            }
            codecs[subject.spec] = {**entry, "environment": where}
        document = results.summarise(
            dataset(self.sums),
            codecs,
            [*self.per_image, *self.of_set],
            self.rows,
            published,
            self.set_metrics,
        )
        measured = self.fresh.total()
        return Outcome(document, list(self.sums), self.failures, len(self.rows) - measured, measured)

    def _known(self, subject: Subject) -> dict[tuple[float, str], Row]:
        """Rows of earlier runs that still hold; those that do not are counted and told about."""
        now = {path.name: self._keys(subject, path) for path in self.sums}
        known: dict[tuple[float, str], Row] = {}
        stale: dict[tuple[float, str], str] = {}
        for row, keys in self.earlier:
            place = row.setting, row.image
            if row.codec != subject.spec or row.setting not in subject.settings or row.image not in now:
                continue
            reason = keys.difference(now[row.image])
            if reason is None:
                values = {quality.name: row.metrics[quality.name] for quality in self.per_image}
                known[place] = replace(row, metrics=values)
            else:
                stale[place] = reason
        for reason, count in Counter(stale[place] for place in stale if place not in known).items():
            self.watcher.note(f"{subject.spec}: {count} earlier rows are measured anew: they are of {reason}")
        return known

    def _keys(self, subject: Subject, path: Path) -> Keys:
        metrics = {quality.name: self.metrics[quality.name] for quality in self.per_image}
        return Keys(self.sums[path][:16], subject.key, metrics)

    def _known_set(self, subject: Subject, setting: float) -> dict[str, Any] | None:
        """What `_set_values` gave in an earlier run over the same images, if it had all values."""
        for line in reversed(self.earlier_sets):
            same = all(line["keys"].get(q.name) == self.metrics[q.name] for q in self.of_set)
            if same and line["place"] == self._set_place(subject, setting):
                names = [quality.name for quality in self.of_set]
                values = {name: line["values"][name] for name in names}
                info = {name: told for name, told in line.get("info", {}).items() if name in names}
                return {**values, "info": info} if info else values
        return None

    def _set_place(self, subject: Subject, setting: float) -> dict[str, Any]:
        images = dataset(self.sums)["sha256"]
        return {"codec": subject.spec, "codec_key": subject.key, "setting": setting, "images": images}

    def _set_values(self, subject: Subject, setting: float) -> dict[str, Any]:
        """Values over the images that were just measured, and "info", what metrics say of how they were made;
        kept for later runs if none is missing.
        """
        what = f"{subject.spec} at {setting:g}"
        values: dict[str, float | None] = {}
        complete = not any(failure.what == what for failure in self.failures)
        for quality in self.of_set:
            try:
                values[quality.name] = results.finite(quality.compute()) if complete else None
            except Exception as error:  # of a metric that anybody wrote
                self._fail(what, f"{quality.label} of all images", error)
                values[quality.name] = None
        told = {quality.name: quality.info() for quality in self.of_set if values[quality.name] is not None}
        info = {name: entry["info"] for name, entry in told.items() if entry}
        if self.sets and None not in values.values():
            keys = {quality.name: self.metrics[quality.name] for quality in self.of_set}
            line = {"place": self._set_place(subject, setting), "keys": keys, "values": values}
            self.sets.append(line | ({"info": info} if info else {}))
        return {**values, "info": info} if info else values

    def _warm_up(self, subject: Subject) -> None:
        """One untimed call: the first one of a process loads libraries, which is no coding time."""
        grey = np.full((_WARM_UP, _WARM_UP, 3), 128, np.uint8)
        with suppress(Exception):  # measuring will tell what is wrong
            subject.codec.decompress(subject.codec.compress(grey, quality=subject.settings[0]))

    def _measured_setting(
        self, subject: Subject, setting: float, paths: Sequence[Path]
    ) -> dict[tuple[float, str], Row]:
        """New rows of one setting; metrics of sets have then seen all of its images."""
        found = {}
        for quality in self.of_set:
            quality.component.reset()
        for path in paths:
            try:
                row = self._measured(subject, setting, path)
            except Exception as error:  # of a codec or metric that anybody wrote
                self._fail(f"{subject.spec} at {setting:g}", path.name, error)
            else:
                self.journal.append(results.row_line(row, self._keys(subject, path)))
                self.fresh[subject.spec] += 1
                found[setting, path.name] = row
            self.watcher.measured(subject.spec)
        return found

    def _measured(self, subject: Subject, setting: float, path: Path) -> Row:
        pixels = load_image(path)

        def refused(quality: Quality, error: InvalidInput) -> None:
            self._note(f"{path.name}: no {quality.label}: {_sentence(error)}")

        def seen(decoded: np.ndarray) -> None:
            for quality in self.of_set:
                quality.update(pixels, decoded)

        return measure(subject.codec, subject.spec, setting, path.name, pixels, self.per_image, refused, seen)

    def _readable(self, paths: Sequence[Path]) -> dict[Path, str]:
        """sha256 of each image that can be read; of the others, a failure."""
        sums = {}
        self.watcher.begin("images", len(paths))
        for path in paths:
            try:
                data = path.read_bytes()
                picture = as_picture(path)
            except (OSError, InvalidInput) as error:
                self._fail("image", path.name, error)
            else:
                sums[path] = hashlib.sha256(data).hexdigest()
                for note in picture.notes:
                    self._note(f"{path.name}: {note}")
                if picture.alpha is not None:
                    self._note(f"{path.name}: codecs are given its colours alone, without transparency")
            self.watcher.measured("images")
        return sums

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.add(sentence)
            self.watcher.note(sentence)

    def _fail(self, what: str, image: str, error: Exception) -> None:
        self.failures.append(Failure(what, image, _sentence(error)))


def _previous(out: Path) -> dict[str, Any]:
    """The results document of an earlier run, empty if there is none."""
    try:
        document = json.loads((out / "results.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (
        text if isinstance(error, PycodecError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
    )
