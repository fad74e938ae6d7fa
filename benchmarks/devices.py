"""What benchmarks of coding on a device share: the device, calls that wait for it, and the CPU beside it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from pycodec.errors import InvalidInput
from pycodec.ops.device import can_code_on

from .timing import Effort, Row, Subject, measure

EMULATED = "emulated"


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda", EMULATED),
        default="cpu",
        help="cuda: the device's coder beside the CPU's on one thread; emulated: its kernels as plain loops, "
        "to see without a GPU that this runs (with --quick, for they are slow)",
    )


def find(name: str) -> torch.device:
    """Where tensors lie for ``--device``.

    Raises:
        InvalidInput: there is no such device, or no kernels for it.
    """
    if name == EMULATED:
        return torch.device("cpu")
    if not can_code_on(name):
        raise InvalidInput(
            "no CUDA device here, a torch without CUDA, or an extension without (run pycodec doctor); "
            "use --device cpu"
        )
    return torch.device(name)


def waiting(call: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """A call that returns when the device has done its work, whatever it left there."""
    if device.type == "cpu":
        return call

    def wait() -> None:
        call()
        torch.cuda.synchronize()

    return wait


@contextmanager
def workers(
    count: int, device: torch.device
) -> Iterator[Callable[[Sequence[Callable[[], object]]], list[object]]]:
    """Runs calls at once and gives their results: so many threads, each with a CUDA stream of its own."""

    def start() -> None:
        if device.type == "cuda":
            torch.cuda.set_stream(torch.cuda.Stream())

    with ThreadPoolExecutor(count, initializer=start) as pool:
        yield lambda calls: list(pool.map(lambda call: call(), calls))


def beside_cpu(case: str, unit: str, there: Subject, here: Subject, effort: Effort) -> list[Row]:
    """Rows of the device and of the CPU for the same work, with the milliseconds of a call."""
    rows = measure(case, unit, [there, here], effort)
    for row in rows:
        row["ms"] = 1e3 * row["seconds"]
    return rows
