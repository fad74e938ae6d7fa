"""Arithmetic of networks: fewer digits while latents are being optimised, all of them in what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from pycodec.native import native

_optimizing: ContextVar[bool] = ContextVar("optimizing", default=False)


@contextmanager
def optimizing() -> Iterator[None]:
    """What is computed within is a step of an optimiser, and not measured."""
    token = _optimizing.set(True)
    try:
        yield
    finally:
        _optimizing.reset(token)


def training_precision(x: Tensor) -> AbstractContextManager[Any]:
    """bfloat16, as networks are trained, within `optimizing`, if ``x`` has a gradient and the machine
    multiplies bfloat16.
    """
    if _optimizing.get() and x.requires_grad and (x.is_cuda or native().has_avx512_bf16()):
        return torch.autocast(x.device.type, torch.bfloat16)
    return nullcontext()
