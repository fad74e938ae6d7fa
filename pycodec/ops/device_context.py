"""The context model on a CUDA device: the streams of :mod:`pycodec.coding.context`, byte for byte.

Symbols stay on the device, and so does everything the network makes of them; what crosses is the stream, the
biases of an image, and a few sums. Streams from either device decode on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec.native import native

from .device import Copies, Queue, address, gather, numbered, queue_of, room, upload

if TYPE_CHECKING:
    from pycodec.coding.context import ContextModel


def encode(model: ContextModel, symbols: Tensor, quality_step: int | None = None) -> bytes:
    """As ``model.encode``, the same bytes.

    Args:
        model: the model; its copy on the device is kept for as long as it lives.
        symbols: int32, contiguous.  # [D, H, W]
        quality_step: as there.

    Raises:
        InvalidInput: symbols or quality out of range, or of another type or shape.
    """
    shape = _volume(symbols)
    biases = model.biases(quality_step, shape[0])
    if symbols.numel() == 0:
        return b""
    n, device = symbols.numel(), symbols.device
    with queue_of(device) as queue:
        values = _forward(queue, model, symbols, biases)
        flat = _flat.of(model, device)
        coded, escapes = room(2 * n, torch.int32, device), None
        if model.head == "parametric":
            escapes = room(n, torch.int32, device)
        totals = torch.zeros(native().DEVICE_TOTALS, dtype=torch.int64, device=device)
        native().device_context_intervals(
            queue,
            model.native,
            address(flat),
            shape,
            address(symbols),
            address(values),
            address(coded),
            address(escapes),
            address(totals),
        )
        layout, offsets = native().device_context_choose(totals.cpu().numpy().view(np.uint64), shape[0])
        substreams = 1 << layout[0]
        words = room(n, torch.int16, device)
        results = room(substreams * native().DEVICE_SUBSTREAM_RESULT_BYTES, torch.uint8, device)
        native().device_context_encode(queue, shape, layout, address(coded), address(words), address(results))
        escape_bytes = room(int(offsets[-1]), torch.uint8, device)
        if len(escape_bytes):
            places = upload(offsets.view(np.int64), device)
            native().device_context_escapes(
                queue, shape, address(escapes), address(places), address(escape_bytes)
            )
        head, pieces, size = native().device_context_pieces(
            results.cpu().numpy(),
            shape,
            layout,
            offsets,
            address(words),
            address(escape_bytes),
            address(results),
        )
        return bytes(head) + gather(queue, pieces, size, device).cpu().numpy().tobytes()


def decode(
    model: ContextModel,
    data: bytes,
    shape: Sequence[int],
    quality_step: int | None = None,
    *,
    device: torch.device | str,
) -> Tensor:  # [D, H, W] int32
    """As ``model.decode``: the symbols of a stream, as a tensor on ``device``.

    Raises:
        CorruptStream, InvalidInput: as there.
    """
    where = numbered(device)
    planes, height, width = volume = model.check_shape(shape)
    biases = model.biases(quality_step, planes)
    if 0 in volume:
        return torch.from_numpy(model.decode(data, volume, quality_step)).to(where)
    stream = np.frombuffer(data, np.uint8)
    records, layout = native().device_context_records(volume, stream)
    slots, positions = (1 << layout[0]) + 1, height * width
    with queue_of(where) as queue:
        flat = _flat.of(model, where)
        symbols = torch.empty(volume, dtype=torch.int32, device=where)
        data_there, records_there = upload(stream, where), upload(records, where)
        bias0, bias3 = (upload(bias, where) for bias in biases)
        carries = room((slots - 1) * native().DEVICE_CARRY_BYTES, torch.uint8, where)
        counters = torch.zeros(1 + planes, dtype=torch.int32, device=where)
        faults = room(planes, torch.int32, where)
        codes = room(planes * positions, torch.uint8, where)
        hidden = room(3 * slots * positions * (model.width // 4), torch.int32, where)
        far = native().device_context_far_bytes(queue, model.native, volume)
        far_memory = room((slots - 1) * far, torch.uint8, where)
        native().device_context_decode(
            queue,
            model.native,
            address(flat),
            volume,
            layout,
            (address(bias0), address(bias3)),
            address(data_there),
            address(records_there),
            address(carries),
            address(counters),
            address(counters[1:]),
            address(faults),
            address(codes),
            address(hidden),
            address(far_memory),
            address(symbols),
        )
        native().device_context_check(layout, faults.cpu().numpy().view(np.uint32))
    return symbols


def tables(model: ContextModel, symbols: Tensor, quality_step: int | None = None) -> Tensor:
    """As ``model.tables``, on the device of ``symbols``.  # [outputs, D, H, W] int32"""
    shape = _volume(symbols)
    biases = model.biases(quality_step, shape[0])
    if symbols.numel() == 0:
        return symbols.new_empty((model.outputs, *shape))
    with queue_of(symbols.device) as queue:
        return _forward(queue, model, symbols, biases)


def _forward(
    queue: Queue, model: ContextModel, symbols: Tensor, biases: tuple[np.ndarray[Any, Any], ...]
) -> Tensor:
    n, device = symbols.numel(), symbols.device
    values = room(model.outputs * n, torch.int32, device).view(model.outputs, *symbols.shape)
    codes, hidden = room(n, torch.uint8, device), room(3 * n * model.width, torch.uint8, device)
    first_bad = torch.full((1,), -1, dtype=torch.int64, device=device)
    bias0, bias3 = (upload(bias, device) for bias in biases)
    flat = _flat.of(model, device)
    native().device_context_forward(
        queue,
        model.native,
        address(flat),
        tuple(symbols.shape),
        address(symbols),
        (address(bias0), address(bias3)),
        address(codes),
        tuple(address(part) for part in hidden.view(3, -1)),
        address(values),
        address(first_bad),
    )
    if (bad := int(first_bad.item())) >= 0:
        position = tuple(int(i) for i in np.unravel_index(bad, tuple(symbols.shape)))
        raise InvalidInput(
            f"the symbol at {position} is {int(symbols[position].item())}, which this model does not code"
        )
    return values


_flat: Copies[ContextModel] = Copies(lambda model: native().device_context_flat(model.native))


def _volume(symbols: Tensor) -> tuple[int, int, int]:
    if symbols.ndim != 3 or symbols.dtype != torch.int32:
        raise InvalidInput(
            f"symbols are {symbols.dtype} of shape {tuple(symbols.shape)}, "
            "expected int32 [planes, height, width]"
        )
    planes, height, width = symbols.shape
    return planes, height, width
