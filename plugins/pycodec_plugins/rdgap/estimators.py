"""Estimators of rate and distortion: of real files, of files optimised for each image, and of an upper bound.

All of them give the same figures, averages over images:

* ``rate_bpp``, bits per pixel of the image;
* ``distortion_mse``, squared error on the 0..255 scale, and ``psnr_db``, the average of what each image has
  (missing where an image comes back unchanged);
* ``rate_error_bpp`` and ``distortion_error_mse``, the estimator's own standard error: how far averages over
  these images may be off because they were drawn at random, 0 where nothing was. How images differ from one
  another is not in it;
* ``rate_excess_bpp``, of what is computed and not drawn: by how much the rate may be above the value that the
  computation approaches;
* ``seconds`` for each image;
* of files whose codec can tell, ``ideal_bpp``: the code length of their symbols by its integer tables, which
  the coder approaches.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

import pycodec
from pycodec import bitstream
from pycodec.codec import check_device
from pycodec.errors import InvalidInput
from pycodec.images import as_picture
from pycodec.optimization.channels import GaussianNoise, transmit
from pycodec.optimization.files import cost
from pycodec.optimization.latents import STEPS, annealed, posterior
from pycodec.optimization.target import ImageTarget, Target
from pycodec.types import LatentModel

from .options import check_whole


class Point(NamedTuple):
    """Rate and squared error of one image, each with its standard error; of a file, what an ideal coder would
    take; of a rate that was computed, by how much it may be too high.
    """

    rate: float
    mse: float
    rate_error: float = 0.0
    mse_error: float = 0.0
    ideal: float = math.nan
    excess: float = math.nan


def averages(measure: Callable[[Image.Image], Point], images: Sequence[Image.Image]) -> dict[str, float]:
    """Figures over ``images``, see above.

    Raises:
        InvalidInput: there are none.
    """
    if not images:
        raise InvalidInput("no images to estimate on, expected at least one")
    start = time.perf_counter()
    points = [measure(image) for image in images]
    seconds = (time.perf_counter() - start) / len(points)
    rates, errors, rate_errors, mse_errors, ideals, excesses = np.array(points, np.float64).T
    figures = {
        "rate_bpp": rates.mean(),
        "rate_error_bpp": math.hypot(*rate_errors) / len(points),
        "distortion_mse": errors.mean(),
        "distortion_error_mse": math.hypot(*mse_errors) / len(points),
        "seconds": seconds,
    }
    if errors.min() > 0:
        figures["psnr_db"] = (10 * np.log10(255**2 / errors)).mean()
    for name, values in (("ideal_bpp", ideals), ("rate_excess_bpp", excesses)):
        if np.isfinite(values).all():
            figures[name] = values.mean()
    return {name: float(value) for name, value in figures.items()}


def file_point(codec: Any, image: Image.Image, data: bytes) -> Point:
    """Of a file and what it decodes to."""
    picture = as_picture(image)
    width, height = picture.size
    return Point(*cost(codec, picture, data), ideal=ideal_bits(codec, data) / (width * height))


def ideal_bits(codec: Any, data: bytes) -> float:
    """Code length of the symbols in a .pci file by its codec's own integer tables, NaN of another file."""
    if not isinstance(codec, pycodec.Codec):
        return math.nan
    header, _ = bitstream.parse_header(data)
    return codec.entropy_model.code_length_bits(codec.file_symbols(data), header.quality_step)


class OperationalRD:
    """What files really take and decode to; of any codec.

    Args:
        quality: by default that of the codec.
    """

    def __init__(self, quality: float | None = None):
        self.quality = quality

    def config(self) -> dict[str, Any]:
        return {"quality": self.quality}

    def estimate(self, codec: Any, images: Sequence[Image.Image]) -> Mapping[str, float]:
        quality = {} if self.quality is None else {"quality": self.quality}
        return averages(lambda image: file_point(codec, image, codec.compress(image, **quality)), images)


class _PerSample:
    """What estimators that optimise latents have in common.

    Args:
        quality: by default that of the codec.
        lam: weight of the squared error against bits per pixel; by default that of the codec's training.
        steps: of Adam for each image; none leaves the encoder's latents.
        device: where networks run, "cpu" or "cuda".
        seed: of all that is drawn.
    """

    def __init__(
        self,
        quality: float | None = None,
        lam: float | None = None,
        steps: int = STEPS,
        device: str = "cpu",
        seed: int = 0,
    ):
        check_whole("steps", steps, 0)
        check_whole("seed", seed, 0)
        if lam is not None and not (lam > 0 and math.isfinite(lam)):
            raise InvalidInput(f"lam is {lam}, expected a positive number")
        self.quality, self.lam, self.steps, self.device, self.seed = quality, lam, steps, device, seed

    def config(self) -> dict[str, Any]:
        return {
            "quality": self.quality,
            "lam": self.lam,
            "steps": self.steps,
            "device": self.device,
            "seed": self.seed,
        }

    def _model(self, codec: Any) -> LatentModel:
        """The codec's networks, where they are to run."""
        if not hasattr(codec, "latent_model"):
            name = getattr(codec, "name", type(codec).__name__)
            raise InvalidInput(
                f"codec {name!r} has no latent_model (pycodec.types.DifferentiableCodec), which this "
                "estimator optimises; take operational_rd, ctx3d or the hyperprior family"
            )
        check_device(self.device)
        model: Any = codec.latent_model(self.quality)
        return model.to(self.device)  # type: ignore[no-any-return]

    def _lam(self, model: LatentModel) -> float:
        if self.lam is None and model.lam is None:
            raise InvalidInput("the codec does not say with which lambda it was trained; name one by lam")
        return model.lam if self.lam is None else self.lam  # type: ignore[return-value]  # not both are None

    def _generator(self, image: Image.Image) -> torch.Generator:
        """Other noise for each image, whichever others there are: errors of images that share theirs do not
        average out.
        """
        pixels = zlib.crc32(as_picture(image).rgb.tobytes(), self.seed & 0xFFFFFFFF)
        return torch.Generator(self.device).manual_seed(pixels)


class AnnealedRD(_PerSample):
    """What files take and decode to whose latents were optimised for each image by stochastic Gumbel
    annealing, then rounded and coded; the decoder is the codec's own (Yang, Bamler & Mandt 2020; Zhang & Liu
    2025).
    """

    def estimate(self, codec: Any, images: Sequence[Image.Image]) -> Mapping[str, float]:
        model = self._model(codec)
        lam = self._lam(model)

        def measure(image: Image.Image) -> Point:
            target = ImageTarget(image, model.stride, self.device)
            latents = annealed(model, target, lam, self.steps, self._generator(image))
            symbols = codec.latent_symbols([latent.cpu() for latent in latents])
            return file_point(codec, image, codec.compress_symbols(symbols, image, self.quality))

        return averages(measure, images)


class GaussianUpperBound(_PerSample):
    """An upper bound of the rate-distortion function: rate and distortion of a stochastic encoder that draws
    latents from Gaussians, whose means and scales are optimised for each image (Yang & Mandt 2022; Zhang &
    Liu 2025, equation 10).

    The rate is the divergence of these Gaussians from the codec's prior, which no code of finite length
    reaches; the distortion is that of images decoded from *samples*. Decoding the means instead would give a
    lower distortion at the same rate, and no bound of anything.

    Args:
        quality, lam, steps, device, seed: see `AnnealedRD`.
        samples: of each image's latents, on which it is measured; at least 2, for the standard error.
    """

    def __init__(
        self,
        quality: float | None = None,
        lam: float | None = None,
        steps: int = STEPS,
        samples: int = 8,
        device: str = "cpu",
        seed: int = 0,
    ):
        super().__init__(quality, lam, steps, device, seed)
        check_whole("samples", samples, 2)
        self.samples = samples

    def config(self) -> dict[str, Any]:
        return {**super().config(), "samples": self.samples}

    def estimate(self, codec: Any, images: Sequence[Image.Image]) -> Mapping[str, float]:
        model = self._model(codec)
        lam = self._lam(model)

        def measure(image: Image.Image) -> Point:
            target = ImageTarget(image, model.stride, self.device)
            return upper_bound(model, target, lam, self.steps, self.samples, self._generator(image))

        return averages(measure, images)


def upper_bound(
    model: LatentModel,
    target: Target,
    lam: float,
    steps: int,
    samples: int,
    generator: torch.Generator | None = None,
) -> Point:
    """Upper bound for an image, or for vectors of a source: averages over all of the target.

    Standard errors are those of drawing latents; with several vectors, of drawing these as well.
    """
    latents = posterior(model, target, lam, steps, generator)
    with torch.no_grad():
        sent = [transmit(model, latents, GaussianNoise(generator)) for _ in range(samples)]
        rates = torch.stack([bits.double() / target.units for _, bits in sent])  # [samples, N]
        errors = torch.stack([target.measured_mse(x_hat).double() for x_hat, _ in sent])
    return Point(rates.mean().item(), errors.mean().item(), _standard_error(rates), _standard_error(errors))


def _standard_error(drawn: torch.Tensor) -> float:  # [samples, N]
    """Of the mean, by what is independent: the N vectors, or else the samples."""
    independent = drawn.mean(0) if drawn.shape[1] > 1 else drawn[:, 0]
    return independent.std().item() / math.sqrt(len(independent))
