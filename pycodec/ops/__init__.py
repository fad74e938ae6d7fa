"""Operators of pycodec's networks, each a native kernel with a plain torch reference in the same file."""

from .masked_conv3d import masked_conv3d, masked_conv3d_reference

__all__ = ["masked_conv3d", "masked_conv3d_reference"]
