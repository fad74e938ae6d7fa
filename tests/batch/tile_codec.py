"""A codec without torch, so that processes start at once, which misbehaves for images of one to three pixels' width."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import zlib
from pathlib import Path

import numpy as np

MARKS = "TILE_MARKS"
"""Environment variable: the folder in which the codec notes what it has done, across processes."""
DIES, DIES_ONCE, HANGS_ONCE = 1, 2, 3
"""Widths of images: the process is killed, is killed the first time, never comes back the first time."""


def pycodec_register_codecs(register):
    register("tile", "tile_codec:TileCodec", summary="upper bits of pixels, and zlib")


class TileCodec:
    name = "tile"
    fingerprint = hashlib.sha256(b"tile").digest()

    def quality_step(self, quality=None):
        from pycodec.errors import InvalidInput

        quality = 5 if quality is None else quality
        if not 1 <= quality <= 8:
            raise InvalidInput(f"quality {quality:g}, expected 1 to 8")
        return round(16 * quality)

    def compress(self, image, quality=None, bpp=None, device="cpu"):
        from pycodec.bitstream import Container, Header
        from pycodec.images import as_picture

        picture = as_picture(image)
        misbehave(picture.size)
        step = self.quality_step(quality)
        symbols = (picture.rgb >> (8 - step // 16)).tobytes()
        header = Header(self.name, self.fingerprint, *picture.size, step, zlib.crc32(symbols))
        return Container(header, zlib.compress(symbols)).to_bytes()

    def decompress(self, data, device="cpu"):
        from pycodec import bitstream, images

        container = bitstream.parse(data)
        header = container.header
        shape = header.height, header.width, 3
        symbols = np.frombuffer(zlib.decompress(container.payload), np.uint8).reshape(shape)
        return images.to_pil(symbols << (8 - header.quality_step // 16))

    def config(self):
        return {"name": self.name}


def misbehave(size: tuple[int, int]) -> None:
    width = size[0]
    if width > HANGS_ONCE:
        return
    mark = Path(os.environ[MARKS], f"{width}x{size[1]}")
    if width == DIES or not mark.exists():
        mark.write_text(node())
        if width == HANGS_ONCE:
            threading.Event().wait()
        os.kill(os.getpid(), signal.SIGKILL)


def node() -> str:
    """The node of a Ray cluster on which this process runs; nothing outside of one."""
    import sys

    ray = sys.modules.get("ray")
    return ray.get_runtime_context().get_node_id() if ray and ray.is_initialized() else ""
