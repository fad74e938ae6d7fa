"""A plugin whose codec trains in no time: its one weight is the step of its levels, pulled towards a target."""

from __future__ import annotations

import zlib

import numpy as np
from PIL import Image

coded = 0  # images that were compressed in this process
steps_trained = 0


def pycodec_register_codecs(register):
    register("levels", create)


def pycodec_register_metrics(register):
    register("worst", Worst)


class Levels:
    """Pixels rounded to multiples of step / quality, and zlib."""

    settings = (1, 2)

    def __init__(self, step, fingerprint):
        self.step, self.fingerprint = step, fingerprint

    def compress(self, image, quality):
        global coded
        coded += 1
        image = np.asarray(image)
        step = max(1.0, self.step / quality)
        levels = ((image / step).round() * step).clip(0, 255).astype(np.uint8)
        return b"%d %d|" % image.shape[:2] + zlib.compress(levels.tobytes())

    def decompress(self, data):
        head, _, body = data.partition(b"|")
        pixels = np.frombuffer(zlib.decompress(body), np.uint8).reshape(*map(int, head.split()), 3)
        return Image.fromarray(pixels)

    def config(self):
        return {}


def create(weights_file=None, coarser=None):
    """``coarser``: a file of another run, whose step is added."""
    from pycodec import weights

    tensors, metadata = weights.load(weights_file)
    step = float(tensors["step"]) + (float(weights.load(coarser)[0]["step"]) if coarser else 0)
    return Levels(step, bytes.fromhex(metadata["fingerprint"]))


def training_task(config, options):
    import torch
    from torch import nn

    from pycodec import weights
    from pycodec.errors import InvalidInput
    from pycodec.training.task import Losses

    class Task(nn.Module):
        def __init__(self, target=20.0, start=None, diverges=False):
            super().__init__()
            begin = weights.load(start)[0]["step"] if start else 10.0
            self.step = nn.Parameter(torch.tensor(float(begin)))
            self.target, self.diverges = target, diverges

        def parameter_groups(self, stage):
            if stage != "only":
                raise InvalidInput(f"no stage {stage!r}")
            return {"model": [{"params": [self.step]}]}

        def training_step(self, images, stage):
            global steps_trained
            steps_trained += 1
            loss = (self.step - self.target).square() * (float("nan") if self.diverges else 1)
            return Losses({"model": loss}, {"loss": loss.item()})

        def validation_step(self, image, stage):
            return {}

        def export(self, path, calibration, metadata):
            weights.save(path, {"step": self.step.detach()}, {"config": {}, **metadata})

    return Task(**options)


create.training_task = training_task


class Worst:
    """Of all images together: the largest error of a pixel."""

    higher_is_better, data_range, of_set, label = False, 255.0, True, "worst error"

    def update(self, x_hat, x):
        self.values.append(float((x_hat - x).abs().max()))

    def compute(self):
        return max(self.values)

    def reset(self):
        self.values = []

    def config(self):
        return {}

    def info(self):
        return {"images": len(self.values)}
