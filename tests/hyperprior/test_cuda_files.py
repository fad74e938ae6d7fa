"""Files of a CPU on a CUDA device, and the other way round."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pycodec
from pycodec.testing.samples import photo
from pycodec_plugins.hyperprior.latent import split

DEVICES = "cpu", "cuda"

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("quality", [1, 4.5, 8])
def test_files_of_either_device_decode_to_the_same_pixels_on_both(quality: float) -> None:
    codec, image = pycodec.load("hyperprior"), photo(70, 131)
    for maker in DEVICES:  # the hyper-analysis is float: files may differ, what they decode to may not
        data = codec.compress(image, quality, device=maker)
        usual, other = (np.asarray(codec.decompress(data, device=device)) for device in DEVICES)
        assert usual.shape == image.shape and np.array_equal(usual, other)
        assert np.array_equal(usual, codec.reconstruct(image, quality, device=maker))


def test_scales_and_means_are_the_same_integers() -> None:
    codec = pycodec.load("hyperprior")
    z = np.ascontiguousarray(split(codec.symbols(photo(128, 192)), codec.transform.hyper_channels)[1])
    for part in (codec.entropy_model, codec.quantizer):
        found = part.integer(torch.from_numpy(z).cuda()).cpu()
        assert torch.equal(found, part.integer(torch.from_numpy(z)))
