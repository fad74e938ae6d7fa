"""`run`: plan, check, hand out, write down."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pycodec import files, images, limits, weights
from pycodec.batch.cluster import connected, run_on_ray
from pycodec.batch.local import run_local
from pycodec.batch.manifest import NAME, Manifest, Record
from pycodec.batch.plan import SUFFIX, Direction, Job, choose_direction, find_inputs, plan
from pycodec.batch.work import Settings, load_codec
from pycodec.errors import InvalidInput

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Progress:
    """How far a run is, after a file and once before the first.

    Attributes:
        done, total: files.
        done_bytes, total_bytes: of inputs.
        record: of the last file.
        kept: it is of an earlier run, and was found to be still true.
    """

    done: int
    total: int
    done_bytes: int
    total_bytes: int
    record: Record | None = None
    kept: bool = False


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        direction: ``"compress"`` or ``"decompress"``.
        made, kept: files that this run made, and those of earlier runs that are still what they have to be.
        errors: records of the files that could not be made.
        source_bytes, target_bytes: of the files made or kept.
        left_out: inputs of the other kind.
        manifest: where all of it is written down.
    """

    direction: Direction
    made: int
    kept: int
    errors: tuple[Record, ...]
    source_bytes: int
    target_bytes: int
    left_out: int
    manifest: Path


def run(
    inputs: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    direction: Direction | None = None,
    codec: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    quality: float | None = None,
    bpp: float | None = None,
    effort: int | None = None,
    image_format: str | None = None,
    device: str = "cpu",
    engine: Engine = "local",
    jobs: int | None = None,
    address: str | None = None,
    resume: bool = False,
    progress: Callable[[Progress], object] | None = None,
) -> Summary:
    """Compress images to .pci files in ``out``, or turn .pci files there into images.

    What goes wrong with a file is in its record and in the summary, and the others go on. With ``resume``,
    files that the manifest in ``out`` has, whose input and output still have the checksums it names, are not
    made again; changed ones and those that failed are.

    Ctrl-C lets the files be finished that were begun, and then raises KeyboardInterrupt; a second one does
    not wait for them.

    Args:
        inputs: files and folders. What lies in a folder keeps its place below ``out``.
        out: folder, made if it is not there.
        direction: ``"compress"`` or ``"decompress"``; by default what the inputs are for. With it, files of
            the other kind are left out.
        codec: that compresses; by default the default codec, or that of ``weights_file``.
        weights_file: as for ``pycodec.load`` or ``pycodec.decompress``.
        quality, bpp, effort: of the .pci files, as for `pycodec.Codec.compress`.
        image_format: suffix of the decompressed images, any that Pillow writes; by default ``"png"``.
        device: ``"cpu"`` or ``"cuda"``.
        engine: ``"local"`` for processes of this machine, ``"ray"`` for a Ray cluster.
        jobs: processes, or tasks at a time; by default the CPUs of this machine (one process with
            ``"cuda"``), or all of the cluster. Several processes have one thread each.
        address: of the Ray cluster, by default RAY_ADDRESS.
        resume: go on with what an earlier run has begun in ``out``.
        progress: called with every file that is done.

    Raises:
        InvalidInput: inputs, options or a folder that cannot be used; nothing has been written then.
        UnknownComponent, MissingWeights, WeightsMismatch: the codec cannot be loaded.
        MissingDependency: Ray is not installed.
    """
    out = Path(os.path.abspath(out))
    if engine not in ("local", "ray"):
        raise InvalidInput(f"unknown engine {engine!r}, expected 'local' or 'ray'")
    if jobs is not None and jobs < 1:
        raise InvalidInput(f"{jobs} jobs, expected at least 1")
    found = find_inputs(inputs, out)
    direction = choose_direction(found, direction)
    weights_path = os.path.abspath(weights_file) if weights_file is not None else None
    settings = Settings(
        str(out), direction, codec, weights_path, quality, bpp, effort, device, limits=limits.current()
    )
    if direction == "compress":
        if image_format is not None:
            raise InvalidInput(f"format {image_format} is for decompressing, and these files are compressed")
        suffix, settings = SUFFIX, _to_compress(settings)
    else:
        suffix = "." + (image_format or "png").lower().lstrip(".")
        settings = _to_decompress(settings, suffix)
    todo = plan(found, direction, suffix)
    if engine == "local" and device != "cpu":
        from pycodec.codec import check_device

        check_device(device)
    cluster = connected(address) if engine == "ray" else nullcontext()
    with cluster as ray, _opened(out, todo, resume) as manifest, _interruptible() as stop:
        _check_options(manifest, settings.options)
        todo = [replace(job, earlier=manifest.records.get(job.target)) for job in todo]
        if engine == "ray":
            outcomes = run_on_ray(ray, replace(settings, threads=1), todo, jobs, stop)
        else:
            count = jobs or _default_jobs(device)
            threads = 1 if count > 1 else None
            outcomes = run_local(replace(settings, threads=threads), todo, count, stop)
        sizes = {job.target: job.size for job in todo}
        state = Progress(0, len(todo), 0, sum(sizes.values()))
        records, kept = [], 0
        report = progress or (lambda state: None)
        report(state)
        try:
            with closing(outcomes):
                for outcome in outcomes:
                    record = outcome.record
                    if not outcome.kept:
                        manifest.add(record)
                    records.append(record)
                    kept += outcome.kept
                    done_bytes = state.done_bytes + sizes[record.target]
                    state = replace(
                        state, done=len(records), done_bytes=done_bytes, record=record, kept=outcome.kept
                    )
                    report(state)
        finally:
            files.remove_leftovers(out / job.target for job in todo)  # of workers that died
        if len(records) < len(todo):
            raise KeyboardInterrupt
    good = [record for record in records if record.status == "ok"]
    return Summary(
        direction,
        len(good) - kept,
        kept,
        tuple(record for record in records if record.status != "ok"),
        sum(record.source_bytes for record in good),
        sum(record.target_bytes for record in good),
        sum(file.direction != direction for file in found),
        manifest.path,
    )


def _to_compress(settings: Settings) -> Settings:
    """The settings with what decides the outputs, checked."""
    codec = load_codec(settings.codec, settings.weights)
    if (suffix := getattr(codec, "suffix", SUFFIX)) != SUFFIX:
        raise InvalidInput(
            f"codec {settings.codec!r} writes {suffix} files, expected one that writes {SUFFIX}"
        )
    quality, bpp = settings.quality, settings.bpp
    if bpp is None:
        quality = codec.quality_step(quality) / 16
    elif quality is not None:
        raise InvalidInput("both quality and bpp are given, expected one of the two")
    elif not 0 < bpp < float("inf"):
        raise InvalidInput(f"bpp {bpp:g}, expected a positive number of bits per pixel")
    if settings.effort is not None and settings.effort < 0:
        raise InvalidInput(f"effort {settings.effort}, expected 0 or more")
    options = {
        "direction": settings.direction,
        "codec": codec.name,
        "fingerprint": codec.fingerprint.hex(),
        "quality": quality,
        "bpp": bpp,
        "effort": settings.effort,
        "device": settings.device,
    }
    return replace(settings, options=options)


def _to_decompress(settings: Settings, suffix: str) -> Settings:
    given = {name: getattr(settings, name) for name in ("codec", "quality", "bpp", "effort")}
    for name, value in given.items():
        if value is not None:
            raise InvalidInput(f"{name} {value} is for compressing, and these files are decompressed")
    name = images.format_of(f"images{suffix}")
    named = weights.read_metadata(settings.weights)["fingerprint"] if settings.weights else None
    options = {
        "direction": settings.direction,
        "weights": named,
        "format": suffix,
        "device": settings.device,
    }
    return replace(settings, image_format=name, options=options)


def _opened(out: Path, todo: Sequence[Job], resume: bool) -> Manifest:
    """The manifest, and folders for the outputs; what a killed run left half written is removed."""
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out} is a file, expected a folder for the outputs")
    going_on = (out / NAME).exists()
    if not going_on:
        for job in todo:
            if (out / job.target).exists():
                raise InvalidInput(
                    f"{out / job.target} is there already, and no {NAME} says that a batch made it: "
                    "name an empty folder with -o"
                )
        out.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(out, resume)
    if going_on:
        files.remove_leftovers(out / job.target for job in todo)
    for folder in {(out / job.target).parent for job in todo}:
        folder.mkdir(parents=True, exist_ok=True)
    return manifest


def _check_options(manifest: Manifest, options: Mapping[str, Any]) -> None:
    """A folder has the outputs of one set of options, or nobody would know what is in it."""
    for record in manifest.records.values():
        for name in options:
            if record.options.get(name) != options[name]:
                raise InvalidInput(
                    f"{manifest.path.parent} was begun with {name} {record.options.get(name)}, now it is "
                    f"{options[name]}: resume with the same options, or name another folder with -o"
                )


def _default_jobs(device: str) -> int:
    if device != "cpu":
        return 1
    affinity = getattr(os, "sched_getaffinity", None)  # the CPUs of a container or a job, where it is known
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, the first time; where somebody else handles it, or nobody, that stays."""
    stop = threading.Event()
    usual = signal.default_int_handler
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not usual
    ):
        yield stop
        return

    def first(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, usual)
        stop.set()

    signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, usual)
