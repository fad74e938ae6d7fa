"""Pixels to symbols and back through a codec's transform and quantizer: at once, or tile by tile where the
image is large and the transform says how far it looks (`pycodec.types.LocalTransform`).

Pixels are bytes all along, latents the integers that are coded; floats there are of one tile at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pycodec import images, progress
from pycodec.window import Window

if TYPE_CHECKING:
    from pycodec.types import Quantizer, Transform

    Symbols = np.ndarray | Tensor  # [C, h, w] int32; a tensor where they are coded on a device

TILE_PIXELS = 2**23
"""An image of more is worked on in tiles, of at most so many pixels without their halos."""

_ROWS = 32  # of pixels, which stay in the cache from one operation on them to the next


def transform_input(rgb: np.ndarray, stride: int, step: int, device: str) -> tuple[Tensor, Tensor]:
    """Pixels [1, 3, H, W], padded to the stride, and the quality [1]."""
    pixels = torch.from_numpy(np.subtract(images.padded(rgb, stride), 128, dtype=np.float32))
    x = pixels.to(device).permute(2, 0, 1)[None]  # strides of channels_last
    return x, torch.tensor([step / 16], device=x.device)


def analyzed(
    transform: Transform, quantizer: Quantizer, rgb: np.ndarray, step: int, device: str, as_tensor: bool
) -> Symbols:
    """Symbols of an image [H, W, 3] uint8.

    Args:
        step: 16 times the quality.
        as_tensor: they are to stay on the device, by a `pycodec.types.DeviceQuantizer`.
    """
    parts: Any = transform  # a LocalTransform, if there are several tiles
    stride, reach = transform.stride, getattr(quantizer, "halo", None)
    picture = Window(0, rgb.shape[0], 0, rgb.shape[1])
    whole = picture.covering(stride)
    tiles = _tiles(transform, whole)

    def quantize(latent: Tensor) -> Symbols:
        if as_tensor:
            device_quantizer: Any = quantizer
            symbols: Tensor = device_quantizer.quantize_tensor(latent)
            return symbols
        return np.ascontiguousarray(quantizer.quantize(latent), np.int32)

    def latent_near(window: Window) -> Tensor:
        """Of a window, from its pixels and those around it."""
        around = window.grown(parts.halo, whole)
        pixels = rgb[around.scaled(stride).common(picture).within(picture)]
        y = getattr(parts, "local_analysis", parts.analysis)(*transform_input(pixels, stride, step, device))
        return _part(y, window, around)

    if len(tiles) == 1:
        return quantize(transform.analysis(*transform_input(rgb, stride, step, device)))
    completed, latent = getattr(parts, "completed", None), None
    if completed is not None or reach is None:
        latent = _assembled(tiles, whole, latent_near)
        latent = completed(latent) if completed is not None else latent
        if reach is None:
            return quantize(latent)
    shape = transform.channels, whole.height, whole.width
    symbols: Symbols = np.empty(shape, np.int32)
    if as_tensor:
        symbols = torch.empty(shape, dtype=torch.int32, device=device)
    for i, tile in enumerate(tiles):
        around = tile.grown(reach, whole)
        y = latent_near(around) if latent is None else _part(latent, around, whole)
        symbols[(..., *tile.within(whole))] = _part(quantize(y), tile, around)
        progress.report("transform" if latent is None else "rounding", i + 1, len(tiles))
    return symbols


def synthesized(
    transform: Transform, quantizer: Quantizer, symbols: Symbols, step: int, box: Window, device: str
) -> np.ndarray:  # [height, width, 3] uint8
    """The pixels in ``box`` of the image that ``symbols`` stand for."""
    stride = transform.stride
    reach: int | None = getattr(quantizer, "halo", None)
    halo = getattr(transform, "halo", None) or 0
    whole = Window(0, symbols.shape[1], 0, symbols.shape[2])
    tiles = _tiles(transform, whole, box.covering(stride))

    def dequantize(some: Symbols) -> Tensor:
        quantizer_: Any = quantizer
        latent: Tensor = (
            quantizer_.dequantize_tensor if isinstance(some, Tensor) else quantizer_.dequantize
        )(some)
        return latent

    latent = dequantize(symbols) if reach is None else None
    out = np.empty((box.height, box.width, 3), np.uint8)
    for i, tile in enumerate(tiles):
        seen = tile.grown(halo, whole)
        if reach is None:
            y = _part(latent, seen, whole)
        else:
            around = seen.grown(reach, whole)
            y = _part(dequantize(_part(symbols, around, whole)), seen, around)
        y = _channels_last(y).to(device)
        x = transform.synthesis(y, torch.tensor([step / 16], device=y.device))
        kept = tile.scaled(stride).common(box)
        pixels = _pixels(x[(0, slice(None), *kept.within(seen.scaled(stride)))].permute(1, 2, 0))
        if kept == box:
            return pixels
        out[kept.within(box)] = pixels
        progress.report("transform", i + 1, len(tiles))
    return out


def _tiles(transform: Transform, whole: Window, region: Window | None = None) -> list[Window]:
    """The tiles of a region of a latent; all of the latent where the transform has to see it as a whole."""
    if getattr(transform, "halo", None) is None:
        return [whole]
    return (region or whole).tiles(TILE_PIXELS // transform.stride**2)


def _part(values: Any, window: Window, whole: Window) -> Any:
    """The window of an array or tensor [..., h, w] of ``whole``, which may be finer by a whole factor."""
    scale = values.shape[-2] // whole.height
    return values[(..., *window.scaled(scale).within(whole.scaled(scale)))]


def _assembled(tiles: list[Window], whole: Window, latent_near: Callable[[Window], Tensor]) -> Tensor:
    """The latent [1, C, h, w] of all tiles, with strides of channels_last as a transform gives it."""
    latent: Tensor | None = None
    for i, tile in enumerate(tiles):
        y = latent_near(tile)
        scale = y.shape[2] // tile.height
        if latent is None:
            shape = 1, y.shape[1], scale * whole.height, scale * whole.width
            latent = torch.empty(shape, device=y.device, memory_format=torch.channels_last)
        _part(latent, tile, whole)[:] = y
        progress.report("transform", i + 1, len(tiles))
    if latent is None:
        raise ValueError("there are no tiles")
    return latent


def _channels_last(y: Tensor) -> Tensor:  # [1, C, h, w]
    """The same with strides of channels_last."""
    if y.device.type != "cpu":
        return y.contiguous(memory_format=torch.channels_last)
    # By numpy, because after each operation torch's threads keep the cores busy for milliseconds, in vain.
    # Planes whose distance is a multiple of 4 KiB drive each other out of the cache: hence room between them.
    _, channels, height, width = y.shape
    planes = np.empty((channels, height * width + 16), np.float32)[:, :-16]
    planes.reshape(channels, height, width)[:] = y[0].numpy()
    rows = torch.from_numpy(np.ascontiguousarray(planes.T))
    return rows.reshape(1, height, width, channels).permute(0, 3, 1, 2)


def _pixels(x: Tensor) -> np.ndarray:  # [H, W, 3] around 0, to uint8
    if x.device.type != "cpu":
        return (x + 128).clamp_(0, 255).round_().to(torch.uint8).contiguous().cpu().numpy()
    values, pixels = x.numpy(), np.empty(x.shape, np.uint8)  # by numpy as in _channels_last
    for top in range(0, len(values), _ROWS):
        rgb = values[top : top + _ROWS] + np.float32(128)
        pixels[top : top + _ROWS] = np.rint(np.clip(rgb, 0, 255, out=rgb), out=rgb)
    return pixels
