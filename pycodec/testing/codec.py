"""Checks of codecs: files of images of every sort, what damage ends in, and the parts they are made of."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from inspect import signature
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image

from pycodec import Codec, bitstream, images, tiled
from pycodec.config import canonical_json
from pycodec.errors import CorruptStream, InvalidInput, PycodecError, WeightsMismatch
from pycodec.testing import golden, samples
from pycodec.testing.checks import CheckFailure, CheckSkipped, check, checks, require, skip
from pycodec.testing.common import PARTS
from pycodec.testing.subject import Subject
from pycodec.types import ROUNDING_SCALE

SIZES = [(1, 1), (1, 7), (7, 1), (8, 8), (9, 17), (40, 56)]  # height, width
MODES = ("L", "RGB", "RGBA")
RISING_QUALITIES = 5
LEAST_GROWTH = 0.95  # of the bytes from one quality to the next
FINGERPRINT_BYTES = 32
ALIKE = 0.15  # share by which a model in floats may differ from the integers of files


@check("codec")
def described_by_json(subject: Subject) -> None:
    """config() is JSON and the same for every one that is made, and so is the sha256 fingerprint."""
    c, other = subject.component, subject.fresh(seed=1)
    found, again = canonical_json(c.config()), canonical_json(other.config())
    require(
        found == again, f"config() is {found}, made again {again}, expected the same; leave out what varies"
    )
    require(
        isinstance(c.fingerprint, bytes) and len(c.fingerprint) == FINGERPRINT_BYTES,
        f"fingerprint is {c.fingerprint!r}, expected 32 bytes; use pycodec.weights.fingerprint",
    )
    require(
        c.fingerprint == other.fingerprint,
        f"fingerprint is {c.fingerprint.hex()[:16]}, made again {other.fingerprint.hex()[:16]}, expected the "
        "same; let it depend on configuration and weights alone",
    )


@check("codec")
def takes_what_commands_pass(subject: Subject) -> None:
    """A codec that writes .pci files has the arguments of `pycodec.Codec`, which the commands pass: compress
    an image, a quality or bits per pixel, and a device; decompress a file, a device and a crop. One with a
    format of its own names the suffix.
    """
    c = subject.component
    if subject.foreign_suffix is not None:
        skip(f"its files are {subject.foreign_suffix} files, which commands ask for less")
    require(
        callable(getattr(c, "quality_step", None)),
        "a codec without suffix has no quality_step(), expected that of pycodec.Codec; derive from it, or "
        "name the suffix of a format of its own",
    )
    for method, given in {"compress": (None, None, 1.0, "cpu"), "decompress": (b"", "cpu", None)}.items():
        try:
            signature(getattr(c, method)).bind(*given)
        except TypeError as error:
            raise CheckFailure(
                f"{method}{signature(getattr(c, method))} of a codec without suffix: {error}, expected the "
                f"arguments of pycodec.Codec.{method}; take them, or name the suffix of a format of its own"
            ) from error


@check("codec")
def round_trip(subject: Subject) -> None:
    """Images of every size and mode come back in their size and mode, alpha without loss, pixels as
    reconstruct() has them. A codec with a format of its own may turn grey to RGB and refuse transparency.
    """
    c, foreign = subject.component, subject.foreign_suffix is not None
    qualities = samples.qualities(c)
    for i, size in enumerate(SIZES):
        for j, mode in enumerate(MODES):
            image = samples.pil(*size, mode)
            _require_round_trip(c, image, qualities[(i + j) % len(qualities)], foreign)
    extremes = np.zeros((9, 17, 3), np.uint8), np.full((9, 17, 3), 255, np.uint8)
    garish = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (20, 12, 3))
    for rgb in (*extremes, garish):
        _require_round_trip(c, Image.fromarray(rgb), qualities[-1], foreign)


@check("codec")
def tiles_and_crops(subject: Subject) -> None:
    """A crop is that part of the whole, and an image in tiles has the symbols and pixels of the same image at
    once: the halo that the transform and the quantizer declare is as far as they look.
    """
    c = subject.component
    if not isinstance(c, Codec):
        skip("not a pycodec.Codec")
    stride, halo = c.transform.stride, getattr(c.transform, "halo", None)
    side = 2 * (halo or 0) + 4  # of the latent: a tile, a quarter of it, does not see all of it
    image = samples.photo(stride * side - 1, stride * side - 2)
    data = c.compress(image)
    whole = np.asarray(c.decompress(data))
    left, top, width, height = stride + 1, stride // 2, stride + 3, 2 * stride
    with _tiles_of(stride**2 * side**2 // 4 if halo is not None else tiled.TILE_PIXELS):
        require(
            np.array_equal(c.symbols(image), c.file_symbols(data)),
            f"symbols of an image in tiles, with a halo of {halo}, differ from those of the image at once, "
            "expected the same; say how far the transform looks, or declare no halo",
        )
        require(
            np.array_equal(np.asarray(c.decompress(data)), whole),
            f"pixels of an image in tiles, with a halo of {halo}, differ from those of the image at once, "
            "expected the same; say how far the transform looks, or declare no halo",
        )
        require(
            np.array_equal(
                np.asarray(c.decompress(data, crop=(left, top, width, height))),
                whole[top : top + height, left : left + width],
            ),
            "a crop differs from that part of the whole image, expected the same; decode it as the whole",
        )


@contextmanager
def _tiles_of(pixels: int) -> Iterator[None]:
    """As if images of more were large."""
    kept, tiled.TILE_PIXELS = tiled.TILE_PIXELS, pixels
    try:
        yield
    finally:
        tiled.TILE_PIXELS = kept


def _require_round_trip(c: Any, image: Image.Image, quality: float, foreign: bool) -> None:
    what = f"a {image.mode} image of {image.width} x {image.height} at quality {quality:g}"
    try:
        data = c.compress(image, quality)
    except InvalidInput:
        if foreign and image.mode.endswith("A"):
            return
        raise
    require(
        isinstance(data, bytes), f"compress gives {type(data).__name__}, expected bytes; convert with bytes()"
    )
    decoded = c.decompress(data)
    modes = [image.mode, "RGB"] if foreign and image.mode == "L" else [image.mode]
    require(
        isinstance(decoded, Image.Image) and decoded.mode in modes and decoded.size == image.size,
        f"{what} comes back as {decoded}, expected its mode and size; return pycodec.images.to_pil",
    )
    if image.mode.endswith("A"):
        require(
            np.array_equal(np.asarray(decoded)[..., -1], np.asarray(image)[..., -1]),
            f"{what} comes back with another alpha, expected the same; store it without loss",
        )
    if hasattr(c, "reconstruct"):
        require(
            np.array_equal(np.asarray(decoded), c.reconstruct(image, quality)),
            f"{what} decodes to other pixels than reconstruct() gives, expected the same; the decoder must "
            "compute what the encoder's own reconstruction does",
        )


@check("codec")
def equal_input_equal_bytes(subject: Subject) -> None:
    """One image gives one file, as PIL image, numpy array or tensor, the first time and the second."""
    c, rgb = subject.component, samples.photo(21, 34)
    quality = samples.qualities(c)[1]
    data = c.compress(rgb, quality)
    for what, image in {
        "the second time": rgb,
        "as a PIL image": Image.fromarray(rgb),
        "as a tensor": torch.from_numpy(rgb).permute(2, 0, 1),
    }.items():
        require(
            c.compress(image, quality) == data,
            f"an image gives another file {what}, expected the same bytes; convert with "
            "pycodec.images.as_picture and keep no state between calls",
        )


@check("codec")
def quality_raises_bytes(subject: Subject) -> None:
    """From the lowest to the highest quality files grow; if it has settings, from the first to the last."""
    c, image = subject.component, samples.photo(40, 56)
    qualities = samples.rising_qualities(c, RISING_QUALITIES)
    sizes = [len(c.compress(image, quality)) for quality in qualities]
    listed = ", ".join(f"{size} at {quality:g}" for size, quality in zip(sizes, qualities, strict=True))
    grows = all(after >= LEAST_GROWTH * before for before, after in pairwise(sizes))
    require(
        len(set(qualities)) == 1 or (sizes[-1] > sizes[0] and grows),
        f"bytes are {listed}, expected them to grow with the quality; let a higher quality mean finer steps",
    )


@check("codec")
def wrong_input(subject: Subject) -> None:
    """Qualities out of range and images that are none are refused by InvalidInput."""
    c = subject.component
    low, high = c.qualities if hasattr(c, "qualities") else samples.QUALITIES
    image, quality = samples.photo(8, 8), samples.qualities(c)[0]
    cases: list[tuple[str, Any, float]] = [
        (f"quality {low - 1:g}", image, low - 1),
        (f"quality {high + 1:g}", image, high + 1),
        ("quality nan", image, math.nan),
        ("a float array", image.astype(np.float32), quality),
        ("an image without rows", image[:0], quality),
        ("an image of two channels", image[:, :, :2], quality),
        ("None", None, quality),
    ]
    for what, given, q in cases:
        try:
            c.compress(given, q)
        except InvalidInput:
            continue
        except Exception as error:
            raise CheckFailure(
                f"compress of {what} raises {type(error).__name__} ({error}), expected InvalidInput; check "
                "arguments first, images with pycodec.images.as_picture"
            ) from error
        raise CheckFailure(
            f"compress of {what} gives a file, expected InvalidInput; refuse what decompress cannot restore"
        )


@check("codec")
def corrupt_files(subject: Subject) -> None:
    """Every truncation and 200 flipped bits end in an error of pycodec, or in the identical image."""
    c = subject.component
    if suffix := subject.foreign_suffix:
        skip(f"its files are {suffix}, and only .pci files have to notice every damage")
    data = c.compress(samples.pil(12, 20, "RGBA"), samples.qualities(c)[0])
    expected = np.asarray(c.decompress(data))
    for what, damaged in samples.damaged(data):
        try:
            found = np.asarray(c.decompress(damaged))
        except PycodecError as error:
            require(
                len(str(error).splitlines()) == 1,
                f"a file {what} ends in a message of several lines, expected one sentence; shorten it",
            )
            continue
        except Exception as error:
            raise CheckFailure(
                f"a file {what} raises {type(error).__name__} ({error}), expected CorruptStream; check while "
                "decoding, and raise pycodec.errors.CorruptStream"
            ) from error
        require(
            found.shape == expected.shape and np.array_equal(found, expected),
            f"a file {what} decodes to another image, expected an error; store a CRC and compare it",
        )


@check("codec")
def foreign_files(subject: Subject) -> None:
    """A file of other weights is refused by WeightsMismatch, one of no codec by CorruptStream."""
    c = subject.component
    if suffix := subject.foreign_suffix:
        skip(f"its files are {suffix}, and only .pci files say what wrote them")
    data = c.compress(samples.photo(8, 8), samples.qualities(c)[0])
    try:
        container = bitstream.parse(data)
    except CorruptStream:
        skip("its files are no .pci containers")
    other = bytes(byte ^ 0xFF for byte in container.header.fingerprint)
    forged = replace(container, header=replace(container.header, fingerprint=other)).to_bytes()
    for what, given, expected in (
        ("a file of other weights", forged, WeightsMismatch),
        ("a PNG file", b"\x89PNG\r\n\x1a\n" + bytes(64), CorruptStream),
        ("an empty file", b"", CorruptStream),
    ):
        try:
            c.decompress(given)
        except expected:
            continue
        except Exception as error:
            raise CheckFailure(
                f"{what} raises {type(error).__name__} ({error}), expected {expected.__name__}; compare the "
                "header's fingerprint with the codec's own before anything is decoded"
            ) from error
        raise CheckFailure(
            f"{what} decodes to an image, expected {expected.__name__}; compare the header's fingerprint "
            "with the codec's own"
        )


@check("codec")
def conforming_parts(subject: Subject) -> None:
    """Its transform, quantizer and entropy model pass the checks of their kinds."""
    c = subject.component
    parts = [(kind, getattr(c, kind)) for kind in PARTS if hasattr(c, kind)]
    if not parts:
        skip("not made of a transform, a quantizer and an entropy model")
    for kind, part in parts:
        if kind != "quantizer" and not hasattr(part, "qualities") and hasattr(c, "qualities"):
            part = _with_qualities(part, c.qualities)
        made = Subject(kind, f"{subject.name}.{kind}", partial(copy.deepcopy, part))
        made.__dict__["component"] = part  # a copy would take the memory and time of another codec
        for rule in checks(kind):
            if rule.common:
                continue  # how it is made and stored is the codec's affair
            try:
                rule.function(made)
            except CheckSkipped:
                continue
            except Exception as error:
                name = "" if isinstance(error, CheckFailure) else f"{type(error).__name__}: "
                raise CheckFailure(f"its {kind} fails {rule.name}: {name}{error}") from error


def _with_qualities(part: Any, qualities: tuple[float, float]) -> Any:
    """A view of a part that says which qualities its codec asks it for."""
    view = copy.copy(part)
    view.qualities = tuple(qualities)
    return view


@check("codec")
def latent_model(subject: Subject) -> None:
    """Its latent model (`pycodec.types.DifferentiableCodec`) is that of its files: rounded latents cost what
    the symbols do and decode to the same image, about; cost and image have gradients.
    """
    c = subject.component
    if not hasattr(c, "latent_model"):
        skip("it offers no latent_model")
    image, quality = samples.photo(72, 136), samples.qualities(c)[1]
    model = c.latent_model(quality)
    pixels = torch.from_numpy(images.padded(image, model.stride)).permute(2, 0, 1)[None].float() - 128
    latents = [mean.detach().requires_grad_() for mean, scale in model.encode(pixels)]
    waiting, bits = iter(latents), []

    def receive(prior: Any) -> torch.Tensor:
        mean = next(waiting)
        value = mean + ((mean - prior.mean).round() + prior.mean - mean).detach()
        bits.append(prior.bits(value).sum())
        noise = prior.divergence(mean, torch.full_like(mean, ROUNDING_SCALE), value)
        require(
            noise.shape == mean.shape and bool(noise.isfinite().all()),
            f"divergence of a latent {tuple(mean.shape)} is infinite, NaN or of shape {tuple(noise.shape)}, "
            "expected a finite value of each; bound what logarithms are taken of",
        )
        return value

    x_hat = model.decode(receive)
    require(
        len(bits) == len(latents),
        f"decode receives {len(bits)} latents, expected the {len(latents)} that encode gives; let both "
        "have one order",
    )
    symbols = c.latent_symbols([latent.detach() for latent in latents])
    own = c.symbols(image, quality, effort=0)
    wrong = float(np.mean(symbols != own)) if symbols.shape == own.shape else 1.0
    require(
        wrong <= ALIKE,
        f"{wrong:.1%} of latent_symbols of what encode gives are not those of compress, expected {ALIKE:.0%} "
        "at most; give it the same order, and let encode use the trained weights",
    )
    ideal = float(c.entropy_model.code_length_bits(symbols, c.quality_step(quality)))
    found = float(torch.stack(bits).sum().detach())
    require(
        abs(found - ideal) <= ALIKE * ideal,
        f"rounded latents cost {found:.0f} bits in the model and {ideal:.0f} in a file, expected about the "
        "same; use the prior that files are coded with",
    )
    decoded = x_hat[0, :, : image.shape[0], : image.shape[1]].permute(1, 2, 0).detach() + 128
    apart = float(np.square(decoded.numpy().clip(0, 255) - c.reconstruct(image, quality, effort=0)).mean())
    error = float(np.square(image - c.reconstruct(image, quality, effort=0).astype(np.float64)).mean())
    require(
        apart <= ALIKE * error + 1,
        f"the model's image is off by {apart:.1f} (mean square) from the codec's, expected a fraction of the "
        f"{error:.1f} by which that is from the original; use the synthesis that files are decoded with",
    )
    for what, loss, needed, every in (
        ("cost", torch.stack(bits).sum(), all, "each"),
        ("image", x_hat.square().sum(), any, "any"),
    ):
        gradients = torch.autograd.grad(loss, latents, retain_graph=True, allow_unused=True)
        require(
            needed(g is not None and bool(g.isfinite().all() and (g != 0).any()) for g in gradients),
            f"the {what} has no gradient by {every} latent, expected a finite one that is not zero; "
            "detach nothing",
        )


@check("codec")
def golden_streams(subject: Subject) -> None:
    """A file written once, in a folder the caller names, still decodes.

    Its bytes may differ from those written now: a float transform need not give every machine the same
    symbols.
    """
    c, image = subject.component, golden.image()
    if suffix := subject.foreign_suffix:
        skip(f"its files are {suffix}, a format that others keep readable")
    stored = golden.stored(subject, c.compress(image, samples.qualities(c)[1]))
    try:
        found = np.asarray(c.decompress(stored))
    except PycodecError as error:
        raise CheckFailure(f"the golden file does not decode ({error}); {golden.ADVICE}") from error
    require(
        found.shape == image.shape,
        f"the golden file decodes to {found.shape}, expected {image.shape}; {golden.ADVICE}",
    )
