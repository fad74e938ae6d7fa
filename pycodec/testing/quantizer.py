"""Checks of quantizers: symbols there and back, and the stand-in that trains."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.testing import samples
from pycodec.testing.checks import check, require
from pycodec.testing.probes import described
from pycodec.testing.subject import Subject, seeded
from pycodec.testing.transform import require_refusal

SHAPES = [(1, 1, 1), (3, 1, 7), (2, 5, 1), (4, 9, 13), (2, 0, 3)]  # [C, h, w], if any C will do
EXTREMES = (0.0, 0.5, -0.5, 127.4, 200.0, 4e4, -1e4, 1e9, -1e9, 3e9)


def _planes(quantizer: Any, otherwise: int) -> int:
    """Planes of a latent for a quantizer: those it declares, or any."""
    return int(getattr(quantizer, "channels", otherwise))


def _shapes(quantizer: Any) -> list[tuple[int, int, int]]:
    return [(_planes(quantizer, planes), height, width) for planes, height, width in SHAPES]


@check("quantizer")
@torch.no_grad()
def symbols(subject: Subject) -> None:
    """Symbols are integers [C, h, w] of any size, the empty one too; extreme values stay in range."""
    q = subject.component
    for shape in _shapes(q):
        found = q.quantize(samples.normal(1, *shape, scale=4))
        _require_symbols(found, shape)
        latent = q.dequantize(found)
        require(
            isinstance(latent, Tensor) and latent.dtype == torch.float32 and latent.shape == (1, *shape),
            f"dequantize of symbols {shape} gives {_named(latent)}, expected torch.float32 "
            f"{(1, *shape)}; add the batch axis and convert with .float()",
        )
    planes = _planes(q, 2)
    for value in EXTREMES:
        found = q.quantize(torch.full((1, planes, 2, 2), value))
        _require_symbols(found, (planes, 2, 2))
        latent = q.dequantize(found)
        require(
            bool(latent.isfinite().all()) and latent[0, 0, 0, 0] * value >= -abs(value),
            f"the latent {value:g} comes back as {latent[0, 0, 0, 0]:g}, expected a value of its sign; clamp "
            "before the conversion to integers, which wraps around",
        )


def _named(value: object) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _require_symbols(found: object, shape: tuple[int, ...]) -> None:
    require(
        isinstance(found, np.ndarray) and found.dtype.kind in "iu" and found.shape == shape,
        f"quantize of a latent {(1, *shape)} gives "
        f"{described(found) if isinstance(found, np.ndarray) else type(found).__name__}, "
        f"expected an integer array {shape}; drop the batch axis and convert to int32",
    )


@check("quantizer")
@torch.no_grad()
def round_trip(subject: Subject) -> None:
    """Symbols survive dequantize and quantize: the decoder's latent means what was encoded."""
    q = subject.component
    for scale in (0.3, 3.0, 50.0):
        found = q.quantize(samples.normal(1, _planes(q, 3), 6, 7, scale=scale))
        again = q.quantize(q.dequantize(found))
        wrong = int((found != again).sum())
        require(
            wrong == 0,
            f"{wrong} of {found.size} symbols change by dequantize and quantize, expected none; let "
            "dequantize give a value that quantize maps to the same symbol",
        )


@check("quantizer")
def surrogate_shapes(subject: Subject) -> None:
    """The training stand-in gives two finite tensors of the latent's shape, for batches of any size."""
    q = subject.component
    for count, shape in enumerate(_shapes(q), 1):
        y = samples.normal(count, *shape, scale=4)
        found = q.surrogate(y)
        require(
            isinstance(found, tuple) and len(found) == 2,
            f"surrogate gives {type(found).__name__}, expected a pair: the latent that synthesis sees, and "
            "the values whose cost counts",
        )
        for tensor in found:
            require(
                isinstance(tensor, Tensor) and tensor.shape == y.shape and bool(tensor.isfinite().all()),
                f"surrogate of {tuple(y.shape)} gives {_named(tensor)}, expected finite tensors of that "
                "shape",
            )


@check("quantizer")
def finite_gradients(subject: Subject) -> None:
    """The surrogate's gradient reaches the latent and is finite, at ordinary and extreme values."""
    q = copy.deepcopy(subject.component)
    if isinstance(q, nn.Module):
        q.train()
    for scale in (1.0, 1e3, 1e6):
        y = samples.normal(2, _planes(q, 3), 4, 5, scale=scale).requires_grad_()
        with seeded(0):
            seen, _ = q.surrogate(y)
        require(
            seen.requires_grad,
            "the latent that surrogate gives has no gradient, expected one to train through; add a "
            "straight-through or soft term",
        )
        (seen * samples.normal(*seen.shape, seed=1)).sum().backward()  # whatever the values are, zeros too
        assert y.grad is not None
        require(
            bool(y.grad.isfinite().all()),
            f"the surrogate's gradient is infinite or NaN for values around {scale:g}, expected a finite "
            "one; bound what is divided by or exponentiated",
        )
        if scale == 1.0:
            require(
                bool((y.grad != 0).any()),
                "the surrogate's gradient is zero everywhere, expected one to train through; a bare round() "
                "has none: add a straight-through or soft term",
            )


@check("quantizer")
@torch.no_grad()
def wrong_input(subject: Subject) -> None:
    """A batch of two images, or a latent without its batch axis, is refused, never cut to the first."""
    q = subject.component
    planes = _planes(q, 3)
    for y in (samples.normal(2, planes, 4, 5), samples.normal(planes, 4, 5)):
        require_refusal(f"quantize of a latent {tuple(y.shape)}", partial(q.quantize, y))
