"""Checks of transforms: shapes, gradients, and what happens to tensors that do not fit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pycodec.testing import samples
from pycodec.testing.checks import CheckFailure, check, require, skip
from pycodec.testing.probes import described, equal
from pycodec.testing.subject import Subject

REFUSALS = (TypeError, ValueError, RuntimeError)  # RuntimeError is how torch refuses a shape
LARGEST_SIDE = 65
IMPORTANCE_TOLERANCE = 1e-3  # channels: what a product in float may be off


def quality_of(component: Any, count: int = 1) -> Tensor:  # [count]
    """Qualities for a batch, spread over the component's range."""
    found = samples.qualities(component)
    return torch.tensor([found[i % len(found)] for i in range(1, count + 1)])


def padded_sides(stride: int) -> list[int]:
    """Sides 1 to 65, each padded to a multiple of the stride as Codec pads images."""
    return sorted({-(-side // stride) * stride for side in range(1, LARGEST_SIDE + 1)})


@check("transform")
@torch.no_grad()
def shapes(subject: Subject) -> None:
    """Images of 1..65 pixels a side, padded to the stride, become latents [N, C, H / stride, W / stride] and
    images again.
    """
    t = subject.component
    for name in ("stride", "channels"):
        value = getattr(t, name)
        require(
            isinstance(value, int) and value > 0,
            f"{name} is {value!r}, expected a positive integer; set it in the class or the constructor",
        )
    sides = padded_sides(t.stride)
    for i, height in enumerate(sides):
        width, count = sides[-1 - i], 1 + i % 3
        quality = quality_of(t, count)
        x = samples.images(count, height, width)
        y = t.analysis(x, quality)
        _require_float(y, (count, t.channels, height // t.stride, width // t.stride), "analysis", x)
        x_hat = t.synthesis(y.round(), quality)
        _require_float(x_hat, (count, 3, height, width), "synthesis", y)


@check("transform")
@torch.no_grad()
def importance(subject: Subject) -> None:
    """Where it says what share of the channels each position may use, the latent uses no more."""
    t = subject.component
    if not hasattr(t, "importance"):
        skip("offers no importance")
    x, quality = samples.images(3, 2 * t.stride, 5 * t.stride), quality_of(t, 3)
    share, used = t.importance(x, quality), (t.analysis(x, quality) != 0).sum(1)
    ok = isinstance(share, Tensor) and share.shape == used.shape
    require(
        ok and bool(((share >= 0) & (share <= 1)).all()),
        f"importance gives {described(share.numpy()) if ok else type(share).__name__}, expected shares 0..1 "
        f"{tuple(used.shape)}, one for each position of the latent",
    )
    most = int((used - (share * t.channels - IMPORTANCE_TOLERANCE).ceil()).max())
    require(
        most <= 0,
        f"a position of the latent uses {most} channels more than its importance allows, expected at most "
        f"that share of {t.channels}; report the map that masks the latent",
    )


def _require_float(found: Any, shape: tuple[int, ...], method: str, given: Tensor) -> None:
    described = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
    require(
        isinstance(found, Tensor) and found.dtype == torch.float32 and tuple(found.shape) == shape,
        f"{method} of {tuple(given.shape)} gives {described}, expected torch.float32 {shape}; pad, crop or "
        "convert inside",
    )


@check("transform")
@torch.no_grad()
def finite_at_extremes(subject: Subject) -> None:
    """Black, white and garish images and latents far out give finite values; the input stays as it was."""
    t = subject.component
    side, quality = 2 * t.stride, quality_of(t)
    garish = 255 * (samples.normal(1, 3, side, side) > 0).float() - 128
    cases: list[tuple[str, Tensor]] = [
        ("analysis", torch.full((1, 3, side, side), -128.0)),
        ("analysis", torch.full((1, 3, side, side), 127.0)),
        ("analysis", garish),
        ("synthesis", torch.zeros(1, t.channels, 2, 2)),
        ("synthesis", samples.normal(1, t.channels, 2, 2, scale=1000).round()),
    ]
    for method, given in cases:
        before = given.clone()
        found = getattr(t, method)(given, quality)
        require(
            bool(found.isfinite().all()),
            f"{method} gives infinity or NaN for values {given.min():g}..{given.max():g}, expected finite "
            "ones; bound what is divided by or exponentiated",
        )
        require(
            torch.equal(given, before),
            f"{method} changes its input, expected it left as it was; do not work in place on it",
        )


@check("transform")
@torch.no_grad()
def batch_invariance(subject: Subject) -> None:
    """Each image of a batch gives what it gives alone, at its own quality."""
    t = subject.component
    quality = quality_of(t, 3)
    cases = {
        "analysis": samples.images(3, 2 * t.stride, 3 * t.stride),
        "synthesis": samples.normal(3, t.channels, 2, 3, scale=2).round(),
    }
    for method, batch in cases.items():
        together = getattr(t, method)(batch, quality)
        for i in range(3):
            alone = getattr(t, method)(batch[i : i + 1], quality[i : i + 1])
            require(
                equal(alone[0].numpy(), together[i].numpy()),
                f"{method} gives image {i} of a batch other values than alone, expected the same; compute "
                "nothing across the batch in evaluation, and use each image's own quality",
            )


@check("transform")
def finite_gradients(subject: Subject) -> None:
    """Gradients reach input and parameters, and are finite at ordinary and extreme values."""
    t = subject.component
    if not isinstance(t, nn.Module):
        skip("not a torch module: it is not trained as it is")
    t = copy.deepcopy(t)
    quality = quality_of(t, 2)
    inputs = {
        "analysis": samples.images(2, 2 * t.stride, 2 * t.stride),
        "synthesis": samples.normal(2, t.channels, 2, 2, scale=3).round(),
    }
    for method, ordinary in inputs.items():
        for given in (ordinary, torch.zeros_like(ordinary), ordinary.sign() * 128):
            _require_gradients(t, method, given, quality)


def _require_gradients(t: Any, method: str, given: Tensor, quality: Tensor) -> None:
    """The gradient of ``method`` reaches its input and is finite there and in the parameters."""
    x = given.clone().requires_grad_()
    out = getattr(t, method)(x, quality)
    require(
        out.requires_grad,
        f"{method} gives a tensor without gradient, expected one to train through; leave detach() and "
        "no_grad() out of it",
    )
    out.float().square().sum().backward()
    require(
        x.grad is not None,
        f"the gradient of {method} does not reach its input, expected one to train through; leave detach() "
        "out",
    )
    named = [("its input", x), *t.named_parameters()]
    for name, tensor in named:
        require(
            tensor.grad is None or bool(tensor.grad.isfinite().all()),
            f"the gradient of {method} in {name} is infinite or NaN for values "
            f"{given.min():g}..{given.max():g}, expected a finite one; keep roots, logarithms and "
            "divisions away from 0",
        )
        tensor.grad = None


@check("transform")
@torch.no_grad()
def wrong_input(subject: Subject) -> None:
    """Tensors of another shape are refused; integers are refused, or give what floats give."""
    t = subject.component
    side, quality = 2 * t.stride, quality_of(t)
    x, y = samples.images(1, side, side), samples.normal(1, t.channels, 2, 2, scale=2).round()
    cases = [
        ("analysis", x[:, :1]),
        ("analysis", torch.cat([x, x[:, :1]], 1)),
        ("synthesis", torch.cat([y, y[:, :1]], 1)),
        *([("synthesis", y[:, :-1])] if t.channels > 1 else []),
    ]
    for method, given in cases:
        require_refusal(f"{method} of {tuple(given.shape)}", partial(getattr(t, method), given, quality))
    for method, given in (("analysis", x), ("synthesis", y)):
        expected = getattr(t, method)(given, quality).numpy()
        try:
            found = getattr(t, method)(given.long(), quality).numpy()
        except REFUSALS:
            continue
        require(
            equal(expected, found),
            f"{method} of int64 gives other values than of float32, expected an error or the same; convert "
            "with .float() or raise InvalidInput",
        )


def require_refusal(what: str, call: Callable[[], Any]) -> None:
    """Fail unless ``call`` raises what a wrong argument raises."""
    try:
        call()
    except REFUSALS:
        return
    except Exception as error:
        raise CheckFailure(
            f"{what} raises {type(error).__name__} ({error}), expected pycodec.errors.InvalidInput, a "
            "TypeError or a ValueError; compare the argument with what is expected first"
        ) from error
    raise CheckFailure(
        f"{what} gives a result, expected an error; compare the argument with what is expected and raise "
        "pycodec.errors.InvalidInput"
    )
