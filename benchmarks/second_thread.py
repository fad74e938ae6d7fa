"""What a second thread gives at best on this machine, now: arithmetic in registers, on one thread and on two.

Virtual cores may be halves of one core, or be lent to others; then two threads do less than twice the work,
whatever the program.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from . import machine
from .timing import Effort, Row, Subject, measure

CASE, ONE, TWO = "arithmetic in registers", "1 thread", "2 threads"
CALLS = 100  # of a fraction of a millisecond each


def speedup(effort: Effort) -> list[Row]:
    """Rows of the two, the second with its ``speedup``; none where there is no such loop for this CPU."""
    found = machine.multiply_adds("int8")
    if found is None:
        return []
    call, _ = found

    def one() -> None:
        for _ in range(CALLS):
            call()

    with ThreadPoolExecutor(1) as second:

        def two() -> None:
            other = second.submit(one)
            one()
            other.result()

        rows = measure(CASE, "loop", [Subject(ONE, one, CALLS), Subject(TWO, two, 2 * CALLS)], effort)
    rows[1]["speedup"] = 1 / rows[1]["ratio"]
    return rows
