"""The work on one file, the same on every engine; doing it twice gives the same file again."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycodec import bitstream, files, images, limits, loading
from pycodec.batch.manifest import Record
from pycodec.batch.plan import Direction, Job
from pycodec.errors import PycodecError, out_of_memory
from pycodec.limits import Limits

if TYPE_CHECKING:
    from pycodec.codec import Codec


@dataclass(frozen=True)
class Settings:
    """What every worker has to know. All paths are absolute."""

    out: str
    direction: Direction
    codec: str | None = None
    weights: str | None = None
    quality: float | None = None
    bpp: float | None = None
    effort: int | None = None
    device: str = "cpu"
    image_format: str = "PNG"
    """Pillow's name of it."""
    threads: int | None = None
    """Of torch; None leaves it to torch."""
    limits: Limits = field(default_factory=Limits)
    options: Mapping[str, Any] = field(default_factory=dict)
    """For the records, see `Record.options`."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    record: Record
    kept: bool = False
    """The record is an earlier one, and still true."""


def work(settings: Settings, job: Job) -> Outcome:
    """Make one output, or see that what an earlier run made is still what it has to be.

    Nothing is raised: what goes wrong with a file is in its record.
    """
    start = time.perf_counter()
    record = Record(job.source, job.target, "error", options=settings.options)
    try:
        source = Path(job.path).read_bytes()
        record = replace(record, source_bytes=len(source), source_sha256=hashlib.sha256(source).hexdigest())
        target = Path(settings.out, job.target)
        if job.earlier and _still_true(job.earlier, record.source_sha256, target):
            return Outcome(job.earlier, kept=True)
        make = _compressed if settings.direction == "compress" else _decompressed
        with limits.using(settings.limits):
            packed, data, notes = make(settings, job, source)
        header, _ = bitstream.parse_header(packed)
        files.write_bytes(target, data)
        record = replace(
            record,
            status="ok",
            target_bytes=len(data),
            target_sha256=hashlib.sha256(data).hexdigest(),
            pixels=header.width * header.height,
            codec=header.codec,
            fingerprint=header.fingerprint.hex(),
            quality=header.quality_step / 16,
            notes=notes,
        )
    except Exception as error:  # of a codec by anybody, over files by anybody: the batch goes on
        record = replace(record, error=_sentence(error))
    return Outcome(replace(record, seconds=round(time.perf_counter() - start, 4)))


def failed(settings: Settings, job: Job, error: str) -> Outcome:
    """The outcome of a job whose worker could not tell it."""
    return Outcome(Record(job.source, job.target, "error", error=error, options=settings.options))


@functools.lru_cache(loading.KEPT)
def load_codec(name: str | None, weights_file: str | None) -> Codec:
    """As `pycodec.load`; a process loads a codec once."""
    return loading.load(name, weights_file=weights_file)


def _compressed(settings: Settings, job: Job, source: bytes) -> tuple[bytes, bytes, tuple[str, ...]]:
    """The .pci file, the output, and notes."""
    picture = images.as_picture(job.path)
    codec = load_codec(settings.codec, settings.weights)
    _use_threads(settings.threads)
    options = {} if settings.effort is None else {"effort": settings.effort}
    data = codec.compress(picture, settings.quality, settings.bpp, settings.device, **options)
    return data, data, picture.notes


def _decompressed(settings: Settings, job: Job, source: bytes) -> tuple[bytes, bytes, tuple[str, ...]]:
    header, _ = bitstream.parse_header(source)
    if settings.weights is None:
        codec = loading.codec_for(header.codec, header.fingerprint, settings.device)
    else:
        codec = load_codec(header.codec, settings.weights)
    _use_threads(settings.threads)
    image = codec.decompress(source, settings.device)
    return source, images.encoded(image, settings.image_format, job.target), ()


def _still_true(earlier: Record, source_sha256: str, target: Path) -> bool:
    if earlier.status != "ok" or earlier.source_sha256 != source_sha256 or not target.is_file():
        return False
    return hashlib.sha256(target.read_bytes()).hexdigest() == earlier.target_sha256


def _use_threads(threads: int | None) -> None:
    torch = sys.modules.get("torch")  # loaded by the codec, if it needs it
    if threads and torch is not None:
        torch.set_num_threads(threads)


def _sentence(error: Exception) -> str:
    message = " ".join(str(error).split())
    if isinstance(error, PycodecError) and message:
        return message
    if out_of_memory(error):
        return "memory ran out; have fewer --jobs, or a smaller picture"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
