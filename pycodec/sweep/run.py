"""Train the points of a sweep and measure them; each is an ordinary run in a folder of its own.

What is done is never done again: a command that was stopped goes on when it is given again, and where it is
given several times at once, each takes points that no other one works on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pycodec import weights
from pycodec.errors import InvalidInput, TrainingDiverged
from pycodec.evaluation.environment import environment
from pycodec.evaluation.quality import Quality, load_qualities
from pycodec.evaluation.rd import image_files
from pycodec.evaluation.results import json_text
from pycodec.evaluation.run import Failure, Outcome, Watcher, evaluate
from pycodec.evaluation.subject import load_subject
from pycodec.files import lock, write_bytes
from pycodec.training.checkpoint import CHECKPOINT, load_progress
from pycodec.training.data import find_images
from pycodec.training.recipe import Recipe, find_recipe, load_recipe
from pycodec.training.session import check, train

from .files import pin
from .spec import WEIGHTS, Point, Sweep, fill, folder_name

DOCUMENT = "sweep.json"
OF_POINTS = ("codecs", "mean_points", "set_metrics")
"""What a results document has by codec, this has by point."""

MEASURED = "measured"  # folder of a point: what pycodec eval writes, but for its report


@dataclass(frozen=True)
class Options:
    """What may differ between two sessions of a sweep.

    Attributes:
        data: folder of training photographs.
        images: folder of losslessly stored images to measure on.
        out: folder of the sweep; each point has a folder in it.
        files: paths of files the sweep speaks of, by name.
        minutes: of training, of all points together.
        device, threads: for training and measuring.
        workers, holdout: as of `pycodec.training.session.train`.
    """

    data: Path
    images: Path
    out: Path
    files: Mapping[str, str] = field(default_factory=dict)
    minutes: float = math.inf
    device: str = "cpu"
    threads: int | None = None
    workers: int = 0
    holdout: int = 4


@dataclass(frozen=True)
class Result:
    """What a session of a sweep leaves.

    Attributes:
        document: of all points that are measured; also in ``sweep.json``.
        failures: what could not be measured.
        missing: points that are not in the document, each with the reason.
        diverged: whether one of those will not come by going on.
    """

    document: dict[str, Any]
    failures: list[Failure]
    missing: dict[str, str]
    diverged: bool


def run(
    sweep: Sweep,
    options: Options,
    watcher: Watcher | None = None,
    say: Callable[[str], None] = print,
) -> Result:
    """Train and measure what is not done yet, and write ``sweep.json``, which grows point by point.

    Args:
        sweep: what to do.
        options: with what.
        watcher: told about the progress of measuring.
        say: told what is begun.

    Raises:
        InvalidInput: something in the sweep or the options that cannot be, or a point whose folder holds a
            run of other settings; both before anything is trained.
        PycodecError: as `pycodec.training.session.train` and `pycodec.evaluation.subject.load_subject`.
    """
    return _Session(sweep, options, watcher or Watcher(), say).run()


class _Session:
    def __init__(self, sweep: Sweep, options: Options, watcher: Watcher, say: Callable[[str], None]):
        self.sweep, self.options, self.watcher, self.say = sweep, options, watcher, say
        self.recipe = find_recipe(sweep.recipe)
        self.images = image_files(options.images)
        self.photographs = len(find_images(options.data))
        self.qualities = _metrics(sweep, options.device)
        self.files = pin(sweep, options.files, options.out)
        self.deadline = time.monotonic() + 60 * options.minutes
        self.failures: list[Failure] = []
        self.missing: dict[str, str] = {}
        self.diverged = False
        self.document: dict[str, Any] = {
            "sweep": sweep.name,
            "text": sweep.text,
            "recipe": self.recipe.read_text("utf-8"),
            "files": {name: file.fingerprint for name, file in self.files.items()},
            **{key: {} for key in ("dataset", "metrics", *OF_POINTS)},
            "points": [],
            "missing": [],
        }

    def run(self) -> Result:
        points, references = self.sweep.points(), self.sweep.reference
        todo: dict[str, Callable[[], None]] = {
            point.name: partial(self._point, point, self._plan(point)) for point in points
        }
        todo |= {one.name: partial(self._measure, one.name, one.codec, one.settings) for one in references}
        self.order = list(todo)
        busy = [name for name, work in todo.items() if not self._worked(name, work)]
        for name in busy:  # by now others may be done with them
            self._worked(name, todo[name])
        return Result(self.document, self.failures, self.missing, self.diverged)

    def _worked(self, name: str, work: Callable[[], None]) -> bool:
        """Do the work of a point, unless another process has its folder."""
        with _locked(self._folder(name)) as ours:
            if ours:
                self.missing.pop(name, None)
                work()
            else:
                self.missing[name] = "another process works on it"
        document, order = self.document, self.order
        document["missing"] = [name for name in order if name not in document["codecs"]]
        document["points"].sort(key=lambda point: order.index(point["name"]))
        for key in OF_POINTS:
            document[key] = {name: document[key][name] for name in order if name in document[key]}
        write_bytes(self.options.out / DOCUMENT, json_text(document).encode())
        return ours

    def _folder(self, name: str) -> Path:
        return self.options.out / folder_name(name)

    def _weights(self, point: Point) -> Path:
        return self._folder(point.name) / f"{self.recipe.stem}.safetensors"

    def _settings(self, point: Point) -> list[str]:
        paths = {name: file.path for name, file in self.files.items()}
        return [fill(setting, paths, self.sweep.name) for setting in point.set]

    def _plan(self, point: Point) -> Recipe:
        """The recipe of a point; whatever is wrong with it is raised before anything is trained."""
        settings = self._settings(point)
        plan = load_recipe(self.recipe, settings)
        now = {"recipe": self.recipe.read_text("utf-8"), "settings": settings, "images": self.photographs}
        if begun := self._begun(point):
            for key in (key for key in now if begun[key] != now[key]):
                change = f" {begun[key]}, now {now[key]}" if key != "recipe" else " of another text"
                raise InvalidInput(
                    f"{self._folder(point.name)} holds a run with {key}{change}: delete that folder to train "
                    "it anew, or name another one with --out"
                )
        if not self._finished(point, plan):
            check(plan)
        return plan

    def _begun(self, point: Point) -> Mapping[str, Any] | None:
        """What the run in the folder of a point was started with."""
        if self._weights(point).exists():
            return _last_run(self._weights(point))
        path = self._folder(point.name) / CHECKPOINT
        return load_progress(path, {"record"})["record"] if path.exists() else None

    def _finished(self, point: Point, plan: Recipe) -> bool:
        path = self._weights(point)
        return path.exists() and bool(_last_run(path)["steps"] >= plan.steps)

    def _point(self, point: Point, plan: Recipe) -> None:
        if not self._finished(point, plan) and not self._train(point):
            return
        path = self._weights(point)
        trained = _last_run(path)
        for key in ("recipe", "settings"):  # the former is in the document, the latter have paths
            del trained[key]
        entry = {
            "name": point.name,
            "series": point.series,
            "vary": point.vary,
            "value": point.value,
            "set": list(point.set),
            "trained": trained,
            "weights": weights.read_metadata(path)["fingerprint"],
        }
        self._measure(point.name, self.sweep.measure.codec, (), **{WEIGHTS: str(path.resolve())})
        self.document["points"].append(entry)

    def _train(self, point: Point) -> bool:
        """Whether the run is finished now."""
        options, folder = self.options, self._folder(point.name)
        minutes = (self.deadline - time.monotonic()) / 60
        if minutes <= 0:
            self.missing[point.name] = "not trained yet"
            return False
        self.say(f"training {point.name} in {folder}")
        resume = (folder / CHECKPOINT).exists()
        try:
            trained = train(
                self.recipe,
                options.data,
                folder,
                settings=() if resume else self._settings(point),
                resume=resume,
                minutes=minutes,
                device=options.device,
                devices=1,
                threads=options.threads,
                workers=options.workers,
                holdout=options.holdout,
                say=self.say,
            )
        except TrainingDiverged as error:
            self.missing[point.name], self.diverged = str(error), True
            return False
        if trained is None or not trained.finished:
            self.missing[point.name] = "its training is not finished"
            return False
        return True

    def _measure(self, name: str, codec: str, settings: Sequence[float], **files: str) -> None:
        """Measure a codec, and take what comes of it into the document."""
        options = self.options
        paths = {name: file.now for name, file in self.files.items()} | files
        chosen = list(settings or self.sweep.measure.settings) or None
        spec = fill(codec, paths, self.sweep.name)
        found = load_subject(spec, chosen, options.device, options.threads)
        subject = replace(found, spec=name, entry={**found.entry, "label": name})  # no paths of this machine
        out = self._folder(name) / MEASURED
        self._take(evaluate(self.images, [subject], self.qualities, out, environment(), watcher=self.watcher))

    def _take(self, outcome: Outcome) -> None:
        self.failures += outcome.failures
        for key in OF_POINTS:
            self.document[key] |= outcome.document[key]
        self.document |= {key: outcome.document[key] for key in ("dataset", "metrics")}


def _last_run(path: Path) -> dict[str, Any]:
    """What the model card of a weights file says of the run that wrote it."""
    run: dict[str, Any] = weights.read_metadata(path)["model_card"]["runs"][-1]
    return run


def _metrics(sweep: Sweep, device: str) -> list[Quality]:
    qualities = load_qualities(sweep.measure.metrics, device)
    if all(quality.of_set for quality in qualities):
        names = ", ".join(sweep.measure.metrics)
        raise InvalidInput(f"sweep {sweep.name!r} measures {names} alone, expected a metric of images, psnr")
    return qualities


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether the folder of a point is ours until the block ends; a process that is killed gives it back."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        yield lock(file)
