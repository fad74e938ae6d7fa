"""Noise that does not depend on how many processes share a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
SAMPLERS = {
    *(aten.rand, aten.rand_like, aten.uniform_, aten.randint, aten.randint_like, aten.random_),
    *(aten.randn, aten.randn_like, aten.normal, aten.normal_, aten.exponential_),
    *(aten.bernoulli, aten.bernoulli_, aten.native_dropout),
}


class NoiseOfShare(TorchDispatchMode):
    """Within it, what torch draws at random for a share of a batch is that share of what one process draws.

    A draw whose first dimension is the number of images in the share is made for the whole batch, and the
    part of the share is kept. Other draws, such as one number for all images, are made as they are. Where all
    processes start from the same seed, each sample gets the same noise however many they are, and all go on
    from the same state.

    Args:
        whole: images of the batch.
        share: which of them are here, a range with step 1.
    """

    def __init__(self, whole: int, share: range):
        super().__init__()
        self.whole, self.share = whole, share
        self.part = slice(share.start, share.stop)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket not in SAMPLERS:
            return func(*args, **kwargs)
        whole = [self._whole(argument) for argument in args]
        if all(ours is theirs for ours, theirs in zip(whole, args, strict=True)):
            return func(*args, **kwargs)
        drawn = func(*whole, **kwargs)
        if func.overloadpacket.__name__.endswith("_"):
            return args[0].copy_(drawn[self.part])
        if isinstance(drawn, tuple):
            return tuple(each[self.part].clone() for each in drawn)
        return drawn[self.part].clone()

    def _whole(self, argument: Any) -> Any:
        """A size or a tensor of the share, as one of the whole batch; other arguments as they are."""
        if isinstance(argument, list) and argument[:1] == [len(self.share)]:
            return [self.whole, *argument[1:]]
        if not isinstance(argument, Tensor) or argument.shape[:1] != (len(self.share),):
            return argument
        shape, strides = argument.shape[1:], argument.stride()[1:]
        whole = argument.new_empty((self.whole, *shape))
        # Values are drawn in the order of memory: that of a sample has to stay.
        if 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) == shape.numel():
            whole = argument.new_empty_strided(whole.shape, (shape.numel(), *strides))
        whole.zero_()[self.part] = argument
        return whole
