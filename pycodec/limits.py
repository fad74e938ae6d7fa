"""How large a thing may be: caps that are checked before memory is allocated for it.

A file of a hundred bytes may declare a picture of gigabytes, and be valid. Who trusts it raises the cap:

    with limits.using(pixels=10**9):
        image = pycodec.decompress(data)

``PYCODEC_MAX_PIXELS`` and its like, named after the fields of `Limits`, do so for a whole process.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace

from pycodec.errors import InvalidInput, LimitExceeded

SYMBOLS_PER_PIXEL = 4
"""Integers for each pixel that `allowing` makes room for; those of our codecs have at most 1.5."""


@dataclass(frozen=True)
class Limits:
    """Larger things are refused with LimitExceeded, both ways.

    Attributes:
        pixels: of an image.
        pixels_at_once: of an image for a transform that takes it as a whole (without a ``halo``, see
            `pycodec.types.LocalTransform`), whose activations need a hundred bytes and more a pixel.
        symbols: integers of a latent: planes times positions, four bytes each. Images that are narrower than
            the stride of a codec have more of them than their pixels tell.
        profile_bytes: of a colour profile.
    """

    pixels: int = 2**27
    pixels_at_once: int = 2**25
    symbols: int = 2**29
    profile_bytes: int = 2**24


_chosen: ContextVar[Limits | None] = ContextVar("pycodec_limits", default=None)


def current() -> Limits:
    """The limits that hold here: those of `using`, or else of the environment.

    Raises:
        InvalidInput: an environment variable that is no positive whole number.
    """
    names = [field.name for field in fields(Limits)]
    return _chosen.get() or _of_environment(tuple(os.environ.get(_variable(name), "") for name in names))


@contextmanager
def using(limits: Limits | None = None, /, **changes: int) -> Iterator[Limits]:
    """Limits for what runs inside, in this thread.

    Args:
        limits: without them, the current ones.
        changes: fields that are to be other than there.
    """
    made = replace(limits or current(), **changes)
    token = _chosen.set(made)
    try:
        yield made
    finally:
        _chosen.reset(token)


def allowing(pixels: int) -> Limits:
    """The current limits with another one for the pixels of an image, and room for its latent."""
    limits = current()
    return replace(limits, pixels=pixels, symbols=max(limits.symbols, SYMBOLS_PER_PIXEL * pixels))


def check_pixels(width: int, height: int) -> None:
    """Refuse an image of more pixels than the current limit.

    Raises:
        LimitExceeded: says how large the image is and how to allow it.
    """
    if width * height > (most := current().pixels):
        raise LimitExceeded(
            f"image of {width} x {height} = {width * height} pixels, expected at most {most}; "
            + _how("pixels")
        )


def check_at_once(width: int, height: int, codec: str) -> None:
    """Refuse an image that a codec without tiles cannot be expected to have memory for.

    Raises:
        LimitExceeded: says so.
    """
    if width * height > (most := current().pixels_at_once):
        raise LimitExceeded(
            f"codec {codec!r} takes an image as a whole, and this one has {width} x {height} = "
            f"{width * height} pixels, expected at most {most}; take a codec that works in tiles, such as "
            f"ctx3d, or, with the memory for it, {_how('pixels_at_once')}"
        )


def check_symbols(planes: int, height: int, width: int) -> None:
    """Refuse a latent of more integers than the current limit.

    Raises:
        LimitExceeded: says how many it has.
    """
    if planes * height * width > (most := current().symbols):
        raise LimitExceeded(
            f"latent of {planes} x {height} x {width} symbols, expected at most {most}; {_how('symbols')}"
        )


def _how(name: str) -> str:
    """To allow more."""
    option = ", --max-pixels" if name == "pixels" else ""
    return f"if you trust it, raise the limit ({_variable(name)}{option} or pycodec.limits.using)"


def _variable(name: str) -> str:
    return f"PYCODEC_MAX_{name.upper()}"


@functools.lru_cache(1)
def _of_environment(values: tuple[str, ...]) -> Limits:
    found = {}
    for field, value in zip(fields(Limits), values, strict=True):
        if value:
            if not (value.isascii() and value.isdecimal() and int(value) > 0):
                raise InvalidInput(
                    f"the environment variable {_variable(field.name)} is {value!r}, expected a positive "
                    "whole number"
                )
            found[field.name] = int(value)
    return Limits(**found)
