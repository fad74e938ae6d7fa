"""Data-parallel runs: several processes, each with its share of every batch, that reach what one would.

Gradients are averaged here, not by DistributedDataParallel: a batch may have several losses, each with its
own parameters, and a graph they share.

The processes meet a few times a batch. What each does alone happens within `Processes.together`: it tells the
others whether it failed before anybody goes on, so that nobody waits for one that is gone.
"""

from __future__ import annotations

import atexit
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn

from pycodec.errors import InvalidInput, ProcessFailed, ProcessLost, PycodecError

from .noise import NoiseOfShare

MESSAGE_BYTES = 2000


def launch(device: str = "cpu", devices: int | None = None, precision: str = "32-true") -> Processes:
    """Start the processes of a run, or join those that ``torchrun`` or ``fabric run`` started.

    Without them, and with more than one device, this process starts the others on this machine by its own
    command line, and each of them comes here again. They talk over gloo on the CPU, over nccl on CUDA.

    Args:
        device: "cpu" or "cuda".
        devices: processes on this machine, one for each GPU; by default those that were started, else 1.
        precision: Lightning Fabric's, e.g. "bf16-mixed".

    Raises:
        InvalidInput: more devices than there are, or not as many as processes were started.
    """
    started = int(os.environ["LOCAL_WORLD_SIZE"]) if dist.is_torchelastic_launched() else None
    devices = devices or started or 1
    if started is not None and devices != started:
        raise InvalidInput(f"--devices is {devices}, but {started} processes were started here; leave it out")
    if device == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("--device cuda: torch finds no CUDA device here; use --device cpu")
    if device == "cuda" and devices > torch.cuda.device_count():
        raise InvalidInput(
            f"--devices is {devices}; torch finds {torch.cuda.device_count()} CUDA devices here"
        )
    nodes = int(os.environ["WORLD_SIZE"]) // started if started else 1
    # Its notices about processes are for whoever writes a program with it.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        fabric = Fabric(
            accelerator=device,
            devices=devices,
            num_nodes=nodes,
            strategy="ddp" if devices * nodes > 1 else "auto",
            precision=precision,  # type: ignore[arg-type]
        )
    except ValueError as error:  # an unknown precision, or settings of fabric run that differ from ours
        raise InvalidInput(f"cannot train like this: {error}") from error
    if os.environ.get("LT_CLI_USED") != "1":  # fabric run has done it
        fabric.launch()
    if devices * nodes > 1:
        atexit.register(_leave)
    return Processes(fabric)


class Processes:
    """The processes of a run as one of them sees them; with a single one, everything here costs nothing.

    Attributes:
        rank: number of this process, from 0.
        count: how many there are.
        first: whether this is the one that validates, and writes checkpoints and logs.
        device: of this process.
    """

    def __init__(self, fabric: Fabric):
        self.rank, self.count = fabric.global_rank, fabric.world_size
        self.first = self.rank == 0
        self.device: torch.device = fabric.device
        self.autocast: Callable[[], AbstractContextManager[None]] = fabric.autocast
        self._failed = False  # then the processes meet no more

    def share(self, batch: int) -> range:
        """Which images of a batch are those of this process.

        Raises:
            InvalidInput: they cannot be shared equally.
        """
        size, rest = divmod(batch, self.count)
        if rest:
            raise InvalidInput(
                f"a batch of {batch} cannot be shared equally by {self.count} processes; change batch in the "
                "recipe (--set stage.NAME.batch=...), or --devices"
            )
        return range(self.rank * size, (self.rank + 1) * size)

    def noise(self, batch: int) -> AbstractContextManager[object]:
        """Within it, random numbers are those of this process's share; see `noise.NoiseOfShare`."""
        return NoiseOfShare(batch, self.share(batch)) if self.count > 1 else nullcontext()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done within fails in all processes if it fails in one; all wait at the end.

        The first process raises the error if it is its own, else ProcessFailed, which says what another
        process said. All others raise ProcessFailed: what there is to say is said once.

        Raises:
            ProcessLost: another process ended without saying anything.
        """
        if self.count == 1:
            yield
            return
        try:
            yield
        except Exception as error:
            if not self._failed:  # else all know
                if not isinstance(error, (PycodecError, OSError)):
                    traceback.print_exc()
                self._meet(error)
            raise
        self._meet()

    def any(self, vote: bool) -> bool:
        """Whether any process votes for it."""
        return self._meet(vote=vote) if self.count > 1 else vote

    def _meet(self, error: Exception | None = None, vote: bool = False) -> bool:
        """Wait for all, and raise if one of them failed; returns whether one voted for what is asked."""
        states = torch.zeros(2, self.count)
        states[0, self.rank], states[1, self.rank] = error is not None, vote
        failed, votes = self._sum(states.to(self.device)).cpu().bool()
        if not failed.any():
            return bool(votes.any())
        self._failed = True
        source = int(failed.int().argmax())
        text = torch.frombuffer(bytearray(_said(error)), dtype=torch.uint8).to(self.device)
        self._call(dist.broadcast, text, source)
        if self.first and error is not None:
            return False  # it raises its own
        words = bytes(text.tolist()).decode(errors="ignore").strip()
        raise ProcessFailed(f"process {source + 1} of {self.count}: {words}") from error

    def check_same(self, step: int, module: nn.Module) -> None:
        """Raise InvalidInput unless all processes are at the same step with the same weights."""
        if self.count == 1:
            return
        state = [step, *(float(value.double().sum()) for value in module.state_dict().values())]
        ours = torch.tensor(state, dtype=torch.float64, device=self.device).nan_to_num()
        first = ours.clone()
        self._call(dist.broadcast, first, 0)
        if self.any(not torch.equal(ours, first)):
            raise InvalidInput(
                "the processes of this run do not start from the same weights; all machines need the same "
                "pycodec, recipe and --init, and one --out folder"
            )

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace each gradient by its mean over processes, where any process has one."""
        if self.count == 1:
            return
        # One flat tensor: a message for each parameter would cost more than the copies.
        has = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = self._sum(torch.cat([has, *(gradient.reshape(-1) for gradient in gradients)]))
        flat /= self.count
        counts, *means = flat.split([len(parameters), *(p.numel() for p in parameters)])
        for p, gradient, some, mean in zip(parameters, gradients, counts.tolist(), means, strict=True):
            p.grad = gradient.copy_(mean.view_as(p)) if some else None

    @contextmanager
    def same_state(self, module: nn.Module) -> Iterator[None]:
        """What is changed by hand within, buffers or parameters, is as in the first process afterwards."""
        if self.count == 1:
            yield
            return
        before = [(value, value._version) for value in _tensors(module)]
        yield
        changed = torch.tensor(
            [
                float(now is not value or now._version != version)
                for now, (value, version) in zip(_tensors(module), before, strict=True)
            ],
            device=self.device,
        )
        anywhere = self._sum(changed).tolist()
        for value, some in zip(_tensors(module), anywhere, strict=True):
            if some:
                held = value.detach().contiguous()
                self._call(dist.broadcast, held, 0)
                value.detach().copy_(held)

    def sum(self, number: float) -> float:
        """Sum over processes."""
        if self.count == 1:
            return number
        self._meet()
        return self._sum(torch.tensor(number, dtype=torch.float64, device=self.device)).item()

    def _sum(self, tensor: Tensor) -> Tensor:
        self._call(dist.all_reduce, tensor)
        return tensor

    def _call(self, collective: Callable[..., object], *arguments: object) -> None:
        try:
            collective(*arguments)
        except RuntimeError as error:
            self._failed = True
            raise ProcessLost(
                f"process {self.rank + 1} of {self.count} has lost the others: one of them ended, or cannot "
                f"be reached ({str(error).splitlines()[0]})"
            ) from error


def _leave() -> None:
    """End the threads that talk to others: with them an interpreter is at times aborted at its end."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _said(error: Exception | None) -> bytes:
    """What is told of an error, in as many bytes as the others expect."""
    named = not isinstance(error, (PycodecError, OSError))
    words = f"{type(error).__name__}: {error}" if named else str(error)
    return words.encode()[:MESSAGE_BYTES].ljust(MESSAGE_BYTES)
