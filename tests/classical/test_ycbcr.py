"""Colour conversion for programs that code planes: rounded, and checked so that a truncating cast fails."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pycodec_plugins.classical import y4m, ycbcr

# Y, Cb and Cr of BT.709 in full range, worked out by hand: 0.2126 R + 0.7152 G + 0.0722 B, (B - Y) / 1.8556 + 128
# and (R - Y) / 1.5748 + 128, to the nearest integer.
KNOWN = [
    ((255, 255, 255), (255, 128, 128)),
    ((0, 0, 0), (0, 128, 128)),
    ((255, 0, 0), (54, 99, 255)),  # 54.21, 98.78, 255.5 cut to 255
    ((0, 255, 0), (182, 30, 12)),  # 182.38, 29.71, 12.19
    ((0, 0, 255), (18, 255, 116)),  # 18.41, 255.5 cut to 255, 116.31
    ((200, 100, 50), (118, 92, 180)),  # 117.65, 91.54, 180.29
    ((7, 8, 9), (8, 129, 127)),  # 7.86, 128.61, 127.45
]


@pytest.mark.parametrize(("rgb", "expected"), KNOWN)
def test_known_values(rgb: tuple[int, ...], expected: tuple[int, ...]) -> None:
    planes = ycbcr.from_rgb(np.array([[rgb]], np.uint8), 8)
    assert tuple(planes[:, 0, 0]) == expected


def test_ten_bits_know_more_than_eight() -> None:
    assert tuple(ycbcr.from_rgb(np.array([[[200, 100, 50]]], np.uint8), 10)[:, 0, 0]) == (472, 366, 722)


def pixels() -> np.ndarray:
    """The corners of the cube of colours, and random ones: [1, N, 3] uint8."""
    corners = np.array(list(itertools.product([0, 1, 127, 128, 254, 255], repeat=3)), np.uint8)
    drawn = np.random.default_rng(0).integers(0, 256, (50000, 3), np.uint8)
    return np.concatenate([corners, drawn])[None]


def test_ten_bits_restore_every_pixel() -> None:
    rgb = pixels()
    np.testing.assert_array_equal(ycbcr.to_rgb(ycbcr.from_rgb(rgb, 10), 10), rgb)


def test_eight_bits_are_off_by_one_at_most_and_by_nothing_on_average() -> None:
    """A cast that truncates, in either direction, leaves every plane half a step too dark."""
    rgb = pixels()
    difference = ycbcr.to_rgb(ycbcr.from_rgb(rgb, 8), 8).astype(int) - rgb
    assert np.abs(difference).max() == 1
    assert np.abs(difference[0, -50000:].mean(0)).max() < 0.01


@pytest.mark.parametrize("bits", [8, 10])
def test_planes_survive_a_y4m_file(bits: int) -> None:
    planes = np.random.default_rng(0).integers(0, 2**bits, (3, 5, 7)).astype(np.uint16)
    data = y4m.write(planes, bits)
    found, depth = y4m.read(data)
    assert depth == bits
    np.testing.assert_array_equal(found, planes)
    assert data.endswith(y4m.samples(planes, bits))


def test_a_header_of_another_program_is_read() -> None:
    """Parameters come in any order, and a frame may have some too."""
    samples = bytes(range(12))
    found, bits = y4m.read(b"YUV4MPEG2 C444 H2 XCOLORRANGE=FULL W2 F25:1\nFRAME Ip\n" + samples)
    assert (found.shape, bits) == ((3, 2, 2), 8)
    assert found.reshape(-1).tolist() == list(samples)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no YUV4MPEG2 file"),
        (bytes(100), "no YUV4MPEG2 file"),
        (b"YUV4MPEG2 W2 H2 C420jpeg\nFRAME\n" + bytes(6), "2 x 2 420jpeg, expected 4:4:4"),
        (b"YUV4MPEG2 W2 H2 C444\nFRAME\n" + bytes(11), "too few for 2 x 2"),
        (b"YUV4MPEG2 W2 H2 C444p10\nFRAME\n" + bytes(12), "too few for 2 x 2"),
        (b"YUV4MPEG2 C444\nFRAME\n", "0 x 0"),
    ],
)
def test_another_file_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        y4m.read(data)
