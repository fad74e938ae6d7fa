"""One picture of three planes as a YUV4MPEG2 file, which says its size and depth itself.

A line of parameters that begin with a letter each, ``YUV4MPEG2 W768 H512 F1:1 C444p10``, a line ``FRAME``,
and the planes. Samples of more than 8 bits take two bytes, the lower first.
"""

from __future__ import annotations

import re

import numpy as np

from pycodec.limits import check_pixels

_DEPTHS = {"444": 8, **{f"444p{bits}": bits for bits in range(9, 17)}}


def samples(planes: np.ndarray, bits: int) -> bytes:
    """The planes alone, as raw video files have them."""
    return planes.astype("u1" if bits == 8 else "<u2").tobytes()


def write(planes: np.ndarray, bits: int) -> bytes:  # [3, H, W] integers
    """The file of 4:4:4 planes of ``bits`` a sample."""
    _, height, width = planes.shape
    depth = "444" if bits == 8 else f"444p{bits}"
    return f"YUV4MPEG2 W{width} H{height} F1:1 Ip A1:1 C{depth}\nFRAME\n".encode() + samples(planes, bits)


def read(data: bytes) -> tuple[np.ndarray, int]:  # [3, H, W] uint16, and the bits of a sample
    """The first picture of a file.

    Raises:
        ValueError: no such file, one of another chroma format, or one that is cut short.
        LimitExceeded: more pixels than `pycodec.limits` allow.
    """
    first, _, rest = data.partition(b"\n")
    magic, *parameters = first.decode("ascii", "replace").split()[:32] or [""]
    if magic != "YUV4MPEG2":
        raise ValueError(f"no YUV4MPEG2 file: it begins with {data[:8]!r}")
    found = {parameter[0]: parameter[1:] for parameter in parameters}
    width, height, chroma = int(found.get("W", 0)), int(found.get("H", 0)), found.get("C", "420")
    if chroma not in _DEPTHS or width < 1 or height < 1:
        raise ValueError(f"a YUV4MPEG2 file of {width} x {height} {chroma}, expected 4:4:4")
    check_pixels(width, height)
    bits = _DEPTHS[chroma]
    kind = np.dtype("u1" if bits == 8 else "<u2")
    frame = re.match(rb"FRAME[^\n]*\n", rest)
    count = 3 * width * height
    if frame is None or len(rest) - frame.end() < count * kind.itemsize:
        raise ValueError(f"a YUV4MPEG2 file of {len(data)} bytes, too few for {width} x {height} {chroma}")
    planes = np.frombuffer(rest, kind, count, frame.end())
    return planes.reshape(3, height, width).astype(np.uint16), bits
