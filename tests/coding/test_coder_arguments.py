"""Bad arguments are refused, each with a sentence that names what was found and what was expected."""

from __future__ import annotations

import numpy as np
import pytest

from pycodec.coding import Decoder, Tables, decode, decode_pmfs, encode, encode_pmfs
from pycodec.errors import InvalidInput

ONE = Tables.from_cdfs([0, 100, 200, 256], 8, offsets=-1)
TWO = Tables.from_gaussian_scales([1.0, 8.0])
PMFS = np.full((3, 4), 0.25, np.float32)
STREAM = encode([0, 1, -1], ONE)
WIDE = encode([0, 300, 1], TWO, [0, 1, 0])


def poisoned(value: float) -> np.ndarray:
    pmfs = PMFS.copy()
    pmfs[1, 2] = value
    return pmfs


def read_only() -> np.ndarray:
    array = np.empty(3, np.int32)
    array.setflags(write=False)
    return array


def unaligned(array: np.ndarray) -> np.ndarray:
    """A copy that begins at an odd address."""
    memory = bytearray(array.nbytes + 1)
    copy = np.frombuffer(memory, array.dtype, array.size, offset=1).reshape(array.shape)
    copy[:] = array
    assert not copy.flags.aligned
    return copy


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: encode([0, 0, 2], ONE), r"symbols\[2\] is 2, which table 0 has no class for"),
        (lambda: encode([0, 0, -2], ONE), r"symbols\[2\] is -2, which table 0 has no class for"),
        (lambda: encode([0] * 5000 + [2**31 - 1], ONE), r"symbols\[5000\] is 2147483647"),
        (
            lambda: encode([0, 2**31], TWO, [0, 0]),
            r"symbols\[1\] is 2147483648; expected a value from -2\^31",
        ),
        (lambda: encode(np.array([2**32 - 1], np.uint32), TWO, [0]), r"symbols\[0\] is 4294967295"),
        (lambda: encode([0.5], ONE), "symbols has dtype float64; expected int8 to int64"),
        (lambda: encode(np.array([1], np.uint64), ONE), "symbols has dtype uint64"),
        (lambda: encode(np.array([1], ">i4"), ONE), "symbols has dtype >i4"),
        (lambda: encode([True], ONE), "symbols has dtype bool"),
        (
            lambda: encode(np.zeros(9, np.int8)[::2], ONE),
            r"symbols is not C-contiguous; pass numpy.ascontiguousarray",
        ),
        (lambda: encode(np.zeros((3, 3), np.int8).T[:, 1:], ONE), "symbols is not C-contiguous"),
        (
            lambda: encode(unaligned(np.zeros(3, np.int32)), ONE),
            r"symbols is not aligned for its dtype; pass symbols.copy\(\)",
        ),
        (lambda: encode([0, 1], TWO, unaligned(np.zeros(2, np.int16))), "indexes is not aligned"),
        (lambda: decode(STREAM, ONE, 3, out=unaligned(np.zeros(3, np.int64))), "out is not aligned"),
        (lambda: Decoder(STREAM, ONE).pull(3, out=unaligned(np.zeros(3, np.int16))), "out is not aligned"),
        (lambda: encode_pmfs([0, 1, 2], unaligned(PMFS)), "pmfs is not aligned"),
        (lambda: encode([0, 1], TWO), "there are 2 tables and no indexes"),
        (lambda: encode([0, 1], TWO, [0]), "there are 1 indexes for 2 symbols"),
        (lambda: encode([0, 1], TWO, [0, 2]), r"indexes\[1\] is 2; expected 0 to 1"),
        (lambda: encode([0, 1], TWO, [0, -1]), r"indexes\[1\] is -1; expected 0 to 1"),
        (lambda: encode([0, 1], TWO, [0.0, 1.0]), "indexes has dtype float64"),
        (lambda: encode([0, 1], "tables"), "tables is a str; expected pycodec.coding.Tables"),
        (lambda: encode([0], ONE, threads=0), "threads is 0; expected an integer of at least 1"),
        (lambda: decode(STREAM, ONE, -1), "the number of symbols is -1"),
        (lambda: decode(STREAM, ONE, 2.5), "the number of symbols is 2.5"),
        (
            lambda: decode(STREAM, ONE, 3, out=np.empty(4, np.int32)),
            "out is of 4 elements; expected an integer array of 3",
        ),
        (lambda: decode(STREAM, ONE, 3, out=[0, 0, 0]), "out is of list"),
        (lambda: decode(STREAM, ONE, 3, out=np.empty(3)), "out has dtype float64"),
        (lambda: decode(STREAM, ONE, 3, out=np.empty(6, np.int8)[::2]), "out is not C-contiguous"),
        (lambda: decode(STREAM, ONE, 3, out=read_only()), "out is read-only"),
        (
            lambda: decode(STREAM, ONE, 3, out=np.empty(3, np.uint8)),
            r"position 2 is -1, which the output array's type",
        ),
        (lambda: decode(WIDE, TWO, 3, [0, 1, 0], out=np.empty(3, np.int8)), "position 1 is 300"),
        (lambda: decode(np.zeros(4, np.int32), ONE, 3), "data is not a plain sequence of bytes"),
        (
            lambda: decode(np.frombuffer(STREAM, np.uint8)[::2], ONE, 3),
            "data is not a plain sequence of bytes",
        ),
        (lambda: encode_pmfs([0, 1, 4], PMFS), r"symbols\[2\] is 4; expected 0 to 3, pmfs having 4 classes"),
        (lambda: encode_pmfs([0, -1, 0], PMFS), r"symbols\[1\] is -1; expected 0 to 3"),
        (lambda: encode_pmfs([0, 1], PMFS), "there are 3 rows of pmfs for 2 symbols"),
        (
            lambda: encode_pmfs([0, 1, 2], PMFS.astype(np.float64)),
            "pmfs has dtype float64; expected float32 or uint16",
        ),
        (lambda: encode_pmfs([0, 1, 2], PMFS[0]), r"pmfs has shape \(4,\); expected \(N, classes\)"),
        (lambda: encode_pmfs([0, 1, 2], PMFS[:, :0]), "expected at least one class|not C-contiguous"),
        (lambda: encode_pmfs([0, 1, 2], PMFS[:, ::2]), "pmfs is not C-contiguous"),
        (lambda: encode_pmfs([0], np.zeros((1, 4097), np.float32)), "4097 classes; expected 1 to 4096"),
        (
            lambda: encode_pmfs([0, 1, 2], poisoned(np.nan)),
            r"pmfs\[1\]\[2\] is nan; expected a probability from 0 to 1",
        ),
        (lambda: encode_pmfs([0, 1, 2], poisoned(-0.5)), r"pmfs\[1\]\[2\] is -0\.5"),
        (lambda: encode_pmfs([0, 1, 2], poisoned(np.inf)), r"pmfs\[1\]\[2\] is inf"),
        (lambda: encode_pmfs([0, 1, 2], poisoned(0.9)), r"pmfs\[1\] sums to more than 1"),
        (lambda: decode_pmfs(encode_pmfs([0, 1, 2], PMFS), poisoned(0.9)), r"pmfs\[1\] sums to more than 1"),
        (lambda: Decoder(STREAM, ONE).pull(4), "pull of 4 symbols, but only 3 of 3 are left"),
        (lambda: Decoder(WIDE, TWO).pull(1), "2 tables and no indexes"),
        (lambda: Decoder(WIDE, TWO).pull(1, [2]), r"indexes\[0\] is 2"),
        (lambda: Decoder(STREAM, 3), "tables is a int"),
    ],
)
def test_bad_arguments(call, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        call()


def test_asking_for_too_much_changes_nothing() -> None:
    decoder = Decoder(STREAM, ONE)
    with pytest.raises(InvalidInput, match="only 3 of 3"):
        decoder.pull(4)
    assert decoder.pull(3).tolist() == [0, 1, -1]
