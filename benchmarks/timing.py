"""Times of several calls that do the same work, measured side by side.

A shared machine changes its speed while one looks. So the calls take turns, round by round, and a ratio is
the median over rounds of the ratio within a round: whatever slows the machine down hits all of them alike.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        seconds: of one case; more only where fewer than ``least`` rounds fit.
        sample: seconds that one sample lasts at least; quicker calls are repeated within it.
        least, most: rounds.
    """

    seconds: float = 10.0
    sample: float = 0.02
    least: int = 5
    most: int = 200


QUICK = Effort(seconds=0.1, sample=1e-3, least=2, most=5)


@dataclass(frozen=True)
class Subject:
    """One way to do a case's work.

    Attributes:
        name: as rows and goals know it.
        call: does the work, and waits until it is done.
        work: units of work in one call; a slow peer may do a part of what the others do.
        peer: whether it is somebody else's code.
        fields: more about it, for its row.
    """

    name: str
    call: Callable[[], object]
    work: float
    peer: bool = False
    fields: Row = field(default_factory=dict)


def measure(case: str, unit: str, subjects: Sequence[Subject], effort: Effort) -> list[Row]:
    """A row for every subject.

    Returns:
        Rows of ``case``, ``subject``, ``peer``, ``work`` of a call and its ``unit``, ``seconds`` of a call
        (the median) and ``best_seconds``, ``rounds``, and ``ratio``: how many times longer than the first
        subject it takes for the same work.
    """
    return rows_of(case, unit, subjects, rounds([subject.call for subject in subjects], effort))


def rows_of(
    case: str, unit: str, subjects: Sequence[Subject], samples: Sequence[Sequence[float]]
) -> list[Row]:
    """The rows of `measure`, of what `rounds` gave for the subjects."""
    rows = []
    for subject, own in zip(subjects, samples, strict=True):
        ratios = [a / b for a, b in zip(own, samples[0], strict=True)]
        rows.append(
            {
                "case": case,
                "subject": subject.name,
                "peer": subject.peer,
                "work": subject.work,
                "unit": unit,
                "seconds": median(own),
                "best_seconds": min(own),
                "rounds": len(own),
                "ratio": median(ratios) * subjects[0].work / subject.work,
                **subject.fields,
            }
        )
    return rows


def rounds(calls: Sequence[Callable[[], object]], effort: Effort) -> list[list[float]]:
    """Seconds of one call, [calls][rounds]."""
    repeats = []
    for call in calls:
        call()  # warm-up
        repeats.append(max(1, round(effort.sample / max(_seconds(call, 1), 1e-9))))
    samples: list[list[float]] = [[] for _ in calls]
    collecting = gc.isenabled()
    gc.disable()
    try:
        end = time.perf_counter() + effort.seconds
        while len(samples[0]) < effort.least or (time.perf_counter() < end and len(samples[0]) < effort.most):
            for own, call, count in zip(samples, calls, repeats, strict=True):
                own.append(_seconds(call, count))
    finally:
        if collecting:
            gc.enable()
    return samples


def _seconds(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count
