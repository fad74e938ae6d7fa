"""Many threads at once, and the GIL released while native code runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from streams import case

from pycodec.coding import Decoder, decode, encode
from pycodec.errors import InvalidInput


def test_threads_share_tables() -> None:
    c = case("gaussian", 20_000)
    data = c.encode()
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: c.encode(), range(32)):
            assert result == data
        for symbols in pool.map(lambda _: c.decode(data), range(32)):
            np.testing.assert_array_equal(symbols, c.symbols)


@pytest.mark.parametrize("operation", ["encode", "decode", "pull"])
@pytest.mark.parametrize("kind", ["gaussian", "pmfs"])
def test_the_gil_is_released(kind: str, operation: str) -> None:
    """With no time slices, another thread can only run if native code lets go of the GIL."""
    c = case(kind, 100_000)
    data = c.encode()
    gate, ran = threading.Lock(), []

    def wait() -> None:
        with gate:
            ran.append(True)

    def call() -> None:
        if operation == "encode":
            c.encode()
        elif operation == "pull" and c.tables is not None:
            Decoder(data, c.tables).pull(100_000, c.indexes)
        else:
            c.decode(data)

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=wait)
    with gate:
        thread.start()
        sys.setswitchinterval(1000)
    try:
        for _ in range(1000):
            if ran:
                break
            call()
        released = bool(ran)
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert released


def pulled_by_threads(decoder: Decoder) -> tuple[list[np.ndarray], list[Exception]]:
    """What four threads get out of a decoder, and how they were refused."""
    pulled: list[np.ndarray] = []
    refused: list[Exception] = []

    def pull() -> None:
        while remaining := decoder.remaining:
            try:
                pulled.append(decoder.pull(min(20_000, remaining)))  # so many that the GIL is released
            except Exception as error:
                refused.append(error)

    threads = [threading.Thread(target=pull) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return pulled, refused


def test_a_step_decoder_is_for_one_thread() -> None:
    """Whoever comes while another thread pulls is refused, and nobody's symbols suffer."""
    c = case("iid", 3_000_000)
    data, busy = c.encode(), False
    for _ in range(200):  # on a busy machine threads do not meet every time
        pulled, refused = pulled_by_threads(Decoder(data, c.tables))
        late = [e for e in refused if re.search(r"pull of \d+ symbols, but only \d+ of", str(e))]
        met = [e for e in refused if "another thread is pulling from this decoder" in str(e)]
        assert len(met) + len(late) == len(refused), {str(error) for error in refused}
        assert all(isinstance(error, InvalidInput) for error in refused)
        np.testing.assert_array_equal(np.sort(np.concatenate(pulled)), np.sort(c.symbols))
        if busy := bool(met):
            break
    assert busy


def test_an_error_does_not_depend_on_threads() -> None:
    c = case("gaussian", 600_000)
    data = bytearray(c.encode())
    for at in (len(data) // 2, len(data) - 9):
        data[at] ^= 1
    messages = set()
    for threads in (1, 2, 4):
        with pytest.raises(ValueError) as caught:
            decode(bytes(data), c.tables, c.symbols.size, c.indexes, threads=threads)
        messages.add(str(caught.value))
    assert len(messages) == 1
    assert encode(c.symbols, c.tables, c.indexes, threads=64) == c.encode()


def test_callers_with_many_threads_each() -> None:
    c = case("gaussian", 200_000)
    data = c.encode()
    with ThreadPoolExecutor(6) as pool:
        for result in pool.map(
            lambda n: encode(c.symbols, c.tables, c.indexes, threads=n) == data, [*range(1, 40), 1000]
        ):
            assert result
        for symbols in pool.map(
            lambda n: decode(data, c.tables, len(c.symbols), c.indexes, threads=n), range(1, 40)
        ):
            np.testing.assert_array_equal(symbols, c.symbols)


FORKS = """
import os, numpy as np
from pycodec.coding import Tables, decode, encode

tables = Tables.from_gaussian_scales(np.array([3.0]))
symbols = np.random.default_rng(1).integers(-9, 10, 200_000)

def code():
    data = encode(symbols, tables, threads=3)
    return np.array_equal(decode(data, tables, len(symbols), threads=3), symbols)

assert code()
for _ in range(3):
    if (child := os.fork()) == 0:
        os._exit(0 if code() and code() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert code()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_threads_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
