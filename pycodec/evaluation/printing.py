"""What commands print while they measure and when they are done: progress, tables, BD-rates."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from pycodec.evaluation.run import Watcher


@contextmanager
def progress() -> Iterator[Watcher]:
    """A bar for each codec, with the time left, and notes above; plain lines where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pycodec.evaluation.run import Watcher

    class Bars(Watcher):
        def __init__(self, progress: Progress):
            self.progress = progress
            self.tasks: dict[str, TaskID] = {}

        def begin(self, codec: str, total: int) -> None:
            self.tasks[codec] = self.progress.add_task(codec, total=total)
            if not self.progress.console.is_terminal and total:
                click.echo(f"{codec}: {total} to do", err=True)

        def measured(self, codec: str) -> None:
            self.progress.advance(self.tasks[codec])

        def note(self, sentence: str) -> None:
            self.progress.console.print(f"note: {sentence}", markup=False, highlight=False, soft_wrap=True)

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bars(progress)


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, in plain columns of full width anywhere else."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*headers)
        for row in rows:
            table.add_row(*map(Text, row))  # Text, because "[...]" in a message is no markup
        Console().print(table)
        return
    widths = [max(len(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    for row in (headers, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a page, whose first column is text and the others numbers."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def bd_text(entry: Mapping[str, Any] | None) -> str:
    """A BD-rate of a results document, with its interval; a star where it is between mean curves."""
    if entry is None:
        return "-"
    text = f"{entry['percent']:+.1f}"
    if entry["of_means"]:
        return text + " *"
    return text if entry["low"] is None else f"{text} ({entry['low']:+.1f} to {entry['high']:+.1f})"
