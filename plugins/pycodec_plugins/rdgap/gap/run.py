"""Put every estimator to every codec, and write down what comes of it; what is known is not asked again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput, PycodecError, near_names
from pycodec.evaluation.anchors import read_published
from pycodec.evaluation.environment import environment
from pycodec.evaluation.estimates import ask, questions
from pycodec.evaluation.quality import load_qualities
from pycodec.evaluation.rd import Row, image_files
from pycodec.evaluation.results import json_text
from pycodec.evaluation.run import Watcher, dataset, evaluate
from pycodec.evaluation.spec import load_codec
from pycodec.evaluation.subject import load_subject
from pycodec.files import write_bytes
from pycodec.sweep.files import with_given
from pycodec.sweep.spec import fill, folder_name

from .decomposition import decompose
from .networks import parameters, training
from .notes import notes
from .spec import CURVES, Gap, Subject

DOCUMENT = "gap.json"


@dataclass(frozen=True)
class Options:
    """What may differ between two sessions of a report.

    Attributes:
        images: folder of losslessly stored images.
        out: folder of the report.
        files: paths of files the report speaks of, by name.
        only: names of codecs; all of them where there is none.
        threads: what torch was told, for the record.
    """

    images: Path
    out: Path
    files: Mapping[str, str] = field(default_factory=dict)
    only: Sequence[str] = ()
    threads: int | None = None


@dataclass(frozen=True)
class Result:
    """What a session leaves: the document, also in ``gap.json``, and what is missing in it, with reasons."""

    document: dict[str, Any]
    missing: dict[str, str]


def run(gap: Gap, options: Options, watcher: Watcher | None = None) -> Result:
    """Measure what is not known yet, and write ``gap.json``.

    Args:
        gap: what to compare.
        options: on what.
        watcher: told about progress.

    Raises:
        InvalidInput: something in the report or the options that cannot be; before anything is measured.
        PycodecError: what the anchor raises.
    """
    return _Session(gap, options, watcher or Watcher()).run()


class _Session:
    def __init__(self, gap: Gap, options: Options, watcher: Watcher):
        self.gap, self.options, self.watcher = gap, options, watcher
        self.files = with_given(gap.files, options.files, f"gap {gap.name!r}")
        self.subjects = _chosen(gap, options.only)
        for spec in gap.estimators.given().values():
            questions(spec, ())  # so that what is wrong with one is said now
        self.images = image_files(options.images)
        self.where = environment()
        self.missing: dict[str, str] = {}
        self.points: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []
        self.parameters: dict[str, dict[str, int] | None] = {}

    def run(self) -> Result:
        anchor, anchor_rows = self._anchor()
        for subject in self.subjects:
            self._measure(subject)
        document = {
            "gap": self.gap.name,
            "text": self.gap.text,
            "environment": self.where,
            "dataset": dataset({path: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.images}),
            "estimators": self.gap.estimators.given(),
            "anchor": anchor,
            "codecs": [self._entry(subject, anchor_rows) for subject in self.subjects],
            "missing": list(self.missing),
            "points": self.points,
            "anchor_rows": [asdict(row) for row in anchor_rows],
            "rows": self.rows,
        }
        document["notes"] = notes(document)
        write_bytes(self.options.out / DOCUMENT, json_text(document).encode())
        return Result(document, self.missing)

    def _anchor(self) -> tuple[dict[str, Any], list[Row]]:
        """What the document says of it, and its points."""
        anchor, images = self.gap.anchor, [path.name for path in self.images]
        if anchor.published is not None:
            path = Path(fill(anchor.published, self.files, self.gap.name))
            found, *others = read_published(path, ["psnr"], images)
            if others:
                names = ", ".join(one.name for one in (found, *others))
                raise InvalidInput(f"{path} has the curves of {names}, expected those of one codec")
            return found.entry(), found.rows
        assert anchor.codec is not None
        loaded = load_subject(
            fill(anchor.codec, self.files, self.gap.name),
            list(anchor.settings) or None,
            threads=self.options.threads,
        )
        label = str(getattr(loaded.codec, "label", anchor.codec))  # no paths of this machine
        subject = replace(loaded, spec=anchor.codec, entry={**loaded.entry, "label": label})
        out = self.options.out / "anchor"
        outcome = evaluate(
            self.images, [subject], load_qualities(["psnr"]), out, self.where, watcher=self.watcher
        )
        for failure in outcome.failures:
            self.missing[f"{failure.what}, {failure.image}"] = failure.sentence
        document = outcome.document
        return document["codecs"][anchor.codec], [Row(**row) for row in document["rows"]]

    def _measure(self, subject: Subject) -> None:
        """All curves of a codec; each of its specs is loaded once."""
        wanted = [curve for curve in self.gap.estimators.given() if subject.has(curve)]
        for spec in dict.fromkeys(spec for curve in wanted for spec in subject.specs(curve)):
            try:
                filled = fill(spec, self.files, self.gap.name)
                codec = load_codec(filled)
                networks = hasattr(codec, "latent_model")
                for curve in wanted:
                    if spec in subject.specs(curve) and (networks or curve == "operational"):
                        self._ask(subject, curve, spec, codec, training(filled))
            except PycodecError as error:
                self.missing[f"{subject.name}, {spec}"] = str(error)

    def _ask(self, subject: Subject, curve: str, spec: str, codec: Any, trained: Any) -> None:
        estimator = self.gap.estimators.given()[curve]
        asked = questions(estimator, subject.qualities)
        folder = self.options.out / "estimates" / folder_name(spec) / curve
        watcher = _Named(self.watcher, f"{subject.name}, {folder_name(spec)}")
        found = ask(self.images, spec, codec, asked, folder, self.where, watcher)
        numbers = {at: number for number, at in enumerate(subject.points(curve))}
        common = {"codec": subject.name, "curve": curve}
        for row in found["rows"]:
            figures = {name: value for name, value in row.items() if name not in ("estimator", "quality")}
            place = spec, row["quality"] if subject.qualities else None
            self.rows.append({**common, "point": numbers[place], **figures})
        for question in asked:
            model = codec.latent_model(question.quality) if hasattr(codec, "latent_model") else None
            self.parameters.setdefault(subject.name, parameters(model or codec))
            lam = question.estimator.config().get("lam")
            self.points.append(
                {
                    **common,
                    "point": numbers[spec, question.quality if subject.qualities else None],
                    "spec": spec,
                    "quality": question.quality,
                    "lambda": getattr(model, "lam", None) if lam is None else lam,
                    "fingerprint": found["codec"]["fingerprint"],
                    "training": trained,
                }
            )

    def _entry(self, subject: Subject, anchor: Sequence[Row]) -> dict[str, Any]:
        def of(lines: Sequence[Mapping[str, Any]], curve: str) -> list[Mapping[str, Any]]:
            return [one for one in lines if one["codec"] == subject.name and one["curve"] == curve]

        curves = {curve: figures for curve in CURVES if (figures := of(self.rows, curve))}
        lambdas = {curve: {one["point"]: one["lambda"] for one in of(self.points, curve)} for curve in curves}
        return {
            "name": subject.name,
            "family": subject.family or subject.name,
            "parameters": self.parameters.get(subject.name),
            "own_bounds": bool(subject.bounds),
            **decompose(curves, anchor, lambdas),
        }


class _Named(Watcher):
    """Passes on what is measured of one codec."""

    def __init__(self, watcher: Watcher, name: str):
        self._watcher, self._name = watcher, name

    def begin(self, codec: str, total: int) -> None:
        self._watcher.begin(f"{self._name}: {codec}", total)

    def measured(self, codec: str) -> None:
        self._watcher.measured(f"{self._name}: {codec}")


def _chosen(gap: Gap, only: Sequence[str]) -> list[Subject]:
    """The codecs of these names, or all."""
    names = [one.name for one in gap.codecs]
    for name in only:
        if name not in names:
            raise InvalidInput(
                f"gap {gap.name!r} has no codec {name!r}, expected one of {', '.join(names)}"
                f"{near_names(name, names)}"
            )
    return [one for one in gap.codecs if not only or one.name in only]
