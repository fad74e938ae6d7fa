"""From float weights to integers: little rate is lost, and what cannot be exact is refused."""

from __future__ import annotations

import numpy as np
import pytest
from seeded import seeded_model, seeded_symbols

from pycodec.coding.context import ContextModel
from pycodec.coding.context_export import (
    ActivationRanges,
    FloatContext,
    logistic_bits,
    logit_bits,
    quantize_context,
)
from pycodec.coding.context_tables import (
    SCALE_MAX,
    SCALE_MIN,
    count_residuals,
    fitted_tables,
    integer_tables,
    logistic_masses,
)
from pycodec.errors import InvalidInput

K = 24


def float_network(
    head: str, seed: int = 3, planes: int = 4, earlier: bool = False, limit: float | None = None
) -> FloatContext:
    """Random weights, but of the size trained ones have; the head's outputs lie where symbols are likely."""
    rng = np.random.default_rng(seed)
    outputs = 6 if head == "categorical" else 2
    mask = np.ones((2, 3, 3))
    mask[1, 1, 2] = mask[1, 2] = 0
    first = mask.copy()
    first[1, 1, 1] = 0

    def weights(channels: int, inputs: int, gain: float, causal: np.ndarray) -> np.ndarray:
        return rng.normal(size=(channels, inputs, 2, 3, 3)) * causal * gain / np.sqrt(inputs * causal.sum())

    if head == "categorical":
        inputs, bias3 = np.linspace(-2, 2, outputs), np.linspace(1, -1, outputs)
    else:
        inputs, bias3 = np.arcsinh(np.arange(-128, 128).clip(-127, 127).astype(float)), np.array([0.1, 0.7])
    return FloatContext(
        weights=[
            weights(K, 1, 1.4, first),
            weights(K, K, 1.4, mask),
            weights(K, K, 1.0, mask),
            weights(outputs, K, 0.7, mask),
        ],
        bias0=rng.normal(size=(2, planes, K)) * 0.1,
        bias1=rng.normal(size=K) * 0.1,
        bias2=rng.normal(size=K) * 0.1,
        bias3=bias3 + rng.normal(size=(2, planes, outputs)) * 0.1,
        inputs=inputs,
        earlier=rng.normal(size=(planes * (planes - 1) // 2, K, 2)) * 0.3 if earlier else None,
        limit=limit,
    )


def draw(
    network: FloatContext, head: str, shape: tuple[int, int, int], quality: float, seed: int
) -> np.ndarray:
    """Symbols whose statistics follow the network: alternately draw from its tables and look again."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(1e-4, 1 - 1e-4, shape)
    symbols = np.zeros(shape, np.int64)
    for _ in range(4):
        outputs = network.forward(symbols, quality)[3]
        if head == "categorical":
            p = np.exp(outputs - outputs.max(0))
            symbols = (np.cumsum(p, 0) / p.sum(0) < noise).sum(0).clip(0, len(p) - 1)
        else:
            scale = np.exp(outputs[1].clip(np.log(SCALE_MIN), np.log(8)))
            symbols = np.round(outputs[0] + scale * np.log(noise / (1 - noise))).astype(np.int64)
    return symbols


@pytest.mark.parametrize("quality", [1.0, 1.4375])
@pytest.mark.parametrize("head", ["categorical", "parametric"])
@pytest.mark.parametrize("earlier", [False, True], ids=["near", "earlier"])
@pytest.mark.parametrize("limit", [None, 0.8])
def test_rate_of_the_integers(limit, earlier, head, quality):
    """Within 0.5 % of the float network's own rate."""
    network = float_network(head, earlier=earlier, limit=limit)
    ranges = ActivationRanges()
    for seed in (1, 2):
        first, second, third, _ = network.forward(draw(network, head, (4, 24, 24), quality, seed), quality)
        ranges.update(first, second, third)
    model = ContextModel(quantize_context(network, ranges, head), head)
    symbols = draw(network, head, (4, 32, 40), quality, 9)
    outputs = network.forward(symbols, quality)[3]
    if head == "categorical":
        ideal = logit_bits(symbols, outputs).sum()
    else:
        ideal = logistic_bits(symbols, outputs[0], outputs[1]).sum()
    bits = model.code_length_bits(symbols, round(16 * quality))
    assert 0.995 < bits / ideal < 1.005
    assert 8 * len(model.encode(symbols, round(16 * quality))) < 1.01 * bits + 300


def test_rate_depends_on_the_context():
    """The exported network still sees its context: shuffled symbols cost more."""
    network = float_network("parametric")
    symbols = draw(network, "parametric", (4, 24, 24), 1.0, 5)
    first, second, third, _ = network.forward(symbols, 1.0)
    ranges = ActivationRanges(first.max(), second.max(), np.abs(third).max())
    model = ContextModel(quantize_context(network, ranges, "parametric"), "parametric")
    shuffled = np.random.default_rng(0).permutation(symbols.ravel()).reshape(symbols.shape)
    assert model.code_length_bits(shuffled, 16) > 1.02 * model.code_length_bits(symbols, 16)


def test_logistic_tables_hold_the_logistic():
    radius, frequencies = integer_tables(logistic_masses())
    sizes = 2 * radius.ravel().astype(int) + 2
    tables = np.split(frequencies.astype(int), np.cumsum(sizes)[:-1])
    for scale_index in (0, 20, 40, 63):
        scale = SCALE_MIN * (SCALE_MAX / SCALE_MIN) ** (scale_index / 63)
        for sixteenth in (0, 5, 8, 15):
            table = tables[scale_index * 16 + sixteenth]
            assert table.sum() == 16384
            assert (np.diff(table[:-1]) <= 1).all()  # falling probability, up to rounding
            near = 1 if sixteenth >= 8 else -1
            residuals = np.array([(i + 1) // 2 * (near if i % 2 else -near) for i in range(len(table) - 1)])
            bits = logistic_bits(residuals, (sixteenth - 8) / 16, np.log(scale))
            np.testing.assert_allclose(table[:-1], 16384 * 2.0**-bits, atol=1.5 + 0.01 * table[0])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("bias1", np.nan, "not finite"),
        ("bias2", 1e12, "bias too large|too large"),
        ("weights", 1e6, "too large"),
    ],
)
def test_impossible_networks_are_refused(field, value, message):
    network = float_network("categorical")
    if field == "weights":
        network.weights[3][:] *= value
    else:
        getattr(network, field)[0] = value
    with pytest.raises(InvalidInput, match=message):
        quantize_context(network, ActivationRanges(5.0, 5.0, 5.0), "categorical")


def test_network_without_weights_exports():
    """An untrained last layer is all zeros; the model is then its biases."""
    network = float_network("categorical")
    network.weights[3][:] = 0
    model = ContextModel(
        quantize_context(network, ActivationRanges(5.0, 5.0, 5.0), "categorical"), "categorical"
    )
    frequencies = model.tables(np.zeros((4, 3, 3), np.int32), 16)
    logits = network.bias3[0, 2]
    np.testing.assert_allclose(
        frequencies[:, 2, 1, 1] / 16384, np.exp(logits) / np.exp(logits).sum(), rtol=0.02
    )


def test_fitted_tables_follow_the_observed_residuals():
    """Residuals far more peaked than the logistic: the fitted tables approach their entropy, valid everywhere."""
    rng = np.random.default_rng(8)
    counts = np.zeros((64, 16, 257), np.int64)
    symbols = np.where(rng.random(200_000) < 0.9, 0, rng.integers(-3, 4, 200_000))
    values, times = np.unique(symbols, return_counts=True)
    counts[20, 8, values + 128] = times
    entropy = -(times * np.log2(times / times.sum())).sum()
    lengths = []
    for radius, frequencies in (integer_tables(logistic_masses()), fitted_tables(counts)):
        sizes = 2 * radius.ravel().astype(int) + 2
        tables = np.split(frequencies.astype(int), np.cumsum(sizes)[:-1])
        assert all(table.sum() == 1 << 14 and table.min() >= 1 for table in tables)
        index = np.where(values == 0, 0, 2 * np.abs(values) - (values > 0))
        lengths.append((times * (14 - np.log2(tables[20 * 16 + 8][index]))).sum())
    assert lengths[1] < 1.001 * entropy < 0.9 * lengths[0]


def test_residuals_are_counted_where_the_coder_looks_them_up():
    model = seeded_model("parametric")
    symbols = seeded_symbols("parametric", (4, 9, 11))
    counts = count_residuals(model, symbols)
    assert counts.sum() == symbols.size
    _, frequencies, escapes = model.logistic_classes(symbols, model.tables(symbols))
    radius = model.arrays()["table_radius"].astype(int)
    inside = np.abs(np.arange(-128, 129)) <= radius[:, :, None]
    assert counts[~inside].sum() == escapes.size
    assert frequencies.shape == symbols.shape
