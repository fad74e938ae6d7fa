"""Weights on disk: what comes back, what the fingerprint covers, and sentences for what does not fit."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
import torch

from pycodec import weights
from pycodec.errors import InvalidInput, MissingWeights, WeightsMismatch

CONFIG = {"width": 4, "name": "toy"}


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return {
        "net.weight": torch.randn(2, 3),
        "net.bias": torch.randn(2, dtype=torch.float64).half(),
        "table": np.arange(-6, 6, dtype=np.int8).reshape(3, 4).T,  # not contiguous
        "scalar": np.array(7, np.int64),
        "big": np.arange(3, dtype=">i4"),
    }


def test_tensors_and_metadata_come_back(tmp_path, tensors):
    path = tmp_path / "toy.safetensors"
    digest = weights.save(path, tensors, {"codec": "toy", "config": CONFIG, "model_card": {"steps": 3}})
    loaded, metadata = weights.load(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].shape == tuple(tensor.shape)
        assert np.array_equal(loaded[name], np.asarray(tensor))
        assert loaded[name].dtype == np.asarray(tensor).dtype.newbyteorder("<")
    assert metadata == {
        "codec": "toy",
        "config": CONFIG,
        "model_card": {"steps": 3},
        "fingerprint": digest.hex(),
    }
    assert weights.fingerprint(CONFIG, loaded) == weights.fingerprint(CONFIG, tensors) == digest
    assert [p.name for p in tmp_path.iterdir()] == ["toy.safetensors"]


def test_the_fingerprint_is_the_documented_hash():
    arrays = {"y": np.zeros((2, 0), np.int16), "x": np.array([1, -2], np.float32)}
    text = (
        b'{"a":[0.5,null],"b":1}\n["x","float32",[2]]\n'
        + struct.pack("<2f", 1, -2)
        + b'["y","int16",[2,0]]\n'
    )
    assert weights.fingerprint({"b": 1, "a": [0.5, None]}, arrays) == hashlib.sha256(text).digest()


def test_the_fingerprint_covers_configuration_names_types_shapes_and_values(tensors):
    table = np.arange(4, dtype=np.int32)
    digests = {
        weights.fingerprint(config, arrays)
        for config, arrays in (
            ({"a": 1}, {"t": table}),
            ({"a": 2}, {"t": table}),
            ({"a": 1}, {"u": table}),
            ({"a": 1}, {"t": table.view(np.float32)}),
            ({"a": 1}, {"t": table.reshape(2, 2)}),
            ({"a": 1}, {"t": table + 1}),
            ({"a": 1}, {}),
        )
    }
    assert len(digests) == 7
    order = weights.fingerprint({"a": 1, "b": 2}, dict(sorted(tensors.items())))
    assert order == weights.fingerprint({"b": 2, "a": 1}, tensors)


def test_what_cannot_be_saved(tmp_path, tensors):
    path = tmp_path / "toy.safetensors"
    for arrays, metadata, sentence in (
        (tensors, {"codec": "toy"}, r"metadata of weights has \['codec'\], expected a 'config'"),
        (tensors, {"config": {"a": object()}}, "not JSON-ready"),
        (tensors, {"config": {"a": float("nan")}}, "not JSON-ready"),
        (
            {"t": torch.zeros(2, dtype=torch.bfloat16)},
            {"config": {}},
            "'t' is torch.bfloat16, which numpy lacks",
        ),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            weights.save(path, arrays, metadata)
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_there_damaged_or_something_else(tmp_path, tensors):
    path = tmp_path / "toy.safetensors"
    with pytest.raises(MissingWeights, match=r"no weights at .*toy\.safetensors; train them"):
        weights.load(path)
    path.write_bytes(b"no safetensors")
    with pytest.raises(WeightsMismatch, match="holds no weights of pycodec"):
        weights.load(path)
    from safetensors.numpy import save

    path.write_bytes(save({"t": np.zeros(2)}))
    with pytest.raises(WeightsMismatch, match="holds no weights of pycodec"):
        weights.load(path)
    weights.save(path, tensors, {"config": CONFIG})
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(
        WeightsMismatch, match=r"is damaged: its fingerprint is [0-9a-f]{16}, expected [0-9a-f]{16}"
    ):
        weights.load(path)
    path.write_bytes(data[:-1])
    with pytest.raises(WeightsMismatch, match="holds no weights"):
        weights.load(path)


def test_a_torch_module_takes_its_tensors_and_names_what_does_not_fit(tensors):
    torch.manual_seed(1)
    module, twin = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    given = {f"net.{name}": tensor.numpy() for name, tensor in twin.state_dict().items()}
    weights.load_module(module, {**given, "table": tensors["table"]}, prefix="net.")
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), twin.parameters(), strict=True))
    before = module.weight.clone()
    with pytest.raises(WeightsMismatch) as info:
        weights.load_module(
            module, {"weight": np.zeros((2, 4), np.float32), **{f"x{i}": np.zeros(1) for i in range(6)}}
        )
    assert str(info.value) == (
        "weights do not fit Linear: missing bias; unexpected x0, x1, x2, x3 and 2 more; "
        "wrong shape weight (2, 4) instead of (2, 3)"
    )
    assert torch.equal(module.weight, before)


def test_shipped_weights_lie_beside_the_module_that_is_not_imported(tmp_path, monkeypatch):
    tmp_path.joinpath("explosive.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert weights.shipped("explosive", "toy") == tmp_path / "weights" / "toy.safetensors"
    with pytest.raises(MissingWeights, match="its module explosive_two cannot be found"):
        weights.shipped("explosive_two", "toy")
