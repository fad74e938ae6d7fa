"""Frequency tables: integers that say how probable each class of symbols is, prepared once, used often.

Whatever decides a probability is an integer made by one written rule, so that the same input gives the same
table on every machine: see :meth:`Tables.from_pmfs` and :func:`gaussian_freqs`. What the fields mean for the
stream is written at the top of ``csrc/rans/rans.h``.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycodec.errors import InvalidInput
from pycodec.native import native

DEFAULT_PRECISION = 14
MAX_GAUSSIAN_SCALE = 768.0

Rows = ArrayLike | Sequence[ArrayLike]


class Tables:
    """A set of tables; symbols say by an index which one codes them.

    Table t has ``sizes[t]`` classes, each with a frequency of at least 1 in units of ``2^-precision``.
    Without shift, and in natural order, class j stands for the symbol ``offsets[t] + j``. With an escape the
    last class stands for all symbols that have none of their own; they cost about a byte or two extra. The
    shift k codes ``symbol >> k`` by the table and the low k bits as they are. Zigzag order counts classes as
    0, -1, 1, -2, 2, ... from the offset.

    Immutable. Make one with ``from_cdfs``, ``from_pmfs``, ``from_gaussian_scales`` or ``from_arrays``.

    Args:
        precision: 8..14 bits.
        zigzag: the order of classes, of all tables.
        freqs: uint16, the classes of all tables, one table after the other.  # (sum of sizes,)
        sizes: int32, number of classes, the escape included; at most 2^22 tables.  # (T,)
        offsets: int32.  # (T,)
        shifts: uint8, 0..7.  # (T,)
        escapes: uint8, 0 or 1.  # (T,)

    Raises:
        InvalidInput: naming the table that breaks a rule, such as frequencies that do not sum to
            ``2^precision``.
    """

    def __init__(
        self,
        precision: int,
        zigzag: bool,
        freqs: NDArray[Any],
        sizes: NDArray[Any],
        offsets: NDArray[Any],
        shifts: NDArray[Any],
        escapes: NDArray[Any],
    ) -> None:
        self.precision = int(precision)
        self.zigzag = bool(zigzag)
        self.freqs = _frozen(freqs, np.uint16, "freqs")
        self.sizes = _frozen(sizes, np.int32, "sizes")
        self.offsets = _frozen(offsets, np.int32, "offsets")
        self.shifts = _frozen(shifts, np.uint8, "shifts")
        self.escapes = _frozen(escapes, np.uint8, "escapes")
        self.native = native().RansTables(
            self.precision, self.zigzag, self.freqs, self.sizes, self.offsets, self.shifts, self.escapes
        )

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        return f"<{len(self)} tables of {self.precision} bits, {len(self.freqs)} classes>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Tables.from_arrays, (self.to_arrays(),)

    @classmethod
    def from_cdfs(
        cls, cdfs: Rows, precision: int, *, offsets: int | ArrayLike = 0, escape: bool = False
    ) -> Tables:
        """Tables from integer cumulative frequencies.

        Args:
            cdfs: one row a table (a 2-D array, or rows of different lengths), or one row for a single table.
                A row of L + 1 integers for L classes begins with 0, rises strictly and ends with
                ``2^precision``.
            precision: 8..14 bits.
            offsets: the symbol of the first class, of all tables or one each.
            escape: the last class of every table is the escape.

        Raises:
            InvalidInput: a row is not like that.
        """
        _check_precision(precision)
        freqs = []
        for t, row in enumerate(_rows(cdfs, "cdfs")):
            if row.dtype.kind not in "iu":
                raise InvalidInput(f"cdfs[{t}] has dtype {row.dtype}; expected integers")
            wide = row.astype(np.int64)
            steps = np.diff(wide)
            if len(wide) < 2 or wide[0] != 0 or wide[-1] != 1 << precision or (steps <= 0).any():
                raise InvalidInput(
                    f"cdfs[{t}] is not a row that begins with 0, rises strictly and ends with "
                    f"2^{precision} = {1 << precision}"
                )
            freqs.append(steps)
        return cls._natural(freqs, precision, offsets, escape)

    @classmethod
    def from_pmfs(
        cls,
        pmfs: Rows,
        precision: int = DEFAULT_PRECISION,
        *,
        offsets: int | ArrayLike = 0,
        escape: bool = False,
    ) -> Tables:
        """Tables from probabilities: at least 1 a class, and else as few bits a symbol as integers allow.

        Integers decide (:func:`apportion`), so the same probabilities are the same tables everywhere.

        Args:
            pmfs: one row of L probabilities a table, float, converted to float32 first; or one row for a
                single table.
            precision: 8..14 bits.
            offsets: the symbol of the first class, of all tables or one each.
            escape: the last class of every table is the escape.

        Raises:
            InvalidInput: a probability is NaN, negative or above 1, a row sums to more than 1, or has too
                many classes.
        """
        _check_precision(precision)
        freqs = []
        for t, row in enumerate(_rows(pmfs, "pmfs")):
            with np.errstate(over="ignore", invalid="ignore"):  # what becomes no number is refused
                pmf = np.asarray(row, dtype=np.float32)
            pmf_freqs(pmf, precision, f"pmfs[{t}]")  # refuses what is no row of probabilities
            freqs.append(np.array(apportion([int(math.ldexp(p, 149)) for p in pmf.tolist()], 1 << precision)))
        return cls._natural(freqs, precision, offsets, escape)

    @classmethod
    def from_gaussian_scales(cls, scales: ArrayLike, precision: int = DEFAULT_PRECISION) -> Tables:
        """Tables for integers that are rounded zero-mean Gaussians, with an escape, in zigzag order.

        Symbol v has the mass of ``[v - 1/2, v + 1/2]``. Large scales are coarsened so that no table has more
        than 64 classes.

        Args:
            scales: standard deviations, positive and at most 768.  # (T,)
            precision: 8..14 bits.

        Raises:
            InvalidInput: a scale is not finite, not positive or above 768.
        """
        _check_precision(precision)
        with np.errstate(invalid="ignore"):  # NaN is refused
            values = np.asarray(scales, dtype=np.float64)
        if values.ndim != 1 or values.size == 0:
            raise InvalidInput(f"scales has shape {values.shape}; expected one row of at least one scale")
        freqs, shifts = [], []
        for t, scale in enumerate(values.tolist()):
            if not 0 < scale <= MAX_GAUSSIAN_SCALE:
                raise InvalidInput(
                    f"scales[{t}] is {scale}; expected above 0 and at most {MAX_GAUSSIAN_SCALE:g}"
                )
            # Exact in float64, then integers only.
            table, shift = gaussian_freqs(max(1, math.floor(scale * 65536 + 0.5)), precision)
            freqs.append(table)
            shifts.append(shift)
        zeros, ones = np.zeros(len(freqs), np.int32), np.ones(len(freqs), np.uint8)
        sizes = np.array([len(f) for f in freqs])
        return cls(precision, True, np.concatenate(freqs), sizes, zeros, np.array(shifts), ones)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as integer arrays, to be stored with weights."""
        return {
            "header": np.array([self.precision, self.zigzag], np.uint8),
            "freqs": self.freqs,
            "sizes": self.sizes,
            "offsets": self.offsets,
            "shifts": self.shifts,
            "escapes": self.escapes,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, ArrayLike]) -> Tables:
        """The inverse of :meth:`to_arrays`.

        Raises:
            InvalidInput: an array is missing, or they are not valid tables.
        """
        names = ("header", "freqs", "sizes", "offsets", "shifts", "escapes")
        if missing := [name for name in names if name not in arrays]:
            raise InvalidInput(f"arrays of tables lack {', '.join(missing)}; expected {', '.join(names)}")
        header, *rest = (np.asarray(arrays[name]) for name in names)
        if header.shape != (2,) or header.dtype.kind not in "iu" or header[1] not in (0, 1):
            raise InvalidInput("header of tables is not two integers, the precision and the order (0 or 1)")
        return cls(int(header[0]), bool(header[1]), *rest)

    @classmethod
    def _natural(
        cls, freqs: list[NDArray[Any]], precision: int, offsets: int | ArrayLike, escape: bool
    ) -> Tables:
        count = len(freqs)
        given = np.asarray(offsets)
        if given.shape not in ((), (count,)):
            raise InvalidInput(
                f"offsets has shape {given.shape}; expected one integer, or one for each of {count} tables"
            )
        return cls(
            precision,
            False,
            np.concatenate(freqs),
            np.array([len(f) for f in freqs]),
            np.broadcast_to(given, (count,)),
            np.zeros(count, np.uint8),
            np.full(count, int(escape), np.uint8),
        )


def pmf_freqs(pmf: NDArray[Any], precision: int, name: str) -> NDArray[Any]:
    """Frequencies of a row of probabilities, float32 or uint16 / 2^16: the rule of ``csrc/rans/pmf.h``."""
    total = 1 << precision
    spare = total - len(pmf)
    if not 1 <= len(pmf) <= total // 2:
        raise InvalidInput(f"{name} has {len(pmf)} classes; expected 1 to {total // 2} at {precision} bits")
    if pmf.dtype == np.uint16:
        freqs = ((pmf.astype(np.int64) * spare) >> 16) + 1
    else:
        outside = ~((pmf >= 0) & (pmf <= 1))
        if outside.any():
            c = int(np.argmax(outside))
            raise InvalidInput(f"{name}[{c}] is {pmf[c]}; expected a probability from 0 to 1")
        freqs = np.floor(pmf * np.float32(spare)).astype(np.int64) + 1
    if (over := int(freqs.sum()) - total) > 0:
        raise InvalidInput(f"{name} sums to more than 1; expected probabilities that sum to 1")
    freqs[-1] -= over
    return freqs


def apportion(weights: list[int], total: int) -> list[int]:
    """Positive integers that sum to ``total`` and cost about the fewest bits on symbols with these weights.

    From ``max(1, floor(total * weight / sum))`` single units are given to, or taken from, the class where
    that gains most or costs least: a unit between f and f + 1 is worth ``weight / (2 f + 1)``. Among equals
    the first is given and the last is taken from.

    Args:
        weights: not negative; no more of them than ``total``.
        total: what the result sums to.
    """
    whole = sum(weights) or 1
    freqs = [max(1, total * w // whole) for w in weights]
    missing = total - sum(freqs)
    step = 1 if missing > 0 else -1

    def urgency(c: int) -> tuple[Fraction, int]:
        return (Fraction(-weights[c] * step, 2 * freqs[c] + step), c * step)

    heap = [urgency(c) for c in range(len(freqs)) if step > 0 or freqs[c] > 1]
    heapq.heapify(heap)
    for _ in range(abs(missing)):
        c = heapq.heappop(heap)[1] * step
        freqs[c] += step
        if step > 0 or freqs[c] > 1:
            heapq.heappush(heap, urgency(c))
    return freqs


def gaussian_freqs(scale: int, precision: int) -> tuple[NDArray[Any], int]:
    """Frequencies in zigzag order and shift of a Gaussian, by integer arithmetic alone.

    The shift k is the smallest with ``scale <= 6 * 2^k``. The mass of the class of coarse value q is that of
    ``q 2^k - 1/2 .. (q + 1) 2^k - 1/2``, in units of 2^-60. Classes go on while their mass is at least
    ``2^-(precision + 1)``, and there are at least three; then comes the escape with all the rest. With L
    classes, escape included, ``freq = floor(mass * (2^precision - L) / 2^60) + 1``; class 0 takes what
    rounding leaves.

    Args:
        scale: standard deviation in units of 2^-16, at least 1.
        precision: 8..14 bits.
    """
    shift = 0
    while scale > (6 * 65536) << shift:
        shift += 1

    def below(q: int) -> int:
        """Mass below the lower end of coarse value q."""
        return normal_cdf((((q << (shift + 1)) - 1) << 47) // scale)  # twice the end, in units of 2^-33 sigma

    masses: list[int] = []
    while True:
        j = len(masses)
        q = -(j + 1) // 2 if j % 2 else j // 2
        mass = below(q + 1) - below(q)
        if j >= 3 and mass < 1 << (59 - precision):
            break
        masses.append(mass)
    masses.append((1 << 60) - sum(masses))
    total = 1 << precision
    freqs = [((mass * (total - len(masses))) >> 60) + 1 for mass in masses]
    freqs[0] += total - sum(freqs)
    return np.array(freqs), shift


def normal_cdf(z: int) -> int:
    """The normal distribution function at ``z / 2^32``, in units of 2^-60, by integers only.

    Taylor series ``1/2 + sum (-1)^n z^(2n+1) / (2^n n! (2n+1)) / sqrt(2 pi)``, terms in units of 2^-96, each
    rounded down; 0 or 1 from 7 sigma on (the rest is 1.3e-12).
    """
    if abs(z) >= 7 << 32:
        return (1 << 60) if z > 0 else 0
    inverse_root_2_pi = 459949134171706403  # floor(2^60 / sqrt(2 pi))
    square = z * z  # units of 2^-64
    term, total, n = abs(z) << 64, 0, 0
    while term:
        total += (-term if n % 2 else term) // (2 * n + 1)
        n += 1
        term = ((term * square) >> 64) // (2 * n)
    half = (total * inverse_root_2_pi) >> 96
    return (1 << 59) + (half if z > 0 else -half)


def _frozen(values: NDArray[Any], dtype: type, name: str) -> NDArray[Any]:
    """A read-only copy with this integer type; refuses what does not fit it."""
    given = np.asarray(values)
    result: NDArray[Any] = given.astype(dtype) if given.dtype.kind in "iub" else np.zeros(0, dtype)
    if given.dtype.kind not in "iub" or given.ndim != 1 or (result != given).any():
        raise InvalidInput(f"{name} of tables is not one row of integers that fit {np.dtype(dtype)}")
    result.setflags(write=False)
    return result


def _check_precision(precision: int) -> None:
    if not isinstance(precision, int | np.integer) or not 8 <= precision <= 14:
        raise InvalidInput(f"precision is {precision}; expected 8 to 14 bits")


def _rows(values: Rows, name: str) -> list[NDArray[Any]]:
    """A single row, a 2-D array or a list of rows, as a list of rows."""
    if not isinstance(values, np.ndarray):
        values = list(values) if isinstance(values, Iterable) else np.asarray(values)
    if isinstance(values, list) and values and np.ndim(values[0]) == 1:
        rows = [np.asarray(v) for v in values]
    else:
        array = np.asarray(values)
        rows = list(np.atleast_2d(array)) if array.ndim in (1, 2) and array.size else []
    if not rows or any(row.ndim != 1 for row in rows):
        raise InvalidInput(f"{name} is not a row of numbers or rows of numbers, one a table")
    return rows
