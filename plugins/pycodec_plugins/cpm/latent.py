"""What both quantisers ask of a latent."""

from __future__ import annotations

from torch import Tensor

from pycodec.errors import InvalidInput


def of_one_image(y: Tensor) -> Tensor:  # [1, C, h, w] -> [C, h, w]
    """The latent without its batch axis.

    Raises:
        InvalidInput: there is no such axis, or more than one image.
    """
    if y.ndim != 4 or len(y) != 1:
        raise InvalidInput(f"latent of shape {tuple(y.shape)}, expected (1, C, h, w); quantize one by one")
    return y[0]
