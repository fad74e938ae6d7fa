"""The local engine: worker processes of this machine, each with a pipe, a codec and one file at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from pycodec.batch.plan import Job
from pycodec.batch.work import Outcome, Settings, failed, work
from pycodec.errors import PycodecError

RETRIES = 1
"""How often a file is tried again that was lost with its worker."""


def run_local(
    settings: Settings, jobs: Sequence[Job], count: int, stop: threading.Event
) -> Generator[Outcome, None, None]:
    """Outcomes of the jobs as they come; after ``stop`` only of those that were begun.

    A worker that dies (out of memory, a crash of native code) costs its file a retry, and then is the error
    of that file alone.

    Raises:
        PycodecError: workers cannot even start.
    """
    waiting, lost = deque(jobs), Counter[str]()
    workers: list[_Worker] = []
    started = False
    try:
        while True:
            while waiting and not stop.is_set():
                worker = next((w for w in workers if w.job is None), None)
                if worker is None:
                    if len(workers) == count:
                        break
                    workers.append(worker := _Worker(settings))
                worker.give(waiting.popleft())
            busy = {w.connection: w for w in workers if w.job}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                job = worker.job
                assert job is not None
                try:
                    outcome = worker.connection.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    death = worker.death()
                    if not started:
                        raise PycodecError(
                            f"workers cannot start: the first one {death}; in a script, call "
                            'pycodec.batch.run below if __name__ == "__main__":'
                        ) from None
                    lost[job.target] += 1
                    if lost[job.target] <= RETRIES:
                        waiting.appendleft(job)
                    else:
                        yield failed(
                            settings, job, f"the worker process {death}, {lost[job.target]} times in a row"
                        )
                    continue
                started = True
                if outcome is not None:
                    worker.job = None
                    yield outcome
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process of our own; it says None when it has started, and then an outcome for every job."""

    def __init__(self, settings: Settings):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, settings), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends with the process
        self.job: Job | None = None

    def give(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # it has died: whoever waits for its answer notices
            self.connection.send(job)

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.terminate()
        self.process.join()
        self.connection.close()

    def death(self) -> str:
        """How it ended by itself; its pipe has ended already."""
        self.process.join()
        self.connection.close()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"ended with status {code}"
        name = signal.Signals(-code).name
        return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _serve(connection: Connection, settings: Settings) -> None:
    """What a worker process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process: the first one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which the first one may have made another Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send(None)
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(work(settings, job))


def _end_with_parent() -> None:
    """A parent that is killed ends nobody: without this, workers would write into its successor's run."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
