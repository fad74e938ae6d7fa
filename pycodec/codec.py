"""A codec: transform, quantizer and entropy model around the .pci container."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pycodec import bitstream, images, limits, loading, rdoq, tiled
from pycodec.bitstream import Container, Header
from pycodec.errors import (
    CorruptStream,
    DeviceError,
    InvalidInput,
    MissingWeights,
    NativeUnavailable,
    WeightsMismatch,
    out_of_memory,
)
from pycodec.images import Picture, as_picture
from pycodec.native import native
from pycodec.ops.device import can_code_on, crc32
from pycodec.profiling import stage
from pycodec.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from pycodec.images import ImageLike
    from pycodec.tiled import Symbols
    from pycodec.types import Config, EntropyModel, Quantizer, Transform

if hasattr(os, "register_at_fork"):
    # The threads of torch's OpenMP do not live on in a child, whose first parallel operation would wait for
    # them for ever.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


class Codec:
    """Compresses images to .pci files and back.

        image -> analysis -> quantize -> encode -> file -> decode -> dequantize -> synthesis -> image

    Symbols and everything that decides a probability are integers: a file decodes to the same symbols
    everywhere. Whether it decodes to the same pixels everywhere is the transform's affair: one of the layers
    in `pycodec.ops.quantized` does, a float one does on the same machine, and on others up to the last
    rounding. Large images pass through the transform in tiles if it says how far it looks
    (`pycodec.types.LocalTransform`), to the same bytes and pixels; else at once, so that its activations have
    to fit in memory.

    Args:
        name: as the codec is registered; stored in its files.
        transform: image to latent and back, see `pycodec.types.Transform`.
        quantizer: latent to symbols and back, see `pycodec.types.Quantizer`.
        entropy_model: symbols to bytes and back, see `pycodec.types.EntropyModel`.
        qualities: lowest and highest quality, up to 15.9.
        default_quality: of `compress`.
        fingerprint: sha256 over configuration and weights, see `pycodec.weights.fingerprint`.
        version: of what turns files into pictures, where the fingerprint does not say it; see `version`.
        error_weight: bits per pixel that a unit of mean squared error (0..255 scale) is worth at a quality
            step. With it, and parts that can (`pycodec.types.RefinableTransform` and
            `pycodec.types.ChoosingEntropyModel`), symbols are chosen by bits and error together, see `rdoq`.
    """

    def __init__(
        self,
        name: str,
        transform: Transform,
        quantizer: Quantizer,
        entropy_model: EntropyModel,
        *,
        qualities: tuple[float, float] = (1.0, 8.0),
        default_quality: float = 5.0,
        fingerprint: bytes,
        version: str | None = None,
        error_weight: Callable[[int], float] | None = None,
    ):
        self.name = name
        self.transform, self.quantizer, self.entropy_model = transform, quantizer, entropy_model
        self.qualities, self.default_quality = qualities, default_quality
        self.fingerprint = fingerprint
        self._version = version or fingerprint.hex()
        self._error_weight = error_weight if rdoq.can_refine(transform, entropy_model) else None
        for part in self._modules():
            part.eval().requires_grad_(False)  # training has parts of its own

    def version(self) -> str:
        """Differs where pictures may: codecs of one fingerprint, which read each other's files, may have
        different decoders. Evaluations keep what they measured while it stays the same.
        """
        return self._version

    def compress(
        self,
        image: ImageLike,
        quality: float | None = None,
        bpp: float | None = None,
        device: str = "cpu",
        effort: int = 1,
    ) -> bytes:
        """A .pci file.

        Args:
            image: path, PIL image, numpy [H, W, 3] or [H, W] uint8, torch [3, H, W] uint8 or float in 0..1.
            quality: within `qualities`, in steps of 1/16; without it and ``bpp``, `default_quality`.
            bpp: instead of a quality, bits per pixel that the file may have at most; the best quality below
                it is found by bisection.
            device: where the transform runs; on "cuda" symbols are coded there too, to the same bytes, if
                quantizer and entropy model can (`pycodec.types.DeviceEntropyModel`) and this build has CUDA.
                Else they are coded on the CPU.
            effort: how often symbols are chosen anew, each time for about as long as 0 takes altogether, with
                smaller files for the same error; on the CPU. 0 rounds them, as codecs do that cannot choose.

        Raises:
            InvalidInput: an image, quality, bpp, device or effort that cannot be used.
            LimitExceeded: an image that is larger than `pycodec.limits` allow.
        """
        picture = as_picture(image)
        self._checked_shape(*picture.size)
        _check_effort(effort)
        if bpp is None:
            return self._encode(picture, self.quality_step(quality), device, effort)
        if quality is not None:
            raise InvalidInput("both quality and bpp are given, expected one of the two")
        return self._encode_below(picture, bpp, device, effort)

    def decompress(
        self, data: bytes, device: str = "cpu", crop: tuple[int, int, int, int] | None = None
    ) -> Image.Image:
        """The image of a .pci file that this codec wrote: mode RGB, RGBA, L or LA.

        Args:
            data: the file.
            device: where it is decoded.
            crop: left, top, width and height, in pixels, of the part that is wanted: that part of the whole.
                Symbols are decoded for all of the image, because the format needs that, pixels for this part
                alone.

        Raises:
            CorruptStream: not a .pci file, or a damaged one.
            UnsupportedVersion: a file of a newer format version.
            WeightsMismatch: a file of another codec, or of this one with other weights.
            LimitExceeded: an image that is larger than `pycodec.limits` allow.
            InvalidInput: a crop that is not within the image, or a device that is not there.
        """
        with stage("container"):
            container = bitstream.parse(data)
            header = container.header
            size = header.width, header.height
            self._check_origin(header)
            self._checked_shape(*size)
            box = images.crop_box(crop, *size)
            alpha = images.unpack_alpha(container.alpha, *size) if container.alpha else None
            icc = images.unpack_icc(container.icc) if container.icc else None
        with stage("tables and coding"):
            symbols = self._decode_symbols(container, device)
        with stage("transform"):
            rgb = self._synthesize(symbols, header.quality_step, box, device)
            del symbols
            if alpha is not None:
                alpha = alpha[box.top : box.bottom, box.left : box.right]
            return images.to_pil(rgb, header.grey, alpha, icc)

    def reconstruct(
        self, image: ImageLike, quality: float | None = None, device: str = "cpu", effort: int = 1
    ) -> np.ndarray:
        """What the file of ``image`` decodes to, without coding: uint8 [H, W, 3], or bands as in
        `decompress`.

        Equal to ``numpy.asarray(codec.decompress(codec.compress(image, quality)))`` on the same machine, and
        on every other if the transform is quantized.
        """
        picture, step = as_picture(image), self.quality_step(quality)
        box = images.crop_box(None, *picture.size)
        rgb = self._synthesize(self.symbols(picture, quality, device, effort), step, box, device)
        return np.asarray(images.to_pil(rgb, picture.grey, picture.alpha))

    def symbols(
        self, image: ImageLike, quality: float | None = None, device: str = "cpu", effort: int = 1
    ) -> np.ndarray:
        """The integers that get coded: int32 [channels, ceil(H / stride), ceil(W / stride)]."""
        picture, step = as_picture(image), self.quality_step(quality)
        self._checked_shape(*picture.size)
        _check_effort(effort)
        return _on_host(self._chosen(self._analyze(picture, step, device), picture, step, device, effort)[0])

    def compress_symbols(self, symbols: np.ndarray, image: ImageLike, quality: float | None = None) -> bytes:
        """The .pci file of ``image`` with other symbols than its own, such as were optimised for it.

        Args:
            symbols: integers of the shape that `symbols` gives.
            image: what they stand for; the file has its size, transparency and colour profile.
            quality: that they were made for.

        Raises:
            InvalidInput: symbols that the entropy model cannot code, or that are not of this image's shape.
        """
        picture, step = as_picture(image), self.quality_step(quality)
        if symbols.shape != (shape := self._checked_shape(*picture.size)):
            raise InvalidInput(f"symbols of shape {symbols.shape}, expected {shape} for this image")
        return self._pack(np.ascontiguousarray(symbols, np.int32), None, picture, step)

    def file_symbols(self, data: bytes, device: str = "cpu") -> np.ndarray:
        """The integers in a .pci file that this codec wrote, as `symbols` gives those of an image.

        Raises:
            CorruptStream, UnsupportedVersion, WeightsMismatch, InvalidInput: as `decompress`.
        """
        container = bitstream.parse(data)
        self._check_origin(container.header)
        self._checked_shape(container.header.width, container.header.height)
        return _on_host(self._decode_symbols(container, device))

    def importance(self, image: ImageLike, quality: float | None = None) -> np.ndarray | None:
        """Share 0..1 of the channels that each position of the latent may use: float32 [h, w]; None if the
        transform does not say (`pycodec.types.InspectableTransform`).
        """
        transform: Any = self.transform
        if not hasattr(transform, "importance"):
            return None
        with torch.inference_mode():
            self._move("cpu")
            rgb, stride = as_picture(image).rgb, self.transform.stride
            x, quality_tensor = tiled.transform_input(rgb, stride, self.quality_step(quality), "cpu")
            share: np.ndarray = transform.importance(x, quality_tensor)[0].numpy()
            return share

    def quality_step(self, quality: float | None = None) -> int:
        """16 times the quality, rounded: the integer in files and in every integer rule.

        Raises:
            InvalidInput: a quality outside `qualities`.
        """
        quality = self.default_quality if quality is None else quality
        low, high = self.qualities
        if not low <= quality <= high:  # NaN fails it too
            raise InvalidInput(f"quality {quality:g}, expected {low:g} to {high:g} for codec {self.name!r}")
        return round(16 * quality)

    def config(self) -> Config:
        """Name and the configuration of the three parts, ready for JSON."""
        return {
            "name": self.name,
            "transform": self.transform.config(),
            "quantizer": self.quantizer.config(),
            "entropy_model": self.entropy_model.config(),
        }

    def info(self) -> dict[str, Any]:
        """What the codec is: `config`, fingerprint and qualities, ready for JSON."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint.hex(),
            "qualities": list(self.qualities),
            "default_quality": self.default_quality,
            "config": self.config(),
        }

    def _encode(self, picture: Picture, step: int, device: str, effort: int) -> bytes:
        with stage("transform"):
            symbols = self._analyze(picture, step, device)
        return self._pack(*self._chosen(symbols, picture, step, device, effort), picture, step)

    def _chosen(
        self, symbols: Symbols, picture: Picture, step: int, device: str, effort: int
    ) -> tuple[Symbols, bytes | None]:
        """What is coded instead of ``symbols``, and the payload if it is known by now."""
        payload: bytes | None = None
        if self._error_weight is None:
            return symbols, payload
        code: Any = self.entropy_model
        transform: Any = self.transform  # both can, see rdoq.can_refine
        weight = self._error_weight(step) / 3  # of the error of a channel
        box = images.crop_box(None, *picture.size)
        for _ in range(effort):
            with stage("transform"):
                decoded = self._synthesize(symbols, step, box, device)
                costs = rdoq.tradeoff(transform, picture.rgb, decoded, step, weight)
            with stage("coding"):
                symbols, payload = code.encode_chosen(_on_host(symbols), step, *costs)
        return symbols, payload

    def _pack(self, symbols: Symbols, payload: bytes | None, picture: Picture, step: int) -> bytes:
        if payload is None:
            with stage("coding"):
                code: Any = self.entropy_model  # a DeviceEntropyModel if _codes_on says so
                encode = code.encode_tensor if isinstance(symbols, Tensor) else code.encode
                payload = encode(symbols, step)
        with stage("container"):
            width, height = picture.size
            header = Header(
                self.name, self.fingerprint, width, height, step, _symbols_crc(symbols), grey=picture.grey
            )
            container = Container(header, payload)
            if picture.alpha is not None:
                container = replace(container, alpha=images.pack_alpha(picture.alpha))
            if picture.icc is not None:
                container = replace(container, icc=images.pack_icc(picture.icc))
            return container.to_bytes()

    def _encode_below(self, picture: Picture, bpp: float, device: str, effort: int) -> bytes:
        """The largest file of at most ``bpp``, as far as sizes grow with the quality."""
        width, height = picture.size
        if not (bpp > 0 and math.isfinite(bpp)):
            raise InvalidInput(f"bpp {bpp:g}, expected a positive number of bits per pixel")
        low, high = (self.quality_step(quality) for quality in self.qualities)
        best = self._encode(picture, low, device, effort)
        if len(best) * 8 > bpp * width * height:
            raise InvalidInput(
                f"bpp {bpp:g} is out of reach: at the lowest quality, {self.qualities[0]:g}, this image "
                f"already takes {len(best) * 8 / (width * height):.3g} bpp ({len(best)} bytes)"
            )
        while low < high:  # the file of step low is best, and fits
            middle = (low + high + 1) // 2
            data = self._encode(picture, middle, device, effort)
            if len(data) * 8 <= bpp * width * height:
                low, best = middle, data
            else:
                high = middle - 1
        return best

    def _check_origin(self, header: Header) -> None:
        if header.codec != self.name:
            raise WeightsMismatch(
                f"this file was written by codec {header.codec!r}, not {self.name!r}; "
                "name no codec: pycodec.decompress finds it"
            )
        own = self.fingerprint[: len(header.fingerprint)]
        if header.fingerprint != own:
            raise WeightsMismatch(
                f"this file was written by codec {self.name!r} with weights {header.fingerprint.hex()}, "
                f"not with these, {own.hex()}; pycodec.decompress looks for others"
            )

    def _decode_symbols(self, container: Container, device: str) -> Symbols:
        self._move(device)
        header = container.header
        shape = self._checked_shape(header.width, header.height)
        step, symbols = header.quality_step, None
        code: Any = self.entropy_model  # a DeviceEntropyModel if _codes_on says so
        try:
            if self._codes_on(device):
                symbols = code.decode_tensor(container.payload, shape, step, device)
            else:
                symbols = code.decode(container.payload, shape, step)
        except (CorruptStream, DeviceError, MissingWeights, NativeUnavailable):
            raise
        except Exception as error:  # a CRC proves nothing about who wrote the file: anything may be in it
            if out_of_memory(error):
                raise
            raise CorruptStream(f"the payload of this .pci file does not decode: {error}") from error
        if symbols.shape != shape:
            raise CorruptStream(
                f"the payload of this .pci file has symbols of shape {symbols.shape}, expected {shape}"
            )
        if (crc := _symbols_crc(symbols)) != header.symbols_crc:
            raise CorruptStream(
                f"the decoded symbols have CRC {crc:08x}, expected {header.symbols_crc:08x}: the file is "
                "damaged, or this build of pycodec computes other probabilities; run pycodec doctor"
            )
        return symbols

    def _checked_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Of the symbols of an image that is not too large.

        Raises:
            LimitExceeded: it is.
        """
        limits.check_pixels(width, height)
        if getattr(self.transform, "halo", None) is None:
            limits.check_at_once(width, height, self.name)
        stride = self.transform.stride
        shape = self.transform.channels, -(-height // stride), -(-width // stride)
        limits.check_symbols(*shape)
        return shape

    @torch.inference_mode()
    def _analyze(self, picture: Picture, step: int, device: str) -> Symbols:
        self._move(device)
        as_tensor = self._codes_on(device)
        return tiled.analyzed(self.transform, self.quantizer, picture.rgb, step, device, as_tensor)

    @torch.inference_mode()
    def _synthesize(self, symbols: Symbols, step: int, box: Window, device: str) -> np.ndarray:
        """The pixels [H, W, 3] uint8 of a part of the image."""
        self._move(device)
        return tiled.synthesized(self.transform, self.quantizer, symbols, step, box, device)

    def _move(self, device: str) -> None:
        check_device(device)
        for part in self._modules():
            held = next(itertools.chain(part.parameters(), part.buffers()), None)
            if held is not None and held.device != torch.device(
                device
            ):  # to() alone takes as long as a layer
                part.to(device)

    def _codes_on(self, device: str) -> bool:
        """Whether symbols stay on this device and are coded there."""
        needed = {
            "quantize_tensor": self.quantizer,
            "dequantize_tensor": self.quantizer,
            "encode_tensor": self.entropy_model,
            "decode_tensor": self.entropy_model,
        }
        return can_code_on(device) and all(hasattr(part, name) for name, part in needed.items())

    def _modules(self) -> list[torch.nn.Module]:
        parts = self.transform, self.quantizer, self.entropy_model
        return [part for part in parts if isinstance(part, torch.nn.Module)]


def decompress(
    data: bytes,
    device: str = "cpu",
    weights_file: str | os.PathLike[str] | None = None,
    decoder: str | None = None,
    crop: tuple[int, int, int, int] | None = None,
) -> Image.Image:
    """The image of a .pci file, by the codec and the weights that its header names.

    Args:
        data: the file.
        device: where it is decoded.
        weights_file: weights it was written with; by default those that come with the codec, or else those of
            its fingerprint in PYCODEC_WEIGHTS and in the user's folder (``pycodec weights``).
        decoder: of a codec that has several for the same files, the one to use.
        crop: the part that is wanted, as for `Codec.decompress`.

    Raises:
        UnknownComponent: that codec is not installed.
        MissingWeights: its weights are not here.
        CorruptStream, UnsupportedVersion, WeightsMismatch, LimitExceeded, InvalidInput: as
            `Codec.decompress`.
    """
    header, _ = bitstream.parse_header(data)
    if weights_file is None:
        codec = loading.codec_for(header.codec, header.fingerprint, device, decoder)
    else:
        codec = loading.load(header.codec, weights_file=weights_file, decoder=decoder)
    return codec.decompress(data, device) if crop is None else codec.decompress(data, device, crop)


def check_device(device: str) -> None:
    """Refuse a device that is not here.

    Raises:
        InvalidInput: says so, or that there is no such device at all.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise InvalidInput(f"unknown device {device!r}, expected cpu or cuda") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("no CUDA device here, or a torch built without CUDA; use the device cpu")


def _check_effort(effort: int) -> None:
    if effort < 0:
        raise InvalidInput(f"effort {effort}, expected 0 or more")


def _on_host(symbols: Symbols) -> np.ndarray:
    return symbols.cpu().numpy() if isinstance(symbols, Tensor) else symbols


def _symbols_crc(symbols: Symbols) -> int:
    if isinstance(symbols, Tensor):
        return crc32(symbols)
    crc: int = native().crc32(np.ascontiguousarray(symbols, "<i4").reshape(-1).view(np.uint8))
    return crc
