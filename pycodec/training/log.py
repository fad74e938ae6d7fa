"""What a run reports: a progress bar, a line of JSON for every event, TensorBoard scalars."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from pycodec import files
from pycodec.errors import InvalidInput

EVERY_STEPS = 50


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
        self.file = (directory / "log.jsonl").open("a+b", buffering=0)
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
