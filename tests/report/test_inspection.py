"""Looking into files: where their bits are, and what the importance map allows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import pycodec
from pycodec.errors import WeightsMismatch
from pycodec.evaluation.inspection import inspect_file, inspect_image, is_inspectable
from pycodec.testing.samples import photo

PIXELS = photo(61, 90)  # no multiple of the stride


@pytest.fixture(scope="module", params=["ctx3d", "cpm"])
def codec(request):
    return pycodec.load(request.param)


def test_bits_are_those_of_the_file(codec):
    quality = codec.qualities[1]
    data = codec.compress(PIXELS, quality=quality)
    found = inspect_file(codec, data)
    ideal = codec.entropy_model.code_length_bits(found.symbols, codec.quality_step(quality))
    assert found.bits.shape == found.symbols.shape
    assert found.bits.sum() == pytest.approx(ideal, rel=1e-12)
    assert found.bits_per_position.shape == (8, 12)
    assert 0.9 < found.bits.sum() / (8 * len(data)) < 1
    assert found.importance is None  # no file carries it


def test_a_file_holds_what_its_image_gives(codec):
    quality = codec.default_quality
    data = codec.compress(PIXELS, quality=quality)
    of_file = inspect_file(codec, data, original=PIXELS)
    of_image = inspect_image(codec, PIXELS, quality)
    assert np.array_equal(of_file.symbols, of_image.symbols)
    assert np.array_equal(of_file.bits, of_image.bits)
    assert (of_file.importance is None) == (of_image.importance is None) == (codec.name == "ctx3d")
    if of_image.importance is not None:
        assert np.array_equal(of_file.importance, of_image.importance)


def test_importance_rises_with_quality_and_masks_the_latent():
    codec = pycodec.load("cpm")
    low, high = (inspect_image(codec, PIXELS, quality) for quality in codec.qualities)
    assert low.importance.mean() < high.importance.mean()
    of_zero = codec.quantizer.quantize(np_to_latent(np.zeros(low.symbols.shape)))
    allowed = np.ceil(low.importance * len(low.symbols))
    masked = np.arange(len(low.symbols))[:, None, None] >= allowed
    assert masked.any() and np.array_equal(low.symbols[masked], of_zero[masked])


def np_to_latent(array):
    import torch

    return torch.from_numpy(array).float()[None]


def test_files_of_others_are_refused(codec):
    other = pycodec.load("cpm" if codec.name == "ctx3d" else "ctx3d")
    with pytest.raises(WeightsMismatch):
        inspect_file(codec, other.compress(PIXELS))


def test_classical_codecs_have_no_latent(codec):
    assert is_inspectable(codec)
    assert not is_inspectable(pycodec.load("jpeg"))


def test_the_picture_of_a_view_is_that_of_decompress(codec, tmp_path):
    data = codec.compress(Image.fromarray(PIXELS))
    assert np.array_equal(codec.file_symbols(data), codec.symbols(PIXELS))
