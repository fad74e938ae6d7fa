"""Memory of a device for native kernels: where they run, what they get, and what every coder there needs.

Tensors of a CUDA device are coded by kernels on its current stream. Tensors of the CPU may be passed to the
same functions: the same kernels then run as a plain loop, slowly, which is how they are tested without a GPU.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from pycodec.errors import DeviceError, InvalidInput, NativeUnavailable, out_of_memory
from pycodec.native import native

Queue = tuple[int, int] | None
Owner = TypeVar("Owner")


def can_code_on(device: torch.device | str) -> bool:
    """Whether symbols are coded on this device: a CUDA device, and a build with kernels for it."""
    return torch.device(device).type == "cuda" and torch.cuda.is_available() and has_kernels(numbered(device))


def has_kernels(device: torch.device) -> bool:
    """Whether this build has kernels that a CUDA device can run."""
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor >= _lowest_capability()


@cache
def _lowest_capability() -> float:
    """Of the devices that this build has kernels for, times 10; infinite if it has none."""
    try:
        archs = native().build_info()["cuda_archs"]  # such as 80, 90a, 90+PTX
    except NativeUnavailable:
        archs = []
    return min((float(re.split(r"\D", arch)[0]) for arch in archs), default=math.inf)


def numbered(device: torch.device | str) -> torch.device:
    """A device as the tensors on it name it: "cuda" is the current CUDA device."""
    found = torch.device(device)
    if found.type == "cuda" and found.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return found


@contextmanager
def queue_of(device: torch.device) -> Iterator[Queue]:
    """Where kernels for tensors of a device run: its number and current stream, or None for the host.

    Raises:
        DeviceError: a kernel failed, which may show only in the call of torch that waits for it.
        InvalidInput: neither a CPU nor a CUDA device.
    """
    if device.type == "cpu":
        yield None
    elif device.type == "cuda":
        with torch.cuda.device(device):
            queue = torch.cuda.current_device(), torch.cuda.current_stream().cuda_stream
            try:
                yield queue
            except RuntimeError as error:
                if "CUDA error" not in str(error) or out_of_memory(error):
                    raise
                raise DeviceError(f"coding on {device}: {str(error).splitlines()[0]}") from error
    else:
        raise InvalidInput(f"tensors are on {device}; expected cuda, or cpu")


def room(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialised memory, which kernels write."""
    return torch.empty(count, dtype=dtype, device=device)


def upload(values: bytes | np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """A copy on the device, one-dimensional."""
    array = np.frombuffer(values, np.uint8) if isinstance(values, bytes) else values.reshape(-1)
    return torch.from_numpy(array.copy()).to(device)


class Copies(Generic[Owner]):
    """What kernels need of an object, on each device where they run; kept for as long as the object lives.

    Args:
        flatten: the bytes to upload.
    """

    def __init__(self, flatten: Callable[[Owner], bytes]) -> None:
        self._flatten = flatten
        self._copies: WeakKeyDictionary[Owner, dict[torch.device, Tensor]] = WeakKeyDictionary()
        # One thread's copy must not take the place, and so free the memory, of one that another thread uses.
        self._lock = Lock()

    def of(self, owner: Owner, device: torch.device) -> Tensor:  # [bytes] uint8
        """The copy on a device, which is to be `numbered`."""
        with self._lock:
            copies = self._copies.setdefault(owner, {})
            if device not in copies:
                copies[device] = upload(self._flatten(owner), device)
            return copies[device]


def address(tensor: Tensor | None) -> int:
    """Where the elements of a contiguous tensor lie; 0 for none.

    Raises:
        InvalidInput: the tensor is not contiguous.
    """
    if tensor is None:
        return 0
    if not tensor.is_contiguous():
        raise InvalidInput(f"a tensor of shape {tuple(tensor.shape)} is not contiguous; pass .contiguous()")
    return tensor.data_ptr()


def gather(queue: Queue, pieces: np.ndarray[Any, Any], size: int, device: torch.device) -> Tensor:
    """``size`` bytes made of pieces of the device's memory, rows of address, offset, bytes."""
    out = room(size, torch.uint8, device)
    # Kept until the kernel is launched; torch reuses its memory on this stream only.
    table = upload(pieces.view(np.int64), device)
    native().device_gather(queue, address(table), len(pieces), address(out))
    return out


def crc32(symbols: Tensor) -> int:
    """``zlib.crc32`` of the bytes of an int32 tensor, little-endian; only the sum leaves the device."""
    if symbols.dtype != torch.int32:
        raise InvalidInput(f"symbols are {symbols.dtype}; expected int32")
    total = torch.zeros(1, dtype=torch.int32, device=symbols.device)
    with queue_of(symbols.device) as queue:
        native().device_crc32(queue, address(symbols), symbols.numel(), address(total))
    result: int = native().device_crc32_finish(symbols.numel(), int(total.item()) & 0xFFFFFFFF)
    return result
