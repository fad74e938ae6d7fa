"""Operators of pycodec's networks, each a native kernel with a plain torch reference in the same file.

And coding of tensors on a CUDA device: :mod:`~pycodec.ops.device_rans`, :mod:`~pycodec.ops.device_context`.
"""

from .masked_conv3d import causal_mask, masked_conv3d, masked_conv3d_reference

__all__ = ["causal_mask", "masked_conv3d", "masked_conv3d_reference"]
