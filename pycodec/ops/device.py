"""Memory of a device for native kernels: where they run, what they get, and what every coder there needs.

Tensors of a CUDA device are coded by kernels on its current stream. Tensors of the CPU may be passed to the
same functions: the same kernels then run as a plain loop, slowly, which is how they are tested without a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec.native import native

Queue = tuple[int, int] | None


def can_code_on(device: torch.device | str) -> bool:
    """Whether symbols are coded on this device: a CUDA device, and a build with kernels for it."""
    return (
        torch.device(device).type == "cuda"
        and torch.cuda.is_available()
        and bool(native().build_info()["cuda"])
    )


@contextmanager
def queue_of(device: torch.device) -> Iterator[Queue]:
    """Where kernels for tensors of a device run: its number and current stream, or None for the host.

    Raises:
        InvalidInput: neither a CPU nor a CUDA device.
    """
    if device.type == "cpu":
        yield None
    elif device.type == "cuda":
        with torch.cuda.device(device):
            yield torch.cuda.current_device(), torch.cuda.current_stream().cuda_stream
    else:
        raise InvalidInput(f"tensors are on {device}; expected cuda, or cpu")


def room(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialised memory, which kernels write."""
    return torch.empty(count, dtype=dtype, device=device)


def upload(values: bytes | np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """A copy on the device, one-dimensional."""
    array = np.frombuffer(values, np.uint8) if isinstance(values, bytes) else values.reshape(-1)
    return torch.from_numpy(array.copy()).to(device)


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
