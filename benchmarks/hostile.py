"""Hostile files: what `pycodec.decompress` makes of small damaged files of every codec.

Two pictures of each codec, one with transparency and a colour profile and one grey, are damaged in every way:
  flips       every bit of every byte, and every byte as 00, 7f, 80, ff and a random value
  truncated   to every length
  corrupted   at random places: bytes, runs, parts zeroed, removed, repeated or put in
  spliced     the beginning of one file and the end of the other
  repaired    the payload damaged, and every checksum of the container made right again
  declared    another size declared, again with right checksums
Each file must give an error of pycodec.errors or one of the pictures, pixel for pixel; the last kind an
error. Memory must stay below 1.5 times what a valid file of the declared size takes: what Python allocates
(tracemalloc) with a slack of 1 MiB, and the resident memory at its highest with one of 8 MiB, both above what
there was before. Every codec is tried in a process of its own, whose memory is limited: a crash is a failure
too.
Writes benchmarks/results/hostile.json; exit status 1 when any of it fails.
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

import pycodec
from pycodec import bitstream
from pycodec.errors import PycodecError

from . import common

CODECS = ("ctx3d", "cpm", "hyperprior", "hyperprior-illm")
SIZE = 64, 48
DECLARED = (128, 96), (512, 384), (4096, 8), (1, 16384)
CORRUPTED, SPLICED, REPAIRED = 10_000, 1_000, 1_000
MORE_MEMORY = 1.5
SLACK_BYTES = 8 << 20
ROOM_BYTES = 2 << 30  # of addresses, above what a codec takes once it has decoded
MOST_FAILURES = 10  # that are written down


def picture(size: tuple[int, int], grey: bool, seed: int = 0) -> Image.Image:
    """Waves with some noise; the coloured one with a soft hole and a profile."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[1], : size[0]]
    waves = np.stack([np.sin(x / a + y / b) for a, b in ((5, 9), (11, 4), (7, 7))], -1)
    pixels = (128 + 80 * waves + rng.normal(0, 8, waves.shape)).clip(0, 255).astype(np.uint8)
    if grey:
        return Image.fromarray(pixels[..., 0])
    image = Image.fromarray(pixels)
    distance = np.hypot(x - size[0] / 2, y - size[1] / 2)
    image.putalpha(Image.fromarray((16 * distance).clip(0, 255).astype(np.uint8)))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.info["icc_profile"] = profile[:24] + bytes(12) + profile[36:]  # without the date
    return image


# --- Damage ---


def flips(data: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    for at, byte in enumerate(data):
        values = {byte ^ 1 << bit for bit in range(8)} | {0x00, 0x7F, 0x80, 0xFF, int(rng.integers(256))}
        for value in sorted(values - {byte}):
            yield data[:at] + bytes([value]) + data[at + 1 :]


def truncated(data: bytes) -> Iterator[bytes]:
    return (data[:size] for size in range(len(data)))


def corrupted(data: bytes, rng: np.random.Generator, count: int) -> Iterator[bytes]:
    for _ in range(count):
        changed = bytearray(data)
        kind, at = rng.integers(6), int(rng.integers(len(data)))
        end = at + int(rng.integers(2, 33))
        if kind == 0:
            for place in rng.integers(len(data), size=rng.integers(2, 17)):
                changed[place] = rng.integers(256)
        elif kind == 1:
            changed[at:end] = rng.bytes(len(changed[at:end]))
        elif kind == 2:
            changed[at:end] = bytes(len(changed[at:end]))
        elif kind == 3:
            del changed[at:end]
        elif kind == 4:
            changed[at:at] = changed[at:end]
        else:
            changed[at:at] = rng.bytes(end - at)
        yield bytes(changed)


def spliced(first: bytes, second: bytes, rng: np.random.Generator, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield first[: rng.integers(len(first) + 1)] + second[rng.integers(len(second) + 1) :]


def repaired(data: bytes, rng: np.random.Generator, count: int) -> Iterator[bytes]:
    whole = bitstream.parse(data)
    for payload in corrupted(whole.payload, rng, count):
        yield replace(whole, payload=payload).to_bytes()


def declared(data: bytes, size: tuple[int, int]) -> bytes:
    whole = bitstream.parse(data)
    header = replace(whole.header, width=size[0], height=size[1])
    return replace(whole, header=header, alpha=b"").to_bytes()


# --- What comes of it ---


def pixels_of(image: Image.Image) -> tuple[str, tuple[int, int], bytes, bytes | None]:
    return image.mode, image.size, image.tobytes(), image.info.get("icc_profile")


@dataclass
class Peak:
    """Memory above what there was before a call, in bytes, at its highest."""

    python: int = 0
    resident: int = 0

    def widen(self, other: Peak) -> None:
        self.python, self.resident = max(self.python, other.python), max(self.resident, other.resident)

    def fits(self, valid: Peak) -> bool:
        slack = SLACK_BYTES // 8  # Python's own of errors and their traces
        return self.python <= MORE_MEMORY * valid.python + slack and (
            self.resident <= MORE_MEMORY * valid.resident + SLACK_BYTES
        )


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def decoded(data: bytes) -> tuple[Any, Peak]:
    """Pixels of a file, or the error that it gives; and the memory that it took."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    Path("/proc/self/clear_refs").write_text("5")  # the highest resident memory begins anew
    resident = _status("VmRSS")
    found: Any
    try:
        found = pixels_of(pycodec.decompress(data))
    except Exception as error:
        found = error.with_traceback(None)
    peak = Peak(tracemalloc.get_traced_memory()[1] - before, max(0, _status("VmHWM") - resident))
    return found, peak


@dataclass
class Tally:
    """What one kind of damage came to."""

    tried: int = 0
    identical: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    peak: Peak = field(default_factory=Peak)
    failures: list[str] = field(default_factory=list)
    failed: int = 0

    def add(self, data: bytes, pictures: list[Any], valid: Peak) -> None:
        found, peak = decoded(data)
        if not peak.fits(valid):  # what a second call does not take again was kept, for all files to come
            found, peak = decoded(data)
        self.tried += 1
        self.peak.widen(peak)
        if isinstance(found, PycodecError):
            self.errors[type(found).__name__] += 1
        elif found in pictures:
            self.identical += 1
        elif isinstance(found, Exception):
            self.fail(f"{type(found).__name__}: {found}", data)
        else:
            self.fail("another picture", data)
        if not peak.fits(valid):
            self.fail(f"{peak} of memory, a valid file takes {valid}", data)

    def fail(self, problem: str, data: bytes) -> None:
        self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append(f"{problem}; file {data.hex()}")


def valid_peak(data: bytes) -> tuple[Any, Peak]:
    decoded(data)  # what is loaded and kept at the first call
    gc.collect()
    return decoded(data)


def attack(name: str, share: float = 1.0) -> dict[str, Any]:
    """All damage to the two files of a codec, or a share of it; ready for JSON."""
    codec = pycodec.load(name)
    files = [codec.compress(picture(SIZE, grey)) for grey in (False, True)]
    rng = np.random.default_rng(0)

    def sampled(damage: Iterator[bytes]) -> Iterator[bytes]:
        return (data for i, data in enumerate(damage) if share == 1 or i == 0 or rng.random() < share)

    def some(count: int) -> int:
        return max(1, round(share * count))

    tracemalloc.start()
    try:
        known = [valid_peak(data) for data in files]
        pictures = [pixels for pixels, _ in known]
        valid = Peak()
        for _, peak in known:
            valid.widen(peak)
        tallies: dict[str, Tally] = {}

        def count(kind: str, damage: Iterator[bytes], allowed: list[Any], limit: Peak = valid) -> None:
            tally = tallies.setdefault(kind, Tally())
            for data in damage:
                tally.add(data, allowed, limit)

        for data in files:
            count("flips", sampled(flips(data, rng)), pictures)
            count("truncated", sampled(truncated(data)), pictures)
            count("corrupted", corrupted(data, rng, some(CORRUPTED // 2)), pictures)
            count("repaired", repaired(data, rng, some(REPAIRED // 2)), pictures)
        for first, second in (files, files[::-1]):
            count("spliced", spliced(first, second, rng, some(SPLICED // 2)), pictures)
        for size in DECLARED if share == 1 else DECLARED[:1]:
            _, peak = valid_peak(codec.compress(picture(size, grey=True)))
            count("declared", (declared(data, size) for data in files), [], peak)
    finally:
        tracemalloc.stop()
    return {
        "codec": name,
        "fingerprint": codec.fingerprint.hex(),
        "file_bytes": [len(data) for data in files],
        "valid_peak_bytes": asdict(valid),
        "damage": {
            kind: {**asdict(tally), "errors": dict(sorted(tally.errors.items()))}
            for kind, tally in tallies.items()
        },
    }


def limit_memory() -> None:
    """Of this process, from now on."""
    wanted = _status("VmSize") + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (wanted, wanted))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def attack_in_a_process(name: str) -> dict[str, Any]:
    """What `attack` gives, or how its process ended."""
    with tempfile.NamedTemporaryFile("r") as result:
        command = [sys.executable, "-m", "benchmarks.hostile", "--codecs", name, "--worker", result.name]
        status = subprocess.run(command, cwd=common.ROOT, check=False).returncode
        if status:
            return {"codec": name, "damage": {}, "failures": [f"the process ended with status {status}"]}
        found: dict[str, Any] = json.loads(result.read())
        return found


def failures(result: dict[str, Any]) -> list[str]:
    return [
        *result.get("failures", []),
        *(f"{kind}: {each}" for kind, tally in result["damage"].items() for each in tally["failures"]),
    ]


def main() -> int:
    parser = common.parser(__doc__, "hostile.json")
    parser.add_argument(
        "--codecs", type=common.names, default=list(CODECS), help=f"default: {','.join(CODECS)}"
    )
    parser.add_argument(
        "--worker", type=Path, help="report on one codec to this file; used for the processes"
    )
    arguments = parser.parse_args()
    if arguments.worker:
        limit_memory()
        arguments.worker.write_text(json.dumps(attack(arguments.codecs[0])))
        return 0
    results = [attack_in_a_process(name) for name in arguments.codecs]
    document = {
        "benchmark": "hostile",
        "environment": common.environment(),
        "settings": {
            "size": SIZE,
            "declared": DECLARED,
            "more_memory": MORE_MEMORY,
            "slack_bytes": SLACK_BYTES,
        },
        "results": results,
    }
    common.write_json(arguments.json or common.RESULTS / arguments.file, document)
    rows = [
        [f"{r['codec']}, {kind}", t["tried"], sum(t["errors"].values()), t["identical"], t["failed"]]
        for r in results
        for kind, t in r["damage"].items()
    ]
    print(common.table(["codec, damage", "files", "typed errors", "same picture", "failed"], rows))
    for result in results:
        for failure in failures(result):
            print(f"FAILED {result['codec']}, {failure[:400]}")
    return 1 if any(map(failures, results)) else 0


if __name__ == "__main__":
    common.run(main)
