"""Checks of what a GPU has to give: the CPU's symbols and bytes, and its floats but for the last digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from pycodec.testing import samples
from pycodec.testing.checks import check, require, skip
from pycodec.testing.probes import described, equal
from pycodec.testing.subject import Subject

ADVICE = "move tensors to the device of the input, and let nothing that decides a probability be float"


@check("transform", "quantizer", "entropy_model", "codec")
@torch.no_grad()
def same_on_device(subject: Subject) -> None:
    """On a GPU it gives the CPU's symbols and bytes exactly, and its floats but for the last digits."""
    if subject.device == "cuda" and not torch.cuda.is_available():
        skip("no CUDA device here")
    if subject.kind == "codec" and subject.foreign_suffix:
        skip("codecs with a format of their own run on the CPU")
    compare = {
        "transform": _transform,
        "quantizer": _quantizer,
        "entropy_model": _entropy_model,
        "codec": _codec,
    }[subject.kind]
    moved = subject.fresh()
    if isinstance(moved, nn.Module):
        moved.to(subject.device)
    compare(subject.component, moved, subject.device)


def _require_same(what: str, expected: Any, found: Any, device: str) -> None:
    if isinstance(found, torch.Tensor):
        found = found.cpu().numpy()
    require(
        equal(expected, found),
        f"{what} gives {described(found)} on {device}, expected {described(expected)} as on the CPU; "
        f"{ADVICE}",
    )


def _transform(component: Any, moved: Any, device: str) -> None:
    x = samples.images(1, 3 * component.stride, 2 * component.stride)
    y = samples.normal(1, component.channels, 2, 3, scale=2).round()
    quality = torch.tensor([samples.qualities(component)[1]])
    for method, given in (("analysis", x), ("synthesis", y)):
        expected = getattr(component, method)(given, quality).numpy()
        found = getattr(moved, method)(given.to(device), quality.to(device))
        _require_same(method, expected, found, device)


def _quantizer(component: Any, moved: Any, device: str) -> None:
    y = samples.normal(1, 3, 4, 5, scale=3)
    symbols = component.quantize(y)
    latent = component.dequantize(symbols).numpy()
    _require_same("quantize", symbols, moved.quantize(y.to(device)), device)
    _require_same("dequantize", latent, moved.dequantize(symbols), device)
    if hasattr(component, "quantize_tensor"):
        there = moved.quantize_tensor(y.to(device))
        _require_same("quantize_tensor", symbols.astype(np.int32), there, device)
        _require_same("dequantize_tensor", latent, moved.dequantize_tensor(there), device)


def _entropy_model(component: Any, moved: Any, device: str) -> None:
    symbols, step = samples.symbols(component, 5, 7), samples.quality_steps(component)[1]
    values, quality = torch.from_numpy(symbols)[None].float(), torch.tensor([step / 16])
    bits = component.bits(values, values, quality).numpy()
    moved_values = values.to(device)
    _require_same("bits", bits, moved.bits(moved_values, moved_values, quality.to(device)), device)
    data = component.encode(symbols, step)
    _require_same("encode", data, moved.encode(symbols, step), device)
    if hasattr(component, "encode_tensor"):
        _require_same(
            "encode_tensor", data, moved.encode_tensor(torch.from_numpy(symbols).to(device), step), device
        )
        found = moved.decode_tensor(data, symbols.shape, step, device)
        _require_same("decode_tensor", symbols, found, device)


def _codec(component: Any, moved: Any, device: str) -> None:
    """A file decodes alike wherever it was made; which symbols it holds, float latents may decide."""
    image, quality = samples.photo(21, 34), samples.qualities(component)[1]
    for data in (component.compress(image, quality), moved.compress(image, quality, device=device)):
        expected = np.asarray(component.decompress(data)).astype(np.int16)
        found = np.asarray(moved.decompress(data, device=device)).astype(np.int16)
        require(
            found.shape == expected.shape and np.abs(found - expected).max() <= 1,
            f"a file decodes to other pixels on {device} than on the CPU, expected the same but for "
            "rounding; " + ADVICE,
        )
