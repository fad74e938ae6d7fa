"""What a run reports: a progress bar, a line of JSON for every event, TensorBoard scalars."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from pycodec import files
from pycodec.errors import InvalidInput

FILE = "log.jsonl"
EVERY_STEPS = 50
CURVE_POINTS = 40  # of each stage
CURVE_DIGITS = 5


class NoLog:
    """Of a process that reports nothing."""

    def __enter__(self) -> NoLog:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def step(self, step: int, stage: str, scalars: dict[str, float]) -> None:
        pass

    def event(self, event: str, step: int, scalars: dict[str, float], sentence: str = "") -> None:
        pass


class RunLog:
    """Progress of one session of a run; use as a context manager.

    Args:
        directory: gets ``log.jsonl`` and ``tensorboard/``.
        steps, first: length of the run and where this session starts.
        minutes: limit of this session.

    Raises:
        InvalidInput: another process trains in this directory.
    """

    def __init__(self, directory: Path, steps: int, first: int, minutes: float):
        self.file = (directory / FILE).open("a+b", buffering=0)
        if not files.lock(self.file):
            self.file.close()
            raise InvalidInput(
                f"another run trains in {directory}; wait for it, or name another folder with --out"
            )
        files.whole_lines(self.file)
        self.writer = _Scalars(directory / "tensorboard")
        self.console = Console()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.bar = self.progress.add_task("training", total=steps, completed=first, figures="")
        self.began, self.minutes = time.monotonic(), minutes
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def __enter__(self) -> RunLog:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()
        self.file.close()
        self.writer.close()

    def step(self, step: int, stage: str, scalars: dict[str, float]) -> None:
        """Count one step; every 50 steps the mean of the figures since is reported. NaN means "not now"."""
        for key, value in scalars.items():
            if not math.isnan(value):
                self.sums[key] = self.sums.get(key, 0.0) + value
                self.counts[key] = self.counts.get(key, 0) + 1
        if step % EVERY_STEPS:
            return
        means = {key: value / self.counts[key] for key, value in self.sums.items()}
        self.sums, self.counts = {}, {}
        figures = "  ".join(f"{key} {value:.4g}" for key, value in means.items())
        self.progress.update(self.bar, completed=step, description=stage, figures=figures)
        self._write("step", step, {"seconds": time.monotonic() - self.began, **means})

    def event(self, event: str, step: int, scalars: dict[str, float], sentence: str = "") -> None:
        """Report a validation or the start of a stage at once, as its figures or in a sentence."""
        self._write(event, step, scalars)
        figures = "  ".join(f"{key} {value:.4g}" for key, value in scalars.items())
        self.console.print(sentence or f"{event} at step {step}: {figures}", soft_wrap=True)

    def _write(self, event: str, step: int, scalars: dict[str, float]) -> None:
        files.append_line(self.file, json.dumps({"event": event, "step": step, **scalars}).encode())
        for key, value in scalars.items():
            self.writer.add(f"{event}/{key}", value, step)


def learning_curve(directory: Path, stages: Sequence[str]) -> list[dict[str, Any]]:
    """What a run reported, in few points.

    Args:
        directory: of the run. One without a log has no curve.
        stages: names of those that are trained.

    Returns:
        Of each stage that was begun ``{"stage": name, "points": [{"step": ..., "loss": ..., ...}]}``: means
        of each figure over the steps since the point before. Where a run went back to a checkpoint, what it
        did after that counts.
    """
    reports: dict[int, tuple[str, dict[str, float]]] = {}  # stage and figures, by step
    stage = ""
    path = directory / FILE
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        report = json.loads(line)
        event, step = report.pop("event"), report.pop("step")
        if event == "stage":  # begun, or gone on with: nothing after this step counts
            stage = stages[int(report["index"])]
            reports = {earlier: each for earlier, each in reports.items() if earlier <= step}
        elif event == "step":
            del report["seconds"]
            reports[step] = stage, report
    curve = []
    for stage in stages:
        own = [(step, figures) for step, (name, figures) in reports.items() if name == stage]
        size = max(1, math.ceil(len(own) / CURVE_POINTS))
        points = [_mean(own[i : i + size]) for i in range(0, len(own), size)]
        if points:
            curve.append({"stage": stage, "points": points})
    return curve


def _mean(reports: Sequence[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Of reports that follow one another; its step is the last one's."""
    names = dict.fromkeys(name for _, figures in reports for name in figures)
    values = {name: [figures[name] for _, figures in reports if name in figures] for name in names}
    means = {name: float(f"{fmean(each):.{CURVE_DIGITS}g}") for name, each in values.items()}
    return {"step": reports[-1][0], **means}


class _Scalars:
    """The TensorBoard writer; its thread tells its errors to whoever writes next, and nobody else.

    Args:
        folder: of its files.
    """

    def __init__(self, folder: Path):
        self.folder, self.usual = folder, threading.excepthook
        threading.excepthook = self._failed
        with self._named():
            self.writer = SummaryWriter(str(folder))

    def add(self, name: str, value: float, step: int) -> None:
        with self._named():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        try:
            with self._named():
                self.writer.close()
        finally:
            threading.excepthook = self.usual

    def _failed(self, what: threading.ExceptHookArgs) -> None:
        if not issubclass(what.exc_type, OSError):
            self.usual(what)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, f"not written: {error.strerror}", str(self.folder)) from error
