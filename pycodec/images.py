"""Pictures in and out: what Pillow reads, numpy or torch, to 8-bit RGB and what has to survive beside it."""

from __future__ import annotations

import io
import operator
import os
import struct
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from pycodec import limits
from pycodec.errors import CorruptStream, InvalidInput, LimitExceeded
from pycodec.limits import check_pixels
from pycodec.window import Window

if TYPE_CHECKING:
    from typing import TypeAlias

    import torch

    ImageLike: TypeAlias = "str | os.PathLike[str] | Image.Image | np.ndarray | torch.Tensor | Picture"

# What was decoded is not to be lossily compressed once more without need.
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "AVIF": {"quality": 95},
    "JPEG": {"quality": 95},
    "WEBP": {"lossless": True, "exact": True},
}
_NOT_PICTURES = {
    "BUFR",
    "EPS",
    "GRIB",
    "HDF5",
    "MPEG",
    "PCI",
    "WMF",
}  # Pillow knows them, and needs others to read them; PCI is our own, which pycodec.pillow adds
_READ_ERRORS = (  # what Pillow's readers raise at files that are not what they say
    AttributeError,
    EOFError,
    Image.DecompressionBombError,
    IndexError,
    KeyError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_pillow_limit = threading.Lock()  # held while Pillow has none of its own


@dataclass(frozen=True)
class Picture:
    """An image as the codecs see it.

    Attributes:
        rgb: [H, W, 3] uint8; a grey image has three equal channels.
        alpha: [H, W] uint8, or None where every pixel is opaque.
        icc: colour profile of the image, or None.
        grey: one channel is to come out again.
        notes: what conversion lost, a sentence each.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    grey: bool = False
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]


def padded(rgb: np.ndarray, stride: int) -> np.ndarray:
    """Pixels [H, W, 3], continued to the right and below to whole strides: what transforms see."""
    height, width = (-length % stride for length in rgb.shape[:2])
    return np.pad(rgb, ((0, height), (0, width), (0, 0)), mode="edge") if height or width else rgb


def as_picture(image: ImageLike) -> Picture:
    """Any image pycodec takes, in its internal form.

    Args:
        image: path of a file Pillow reads, PIL image, numpy [H, W, 3] or [H, W] uint8, or torch [3, H, W]
            uint8 or float in 0..1; a Picture stays what it is. EXIF orientation is applied; palettes, CMYK
            and 16 bits become 8-bit RGB or grey.

    Raises:
        InvalidInput: no image, or one of an unknown kind.
        LimitExceeded: one of more pixels than `pycodec.limits` allow.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, (str, os.PathLike)):
        return _read(Path(image), os.fspath(image))
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    torch = sys.modules.get("torch")  # a tensor in hand means that torch is loaded
    if torch is not None and isinstance(image, torch.Tensor):
        return _from_array(_tensor_to_array(image))
    raise InvalidInput(
        f"{type(image).__name__} is no image, expected a path, a PIL image, a numpy array or a tensor"
    )


def picture_of(data: bytes, name: str) -> Picture:
    """The picture that the bytes of an image file hold; errors call the file ``name``.

    Raises:
        InvalidInput, LimitExceeded: as `as_picture`.
    """
    return _read(io.BytesIO(data), name)


def to_pil(
    rgb: np.ndarray,  # [H, W, 3] uint8
    grey: bool = False,
    alpha: np.ndarray | None = None,  # [H, W] uint8
    icc: bytes | None = None,
) -> Image.Image:
    """PIL image of mode RGB, RGBA, L or LA; the profile goes to ``info["icc_profile"]``, as Pillow has it."""
    image = Image.fromarray(np.ascontiguousarray(rgb))
    if grey:
        image = image.convert("L")
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    if icc:
        image.info["icc_profile"] = icc
    return image


def crop_box(crop: Sequence[int] | None, width: int, height: int) -> Window:
    """The part of an image that ``crop`` (left, top, width, height) names; without one, all of it.

    Raises:
        InvalidInput: it is not within the image.
    """
    if crop is None:
        return Window(0, height, 0, width)
    try:
        left, top, columns, rows = (operator.index(value) for value in crop)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"crop {crop!r}, expected four whole numbers: left, top, width, height in pixels"
        ) from None
    if min(left, top) < 0 or min(columns, rows) < 1 or left + columns > width or top + rows > height:
        raise InvalidInput(
            f"a crop of {columns} x {rows} pixels at {left},{top} is not within the image, which has "
            f"{width} x {height}"
        )
    return Window(top, top + rows, left, left + columns)


@contextmanager
def opened(file: Any, formats: list[str] | None = None) -> Iterator[Image.Image]:
    """``Image.open``, with our limit on pixels in place of Pillow's own, which may be lower.

    Raises:
        LimitExceeded: more pixels than `pycodec.limits` allow.
        UnidentifiedImageError, OSError, ...: as Pillow.
    """
    with _pillow_limit:
        kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = kept
    with image:
        check_pixels(*image.size)
        yield image


def readable_suffixes() -> set[str]:
    """Suffixes of the image files that Pillow reads, ".jpg" and its like."""
    known = Image.registered_extensions()  # loads Pillow's formats
    return {s for s, name in known.items() if name in Image.OPEN and name not in _NOT_PICTURES}


def format_of(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that the name of an image file asks for.

    Raises:
        InvalidInput: Pillow writes no such format.
    """
    suffix = Path(path).suffix.lower()
    name = Image.registered_extensions().get(suffix)  # loads Pillow's formats
    if name is None or name not in Image.SAVE or name in _NOT_PICTURES:
        raise InvalidInput(
            f"cannot write {path}: Pillow writes no {suffix or 'file without suffix'}; name it .png"
        )
    return name


def refuse_other_suffix(path: str | os.PathLike[str], suffix: str) -> None:
    """A file is not to be called what it is not.

    Args:
        suffix: of the format that is to be written, ".pci".

    Raises:
        InvalidInput: the name ends in the suffix of another format that Pillow or pycodec knows.
    """
    known = {**Image.registered_extensions(), ".pci": "PCI"}
    found, own = Path(path).suffix.lower(), suffix.lower()
    if found in known and found != own and known[found] != known.get(own):
        raise InvalidInput(
            f"{path} is to be a {own} file, and ends in {found}; end it in {own}, or choose another codec"
        )


def encoded(image: Image.Image, image_format: str, path: str | os.PathLike[str]) -> bytes:
    """A decoded image as a file of one of Pillow's formats, with its colour profile.

    Raises:
        InvalidInput: the format cannot hold it; ``path`` is what the error calls the file.
    """
    if image_format == "JPEG" and image.mode in ("LA", "RGBA"):
        raise InvalidInput(f"cannot write {path}: JPEG has no transparency, and this image has; name it .png")
    out = io.BytesIO()
    options = dict(_SAVE_OPTIONS.get(image_format, {}))
    if "icc_profile" in image.info:
        options["icc_profile"] = image.info["icc_profile"]
    try:
        image.save(out, image_format, **options)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(f"cannot write {path}: {error}; name it .png") from error
    return out.getvalue()


def pack_alpha(alpha: np.ndarray) -> bytes:  # [H, W] uint8
    """Lossless alpha section: a grey PNG."""
    out = io.BytesIO()
    Image.fromarray(alpha).save(out, "PNG", optimize=True)
    return out.getvalue()


def unpack_alpha(data: bytes, width: int, height: int) -> np.ndarray:  # [height, width] uint8
    """Inverse of `pack_alpha`.

    Raises:
        CorruptStream: not a grey PNG of that size.
    """
    try:
        with PngImagePlugin.PngImageFile(io.BytesIO(data)) as image:
            if image.mode == "L" and image.size == (width, height):
                return np.asarray(image).copy()
    except _READ_ERRORS as error:
        raise CorruptStream(f"damaged .pci file: its alpha does not decode ({_first_line(error)})") from error
    raise CorruptStream(f"damaged .pci file: its alpha is no {width} x {height} grey PNG")


def pack_icc(icc: bytes) -> bytes:
    """Section of a colour profile: zlib.

    Raises:
        LimitExceeded: one longer than `pycodec.limits` allow.
    """
    if len(icc) > (most := limits.current().profile_bytes):
        raise LimitExceeded(f"colour profile of {len(icc)} bytes, expected at most {most}")
    return zlib.compress(icc, 9)


def unpack_icc(data: bytes) -> bytes:
    """Inverse of `pack_icc`.

    Raises:
        CorruptStream: not a zlib stream, or one longer than any profile.
    """
    inflate = zlib.decompressobj()
    try:
        icc = inflate.decompress(data, limits.current().profile_bytes)
    except zlib.error as error:
        raise CorruptStream(f"damaged .pci file: its colour profile does not decode ({error})") from error
    if not inflate.eof or inflate.unused_data:
        raise CorruptStream("damaged .pci file: its colour profile is cut short or too long")
    return icc


def _read(file: Path | io.BytesIO, name: str) -> Picture:
    try:
        with opened(file) as image:
            return _from_pil(image)
    except UnidentifiedImageError as error:
        raise InvalidInput(f"cannot read {name}: not an image of a format Pillow knows") from error
    except InvalidInput as error:
        raise type(error)(f"cannot read {name}: {error}") from error
    except _READ_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else _first_line(error)
        raise InvalidInput(f"cannot read {name}: {reason}") from error


def _from_pil(image: Image.Image) -> Picture:
    check_pixels(*image.size)
    if 0 in image.size:
        raise InvalidInput(f"image of {image.size[0]} x {image.size[1]} pixels, expected at least 1 x 1")
    notes = []
    if any(";16" in str(args) for *_, args in getattr(image, "tile", ())) and not image.mode.startswith("I"):
        notes.append("16 bits a channel: the upper 8 are kept")  # Pillow has no colour mode of more
    try:
        if getattr(image, "n_frames", 1) > 1:
            notes.append(f"first of {image.n_frames} frames only")  # type: ignore[attr-defined]
        image.load()
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            image = ImageOps.exif_transpose(image)
    except _READ_ERRORS as error:
        raise InvalidInput(_first_line(error)) from error
    icc = image.info.get("icc_profile")
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        image = _sixteen_to_eight(image)
        notes.append("16 bits a channel: scaled to 8")
    elif image.mode == "F":
        raise InvalidInput("floats have no agreed range, expected 8 or 16 bits a channel; convert it first")
    elif image.mode == "CMYK":
        image, managed = _cmyk_to_rgb(image, icc)
        icc = None
        notes.append("CMYK: converted to " + ("sRGB by its profile" if managed else "RGB without a profile"))
    image = _to_known_mode(image)
    bands = np.asarray(image)
    grey = image.mode in ("L", "LA")
    bands = bands[:, :, None] if bands.ndim == 2 else bands
    alpha = np.ascontiguousarray(bands[:, :, -1]) if image.mode in ("LA", "RGBA") else None
    if alpha is not None and (alpha == 255).all():
        alpha = None
    rgb = np.repeat(bands[:, :, :1], 3, axis=2) if grey else np.ascontiguousarray(bands[:, :, :3])
    if icc and icc[16:20] != (b"GRAY" if grey else b"RGB "):
        icc = None
        notes.append("colour profile dropped: it is not one for " + ("grey" if grey else "RGB"))
    return Picture(rgb, alpha, icc or None, grey, tuple(notes))


def _to_known_mode(image: Image.Image) -> Image.Image:
    """L, LA, RGB or RGBA, where palettes and colour keys have become alpha."""
    transparent = image.has_transparency_data
    grey = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if grey else "RGBA") if transparent else ("L" if grey else "RGB")
    return image if image.mode == mode else image.convert(mode)  # a copy of a large image is a large copy


def _sixteen_to_eight(image: Image.Image) -> Image.Image:
    """Grey of 16 bits to 8, rounded; Pillow's own conversion clips."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise InvalidInput(f"grey levels {values.min()}..{values.max()}, expected 0..65535")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def _cmyk_to_rgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bool]:
    """RGB of a CMYK image, and whether its own profile led there."""
    if icc:
        try:
            profiles = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
        except (OSError, ImageCms.PyCMSError):
            converted = None
        if converted is not None:
            return converted, True
    return image.convert("RGB"), False


def _tensor_to_array(tensor: torch.Tensor) -> np.ndarray:
    """[3, H, W] or [1, H, W], uint8 or float in 0..1, to [H, W, 3] or [H, W] uint8."""
    import torch

    tensor = tensor.detach().cpu()
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise InvalidInput(f"tensor of shape {tuple(tensor.shape)}, expected (3, H, W) or (1, H, W)")
    if tensor.is_floating_point():
        if not bool(((tensor >= 0) & (tensor <= 1)).all()):  # NaN fails it too
            raise InvalidInput("float tensor with values outside 0..1; use uint8 for 0..255")
        tensor = (tensor.float() * 255).round().to(torch.uint8)
    array: np.ndarray = tensor.numpy()
    return array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)


def _from_array(array: np.ndarray) -> Picture:
    if array.dtype != np.uint8 or not _is_image_shape(array.shape):
        raise InvalidInput(f"array of {array.dtype} {array.shape}, expected uint8 (H, W, 3) or (H, W)")
    check_pixels(array.shape[1], array.shape[0])
    if array.ndim == 2:
        return Picture(np.repeat(array[:, :, None], 3, axis=2), grey=True)
    return Picture(np.ascontiguousarray(array))


def _is_image_shape(shape: Sequence[int]) -> bool:
    return len(shape) in (2, 3) and 0 not in shape and (len(shape) == 2 or shape[2] == 3)


def _first_line(error: Any) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
