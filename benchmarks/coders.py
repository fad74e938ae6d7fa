"""Range coders of others on the workloads of :mod:`benchmarks.workloads`, each by its own fastest calls.

What an API forces a user to do with numpy arrays, such as making lists of them, is part of a call; tables
that do not depend on the data are prepared outside. A coder too slow for all of it gets the beginning.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .workloads import HALF_WIDTH, SCALES, Workload, gaussian_mass

SLOW = 1 << 16  # symbols for a coder that takes microseconds for each


@dataclass(frozen=True)
class Coder:
    """One library on one workload."""

    name: str
    work: Workload  # what of it this coder gets
    encode: Callable[[], Any]
    decode: Callable[[Any], np.ndarray]
    size: Callable[[Any], int] = len  # bytes of what encode answers


def constriction(work: Workload) -> Iterator[Coder]:
    """The stack (rANS) and queue (range) coders of constriction."""
    import constriction

    model, queue, stack = constriction.stream.model, constriction.stream.queue, constriction.stream.stack
    if work.indexes is not None:
        family = model.QuantizedGaussian(1 - HALF_WIDTH, HALF_WIDTH - 1)
        parameters: tuple[Any, ...] = (np.zeros(len(work)), SCALES[work.indexes])
    elif work.has_rows:
        family, parameters = model.Categorical(perfect=False), (work.probabilities,)
    else:
        family, parameters = model.Categorical(work.probabilities, perfect=False), ()
    how_many = () if parameters else (len(work),)

    def encode_stack() -> np.ndarray:
        coder = stack.AnsCoder()
        coder.encode_reverse(work.symbols, family, *parameters)
        return coder.get_compressed()

    def encode_queue() -> np.ndarray:
        coder = queue.RangeEncoder()
        coder.encode(work.symbols, family, *parameters)
        return coder.get_compressed()

    def size(words: np.ndarray) -> int:
        return words.nbytes

    yield Coder(
        "constriction ANS",
        work,
        encode_stack,
        lambda words: stack.AnsCoder(words).decode(family, *parameters, *how_many),
        size,
    )
    yield Coder(
        "constriction range coder",
        work,
        encode_queue,
        lambda words: queue.RangeDecoder(words).decode(family, *parameters, *how_many),
        size,
    )


def pmf_rows(work: Workload) -> tuple[list[np.ndarray], np.ndarray]:
    """Probabilities of every table with those of the escape at the end, and the radius of each (W1: 0).

    Gaussian tables reach six standard deviations to either side, as learned codecs make them.
    """
    if work.indexes is None:
        return [np.append(row, 0.0) for row in np.atleast_2d(work.probabilities)], np.zeros(1, np.int32)
    radii = np.ceil(6 * SCALES).astype(np.int32)
    inside = [gaussian_mass(np.arange(-r, r + 1), s) for r, s in zip(radii, SCALES, strict=True)]
    return [np.append(row, max(0.0, 1 - row.sum())) for row in inside], radii


class CompressaiTables:
    """Tables as CompressAI's extension takes them: lists, converted again in every call."""

    def __init__(self, work: Workload):
        quantize = compressai_extension("_CXX").pmf_to_quantized_cdf
        pmfs, radii = pmf_rows(work)
        cdfs = [quantize(row.tolist(), 16) for row in pmfs]
        longest = max(map(len, cdfs))
        self.cdfs = [cdf + [0] * (longest - len(cdf)) for cdf in cdfs]
        self.sizes = [len(cdf) for cdf in cdfs]
        self.offsets = (-radii).tolist() if work.indexes is not None else [0] * len(cdfs)

    def __iter__(self) -> Iterator[list[Any]]:
        return iter((self.cdfs, self.sizes, self.offsets))


def compressai_extension(name: str) -> ModuleType:
    """A compiled module of CompressAI, without the rest of the package and all that it imports."""
    package = importlib.util.find_spec("compressai")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            path = Path(folder) / f"{name}{suffix}"
            if path.exists():
                spec = importlib.util.spec_from_file_location(name, path)
                if spec is not None and spec.loader is not None:
                    module = importlib.util.module_from_spec(spec)
                    spec.loader.exec_module(module)
                    return module
    raise ImportError(f"compressai has no compiled {name}")


def compressai(work: Workload) -> Iterator[Coder]:
    """CompressAI's rANS, which has a table for each index; one for every symbol in W3."""
    ans = compressai_extension("ans")
    if work.has_rows:
        work = work.first(SLOW)
        indexes = np.arange(len(work))
        prepared = None
    else:
        indexes = np.zeros(len(work), np.uint8) if work.indexes is None else work.indexes
        prepared = CompressaiTables(work)

    yield Coder(
        "CompressAI",
        work,
        lambda: ans.RansEncoder().encode_with_indexes(
            work.symbols.tolist(), indexes.tolist(), *(prepared or CompressaiTables(work))
        ),
        lambda data: np.array(
            ans.RansDecoder().decode_with_indexes(
                data, indexes.tolist(), *(prepared or CompressaiTables(work))
            )
        ),
    )


def tensorflow_compression(work: Workload) -> Iterator[Coder]:
    """The range coder of TensorFlow Compression, on one thread."""
    import tensorflow as tf
    import tensorflow_compression as tfc

    tf.config.threading.set_intra_op_parallelism_threads(1)
    precision = 14
    shape = tf.constant([len(work)])

    def lookup(pmfs: Any) -> Any:
        """Rows of precision and CDF; a negative precision announces an escape."""
        cdf = tfc.pmf_to_quantized_cdf(pmfs, precision=precision)
        return tf.concat([tf.fill((*cdf.shape[:-1], 1), precision), cdf], -1)

    if work.has_rows:
        every = tf.range(len(work))

        def encode_rows() -> bytes:
            handle = tfc.create_range_encoder([], lookup(work.probabilities))
            handle = tfc.entropy_encode_index(handle, every, work.symbols)
            return bytes(tfc.entropy_encode_finalize(handle).numpy())

        def decode_rows(data: bytes) -> np.ndarray:
            handle = tfc.create_range_decoder(tf.constant(data), lookup(work.probabilities))
            _, symbols = tfc.entropy_decode_index(handle, every, shape, tf.int32)
            return np.asarray(symbols)

        yield Coder("TensorFlow Compression", work, encode_rows, decode_rows)
        return

    pmfs, radii = pmf_rows(work)
    if work.indexes is None:
        tables = lookup(tf.constant([work.probabilities]))

        def encode_one() -> bytes:
            handle = tfc.create_range_encoder([], tables)
            handle = tfc.entropy_encode_channel(handle, work.symbols[:, None])
            return bytes(tfc.entropy_encode_finalize(handle).numpy())

        def decode_one(data: bytes) -> np.ndarray:
            handle = tfc.create_range_decoder(tf.constant(data), tables)
            _, symbols = tfc.entropy_decode_channel(handle, tf.constant([len(work), 1]), tf.int32)
            return np.asarray(symbols)[:, 0]

        yield Coder("TensorFlow Compression", work, encode_one, decode_one)
        return

    cdfs = [tfc.pmf_to_quantized_cdf(tf.constant(row, tf.float32), precision=precision) for row in pmfs]
    tables = tf.concat([part for cdf in cdfs for part in ([-precision], cdf)], 0)
    indexes = work.indexes

    def encode() -> bytes:
        handle = tfc.create_range_encoder([], tables)
        handle = tfc.entropy_encode_index(handle, indexes.astype(np.int32), work.symbols + radii[indexes])
        return bytes(tfc.entropy_encode_finalize(handle).numpy())

    def decode(data: bytes) -> np.ndarray:
        handle = tfc.create_range_decoder(tf.constant(data), tables)
        _, symbols = tfc.entropy_decode_index(handle, indexes.astype(np.int32), shape, tf.int32)
        return np.asarray(symbols) - radii[indexes]

    yield Coder("TensorFlow Compression", work, encode, decode)


def torchac(work: Workload) -> Iterator[Coder]:
    """torchac reads a row of float CDF for every symbol, so that only W3 fits; it compiles itself here."""
    if not work.has_rows:
        return
    import torch
    import torchac

    symbols = torch.from_numpy(work.symbols.astype(np.int16))
    probabilities = torch.from_numpy(work.probabilities)

    def cdf() -> Any:
        sums = probabilities.cumsum(1).clamp_(max=1)
        return torch.cat([torch.zeros(len(sums), 1), sums], 1)

    yield Coder(
        "torchac",
        work,
        lambda: torchac.encode_float_cdf(cdf(), symbols, check_input_bounds=False),
        lambda data: torchac.decode_float_cdf(cdf(), data).numpy(),
    )


PEERS: dict[str, Callable[[Workload], Iterator[Coder]]] = {
    "constriction": constriction,
    "compressai": compressai,
    "tensorflow_compression": tensorflow_compression,
    "torchac": torchac,
}


NO_PACKAGE = ("DCVC", "htscodecs")  # goals name them, and there is nothing of them that pip could install


def missing() -> dict[str, str]:
    """Peers that are not here, and why."""
    absent = {name: "not installed" for name in PEERS if importlib.util.find_spec(name) is None}
    return absent | dict.fromkeys(NO_PACKAGE, "has no Python package, so nothing here calls it")
