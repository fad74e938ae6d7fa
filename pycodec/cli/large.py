"""What commands on large images share: the option that allows them, and a bar while one takes its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from pycodec import limits, progress

SHOWN_PIXELS = 2**22
"""An image of fewer is done before a bar is seen."""


def _allow(ctx: click.Context, parameter: click.Parameter, value: int | None) -> None:
    if value is not None:
        ctx.with_resource(limits.using(limits.allowing(value)))


max_pixels_option: Callable[[Any], Any] = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    metavar="N",
    expose_value=False,
    callback=_allow,
    help=f"Refuse images of more [default: PYCODEC_MAX_PIXELS, or {limits.Limits.pixels}].",
)


@contextmanager
def shown(pixels: int) -> Iterator[None]:
    """Show how far what runs inside is, on a terminal, for an image of so many pixels."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal or pixels < SHOWN_PIXELS:
        yield
        return
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True) as bar:

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        with progress.watched(show):
            yield
