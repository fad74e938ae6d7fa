"""Files of hyperprior codecs by tiles: means, scales, transform and hyper-latent, the same as at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pycodec
from pycodec import tiled
from pycodec.testing.samples import photo
from pycodec_plugins.hyperprior import entropy, integer
from pycodec_plugins.hyperprior.task import HyperpriorTask

CONFIG = {
    "hyper": {"hyper_channels": 4, "width": 8},
    "quantizer": {"width": 8},
    "entropy_model": {"width": 8},
    "transform": {
        "name": "residual_dct",
        "config": {
            "luma": 10,
            "chroma": 3,
            "fine": 8,
            "coarse": 16,
            "encoder_depth": 1,
            "decoder_depth": 1,
            "fine_depth": 1,
            "block": 4,
        },
    },
}


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> pycodec.Codec:
    """Of stride 16, with random networks."""
    torch.manual_seed(3)
    path: Path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    task = HyperpriorTask(CONFIG)
    for parameter in task.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    task.export(path, [photo(128, 192, seed=s) for s in range(2)], {"codec": "hyperprior"})
    return pycodec.load(weights_file=path)


@pytest.mark.parametrize("size", [(201, 160), (77, 250)])
def test_tiles_are_the_whole(codec: pycodec.Codec, size: tuple[int, int], monkeypatch) -> None:
    image = photo(*size)
    data = codec.compress(image, 6)
    expected = np.asarray(codec.decompress(data))
    for pixels, positions, looked_up in [(2**11, 5, 1000), (2**13, 17, 1 << 22), (2**14, 60, 100)]:
        monkeypatch.setattr(tiled, "TILE_PIXELS", pixels)
        monkeypatch.setattr(integer, "TILE_POSITIONS", positions)
        monkeypatch.setattr(entropy, "AT_ONCE", looked_up)
        assert codec.compress(image, 6) == data
        assert np.array_equal(codec.decompress(data), expected)
        assert np.array_equal(codec.decompress(data, crop=(33, 18, 120, 55)), expected[18:73, 33:153])


def test_less_than_the_halo_of_the_means_is_not_enough(codec: pycodec.Codec, monkeypatch) -> None:
    z = torch.randint(-9, 10, (4, 13, 11), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    network = codec.quantizer.integer
    whole = network(z)
    monkeypatch.setattr(integer, "TILE_POSITIONS", 20)
    assert torch.equal(network(z), whole)
    monkeypatch.setattr(network, "halo", 1)
    assert not torch.equal(network(z), whole)
