"""Bulk rANS coding of tensors on a CUDA device: the streams of :mod:`pycodec.coding`, byte for byte.

Symbols, indexes and probabilities stay on the device; what crosses is the stream, and a few numbers a chunk.
Checksums are the host's. Streams from either device decode on the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pycodec.errors import InvalidInput
from pycodec.native import native

from .device import Copies, Queue, address, gather, numbered, queue_of, room, upload

if TYPE_CHECKING:
    from pycodec.coding import Tables

INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8)
MAX_ESCAPE_BYTES = 5
MAX_RAW_BITS = 7


def encode(symbols: Tensor, tables: Tables, indexes: Tensor | None = None) -> bytes:
    """As :func:`pycodec.coding.encode`, the same bytes.

    Args:
        symbols: int8 to int64 or uint8, contiguous, of any shape.
        tables: the tables; their copy on the device is kept for as long as they live.
        indexes: the table of each symbol; may be left out when there is one table.

    Raises:
        InvalidInput: naming the position of a symbol that its table has no class for, or of an index
            without a table; or tensors that do not fit together.
    """
    _check_integers(symbols, "symbols")
    _check_indexes(tables, indexes, symbols.numel(), symbols.device)

    def complaint(i: int) -> str:
        symbol, table = _element(symbols, i), 0 if indexes is None else _element(indexes, i)
        if not 0 <= table < len(tables):
            return f"indexes[{i}] is {table}; expected 0 to {len(tables) - 1}"
        return (
            f"symbols[{i}] is {symbol}, which table {table} has no class for; clip the symbols or use "
            "tables with an escape"
        )

    with queue_of(symbols.device) as queue:
        flat = _flat.of(tables, symbols.device)
        source = native().device_rans_tables(tables.native, address(flat), _view(indexes))
        return _encode(queue, source, symbols, complaint)


def decode(
    data: bytes, tables: Tables, count: int, indexes: Tensor | None = None, *, device: torch.device | str
) -> Tensor:  # (count,) int32
    """As :func:`pycodec.coding.decode`: the symbols of a stream, as a tensor on ``device``.

    Raises:
        CorruptStream: as there.
        InvalidInput: an index without a table; tensors that do not fit together.
    """
    where = numbered(device)
    _check_indexes(tables, indexes, count, where)
    with queue_of(where) as queue:
        flat = _flat.of(tables, where)
        source = native().device_rans_tables(tables.native, address(flat), _view(indexes))
        return _decode(queue, source, data, count, where)


def encode_pmfs(symbols: Tensor, pmfs: Tensor) -> bytes:
    """As :func:`pycodec.coding.encode_pmfs`, the same bytes.

    Args:
        symbols: as for :func:`encode`.
        pmfs: float32, or int16 holding the bits of uint16 in units of 2^-16.  # (N, L), (*symbols.shape, L)

    Raises:
        InvalidInput: naming the row of a probability that is none, or the position of a symbol outside
            0..L-1.
    """
    _check_integers(symbols, "symbols")
    rows = _check_pmfs(pmfs, symbols.device)
    if len(rows) != symbols.numel():
        raise InvalidInput(
            f"there are {len(rows)} rows of pmfs for {symbols.numel()} symbols; expected one each"
        )

    def complaint(i: int) -> str:
        symbol, classes = _element(symbols, i), rows.shape[1]
        if not 0 <= symbol < classes:
            return f"symbols[{i}] is {symbol}; expected 0 to {classes - 1}, pmfs having {classes} classes"
        return f"pmfs[{i}] is no distribution; expected probabilities from 0 to 1 that sum to 1"

    with queue_of(symbols.device) as queue:
        return _encode(queue, _pmf_source(rows), symbols, complaint)


def decode_pmfs(data: bytes, pmfs: Tensor) -> Tensor:  # (N,) int32
    """As :func:`pycodec.coding.decode_pmfs`, on the device of ``pmfs``."""
    rows = _check_pmfs(pmfs, pmfs.device)
    with queue_of(pmfs.device) as queue:
        return _decode(queue, _pmf_source(rows), data, len(rows), pmfs.device)


def _encode(queue: Queue, source: Any, symbols: Tensor, complaint: Any) -> bytes:
    n, device = symbols.numel(), symbols.device
    if n == 0:
        empty = np.zeros(0, np.uint64), np.zeros(0, np.uint8)
        return bytes(native().device_rans_write(source, 1, 0, 0, *empty))
    prepared = room(2 * n, torch.int32, device)
    totals = torch.tensor([0, 0, -1], dtype=torch.int64, device=device)
    native().device_rans_classify(queue, source, _view(symbols), n, address(prepared), address(totals))
    cost, escape_bytes, first_bad = totals.tolist()
    if first_bad >= 0:
        raise InvalidInput(complaint(first_bad))

    lanes, chunk_symbols = native().device_rans_choose(cost, n)
    chunks = -(-n // chunk_symbols)
    words = room(n, torch.int16, device)
    raw_room = MAX_RAW_BITS * chunk_symbols // 32 + 2
    raw = room(chunks * raw_room, torch.int32, device)
    escape_room = min(MAX_ESCAPE_BYTES * chunk_symbols, escape_bytes)
    escapes = room(chunks * escape_room, torch.uint8, device)
    results = room(chunks * native().DEVICE_CHUNK_RESULT_BYTES, torch.uint8, device)
    rooms = address(words), address(raw), raw_room, address(escapes), escape_room, address(results)
    native().device_rans_encode_chunks(
        queue, source, _view(symbols), address(prepared), n, chunk_symbols, lanes, *rooms
    )
    pieces, sizes, size = native().device_rans_pieces(results.cpu().numpy(), n, chunk_symbols, lanes, *rooms)
    payload = gather(queue, pieces, size, device)
    return bytes(native().device_rans_write(source, lanes, n, chunk_symbols, sizes, payload.cpu().numpy()))


def _decode(queue: Queue, source: Any, data: bytes, count: int, device: torch.device) -> Tensor:
    stream = np.frombuffer(data, np.uint8)
    records, chunks, lanes = native().device_rans_records(source, stream, count)
    symbols = room(count, torch.int32, device)
    if chunks == 0:
        return symbols
    data_there, records_there = upload(stream, device), upload(records, device)
    faults = room(chunks * native().DEVICE_CHUNK_FAULT_BYTES, torch.uint8, device)
    native().device_rans_decode_chunks(
        queue,
        source,
        address(data_there),
        address(records_there),
        chunks,
        lanes,
        address(symbols),
        address(faults),
    )
    native().device_rans_check(source, stream, faults.cpu().numpy())
    return symbols


_flat: Copies[Tables] = Copies(lambda tables: native().device_rans_flat_tables(tables.native))


def _view(tensor: Tensor | None) -> tuple[int, str] | None:
    return None if tensor is None else (address(tensor), str(tensor.dtype).removeprefix("torch."))


def _element(tensor: Tensor, i: int) -> int:
    return int(tensor.reshape(-1)[i].item())


def _pmf_source(rows: Tensor) -> Any:
    floats = rows.dtype == torch.float32
    return native().device_rans_pmfs(
        address(rows) if floats else 0, 0 if floats else address(rows), rows.shape[1]
    )


def _check_integers(tensor: Tensor, name: str) -> None:
    if tensor.dtype not in INTEGERS:
        raise InvalidInput(f"{name} has dtype {tensor.dtype}; expected int8 to int64 or uint8")


def _check_indexes(tables: Tables, indexes: Tensor | None, count: int, device: torch.device) -> None:
    if indexes is None:
        if len(tables) != 1:
            raise InvalidInput(
                f"there are {len(tables)} tables and no indexes; pass indexes, which say the table of "
                "each symbol"
            )
        return
    _check_integers(indexes, "indexes")
    if indexes.numel() != count:
        raise InvalidInput(f"there are {indexes.numel()} indexes for {count} symbols; expected one each")
    if indexes.device != device:
        raise InvalidInput(f"indexes are on {indexes.device}, symbols on {device}; expected one device")


def _check_pmfs(pmfs: Tensor, device: torch.device) -> Tensor:
    if pmfs.ndim < 2 or pmfs.shape[-1] == 0 or pmfs.dtype not in (torch.float32, torch.int16):
        raise InvalidInput(
            f"pmfs are {pmfs.dtype} of shape {tuple(pmfs.shape)}; expected float32, or int16 for the bits "
            "of uint16, of shape (N, classes)"
        )
    if pmfs.device != device:
        raise InvalidInput(f"pmfs are on {pmfs.device}, symbols on {device}; expected one device")
    address(pmfs)
    return pmfs.reshape(-1, pmfs.shape[-1])
