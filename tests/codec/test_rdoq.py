"""Files whose symbols are chosen by bits and error together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pycodec
from pycodec import rdoq
from pycodec.errors import InvalidInput


@pytest.fixture(scope="module")
def chooser():
    return pycodec.load("ctx3d")


def lagrangian(codec, image: np.ndarray, data: bytes, quality: float) -> float:
    """Bits per pixel and weighed squared error, with the lambda that the codec was trained for."""
    error = np.asarray(codec.decompress(data), float) - image
    return 8 * len(data) / image[..., 0].size + codec.latent_model(quality).lam * np.square(error).mean()


@pytest.mark.parametrize("quality", [3.5, 8])
def test_effort_pays(chooser, photo, quality):
    image = photo(200, 152)
    costs = [
        lagrangian(chooser, image, chooser.compress(image, quality, effort=e), quality) for e in range(3)
    ]
    assert costs[1] < 0.995 * costs[0]
    assert costs[2] < costs[1]


def test_what_is_said_to_be_coded_is(chooser, photo):
    image = photo(61, 45)
    for effort in range(3):
        data = chooser.compress(image, 4, effort=effort)
        np.testing.assert_array_equal(chooser.file_symbols(data), chooser.symbols(image, 4, effort=effort))
        np.testing.assert_array_equal(
            np.asarray(chooser.decompress(data)), chooser.reconstruct(image, 4, effort=effort)
        )
    assert chooser.compress(image, 4) == chooser.compress(image, 4, effort=1)


def test_no_thread_changes_a_choice(chooser, photo):
    image, threads = photo(150, 90), torch.get_num_threads()
    try:
        files = set()
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            files.add(chooser.compress(image))
    finally:
        torch.set_num_threads(threads)
    assert len(files) == 1


def test_a_codec_that_cannot_choose_has_one_file(toy, photo):
    image = photo(40, 30)
    assert toy.compress(image, effort=3) == toy.compress(image, effort=0) == toy.compress(image)


def test_weights_for_another_distortion_have_no_use_for_it(photo):
    image, codec = photo(40, 30), pycodec.load("ctx3d-msssim")
    assert codec.compress(image, effort=1) == codec.compress(image, effort=0)


def test_a_negative_effort_is_refused(chooser, photo):
    for call in (chooser.compress, chooser.symbols, chooser.reconstruct):
        with pytest.raises(InvalidInput, match="effort -1, expected 0 or more"):
            call(photo(8, 8), effort=-1)


def test_slopes_are_those_of_the_linear_transform(chooser, photo):
    """Against the error itself, of images that differ by a change of one latent."""
    transform, step = chooser.transform, 56
    y = np.zeros((transform.channels, 3, 4), np.float32)
    linear = lambda y: transform._inverse_dct(  # noqa: E731
        torch.from_numpy((y.transpose(1, 2, 0) * transform._step_at(step)).copy())
    ).numpy()
    error = np.random.default_rng(3).integers(-90, 90, (24, 32, 3)).astype(np.int16)
    slopes, curvatures = transform.error_slopes(error, step), transform.error_curvatures(step)
    assert slopes.shape == y.shape and slopes.dtype == np.float32
    for at in [(0, 0, 0), (5, 2, 3), (40, 1, 1), (63, 0, 2), (64, 2, 2), (95, 1, 3)]:
        changed = y.copy()
        changed[at] = 1
        difference = linear(changed).astype(np.float64) - linear(y)
        slope = 2 * (difference * error).sum()
        assert abs(slopes[at] - slope) < 0.02 * np.abs(slopes).max()
        assert abs(curvatures[at[0]] / np.square(difference).sum() - 1) < 0.02


def test_sums_of_slopes_are_exact(chooser):
    """As large as they can be: floats still hold them, and so they do not depend on an order."""
    transform = chooser.transform
    basis = transform._basis
    np.testing.assert_array_equal(basis, np.rint(basis))
    assert 255 * np.abs(basis).sum(0).max() < 2**24
    plane = int(np.abs(basis).sum(0).argmax())
    error = (255 * np.sign(basis[:, plane])).astype(np.int16).reshape(8, 8, 3)
    factor = 2 / transform._basis_unit * transform._step_at(16)[plane]
    exact = int((basis[:, plane].astype(np.int64) * error.ravel()).sum())
    assert transform.error_slopes(error, 16)[plane, 0, 0] == np.float32(exact) * factor


def test_pixels_beyond_the_edge_do_not_count(chooser):
    """An image that is no multiple of the stride: the error of what is cut off is nobody's."""
    rgb = np.full((5, 11, 3), 100, np.uint8)
    decoded = rgb.copy()
    decoded[4, 10] = 130
    slopes, curvatures = rdoq.tradeoff(chooser.transform, rgb, decoded, 80, 0.01)
    whole = np.zeros((8, 16, 3), np.int16)
    whole[4, 10] = 30
    expected = chooser.transform.error_slopes(whole, 80) * np.float32(0.01 / rdoq.COST_UNIT)
    np.testing.assert_array_equal(slopes, np.rint(expected))
    assert slopes.dtype == curvatures.dtype == np.int32 and slopes[:, 0, 0].any() == False  # noqa: E712
    assert (curvatures > 0).all()
