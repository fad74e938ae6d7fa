"""Arithmetic of networks while latents are being optimised."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from pycodec.native import native


def training_precision(x: Tensor) -> AbstractContextManager[Any]:
    """bfloat16, as networks are trained, if ``x`` has a gradient and the machine multiplies bfloat16; what is
    measured, without one, has all digits.
    """
    if x.requires_grad and (x.is_cuda or native().has_avx512_bf16()):
        return torch.autocast(x.device.type, torch.bfloat16)
    return nullcontext()
