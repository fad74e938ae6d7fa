"""The context network in integers: native, torch and numpy give the same, close to the float network."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch

from pycodec.errors import InvalidInput
from pycodec_plugins.hyperprior import FRACTION, Arrays
from pycodec_plugins.rdgap.context import ContextNetwork
from pycodec_plugins.rdgap.integer_context import IntegerContext, context_arrays

CHANNELS = 7
DIGEST = "b80a84c0fb3789709eb5a6313a2cce66c8323a730b15e58c4e6a28d0deca4044"


def network() -> ContextNetwork:
    torch.manual_seed(0)
    made = ContextNetwork(CHANNELS, width=12, depth=2)
    torch.nn.init.normal_(made.head.weight, std=0.3)
    return made


def values(height: int, width: int, seed: int) -> torch.Tensor:
    """A prior and what is known, fixed-point."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.laplace(0, 3 * FRACTION, (2, CHANNELS, height, width)).astype(np.int64))


def arrays(made: ContextNetwork) -> Arrays:
    def run() -> None:
        for number in (1, 2, 3):
            made(number, *(values(16, 24, number).float() / FRACTION)[:, None])

    return context_arrays(made, run)


@pytest.fixture(scope="module")
def integers() -> IntegerContext:
    return IntegerContext(arrays(network()))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (16, 2), (0, 4)])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_backend_gives_the_same_integers(
    integers: IntegerContext, number: int, height: int, width: int
) -> None:
    pair = values(height, width, 10 * number)
    if height:
        pair[0, 0, 0, 0], pair[1, 1, 0, 0] = 1 << 40, -(1 << 40)  # far beyond what the network looks at
    found = integers(number, *pair)
    assert found.shape == (CHANNELS, height, width)
    assert np.array_equal(found.numpy(), integers.reference(number, *pair.numpy()))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert torch.equal(integers(number, *pair), found)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(integers(number, *pair, portable=True), found)


@pytest.mark.cuda
def test_a_gpu_gives_the_same_integers(integers: IntegerContext) -> None:
    pair = values(32, 48, 5)
    assert torch.equal(integers(2, *pair.cuda()).cpu(), integers(2, *pair))


def test_weights_and_codes_have_8_bits(integers: IntegerContext) -> None:
    weights = {name: a for name, a in integers.arrays.items() if name.endswith(".weight")}
    assert len(weights) == 3 + 2 * 3 + 1
    assert all(a.dtype == np.int8 for a in weights.values()) and integers.arrays["squash"].dtype == np.int8


def test_close_to_the_float_network(integers: IntegerContext) -> None:
    pair = values(20, 20, 9)
    with torch.no_grad():
        expected = network()(2, *(pair.float() / FRACTION)[:, None])[0]
    error = integers(2, *pair).float() / FRACTION - expected
    assert error.std() < 0.05 * expected.std()


def test_the_rule_stays() -> None:
    """Files written once depend on every integer: the digest of what seeded arrays give."""
    rng = np.random.default_rng(0)

    def layer(name: str, *shape: int) -> Arrays:
        parts = {"weight": rng.integers(-20, 21, shape).astype(np.int8)}
        parts["bias"] = rng.integers(-999, 1000, shape[0]).astype(np.int32)
        parts["multiplier"] = rng.integers(1 << 18, 1 << 20, shape[0])
        return {f"{name}.{key}": array for key, array in parts.items()}

    given = {"squash": np.linspace(-127, 127, 4095).astype(np.int8)}
    for i in range(3):
        given |= layer(f"adapt.{i}", 6, 1, 1, 2 * CHANNELS)
    given |= layer("blocks.0.expand", 6, 1, 1, 6) | layer("blocks.0.spatial", 6, 3, 3)
    given |= layer("blocks.0.project", 6, 1, 1, 6) | layer("head", CHANNELS, 1, 1, 6)
    given |= {f"{name}.scale": rng.integers(1 << 14, 1 << 16, 6) for name in ("blocks.0", "head")}
    context = IntegerContext(given)
    found = [context(number, *values(6, 8, number)).numpy().astype("<i8") for number in (1, 2, 3)]
    assert hashlib.sha256(np.stack(found).tobytes()).hexdigest() == DIGEST
    assert len(np.unique(found)) > 100


def test_survives_pickling(integers: IntegerContext) -> None:
    pair = values(3, 4, 2)
    assert torch.equal(pickle.loads(pickle.dumps(integers))(1, *pair), integers(1, *pair))


def test_arrays_that_cannot_be_are_refused(integers: IntegerContext) -> None:
    given = integers.arrays
    for name in ("adapt.1.weight", "blocks.1.scale", "blocks.0.spatial.bias", "head.multiplier"):
        with pytest.raises(InvalidInput, match=name.replace(".", r"\.")):
            IntegerContext({key: a for key, a in given.items() if key != name})
    for name, array, sentence in (
        ("squash", given["squash"][1:], r"squash is int8 \(\d+,\), expected int8"),
        ("squash", given["squash"].astype(np.float32), "squash is float32"),
        ("blocks.0.scale", given["blocks.0.scale"][:1], r"a scale is int64 \(1,\), expected int64 \(12,\)"),
        ("blocks.1.scale", given["blocks.1.scale"].astype(np.float64), "a scale is float64"),
        ("head.scale", -given["head.scale"], "none below 0"),
        ("blocks.0.spatial.bias", np.full(12, 2**24, np.int32), "do not fit their 24 bits"),
        ("blocks.0.spatial.weight", given["blocks.0.expand.weight"], "one bias and multiplier"),
        ("head.multiplier", np.full(CHANNELS, 1 << 38), "do not fit their 24 bits"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            IntegerContext({**given, name: array})
