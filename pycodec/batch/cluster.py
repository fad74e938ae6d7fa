"""The engine of a Ray cluster: a task a file, retried elsewhere when its worker or node is lost.

All nodes see the inputs and the folder of outputs under the same paths, and have the same pycodec installed.
Tasks write outputs, this process alone writes the manifest.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pycodec.batch.plan import Job
from pycodec.batch.work import Outcome, Settings, failed, work
from pycodec.errors import InvalidInput, MissingDependency

RETRIES = 3
"""How often a file is tried again that was lost with its worker or node."""
PATIENCE_SECONDS = 20
QUEUED = 2  # tasks a CPU: one runs, the next is there already


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """The module ``ray``, connected to a cluster; a connection that is there already is used, and stays.

    Args:
        address: of the cluster; by default that of RAY_ADDRESS, or of one that runs on this machine.

    Raises:
        MissingDependency: Ray is not installed.
        InvalidInput: there is no such cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependency(
            "the engine ray needs Ray, which is not installed: pip install 'pycodec[ray]'"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or "auto"
    try:
        _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        where = "this machine" if address == "auto" else address
        raise InvalidInput(
            f"no Ray cluster at {where}: name one with --address or RAY_ADDRESS, or start one with "
            "ray start --head"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def run_on_ray(
    ray: Any, settings: Settings, jobs: Sequence[Job], limit: int | None, stop: threading.Event
) -> Generator[Outcome, None, None]:
    """Outcomes of the jobs as they come; after ``stop`` only of those that were begun.

    Args:
        ray: as `connected` gives it.
        limit: tasks at a time, at most; by default as the cluster has room for.
    """
    waiting, lost = deque(jobs), Counter[str]()
    running: dict[Any, Job] = {}
    # Retries are ours: Ray repeats a task that runs out of memory without end.
    gpus = 1 if settings.device.startswith("cuda") else 0
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(work)
    try:
        while running or (waiting and not stop.is_set()):
            room = limit or QUEUED * max(1, int(ray.cluster_resources().get("CPU", 1)))
            while waiting and not stop.is_set() and len(running) < room:
                job = waiting.popleft()
                running[task.remote(settings, job)] = job
            done, _ = ray.wait(list(running), timeout=1)  # looks at ``stop`` and the cluster's size again
            for reference in done:
                job = running.pop(reference)
                try:
                    outcome = ray.get(reference)
                except ray.exceptions.RayError as error:
                    lost[job.target] += 1
                    if lost[job.target] <= RETRIES:
                        waiting.appendleft(job)
                    else:
                        yield failed(settings, job, _sentence(error))
                    continue
                yield outcome
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _reach(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT or ray://HOST:PORT: Ray itself would wait for ever."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host:
        socket.create_connection((host, int(port)), PATIENCE_SECONDS).close()


def _sentence(error: Exception) -> str:
    """The first line of an error of Ray's, or of what the task raised."""
    error = getattr(error, "cause", None) or error
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
