"""The range coder: integer symbols to bytes and back.

The stream is specified at the top of ``csrc/rans/rans.h``.
Arrays are used in place, without copies, and must be C-contiguous and aligned; the GIL is released while
coding. Bytes do not depend on the number of threads. Damage, and truncation, is always an error: every chunk
has a checksum, and the coder's own end states are checked.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycodec.coding.tables import Tables
from pycodec.errors import InvalidInput
from pycodec.native import native

Data = bytes | bytearray | memoryview | NDArray[np.uint8]
IntArray = NDArray[np.integer[Any]]


def encode(
    symbols: ArrayLike, tables: Tables, indexes: ArrayLike | None = None, *, threads: int = 1
) -> bytes:
    """Code symbols, each with the table its index names.

    Args:
        symbols: int8 to int64 or uint8 to uint32, of any shape, coded in C order; values within int32.
        tables: the tables.
        indexes: the table of each symbol, integers as above; may be left out when there is one table.
        threads: at most so many threads.

    Returns:
        The stream. It knows the number of symbols, but neither their shape nor the tables.

    Raises:
        InvalidInput: naming the position of a symbol that its table has no class for, or of an index
            without a table.
    """
    return native().rans_encode(
        _integers(symbols, "symbols"), _native_of(tables), _indexes(indexes), _threads(threads)
    )


def decode(
    data: Data,
    tables: Tables,
    count: int,
    indexes: ArrayLike | None = None,
    *,
    out: IntArray | None = None,
    threads: int = 1,
) -> IntArray:
    """The symbols of a stream that :func:`encode` wrote with the same tables and indexes.

    Args:
        data: the stream, all of it.
        tables: the tables.
        count: the number of symbols.
        indexes: as for ``encode``.
        out: where to put them, a C-contiguous integer array of ``count`` elements of any shape.
        threads: at most so many threads.

    Returns:
        ``out``, or a new int32 array.  # (count,)

    Raises:
        CorruptStream: the data is damaged or truncated, or holds another number of symbols; or, as far as
            that can be noticed, was written with other tables or indexes. What ``out`` then holds is
            undefined.
        InvalidInput: an argument does not fit, or a symbol does not fit the type of ``out``.
    """
    result = _output(out, count)
    native().rans_decode(data, _native_of(tables), _indexes(indexes), result, _threads(threads))
    return result


def code_lengths(symbols: ArrayLike, tables: Tables, indexes: ArrayLike | None = None) -> NDArray[np.float64]:
    """Ideal code length of each symbol in bits; the stream of :func:`encode` approaches their sum.

    A symbol costs ``-log2`` of the share of its class, and what the stream holds of it as it is: the bits of
    a shift, the bytes of an escape.

    Args:
        symbols, tables, indexes: as for :func:`encode`.

    Returns:
        An array of the shape of ``symbols``.

    Raises:
        InvalidInput: arrays of different sizes, an index without a table, or a symbol without a class.
    """
    given = _integers(symbols, "symbols")
    values = given.ravel().astype(np.int64)
    which = np.zeros(values.shape, np.int64) if indexes is None else _integers(indexes, "indexes").ravel()
    if which.shape != values.shape:
        raise InvalidInput(f"{values.size} symbols and {which.size} indexes; expected one for each symbol")
    if outside := np.flatnonzero((which < 0) | (which >= len(tables))).tolist():
        raise InvalidInput(f"indexes[{outside[0]}] is {which[outside[0]]}; expected 0 to {len(tables) - 1}")
    shifts, escapes = tables.shifts[which].astype(np.int64), tables.escapes[which].astype(np.int64)
    plain = tables.sizes[which] - escapes  # classes that are not the escape
    r = (values >> shifts) - tables.offsets[which]
    if tables.zigzag:
        classes = np.where(r >= 0, 2 * r, -2 * r - 1)
        numbers = classes - plain
    else:
        classes, numbers = r, np.where(r >= 0, 2 * (r - plain), -2 * r - 1)
    escaped = (classes < 0) | (classes >= plain)
    if lost := np.flatnonzero(escaped & (escapes == 0)).tolist():
        raise InvalidInput(f"symbols[{lost[0]}] is {values[lost[0]]}, for which its table has no class")
    starts = np.cumsum(tables.sizes, dtype=np.int64) - tables.sizes
    freqs = tables.freqs[starts[which] + np.where(escaped, plain, classes)].astype(np.float64)
    lengths = tables.precision - np.log2(freqs) + shifts
    # An escape number is a varint: a byte, and one more for every 7 bits beyond the first.
    more = sum((numbers[escaped] >> bits > 0).astype(np.int64) for bits in (7, 14, 21, 28))
    lengths[escaped] += 8.0 * (1 + more)
    return lengths.reshape(given.shape)


def code_length_bits(symbols: ArrayLike, tables: Tables, indexes: ArrayLike | None = None) -> float:
    """The sum of `code_lengths`: the ideal length of a stream, in bits."""
    return float(code_lengths(symbols, tables, indexes).sum())


def encode_pmfs(symbols: ArrayLike, pmfs: NDArray[Any], *, threads: int = 1) -> bytes:
    """Code symbols, each with probabilities of its own.

    Probabilities become 14-bit integers by one exact rule: ``freq = floor(p * (2^14 - L)) + 1`` with one
    float32 multiplication, the last class takes the rest. Encoder and decoder must see the same bits: take
    probabilities only from arithmetic that is exact.

    Args:
        symbols: as for :func:`encode`, values 0..L-1.
        pmfs: float32, or uint16 in units of 2^-16; at most 4096 classes.  # (N, L), or (*symbols.shape, L)
        threads: at most so many threads.

    Raises:
        InvalidInput: naming the row of a probability that is NaN, negative or above 1, of a row that sums to
            more than 1, or the position of a symbol outside 0..L-1.
    """
    return native().rans_encode_pmfs(_integers(symbols, "symbols"), _pmf_rows(pmfs), _threads(threads))


def decode_pmfs(data: Data, pmfs: NDArray[Any], *, out: IntArray | None = None, threads: int = 1) -> IntArray:
    """The symbols of a stream that :func:`encode_pmfs` wrote with the same probabilities, one a row.

    Args, Returns, Raises: as for :func:`decode` and :func:`encode_pmfs`.
    """
    rows = _pmf_rows(pmfs)
    result = _output(out, len(rows))
    native().rans_decode_pmfs(data, rows, result, _threads(threads))
    return result


class Decoder:
    """Decodes a stream step by step, for models whose next tables depend on the symbols before.

    Args:
        data: a stream of :func:`encode`; it is not copied, so leave it as it is.
        tables: the tables.

    Raises:
        CorruptStream: the stream's layout is damaged; its chunks are checked as they are reached.
    """

    def __init__(self, data: Data, tables: Tables) -> None:
        self._native = native().RansStepDecoder(data, _native_of(tables))

    @property
    def count(self) -> int:
        """Symbols in the stream."""
        return self._native.count

    @property
    def remaining(self) -> int:
        """Symbols not pulled yet; the stream is whole once this is 0."""
        return self._native.remaining

    def pull(self, n: int, indexes: ArrayLike | None = None, *, out: IntArray | None = None) -> IntArray:
        """The next n symbols.

        Args:
            n: how many, at most ``remaining``.
            indexes: the table of each of them; may be left out when there is one table.
            out: where to put them, a C-contiguous integer array of n elements.

        Returns:
            ``out``, or a new int32 array.  # (n,)

        Raises:
            CorruptStream: the data is damaged. This decoder gives nothing more.
            InvalidInput: an argument does not fit.
        """
        result = _output(out, n)
        self._native.pull(_indexes(indexes), result)
        return result


def _integers(values: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.size == 0 and not isinstance(values, np.ndarray):
        return np.zeros(0, np.int32)  # of an empty list numpy makes floats
    if array.dtype.kind not in "iu":
        raise InvalidInput(f"{name} has dtype {array.dtype}; expected int8 to int64 or uint8 to uint32")
    return array


def _indexes(indexes: ArrayLike | None) -> NDArray[Any] | None:
    return None if indexes is None else _integers(indexes, "indexes")


def _native_of(tables: Tables) -> Any:
    if not isinstance(tables, Tables):
        raise InvalidInput(f"tables is a {type(tables).__name__}; expected pycodec.coding.Tables")
    return tables.native


def _output(out: IntArray | None, count: int) -> IntArray:
    try:
        size = operator.index(count)
    except TypeError:
        size = -1
    if size < 0:
        raise InvalidInput(f"the number of symbols is {count!r}; expected an integer of at least 0")
    if out is None:
        return np.empty(size, np.int32)
    if not isinstance(out, np.ndarray) or out.size != size:
        found = f"{out.size} elements" if isinstance(out, np.ndarray) else type(out).__name__
        raise InvalidInput(f"out is of {found}; expected an integer array of {size} elements")
    return out


def _pmf_rows(pmfs: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(pmfs)
    if array.ndim < 2:
        raise InvalidInput(f"pmfs has shape {array.shape}; expected (N, classes)")
    if not array.flags.c_contiguous:
        raise InvalidInput("pmfs is not C-contiguous; pass numpy.ascontiguousarray(pmfs)")
    if array.shape[-1] == 0:
        raise InvalidInput(f"pmfs has shape {array.shape}; expected at least one class")
    return array.reshape(-1, array.shape[-1])


def _threads(threads: int) -> int:
    if not isinstance(threads, int) or threads < 1:
        raise InvalidInput(f"threads is {threads!r}; expected an integer of at least 1")
    return threads
