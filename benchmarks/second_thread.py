"""What a second thread gives, where the machine has a second core to give.

Virtual cores may be halves of one core, or be lent to others; then two threads do no more than one, whatever
the program. So every round also times arithmetic in registers, on one thread and on two, and only rounds in
which that gained enough count.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from . import machine
from .timing import Effort, Row, Subject, measure, rounds, rows_of

SUBJECT = "pycodec, 2 threads"
CALLS = 100  # of a fraction of a millisecond each
ENOUGH = 1.8  # times the work of one thread


def measure_beside(case: str, unit: str, subjects: Sequence[Subject], effort: Effort) -> list[Row]:
    """`timing.measure`, with more fields in the row of `SUBJECT`.

    ``speedup`` against the first subject, the median of the rounds that count, and ``at_best``, that of
    arithmetic in these rounds; without such rounds ``at_best`` alone, of all.
    """
    found = machine.multiply_adds("int8")
    index = next((i for i, subject in enumerate(subjects) if subject.name == SUBJECT), None)
    if found is None or index is None:
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

        calls = [subject.call for subject in subjects]
        samples = rounds([*calls[: index + 1], one, two, *calls[index + 1 :]], effort)
    alone, together = samples.pop(index + 1), samples.pop(index + 1)
    rows = rows_of(case, unit, subjects, samples)
    best = [2 * a / b for a, b in zip(alone, together, strict=True)]
    speedups = [a / b for a, b in zip(samples[0], samples[index], strict=True)]
    if counted := [i for i, gain in enumerate(best) if gain >= ENOUGH]:
        rows[index] |= {"speedup": median(speedups[i] for i in counted), "counted_rounds": len(counted)}
    rows[index]["at_best"] = median(best[i] for i in counted or range(len(best)))
    return rows
