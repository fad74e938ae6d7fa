"""One codec and many callers: threads, forked and spawned processes, a DataLoader's workers, two writers of a file."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import pycodec
from pycodec import selftest
from pycodec.loading import load_kept

PICTURE = np.asarray(selftest.picture("colour"))
CODECS = ("ctx3d", "cpm", "hyperprior")

linux = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.mark.parametrize("name", CODECS)
def test_threads_that_share_a_codec_get_the_same_files(name: str) -> None:
    codec = load_kept(name)
    pictures = [PICTURE, PICTURE[:40], PICTURE[:, :50], PICTURE[::-1].copy()]
    expected = [(data := codec.compress(picture), np.asarray(codec.decompress(data))) for picture in pictures]
    start = threading.Barrier(8)

    def work(n: int) -> None:
        start.wait()
        for i in range(6):
            picture, (data, pixels) = pictures[(n + i) % 4], expected[(n + i) % 4]
            assert load_kept(name) is codec and codec.compress(picture) == data
            np.testing.assert_array_equal(np.asarray(pycodec.decompress(data)), pixels)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


LOADER = """
import io
import numpy as np, torch
from torch.utils.data import DataLoader, Dataset

import pycodec
from pycodec import selftest

class Pictures(Dataset):
    def __init__(self, files):
        self.files = files
    def __len__(self):
        return len(self.files)
    def __getitem__(self, index):
        image = pycodec.decompress(self.files[index])
        again = pycodec.load("ctx3d").compress(image) if index == 0 else b""
        return torch.from_numpy(np.asarray(image).copy()), len(again)

if __name__ == "__main__":
    torch.set_num_threads(2)  # threads of torch and of the native core are there when it forks
    codec, picture = pycodec.load("ctx3d"), selftest.picture("colour")
    files = [codec.compress(picture, quality) for quality in (2, 5, 8)]
    expected = [np.asarray(pycodec.decompress(data)) for data in files]
    for way, workers in (("fork", 2), ("fork", 2), ("spawn", 1)):
        loader = DataLoader(Pictures(files), batch_size=None, num_workers=workers, multiprocessing_context=way)
        for (pixels, _), wanted in zip(loader, expected, strict=True):
            assert np.array_equal(pixels.numpy(), wanted)
    assert codec.compress(picture, 5) == files[1]
    print("same")
"""


FORK = """
import multiprocessing
import sys

import torch

import pycodec
from pycodec import selftest

def work(codec, picture, expected, wish):
    assert codec.compress(picture) == expected
    assert wish is None or codec.decompress(expected).size == wish

if __name__ == "__main__":
    torch.set_num_threads(2)
    for name in sys.argv[1:]:
        codec, picture = pycodec.load(name), selftest.picture("colour")
        data = codec.compress(picture)
        child = multiprocessing.get_context("fork").Process(target=work, args=(codec, picture, data, picture.size))
        child.start()
        child.join(60)
        assert child.exitcode == 0, f"{name}: {child.exitcode}"
    print("same")
"""


@linux
def test_a_server_that_forks_after_it_has_used_its_codecs(tmp_path: Path) -> None:
    program = tmp_path / "forks.py"
    program.write_text(FORK)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", program, *CODECS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.stdout == "same\n", done.stderr


@linux
def test_workers_of_a_data_loader(tmp_path: Path) -> None:
    program = tmp_path / "loads.py"
    program.write_text(LOADER)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", program]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr


def test_two_writers_of_one_file_leave_one_of_theirs(tmp_path: Path) -> None:
    from pycodec.files import write_bytes

    path, start = tmp_path / "out.pci", threading.Barrier(4)
    contents = [bytes([n]) * 100_000 for n in range(4)]

    def write(data: bytes) -> None:
        start.wait()
        for _ in range(20):
            write_bytes(path, data)
            assert path.read_bytes() in contents

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, contents))
    assert path.read_bytes() in contents and os.listdir(tmp_path) == ["out.pci"]


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted on Linux")
def test_calls_leave_no_descriptors_and_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    load = importlib.import_module("benchmarks.load")
    rows = load.run(("ctx3d", "cpm"), calls=200, every=100)
    assert [row["calls"] for row in rows] == [100, 200]
    assert rows[0]["descriptors"] == rows[1]["descriptors"] and rows[1]["threads"] <= rows[0]["threads"]
