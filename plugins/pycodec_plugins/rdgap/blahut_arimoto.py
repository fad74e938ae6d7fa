"""The rate-distortion function of a discrete memoryless source (Blahut 1972, Arimoto 1972)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy.optimize import brentq

from pycodec.errors import InvalidInput
from pycodec.images import as_picture
from pycodec.optimization.files import cost

from .estimators import Point, averages
from .options import check_whole

LEVELS = 256
SLOPES = 1e-7, 50.0  # from a rate of nothing to the entropy, for levels a unit apart


class Solution(NamedTuple):
    """A point of the rate-distortion function.

    Attributes:
        rate: bits per symbol.
        distortion: expected.
        excess: bits by which rate + slope distortion is above its minimum at most.
    """

    rate: float
    distortion: float
    excess: float


def blahut_arimoto(
    source: np.ndarray, distortion: np.ndarray, slope: float, tolerance: float = 1e-9, steps: int = 100_000
) -> Solution:
    """Minimise rate + slope distortion over all channels from source to reproduction.

    Every step gives a channel, whose rate is never below the rate-distortion function: one that was stopped
    early gives an upper bound.

    Args:
        source: probability of each symbol, [n].
        distortion: of each reproduction of each symbol, [n, m], at least 0.
        slope: weight of the distortion against bits, above 0.
        tolerance: bits above the minimum at which it stops.
        steps: after which it stops anyway.

    Raises:
        InvalidInput: no distribution, or a matrix or slope that does not fit.
    """
    source, distortion = np.asarray(source, np.float64), np.asarray(distortion, np.float64)
    if source.ndim != 1 or source.min(initial=0) < 0 or not np.isclose(source.sum(), 1):
        raise InvalidInput("the source is no distribution, expected probabilities [n] that sum to 1")
    fits = distortion.ndim == 2 and len(distortion) == len(source) and distortion.size
    if not fits or not np.isfinite(distortion).all() or distortion.min() < 0:
        raise InvalidInput(
            f"distortions of shape {distortion.shape}, expected ({len(source)}, m), finite and none below 0"
        )
    if not (slope > 0 and np.isfinite(slope)):
        raise InvalidInput(f"slope is {slope}, expected a positive number")
    least = distortion.min(
        1, keepdims=True
    )  # its share of the exponent is taken out, so that none underflows
    kernel = np.exp2(-slope * (distortion - least))  # [n, m]
    output = np.full(distortion.shape[1], 1 / distortion.shape[1])
    for _ in range(max(1, steps)):
        reached = kernel @ output  # [n]
        growth = (source / reached) @ kernel  # [m], 1 where output is used at the optimum, and less elsewhere
        excess = float(np.log2(growth.max()))
        if excess < tolerance:
            break
        output = output * growth
    reached = kernel @ output
    channel = kernel * output / reached[:, None]  # [n, m], of each symbol
    mean = float(source @ (channel * distortion).sum(1))
    cost = float(source @ (slope * least[:, 0] - np.log2(reached)))
    return Solution(max(0.0, cost - slope * mean), mean, max(0.0, excess))


class MemorylessBound:
    """The rate of the best code that is told an image's histograms and takes its pixels one by one.

    At the distortion of the codec's own files, the rate-distortion function of the levels of red, green and
    blue, each as a memoryless source, and the bits that tell one histogram of so many pixels among all.
    Ignoring what pixels say of one another never lowers a rate: it is an upper bound, the crudest of all, and
    what a codec saves against it is what it knows of images.

    ``rate_excess_bpp`` is by how much the iteration may be above the function.

    Args:
        quality: of the codec, whose distortion is taken; by default the codec's own.
        steps: of the iteration at most.
    """

    def __init__(self, quality: float | None = None, steps: int = 1000):
        check_whole("steps", steps, 1)
        self.quality, self.steps = quality, steps

    def config(self) -> dict[str, Any]:
        return {"quality": self.quality, "steps": self.steps}

    def estimate(self, codec: Any, images: Sequence[Image.Image]) -> Mapping[str, float]:
        quality = {} if self.quality is None else {"quality": self.quality}

        def measure(image: Image.Image) -> Point:
            picture = as_picture(image)
            reached = cost(codec, picture, codec.compress(picture, **quality)).mse
            return memoryless_bound(picture.rgb, reached, self.steps)

        return averages(measure, images)


def memoryless_bound(rgb: np.ndarray, mse: float, steps: int) -> Point:  # [H, W, 3] uint8
    """Rate per pixel, at a squared error, of the three channels as memoryless sources, with histograms."""
    pixels = rgb[..., 0].size
    # Bits of the number of histograms of so many pixels, by log2 of a binomial coefficient.
    told = [math.lgamma(n + 1) for n in (pixels + LEVELS - 1, pixels, LEVELS - 1)]
    histograms = 3 * (told[0] - told[1] - told[2]) / math.log(2) / pixels
    levels = np.arange(LEVELS, dtype=np.float64)
    distortion = np.square(levels[:, None] - levels)
    counts = [np.bincount(rgb[..., c].ravel(), minlength=LEVELS) for c in range(3)]

    def solve(log_slope: float) -> Point:
        found = [
            blahut_arimoto(n[n > 0] / n.sum(), distortion[n > 0], np.exp(log_slope), 1e-4, steps)
            for n in counts
        ]
        rates, distortions, excesses = np.array(found).T
        return Point(rates.sum() + histograms, distortions.mean(), excess=excesses.sum())

    first, last = np.log(SLOPES)
    if solve(first).mse <= mse:
        return solve(first)
    if solve(last).mse >= mse:
        return solve(last)
    slope = brentq(lambda s: np.log(solve(s).mse / mse), first, last, xtol=1e-3)
    return solve(slope)
