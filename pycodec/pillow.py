"""Pillow plugin: once this module is imported, Pillow opens and saves .pci files.

>>> import pycodec.pillow
>>> image = Image.open("photo.pci")
>>> image.save("again.pci", quality=5)

Size, mode and info come from the header; the codec, and torch with it, is loaded by what needs pixels. Pillow
loads no plugins by itself, so that somebody has to import this module.
"""

from __future__ import annotations

import numbers
import os
import warnings
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageFile, UnidentifiedImageError

from pycodec import bitstream, images, limits, loading
from pycodec.bitstream import Section
from pycodec.errors import CorruptStream, InvalidInput, PycodecError

if TYPE_CHECKING:
    from pycodec.codec import Codec

FORMAT = "PCI"
"""Of an opened image, and of ``Image.save(file, format="PCI")``."""
SUFFIX = ".pci"
MEDIA_TYPE = "image/x-pci"


class PciImageFile(ImageFile.ImageFile):
    """An opened .pci file, of mode L, LA, RGB or RGBA.

    ``info`` has ``codec``, ``fingerprint`` (of its weights, eight hexadecimal digits), ``quality``, and
    ``icc_profile`` if the file has one.
    """

    format = FORMAT
    format_description = "pycodec learned image codec"
    _encoded = False  # pixels are still to come; so that a copy by pickle, which has them, needs no file

    def _open(self) -> None:
        """Called by Pillow.

        Raises:
            UnidentifiedImageError: a damaged header, or one of a newer version.
        """
        try:
            header, sections = bitstream.parse_header(self._file().read(bitstream.MAX_HEADER_BYTES))
        except PycodecError as error:
            # A SyntaxError would be the way of other plugins, but Image.open drops what it says.
            name = repr(self.filename or self.fp)
            raise UnidentifiedImageError(f"cannot identify image file {name}: {error}") from error
        present = {section.name: section for section in sections}
        self._size = header.width, header.height
        self._mode = ("L" if header.grey else "RGB") + ("A" if "alpha" in present else "")
        self.info["codec"] = header.codec
        self.info["fingerprint"] = header.fingerprint.hex()
        self.info["quality"] = header.quality_step / 16
        if "icc" in present:
            with suppress(CorruptStream):  # load and verify will say so
                self.info["icc_profile"] = images.unpack_icc(self._read_section(present["icc"]))
        self.tile = []  # nothing for Pillow's own decoders
        self._encoded = True

    def load(self) -> Any:
        """Decode the file, once; Pillow calls this wherever pixels are needed.

        Raises:
            OSError: a damaged file, or one whose codec or weights are not here. Nothing is shown of it, not
                even with ``ImageFile.LOAD_TRUNCATED_IMAGES``.
            PIL.Image.DecompressionBombError: more pixels than `pycodec.limits` allow.
        """
        if self._encoded:
            self.im = self._decoded().im
            self._encoded = False
            self.readonly = 0
            if self._exclusive_fp:
                self._file().close()
            self.fp = None
        return super().load()

    def verify(self) -> None:
        """Check the CRC of every part of the file, without decoding it; afterwards it has to be opened anew.

        Raises:
            OSError: a damaged file.
            RuntimeError: the image is loaded already.
        """
        if not self._encoded:
            raise RuntimeError("verify has to be called directly after open")
        try:
            bitstream.parse(self._content())
        except PycodecError as error:
            raise OSError(str(error)) from error
        finally:
            super().verify()

    def _decoded(self) -> Image.Image:
        try:
            limits.check_pixels(*self.size)
        except InvalidInput as error:
            raise Image.DecompressionBombError(str(error)) from error
        data = self._content()
        from pycodec.codec import decompress  # imports torch

        try:
            return decompress(data)
        except PycodecError as error:
            raise OSError(str(error)) from error

    def _content(self) -> bytes:
        self._file().seek(0)
        return self._file().read()

    def _read_section(self, section: Section) -> bytes:
        self._file().seek(section.offset)
        # A header may promise any length; what is cut short here has another CRC.
        most = limits.current().profile_bytes
        return section.checked(self._file().read(min(section.length, most)))

    def _file(self) -> IO[bytes]:
        if self.fp is None:
            raise ValueError("operation on an image that was closed or verified; open it again")
        return self.fp


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(bitstream.MAGIC)


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Called by ``Image.save``, whose keyword arguments are in ``image.encoderinfo``: ``quality`` or ``bpp``,
    and ``effort``, as in `pycodec.Codec.compress`; ``codec``, a name or a `pycodec.Codec`; ``weights_file``;
    ``icc_profile`` (None for none). The pixels are written as they are: no EXIF orientation is applied,
    none is stored.

    The file is written at the end and at once, so that an error leaves nothing in it.

    Raises:
        OSError: an image of a mode that no file holds.
        InvalidInput: options that cannot be used.
        UnknownComponent, MissingWeights, WeightsMismatch: as ``pycodec.load``.
    """
    options = image.encoderinfo
    quality, bpp = _number(options, "quality"), _number(options, "bpp")
    codec = _codec(options.get("codec"), options.get("weights_file"))
    plain = image.copy()
    plain.info = {key: image.info[key] for key in ("icc_profile", "transparency") if key in image.info}
    if "icc_profile" in options:
        plain.info["icc_profile"] = options["icc_profile"]
    try:
        picture = images.as_picture(plain)
    except InvalidInput as error:
        raise OSError(f"cannot write mode {image.mode} as {FORMAT}: {error}") from error
    for note in picture.notes:
        warnings.warn(f"{os.fsdecode(filename) or FORMAT}: {note}", stacklevel=3)  # 3: who called save
    effort = {"effort": options["effort"]} if "effort" in options else {}
    file.write(codec.compress(picture, quality, bpp, **effort))


def _codec(codec: str | Codec | None, weights_file: str | os.PathLike[str] | None) -> Codec:
    from pycodec.codec import Codec

    name = codec
    if codec is None or isinstance(codec, str):
        codec = loading.load_kept(codec, weights_file)
    elif weights_file is not None:
        raise InvalidInput(
            "both a codec with its weights and weights_file are given, expected one of the two"
        )
    if not isinstance(codec, Codec):
        named = f"codec {name!r}" if isinstance(name, str) else f"a {type(codec).__name__}"
        raise InvalidInput(f"{named} writes no {SUFFIX} files, expected a pycodec.Codec, or the name of one")
    return codec


def _number(options: dict[str, Any], name: str) -> float | None:
    value = options.get(name)
    if value is not None and not isinstance(value, numbers.Real):
        raise InvalidInput(f"{name} {value!r}, expected a number")
    return None if value is None else float(value)


Image.register_open(FORMAT, PciImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, SUFFIX)
Image.register_mime(FORMAT, MEDIA_TYPE)
