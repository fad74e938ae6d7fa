"""Another process, spawned once, that makes components again and says what they answer."""

from __future__ import annotations

import atexit
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import torch

from pycodec.testing.checks import CheckFailure

_pool: ProcessPoolExecutor | None = None
_path: list[str] = []


def answers(kind: str, make: Callable[[], Any], state: Mapping[str, torch.Tensor] | None) -> dict[str, Any]:
    """What a component made in the other process answers.

    Args:
        kind: of the component.
        make: makes it; is pickled.
        state: its weights, or None if it has none.

    Raises:
        CheckFailure: it cannot be sent, or the process ended.
    """
    arrays = None if state is None else {name: tensor.cpu().numpy() for name, tensor in state.items()}
    try:
        job = pickle.dumps((kind, make, arrays, torch.get_num_threads()))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise CheckFailure(
            f"found what cannot be sent to a spawned process ({error}), expected a component that pickles "
            "or a factory by its name; keep lambdas, files and native handles out of it, or define __reduce__"
        ) from error
    try:
        found: dict[str, Any] = _process().submit(_answers, job).result()
    except BrokenProcessPool as error:
        stop()
        raise CheckFailure(
            "the spawned process ended while the component was made or used, expected answers; look for "
            "os._exit, a crash of native code, or code of a script that runs at its import"
        ) from error
    return found


def _process() -> ProcessPoolExecutor:
    """The other process; importing torch takes it a while, so it is kept while it finds modules where
    this one does.
    """
    global _pool, _path
    if _path != sys.path:
        stop()
    if _pool is None:
        _path = list(sys.path)
        _pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        atexit.register(stop)
    return _pool


def stop() -> None:
    """End the other process, if there is one; the next that is needed sees what is installed by then."""
    global _pool
    if _pool is not None:
        _pool.shutdown()
        _pool = None
        atexit.unregister(stop)


def _answers(job: bytes) -> dict[str, Any]:
    from pycodec.testing.probes import PROBES
    from pycodec.testing.subject import prepared

    kind, make, arrays, threads = pickle.loads(job)
    torch.set_num_threads(threads)
    component = prepared(kind, make, seed=0)
    if arrays:
        component.load_state_dict({name: torch.from_numpy(np.copy(a)) for name, a in arrays.items()})
    return PROBES[kind](component)
