"""Codecs whose symbols stay on a device write and read the CPU's files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import pycodec
from pycodec import bitstream
from pycodec.errors import CorruptStream, DeviceError
from pycodec.ops import device_context


@pytest.fixture(params=["ctx3d", "cpm"])
def default(request: pytest.FixtureRequest):
    return pycodec.load(request.param)


@pytest.fixture
def stays(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets symbols of any device stay there; what was coded there, in order."""
    monkeypatch.setattr("pycodec.codec.can_code_on", lambda device: True)
    calls: list[str] = []
    for name in ("encode", "decode"):
        function = getattr(device_context, name)

        def call(*args, function=function, name=name, **options):
            calls.append(name)
            return function(*args, **options)

        monkeypatch.setattr(device_context, name, call)
    return calls


def test_files_are_the_cpus(default, photo, coding_device, stays, monkeypatch):
    image = photo(41, 27)
    there = default.compress(image, device=coding_device, effort=0)
    pixels = np.asarray(default.decompress(there, device=coding_device))
    symbols = default.symbols(image, device=coding_device, effort=0)
    assert stays == ["encode", "decode"]
    chosen = default.compress(image, device=coding_device)
    calls = list(stays)
    monkeypatch.setattr("pycodec.codec.can_code_on", lambda device: False)
    # The transform may round otherwise on a GPU; what is coded must not depend on where that happens.
    assert default.compress(image, device=coding_device, effort=0) == there
    assert default.compress(image, device=coding_device) == chosen
    np.testing.assert_array_equal(np.asarray(default.decompress(there, device=coding_device)), pixels)
    np.testing.assert_array_equal(default.symbols(image, device=coding_device, effort=0), symbols)
    assert stays == calls
    assert np.abs(np.asarray(default.decompress(there), int) - pixels).max() <= 1


def test_the_checksum_of_symbols_is_checked(default, photo, coding_device, stays):
    container = bitstream.parse(default.compress(photo(16, 24), device=coding_device))
    header = replace(container.header, symbols_crc=container.header.symbols_crc ^ 1)
    forged = replace(container, header=header).to_bytes()
    with pytest.raises(CorruptStream, match="decoded symbols have CRC"):
        default.decompress(forged, device=coding_device)


def test_a_gpu_that_fails_is_no_damaged_file(default, photo, coding_device, stays, monkeypatch):
    data = default.compress(photo(16, 24), device=coding_device)

    def fail(*_):
        raise DeviceError("decoding planes: CUDA says cudaErrorLaunchFailure")

    monkeypatch.setattr(default.entropy_model, "decode_tensor", fail)
    with pytest.raises(DeviceError, match=r"^decoding planes: CUDA says"):
        default.decompress(data, device=coding_device)


def test_a_codec_without_tensors_is_coded_on_the_cpu(toy, photo, coding_device, stays):
    image = photo(40, 30)
    assert toy.decompress(toy.compress(image, device=coding_device), device=coding_device).size == (40, 30)
    assert stays == []
