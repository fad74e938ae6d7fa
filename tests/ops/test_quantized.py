"""Quantized layers: the native ones equal the plain reference bit for bit, at every SIMD level."""

import numpy as np
import pytest
import torch

from pycodec.errors import InvalidInput
from pycodec.native import native
from pycodec.ops.quantized import (
    CODE_LIMIT,
    NARROW_LIMIT,
    QuantizedConv2d,
    QuantizedPartialBlock,
    code_scale,
    depth_to_space,
    integer_weight,
    space_to_depth,
)

SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (7, 16), (9, 40), (1, 300), (130, 3)]
CHANNELS = [(1, 1), (3, 2), (5, 17), (16, 16), (24, 24), (7, 48), (40, 33), (96, 50)]  # (inputs, outputs)


@pytest.fixture(params=native().simd_available())
def simd(request):
    return request.param


def seeded_weight(rng, shape, limit, largest=32767):
    """Random weights that use up the room of the sums."""
    weight, _ = integer_weight(rng.standard_normal(shape), np.ones(shape[-1], np.float32), limit, largest)
    return weight


def floats(rng, size, low, high):
    return np.exp(rng.uniform(np.log(low), np.log(high), size)).astype(np.float32)


def seeded_conv(rng, side, inputs, outputs, limit=CODE_LIMIT, simd="", **squares):
    return QuantizedConv2d(
        seeded_weight(rng, (outputs, side, side, inputs), limit),
        floats(rng, inputs, 1, limit),  # the larger ones clamp
        floats(rng, outputs, 1e-9, 1e-6),
        rng.standard_normal(outputs).astype(np.float32),
        limit,
        simd=simd,
        **squares,
    )


def seeded_block(rng, channels, part, hidden, hidden_limit, simd=""):
    narrow = hidden_limit <= NARROW_LIMIT
    return QuantizedPartialBlock(
        seeded_weight(rng, (part, 3, 3, part), CODE_LIMIT),
        floats(rng, part, 100, 4000),
        floats(rng, part, 1e-6, 1e-4),
        seeded_weight(rng, (hidden, channels), CODE_LIMIT),
        floats(rng, channels, 100, 4000),
        floats(rng, hidden, 1e-7 * hidden_limit, 1e-6 * hidden_limit),
        seeded_weight(rng, (channels, hidden), hidden_limit, 127 if narrow else 32767),
        floats(rng, channels, 1e-8, 1e-5),
        rng.standard_normal(channels).astype(np.float32),
        hidden_limit=hidden_limit,
        simd=simd,
    )


def seeded_map(rng, height, width, channels):
    return torch.from_numpy(rng.standard_normal((height, width, channels)).astype(np.float32))


def same_bits(a, b):
    return a.shape == b.shape and torch.equal(a.view(torch.int32), b.view(torch.int32))


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("threads", [1, 3])
def test_convolution_equals_its_reference(side, threads, simd, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    rng = np.random.default_rng(10 * side + threads)
    for size, channels in zip(SIZES, CHANNELS, strict=True):
        conv = seeded_conv(rng, side, *channels, simd=simd)
        x = seeded_map(rng, *size, channels[0])
        before = x.clone()
        assert same_bits(conv(x), conv.reference(x)), (size, channels)
        assert same_bits(x, before)


@pytest.mark.parametrize("hidden_limit", [1, NARROW_LIMIT, NARROW_LIMIT + 1, CODE_LIMIT])
@pytest.mark.parametrize("threads", [1, 3])
def test_block_equals_its_reference(hidden_limit, threads, simd, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    rng = np.random.default_rng(hidden_limit + threads)
    shapes = [(1, 1, 1), (4, 1, 9), (8, 8, 3), (17, 5, 34), (24, 6, 48), (40, 16, 20), (33, 8, 66), (6, 2, 7)]
    for size, (channels, part, hidden) in zip(SIZES, shapes, strict=True):
        block = seeded_block(rng, channels, part, hidden, hidden_limit, simd)
        x = seeded_map(rng, *size, channels)
        bias = torch.from_numpy(rng.uniform(-1, 1, hidden).astype(np.float32) * hidden_limit)
        expected = block.reference(x, bias)
        assert not same_bits(x, expected)
        assert same_bits(block(x, bias), expected), (size, channels)


@pytest.mark.cuda
def test_a_gpu_gives_the_same_bits():
    rng = np.random.default_rng(4)
    conv, block = seeded_conv(rng, 3, 24, 40), seeded_block(rng, 40, 16, 80, CODE_LIMIT)
    x, bias = seeded_map(rng, 33, 47, 24), torch.from_numpy(rng.standard_normal(80).astype(np.float32))
    y = conv(x)
    assert same_bits(conv(x.cuda()).cpu(), y)
    assert same_bits(block(y.cuda(), bias.cuda()).cpu(), block(y.clone(), bias))


def test_sums_reach_the_limits_of_int32(simd):
    weight = np.full((1, 3, 3, 2), 2**31 // (18 * CODE_LIMIT), np.int16)
    one = np.ones(1, np.float32)
    for sign in (1, -1):
        conv = QuantizedConv2d(
            sign * weight, np.ones(2, np.float32), one, 0 * one, limit=CODE_LIMIT, simd=simd
        )
        y = conv(torch.full((3, 3, 2), 1e30))
        assert y[1, 1, 0] == np.float32(sign * int(weight.sum()) * CODE_LIMIT)
        assert abs(y[1, 1, 0]) > 0.99 * 2**31
        assert y[0, 0, 0] == np.float32(sign * int(weight.sum()) * CODE_LIMIT * 4 // 9)


def test_codes_round_to_even_and_clamp(simd):
    identity = np.eye(20, dtype=np.int16)[:, None, None]
    one = np.ones(20, np.float32)
    conv = QuantizedConv2d(identity, one, one, 0 * one, limit=100, simd=simd)
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 99.5, 101.0, -1e9, torch.inf, -torch.inf] * 2)
    y = conv(x.expand(2, 3, 20).clone())
    expected = torch.tensor([0.0, 2, 2, 0, -2, 100, 100, -100, 100, -100] * 2)
    assert torch.equal(y, expected.expand(2, 3, 20))


@pytest.mark.parametrize("limit,largest", [(128, 32767), (CODE_LIMIT, 32767), (NARROW_LIMIT, 127)])
def test_integer_weights_are_close_and_cannot_overflow(limit, largest):
    rng = np.random.default_rng(limit)
    weight, scale = rng.standard_normal((9, 3, 3, 40)), floats(rng, 40, 0.1, 10)
    weight[3] = 0
    integers, unit = integer_weight(weight, scale, limit, largest)
    restored = integers * unit[:, None, None, None] * scale
    assert np.abs(restored - weight).max() <= (0.5 * unit[:, None, None, None] * scale).max() * 1.001
    sums = np.abs(integers.astype(np.int64)).reshape(9, -1).sum(1) * limit
    assert sums.max() < 2**31 and np.abs(integers).max() <= largest
    assert not integers[3].any()
    assert max(sums.max() / 2**31, np.abs(integers).max() / largest) > 0.98  # as fine as can be


def test_depth_to_space_undoes_space_to_depth():
    x = torch.arange(4 * 6 * 5).reshape(4, 6, 5)
    y = space_to_depth(x, 2)
    assert torch.equal(y[1, 2, 5:10], x[2, 5])  # row 0, column 1 of the block
    assert torch.equal(depth_to_space(y, 2), x)


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("upsample", [2, 3, 8])
def test_outputs_become_squares(side, upsample, simd):
    rng = np.random.default_rng(upsample)
    for size, channels in (((1, 1), 1), ((5, 3), 2), ((9, 140), 3)):
        conv = seeded_conv(rng, side, 10, channels * upsample**2, upsample=upsample, simd=simd)
        x = seeded_map(rng, *size, 10)
        y = conv(x)
        assert y.shape == (upsample * size[0], upsample * size[1], channels)
        assert same_bits(y, conv.reference(x))


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("downsample", [2, 3, 8])
def test_inputs_are_squares(side, downsample, simd):
    rng = np.random.default_rng(downsample)
    for (height, width), channels in (((1, 1), 1), ((5, 3), 2), ((9, 140), 3)):
        conv = seeded_conv(rng, side, channels * downsample**2, 10, downsample=downsample, simd=simd)
        x = seeded_map(rng, downsample * height, downsample * width, channels)
        y = conv(x)
        assert y.shape == (height, width, 10)
        assert same_bits(y, conv.reference(x))
        whole = QuantizedConv2d(**conv.arrays, limit=conv.limit, simd=simd)
        assert same_bits(y, whole(space_to_depth(x, downsample)))


@pytest.mark.parametrize("side", [1, 3])
def test_results_are_added_to_a_map(side, simd):
    rng = np.random.default_rng(side)
    conv = seeded_conv(rng, side, 10, 12, upsample=2, simd=simd)
    x, y = seeded_map(rng, 5, 130, 10), seeded_map(rng, 10, 260, 3)
    expected = y + conv.reference(x)
    strided = y.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert same_bits(conv(x, add_to=strided), expected)
    assert same_bits(conv(x, add_to=y), expected)
    assert same_bits(y, expected)
    for other in (y[:-1], y.double()):
        with pytest.raises(InvalidInput, match=r"the map to add to .* expected float32 \(10, 260, 3\)"):
            conv(x, add_to=other)


def test_code_scale_reaches_the_largest_input():
    assert code_scale(np.array([2.0, 0.0]), 100).tolist() == [50.0, pytest.approx(1e8)]


def conv_arrays():
    return {
        "weight": np.ones((2, 3, 3, 4), np.int16),
        "scale": np.ones(4, np.float32),
        "multiplier": np.ones(2, np.float32),
        "bias": np.ones(2, np.float32),
    }


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"weight": np.ones((2, 2, 2, 4), np.int16)}, "1 x 1 or 3 x 3"),
        ({"weight": np.full((2, 3, 3, 4), 32767, np.int16)}, "output 0 can overflow"),
        ({"scale": np.ones(3, np.float32)}, "scale has 3 elements, expected 4"),
        ({"bias": np.array([1, np.nan], np.float32)}, "bias has elements that are not finite"),
        ({"limit": 0}, "limit is 0, expected 1 to 32767"),
        ({"limit": 40000}, "limit is 40000"),
        ({"upsample": 2}, "2 outputs cannot be upsampled by 2"),
        ({"downsample": 3}, "4 inputs cannot be downsampled by 3"),
    ],
)
def test_layers_that_cannot_be_are_refused(change, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        QuantizedConv2d(**(conv_arrays() | change))


def test_narrow_weights_beyond_int8_are_refused():
    block = seeded_block(np.random.default_rng(1), 8, 2, 16, NARROW_LIMIT)
    arrays = dict(block.arrays)
    arrays["project"] = np.full_like(arrays["project"], 128)
    with pytest.raises(InvalidInput, match="beyond int8"):
        QuantizedPartialBlock(**arrays)


def test_maps_that_do_not_fit_are_refused():
    conv = QuantizedConv2d(**conv_arrays())
    for x in (torch.zeros(3, 3, 5), torch.zeros(3, 4), torch.zeros(3, 3, 4, dtype=torch.float64)):
        with pytest.raises(InvalidInput, match=r"expected float32 \[height, width, 4\]"):
            conv(x)
    assert conv(torch.zeros(0, 5, 4)).shape == (0, 5, 2)
    conv = QuantizedConv2d(**conv_arrays(), downsample=2)
    with pytest.raises(InvalidInput, match=r"\[height, width, 1\], height and width multiples of 2"):
        conv(torch.zeros(4, 5, 1))


def test_maps_that_are_not_aligned_are_refused():
    x = torch.frombuffer(bytearray(4 * 36 + 1), dtype=torch.float32, offset=1).reshape(3, 3, 4)
    with pytest.raises(InvalidInput, match="aligned float32"):
        QuantizedConv2d(**conv_arrays())(x)
