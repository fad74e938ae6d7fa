"""Files that are optimised for their image, and decode with the codec as it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from pycodec.codec import check_device
from pycodec.errors import InvalidInput
from pycodec.images import Picture, as_picture

from .latents import Watcher, annealed
from .target import ImageTarget

if TYPE_CHECKING:
    from pycodec.images import ImageLike


class Cost(NamedTuple):
    """Of a real file.

    Attributes:
        bpp: bits per pixel, of all its bytes.
        mse: squared error of what it decodes to, on the 0..255 scale, mean over pixels and channels.
    """

    bpp: float
    mse: float

    def lagrangian(self, lam: float) -> float:
        return self.bpp + lam * self.mse


class Optimized(NamedTuple):
    """A file that was optimised, beside the codec's own.

    Attributes:
        data: the better of both.
        lam: weight of the squared error against bits per pixel.
        plain, optimized: costs of the codec's own, and of the one with optimised symbols.
    """

    data: bytes
    lam: float
    plain: Cost
    optimized: Cost

    @property
    def better(self) -> bool:
        """Whether the optimised file is the one that was kept."""
        return self.optimized.lagrangian(self.lam) < self.plain.lagrangian(self.lam)


def compress_optimized(
    codec: Any,
    image: ImageLike,
    steps: int,
    quality: float | None = None,
    lam: float | None = None,
    device: str = "cpu",
    seed: int = 0,
    watcher: Watcher = lambda done, loss: None,
) -> Optimized:
    """A .pci file whose symbols were optimised for the image: it minimises bits per pixel plus ``lam`` times
    the squared error of what it decodes to, and is never worse in that than the codec's own.

    Args:
        codec: a `pycodec.types.DifferentiableCodec`, whose latents are annealed, or a
            `pycodec.types.OptimizableCodec`.
        image: any that `pycodec.Codec.compress` takes.
        steps: of the optimiser; hundreds to thousands.
        quality: by default that of the codec.
        lam: by default that of the codec's training at this quality. Where nobody knows it, the one at which
            this quality is the best on the codec's own curve: see `tangent`.
        device: where networks run.
        seed: of what is drawn at random.
        watcher: told about progress.

    Raises:
        InvalidInput: a codec that offers neither, an image or options that cannot be used, or no ``lam``.
    """
    if not (hasattr(codec, "optimized_symbols") or hasattr(codec, "latent_model")):
        name = getattr(codec, "name", type(codec).__name__)
        raise InvalidInput(
            f"codec {name!r} cannot optimise a file for its image; take ctx3d, cpm or one of the hyperprior "
            "family"
        )
    if lam is not None and not (lam > 0 and math.isfinite(lam)):
        raise InvalidInput(f"lambda is {lam:g}, expected a positive number")
    if steps < 1:
        raise InvalidInput(f"steps is {steps}, expected 1 or more")
    check_device(device)
    picture = as_picture(image)
    plain = codec.compress(picture, quality, device=device)
    if hasattr(codec, "optimized_symbols"):
        weight = lam or tangent(codec, picture, quality)
        symbols = codec.optimized_symbols(picture, weight, steps, quality, device, seed, watcher)
    else:
        model = codec.latent_model(quality).to(device)
        weight = lam or model.lam or tangent(codec, picture, quality)
        target = ImageTarget(picture, model.stride, device)
        latents = annealed(model, target, weight, steps, torch.Generator(device).manual_seed(seed), watcher)
        symbols = codec.latent_symbols([latent.cpu() for latent in latents])
    data = codec.compress_symbols(symbols, picture, quality)
    costs = [cost(codec, picture, each) for each in (plain, data)]
    found = Optimized(data, weight, *costs)
    return found if found.better else found._replace(data=plain)


def cost(codec: Any, picture: Picture, data: bytes) -> Cost:
    """Of a file of ``picture``, decoded."""
    decoded = np.asarray(codec.decompress(data).convert("RGB"), np.float64)
    width, height = picture.size
    return Cost(8 * len(data) / (width * height), float(np.square(decoded - picture.rgb).mean()))


def tangent(codec: Any, picture: Picture, quality: float | None) -> float:
    """The lambda that makes this point of the codec's curve for an image its best: bits per pixel for each
    unit of squared error, between the qualities one below and one above; or between the lowest and the
    highest, as a codec that was trained on another error may have a curve that rises in places.

    Raises:
        InvalidInput: there is no such curve, or it does not fall.
    """
    step = codec.quality_step(quality) / 16
    low, high = codec.qualities
    for ends in ((max(low, step - 1), min(high, step + 1)), (low, high)):
        if ends[0] < ends[1]:
            first, last = (cost(codec, picture, codec.compress(picture, end)) for end in ends)
            if last.bpp > first.bpp and last.mse < first.mse:
                return (last.bpp - first.bpp) / (first.mse - last.mse)
    raise InvalidInput(
        f"codec {codec.name!r} does not say with which lambda it was trained, nor does its curve; "
        "name a lambda"
    )
