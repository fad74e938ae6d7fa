"""A plugin of codecs and metrics to be measured, with faults on demand; needs no torch."""

from __future__ import annotations

import hashlib
import os
import signal
import zlib

import numpy as np
from PIL import Image

from pycodec.errors import InvalidInput

coded = 0  # calls of compress in this process


def pycodec_register_codecs(register):
    register("steps", Steps)
    register("coarse", Coarse)


def pycodec_register_metrics(register):
    register("distance", Distance)
    register("spread", Spread)


class Steps:
    """Levels of a fixed number, and zlib: a setting is the number of levels.

    PYCODEC_TOY_KILL=N ends the process at its Nth image, PYCODEC_TOY_VERSION is the version.
    """

    label, description, suffix = "Steps", "levels and zlib", ".steps"
    settings = (4, 16, 64)
    qualities = (0, 64)

    def __init__(self, level: int = 9, fails_on: int = 0):
        self.level, self.fails_on = level, fails_on
        self.fingerprint = hashlib.sha256(b"%d" % level).digest()

    def compress(self, image, quality):
        global coded
        image = np.asarray(image)
        if image.shape[:2] != (64, 64):  # not the untimed call of before
            coded += 1
            if coded == int(os.environ.get("PYCODEC_TOY_KILL", 0)):
                os.kill(os.getpid(), signal.SIGKILL)
        if image.shape[1] == self.fails_on:
            raise InvalidInput(f"no image {self.fails_on} pixels wide")
        height, width = image.shape[:2]
        step = 256 // int(quality)
        levels = (image // step * step + step // 2).astype(np.uint8)
        return b"%d %d|" % (height, width) + zlib.compress(levels.tobytes(), self.level)

    def decompress(self, data):
        head, _, body = data.partition(b"|")
        return Image.fromarray(
            np.frombuffer(zlib.decompress(body), np.uint8).reshape(*map(int, head.split()), 3)
        )

    def config(self):
        return {"level": self.level}

    def version(self):
        return os.environ.get("PYCODEC_TOY_VERSION", "1")


class Coarse(Steps):
    """The same with twice as coarse levels, so that its curve lies elsewhere."""

    label = "Coarse"

    def compress(self, image, quality):
        return super().compress(np.asarray(image) // 4 * 4, quality)


class Distance:
    """Mean absolute error: smaller is better, and it refuses narrow images."""

    higher_is_better, data_range, label = False, 255.0, "distance"

    def update(self, x_hat, x):
        if x.shape[-1] < 60:
            raise InvalidInput("narrower than 60 pixels")
        self.values.append(float((x_hat - x).abs().mean()))

    def compute(self):
        return float(np.mean(self.values))

    def reset(self):
        self.values = []

    def config(self):
        return {}


class Spread(Distance):
    """Belongs to all images together: the largest of their errors."""

    of_set, label = True, "spread"

    def update(self, x_hat, x):
        self.values.append(float((x_hat - x).abs().mean()))

    def compute(self):
        return max(self.values)

    def info(self):
        return {"images": len(self.values)}
