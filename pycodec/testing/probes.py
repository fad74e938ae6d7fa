"""What a component answers to seeded input: equal answers, whoever asks, are equal behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from pycodec.testing import samples
from pycodec.testing.checks import CheckFailure
from pycodec.testing.subject import seeded

Answers = dict[str, Any]  # bytes, integers and arrays

SIDE = 64  # of images for critics, which halve them several times
METRIC_SIZE = (4, 176, 192)  # images, height and width that MS-SSIM and statistics of a set need
TOLERANCE = 1e-4  # of floats, of the largest value


@torch.no_grad()
def transform(component: Any) -> Answers:
    stride, channels = component.stride, component.channels
    quality = torch.tensor([samples.qualities(component)[1]])
    y = component.analysis(samples.images(1, 3 * stride, 2 * stride), quality)
    x_hat = component.synthesis(samples.normal(1, channels, 2, 3, scale=2).round(), quality)
    return {"analysis": y.cpu().numpy(), "synthesis": x_hat.cpu().numpy()}


@torch.no_grad()
def quantizer(component: Any) -> Answers:
    planes = getattr(component, "channels", 3)
    found = component.quantize(samples.normal(1, planes, 4, 5, scale=3))
    return {"quantize": found, "dequantize": component.dequantize(found).cpu().numpy()}


@torch.no_grad()
def entropy_model(component: Any) -> Answers:
    symbols, step = samples.symbols(component, 5, 7), samples.quality_steps(component)[1]
    values = torch.from_numpy(symbols)[None].float()
    return {
        "encode": component.encode(symbols, step),
        "code_length_bits": np.float64(component.code_length_bits(symbols, step)),
        "bits": component.bits(values, values, torch.tensor([step / 16])).cpu().numpy(),
    }


def discriminator_input(component: Any, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Originals, reconstructions and latents of a batch of two."""
    stride, channels = getattr(component, "stride", 8), getattr(component, "channels", samples.CHANNELS)
    x = samples.images(2, SIDE, SIDE, seed)
    x_hat = x + samples.normal(*x.shape, seed=seed, scale=8)
    return x, x_hat, samples.normal(2, channels, SIDE // stride, SIDE // stride, seed=seed, scale=2)


@torch.no_grad()
def discriminator(component: Any) -> Answers:
    batch = discriminator_input(component)
    return {
        "critic_loss": component.critic_loss(*batch).cpu().numpy(),
        "generator_loss": component.generator_loss(*batch).cpu().numpy(),
    }


def estimator(component: Any) -> Answers:
    from pycodec.testing.sample import sample_codec

    with seeded(0):
        found = component.estimate(sample_codec(), [samples.pil(24, 32)])
    return {key: np.float64(value) for key, value in timeless(found).items()}


def timeless(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures of an estimator without those that no machine gives twice."""
    return {key: value for key, value in figures.items() if not key.endswith("seconds")}


def codec(component: Any) -> Answers:
    data = component.compress(samples.photo(21, 34), samples.qualities(component)[1])
    return {
        "compress": data,
        "decompress": np.asarray(component.decompress(data)),
        "fingerprint": component.fingerprint,
    }


def metric_input(seed: int = 0, noise: float = 6.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Reconstructions and originals."""
    x = samples.images(*METRIC_SIZE, seed=seed)
    return (x + samples.normal(*x.shape, seed=seed, scale=noise)).clamp(-128, 127), x


@torch.no_grad()
def metric(component: Any) -> Answers:
    component.reset()
    component.update(*metric_input())
    value = np.float64(component.compute())
    component.reset()
    return {"compute": value}


PROBES: Mapping[str, Callable[[Any], Answers]] = {
    "transform": transform,
    "quantizer": quantizer,
    "entropy_model": entropy_model,
    "discriminator": discriminator,
    "estimator": estimator,
    "codec": codec,
    "metric": metric,
}


def require_equal(expected: Answers, found: Answers, where: str, advice: str) -> None:
    """Fail where ``found`` differs: bytes and integers at all, floats by more than the last digits."""
    for key, value in expected.items():
        other = found.get(key)
        if not equal(value, other):
            raise CheckFailure(
                f"{key} gives {described(other)} {where}, expected {described(value)}; {advice}"
            )


def equal(a: Any, b: Any) -> bool:
    """Whether two answers are the same, floats but for their last digits."""
    if isinstance(a, bytes) or isinstance(b, bytes) or a is None or b is None:
        return bool(a == b)
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    scale = float(np.abs(a).max(initial=0, where=np.isfinite(a)))
    return bool(np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * max(scale, 1e-6), equal_nan=True))


def described(value: Any) -> str:
    """An answer in a few words."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes ({value[:6].hex()}...)"
    if value is None:
        return "nothing"
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array.item():.6g}"
    return f"{array.dtype} {array.shape} beginning {np.array2string(array.ravel()[:3], precision=4)}"
