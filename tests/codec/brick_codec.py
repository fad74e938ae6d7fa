"""A plugin whose codec takes weights of one number, and can be trained; and a codec that takes none."""

from __future__ import annotations

import numpy as np
from toy_codec import BlockTransform, Rounding, Zlib

LOADED = []
"""The files that were loaded, in order."""


def pycodec_register_codecs(register):
    register("brick", "brick_codec:create", summary="8 x 8 blocks and a gain", aliases=("default",))
    register("plain", "toy_codec:make")


class Gained(BlockTransform):
    """The toy transform with steps of another size."""

    def __init__(self, gain):
        self.gain = gain

    def _step(self, quality):
        return super()._step(quality) * self.gain


def create(weights_file=None):
    from pycodec import Codec, weights

    path = weights_file or weights.shipped("brick_codec", "brick")
    tensors, metadata = weights.load(path)
    LOADED.append(str(path))
    fingerprint = bytes.fromhex(metadata["fingerprint"])
    return Codec("brick", Gained(float(tensors["gain"])), Rounding(), Zlib(), fingerprint=fingerprint)


def save(path, gain, **metadata):
    """Write weights; returns their fingerprint in hexadecimal digits."""
    from pycodec import weights

    tensors = {"gain": np.array(gain, np.float32)}
    return weights.save(path, tensors, {"codec": "brick", "config": {}, **metadata}).hex()


def training_task(config, options):
    import torch
    from torch import nn

    from pycodec import weights
    from pycodec.training.task import Losses

    class Task(nn.Module):
        def __init__(self, start=1.0):
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(start))

        def initialize(self, path):
            tensors, metadata = weights.load(path)
            weights.load_module(self, tensors)
            return metadata

        def parameter_groups(self, stage):
            return {"model": [{"params": [self.gain]}]}

        def training_step(self, images, stage):
            loss = (self.gain - 2).square() + 0 * images.mean()
            return Losses({"model": loss}, {"loss": loss.item()})

        def validation_step(self, image, stage):
            return {"gain": self.gain.item()}

        def export(self, path, calibration, metadata):
            arrays = {"gain": self.gain.detach(), "seen": np.array([i.shape for i in calibration])}
            weights.save(path, arrays, {"config": dict(config), **metadata})

    return Task(**options)


create.training_task = training_task
