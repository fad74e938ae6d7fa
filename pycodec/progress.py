"""How far a long call is: reports that cost nothing unless somebody watches.

with watched(lambda what, done, total: print(what, done / total)):
    codec.compress(image)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[str, int, int], object]
"""What is being done, how many parts of it are, and of how many; parts are of like size."""

_watcher: ContextVar[Watcher | None] = ContextVar("pycodec_progress", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """What runs inside, in this thread, reports to ``watcher``."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def report(what: str, done: int, total: int) -> None:
    """Tell whoever watches that so many of ``total`` parts are done."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(what, done, total)
