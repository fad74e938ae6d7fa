"""What every coder on a device needs, on stand-ins for GPUs that are not here."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from threading import Barrier, BrokenBarrierError, Thread
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode

from pycodec.coding import Tables
from pycodec.errors import DeviceError, InvalidInput
from pycodec.native import native
from pycodec.ops import device, device_rans
from pycodec.ops.masked_conv3d import _kernels


@pytest.fixture
def second_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose current CUDA device is the second one, of compute capability 8.6."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=7))
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 6))


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_device_without_a_number_is_the_current_one(
    name: str, second_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reached(Exception):
        pass

    def upload(values: object, where: torch.device) -> torch.Tensor:
        raise Reached(str(where))

    monkeypatch.setattr(device, "upload", upload)
    tables = Tables.from_gaussian_scales([1.0, 8.0])
    with FakeTensorMode():
        here, elsewhere = (torch.zeros(3, dtype=torch.uint8, device=f"cuda:{i}") for i in (1, 0))
    with pytest.raises(Reached, match="cuda:1"):
        device_rans.decode(b"", tables, 3, here, device=name)
    with pytest.raises(InvalidInput, match="indexes are on cuda:0, symbols on cuda:1"):
        device_rans.decode(b"", tables, 3, elsewhere, device=name)
    assert device.numbered("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("archs", "able"),
    [
        ([], False),
        (["80", "90", "90+PTX"], True),
        (["86", "86+PTX"], True),
        (["90", "90+PTX"], False),
        (["100f", "100f+PTX", "80"], True),
        (["120a", "120a+PTX"], False),
    ],
)
def test_kernels_are_used_where_they_run(
    archs: list[str], able: bool, second_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = {**native().build_info(), "cuda": bool(archs), "cuda_archs": archs}
    monkeypatch.setattr(native(), "build_info", lambda: info)
    device._lowest_capability.cache_clear()
    try:
        assert device.can_code_on("cuda") == able
        with FakeTensorMode():
            assert _kernels(torch.zeros(3, device="cuda:1")) == ("cuda" if able else "")
    finally:
        device._lowest_capability.cache_clear()


def test_threads_share_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second copy would free the first one, which a kernel may be about to read."""
    both, upload, found = Barrier(2), device.upload, []

    def slow(values: bytes | np.ndarray, where: torch.device) -> torch.Tensor:
        with suppress(BrokenBarrierError):
            both.wait(0.5)  # comes through only if another thread is here too
        return upload(values, where)

    monkeypatch.setattr(device, "upload", slow)
    tables, copies = Tables.from_gaussian_scales([1.0]), device.Copies(lambda _: b"tables")
    threads = [Thread(target=lambda: found.append(copies.of(tables, torch.device("cpu")))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is found[1]
    assert bytes(found[0].numpy()) == b"tables"


def test_a_kernel_that_fails_later_is_a_device_error(second_gpu: None) -> None:
    """As torch reports it, in whichever of its calls waits for the kernel."""
    with (
        pytest.raises(DeviceError, match="coding on cuda:1: CUDA error: an illegal memory access"),
        device.queue_of(torch.device("cuda:1")) as queue,
    ):
        assert queue == (1, 7)
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with ...")
    for other in (RuntimeError("CUDA error: out of memory"), RuntimeError("sizes differ")):
        with pytest.raises(RuntimeError) as caught, device.queue_of(torch.device("cuda:1")):
            raise other
        assert caught.value is other
