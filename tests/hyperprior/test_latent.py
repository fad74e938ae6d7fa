"""The packed latent: y and z in one, and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pycodec.errors import InvalidInput
from pycodec_plugins.hyperprior.latent import fold, packed_channels, split, unfold


def test_squares_become_planes_as_in_torch() -> None:
    y = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fold(y), torch.nn.functional.pixel_unshuffle(y, 4))
    assert torch.equal(unfold(fold(y)), y)


def test_numpy_and_torch_agree() -> None:
    y = np.arange(2 * 8 * 4, dtype=np.int32).reshape(2, 8, 4)
    assert np.array_equal(fold(y), fold(torch.from_numpy(y)).numpy())
    assert np.array_equal(unfold(fold(y)), y)


def test_splits_into_what_was_packed() -> None:
    y, z = torch.randn(1, 3, 8, 12), torch.randn(1, 5, 2, 3)
    packed = torch.cat([fold(y), z], 1)
    assert packed.shape[1] == packed_channels(3, 5)
    assert all(torch.equal(*pair) for pair in zip(split(packed, 5), (y, z), strict=True))


@pytest.mark.parametrize("planes", [5, 20, 3])
def test_planes_that_are_no_squares_are_refused(planes: int) -> None:
    with pytest.raises(InvalidInput, match=f"a latent of {planes} planes"):
        split(torch.zeros(1, planes, 2, 2), 5)
