"""The manifest of a batch, ``manifest.jsonl``: a line of JSON for every file, made or failed.

Lines are only ever appended, whole, and the last one about a file counts. A process killed while it writes
leaves at most the beginning of a line, which the next one cuts off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from pycodec import files
from pycodec.errors import InvalidInput

NAME = "manifest.jsonl"


@dataclass(frozen=True)
class Record:
    """What became of a file.

    Attributes:
        source: input, as it was named.
        target: output, relative to the folder of the manifest, with ``/`` between folders.
        status: ``"ok"`` or ``"error"``.
        source_sha256, target_sha256: hexadecimal; empty where there is no such file.
        source_bytes, target_bytes: sizes of the files.
        pixels: width times height.
        codec: that wrote the .pci file, input or output.
        fingerprint: of its weights, as the .pci file has it.
        quality: of the .pci file.
        seconds: that it took, reading and writing included.
        notes: what conversion lost, a sentence each.
        error: one sentence; empty if all went well.
        options: of the run, as far as they decide what is in the output.
    """

    source: str
    target: str
    status: str
    source_sha256: str = ""
    target_sha256: str = ""
    source_bytes: int = 0
    target_bytes: int = 0
    pixels: int = 0
    codec: str = ""
    fingerprint: str = ""
    quality: float | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


class Manifest:
    """The manifest of a folder of outputs, open for as long as one run writes there.

    Args:
        out: the folder, which exists.
        resume: whether there may be a manifest of an earlier run.

    Attributes:
        records: the last line about every file, by its target.

    Raises:
        InvalidInput: another run is writing there now; there is a manifest and no ``resume``; or it is none.
    """

    def __init__(self, out: Path, resume: bool):
        self.path = out / NAME
        if self.path.exists() and not resume:
            raise InvalidInput(
                f"{self.path} is of an earlier run: go on with it by --resume, or name another folder with -o"
            )
        self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 (closed by __exit__)
        try:
            self._lock()
            self.records = self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, record: Record) -> None:
        """Append a line."""
        # Names need not be text: what is none is escaped, as JSON knows it.
        line = json.dumps(asdict(record), ensure_ascii=False).encode(errors="backslashreplace")
        files.append_line(self._file, line)
        self.records[record.target] = record

    def _lock(self) -> None:
        if not files.lock(self._file):
            raise InvalidInput(
                f"another pycodec batch is writing to {self.path.parent}: wait until it has ended"
            )

    def _read(self) -> dict[str, Record]:
        known = {f.name for f in fields(Record)}
        records = {}
        for number, line in enumerate(files.whole_lines(self._file).splitlines(), 1):
            try:
                values = json.loads(line)
                record = Record(**{name: value for name, value in values.items() if name in known})
            except (ValueError, TypeError, AttributeError) as error:
                raise InvalidInput(
                    f"line {number} of {self.path} is not of a manifest: delete the line, and its file is "
                    "made again"
                ) from error
            records[record.target] = record
        return records
