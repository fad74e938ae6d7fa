"""What a second thread gives at best on this machine, at that moment: arithmetic in registers, same rounds.

Virtual cores may be halves of one core, or be lent to others; then two threads do less than twice the work,
whatever the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from . import machine
from .timing import Effort, Row, Subject, measure

SUBJECT = "pycodec, 2 threads"
ONE, TWO = "arithmetic, 1 thread", "arithmetic, 2 threads"
CALLS = 100  # of a fraction of a millisecond each


def measure_beside(case: str, unit: str, subjects: Sequence[Subject], effort: Effort) -> list[Row]:
    """`timing.measure`; the row of `SUBJECT` gets the field ``at_best``, the speedup of arithmetic alone."""
    found = machine.multiply_adds("int8")
    if found is None or all(subject.name != SUBJECT for subject in subjects):
        return measure(case, unit, subjects, effort)
    call, _ = found

    def one() -> None:
        for _ in range(CALLS):
            call()

    with ThreadPoolExecutor(1) as second:

        def two() -> None:
            other = second.submit(one)
            one()
            other.result()

        rows = measure(case, unit, [*subjects, Subject(ONE, one, 1), Subject(TWO, two, 2)], effort)
    *rows, alone, together = rows
    for row in rows:
        if row["subject"] == SUBJECT:
            row["at_best"] = alone["ratio"] / together["ratio"]
    return rows
