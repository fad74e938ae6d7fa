"""What every classical codec has in common: arguments checked, files of its own format, a fingerprint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from PIL import Image

from pycodec import weights
from pycodec.errors import CorruptStream, InvalidInput, ProgramFailed, PycodecError
from pycodec.images import Picture, as_picture

if TYPE_CHECKING:
    from pycodec.images import ImageLike


class ClassicalCodec(ABC):
    """A codec of someone else's format, whose files hold nothing of ours (`pycodec.types.DeclaredCodec`).

    Attributes:
        name: as it is registered.
        label, description, settings, suffix: see `pycodec.types.DeclaredCodec`.
        qualities: smallest and largest quality it takes, in the units of its library.
        default_quality: of `compress`.
        whole: qualities are whole numbers.
    """

    name: str
    label: str
    suffix: str
    qualities: tuple[float, float]
    default_quality: float
    settings: tuple[float, ...]
    whole = True

    def __init__(self, description: str, **options: Any):
        """Keep what `config` answers: ``options`` are those that change the bytes of a file."""
        self.description = description
        self.options = options

    def compress(self, image: ImageLike, quality: float | None = None) -> bytes:
        """A file of the codec's own format: colours or grey, and the colour profile if the image has one.

        Raises:
            InvalidInput: an image or quality that it cannot take, transparency above all.
            ProgramFailed: a program that codes ended with an error.
        """
        picture = as_picture(image)
        quality = self.default_quality if quality is None else quality
        low, high = self.qualities
        if not low <= quality <= high or (self.whole and quality != round(quality)):  # NaN fails it too
            what = "a whole number from " if self.whole else ""
            raise InvalidInput(
                f"quality {quality:g}, expected {what}{low:g} to {high:g} for codec {self.name!r}"
            )
        if picture.alpha is not None:
            raise InvalidInput(
                f"an image with transparency, which codec {self.name!r} does not keep; flatten it first, or "
                "use the default codec"
            )
        return self.encode(picture, round(quality) if self.whole else quality)  # "50.0" is 50

    def decompress(self, data: bytes) -> Image.Image:
        """The image of a file, of mode RGB or L.

        Raises:
            CorruptStream: data that do not decode.
            LimitExceeded: more pixels than `pycodec.limits` allow.
        """
        try:
            return self.decode(data)
        except ProgramFailed as error:
            raise CorruptStream(f"not a {self.label} file that decodes: {error}") from error
        except PycodecError:
            raise
        except Exception as error:  # whatever the library raises at files that are not what they say
            raise CorruptStream(f"not a {self.label} file that decodes: {first_line(error)}") from error

    @abstractmethod
    def encode(self, picture: Picture, quality: float) -> bytes:
        """The file of an opaque picture; the quality is one the codec takes."""

    @abstractmethod
    def decode(self, data: bytes) -> Image.Image:
        """The image of a file; errors of any kind mean that there is none in it."""

    @abstractmethod
    def version(self) -> str:
        """Of the library or program that codes."""

    def config(self) -> dict[str, Any]:
        """Name and options, ready for JSON."""
        return {"name": self.name, "options": self.options}

    @cached_property
    def fingerprint(self) -> bytes:
        """sha256 over name, options and version."""
        return weights.fingerprint({**self.config(), "version": self.version()}, {})

    def no_profile(self, picture: Picture) -> None:
        """Refuse a picture with a colour profile, for a format or library that has no place for it."""
        if picture.icc is not None:
            raise InvalidInput(
                f"an image with a colour profile, which codec {self.name!r} does not keep; convert it to "
                "sRGB and drop the profile first"
            )


def one_of(option: str, value: Any, allowed: Iterable[Any]) -> Any:
    """``value`` if it is one of those allowed.

    Raises:
        InvalidInput: it is not; names the option and what it may be.
    """
    allowed = list(allowed)
    if not any(value == one and type(value) is type(one) for one in allowed):
        shown = f"{allowed[0]} to {allowed[-1]}" if len(allowed) > 4 else ", ".join(map(str, allowed))
        raise InvalidInput(f"the option {option} is {value!r}, expected one of {shown}")
    return value


def first_line(error: Exception) -> str:
    """The message of an error, or its type where it has none."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__
