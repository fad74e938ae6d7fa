"""Where the time of a call goes: named stages, measured only while somebody asks.

    with profile() as seconds:
        codec.compress(image)
    print(seconds)  # {"transform": 0.19, "tables": 0.06, "coding": 0.01, "container": 0.001}

A plugin may have stages of its own. Stages nest: the time of one excludes that of the stages inside it, so
that together they make up the time inside any.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class _Profile:
    def __init__(self, wait: Callable[[], object] | None) -> None:
        self.wait = wait or (lambda: None)
        self.seconds: dict[str, float] = {}
        self.inner = [
            0.0
        ]  # of every open stage, the outermost being the profile itself: time of those inside

    def add(self, name: str, own: float, whole: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + own
        self.inner[-1] += whole


_current: ContextVar[_Profile | None] = ContextVar("pycodec_profile", default=None)


@contextmanager
def profile(wait: Callable[[], object] | None = None) -> Iterator[dict[str, float]]:
    """What runs inside, in this thread: seconds by stage, in the order in which stages first ended.

    Args:
        wait: called where a stage begins and ends. ``torch.cuda.synchronize`` makes what a GPU does count for
            the stage that asked for it, and not for the one that waits for results.
    """
    made = _Profile(wait)
    token = _current.set(made)
    try:
        yield made.seconds
    finally:
        _current.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """What runs inside belongs to this stage, but for stages further inside."""
    current = _current.get()
    if current is None:
        yield
        return
    current.wait()
    current.inner.append(0.0)
    start = time.perf_counter()
    try:
        yield
    finally:
        current.wait()
        whole = time.perf_counter() - start
        current.add(name, whole - current.inner.pop(), whole)


def add(name: str, seconds: float) -> None:
    """Time that was measured elsewhere, such as in native code, inside the stage that is open."""
    current = _current.get()
    if current is not None:
        current.add(name, seconds, seconds)
