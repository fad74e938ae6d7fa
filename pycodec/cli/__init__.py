"""The ``pycodec`` command: a click group whose commands are imported when they run.

A command of ours is one line in ``COMMANDS``; plugins add theirs in the hook ``pycodec_register_commands``.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import click

from pycodec.errors import DuplicateComponent, PycodecError, out_of_memory
from pycodec.registry import Origin, resolve
from pycodec.runtime import get_runtime

COMMANDS = {
    "compress": ("pycodec.cli.compress:command", "Compress an image to a .pci file."),
    "decompress": ("pycodec.cli.decompress:command", "Turn a .pci file back into an image."),
    "info": ("pycodec.cli.info:command", "Show what is in a .pci file."),
    "batch": ("pycodec.cli.batch:command", "Compress or decompress whole folders."),
    "demo": ("pycodec.cli.demo:command", "Take a photograph there and back and compare with JPEG."),
    "eval": ("pycodec.cli.eval:command", "Measure codecs on a folder of images: curves and a report."),
    "bound": ("pycodec.cli.bound:command", "Ask estimators how far a codec is from the limit."),
    "compare": ("pycodec.cli.compare:command", "Show versions of a picture over one another, on a page."),
    "view": ("pycodec.cli.view:command", "Show what is in a .pci file, on a page."),
    "train": ("pycodec.cli.train:command", "Train a codec from a recipe."),
    "sweep": ("pycodec.cli.sweep:command", "Train and measure many runs of a recipe side by side."),
    "plane": ("pycodec.cli.sweep:plane_command", "Draw what the runs of a sweep trade for what."),
    "export": ("pycodec.cli.export:command", "Write the weights of a training run as it stands."),
    "weights": ("pycodec.cli.weights:group", "Add, list and remove weights that files are decoded with."),
    "codecs": ("pycodec.cli.plugins:codecs_command", "List the codecs that are installed."),
    "plugins": ("pycodec.cli.plugins:plugins_command", "List the plugins and what is wrong with them."),
    "new-plugin": ("pycodec.cli.new_plugin:command", "Start a plugin of your own from a working one."),
    "check": ("pycodec.cli.check:command", "Check that a component keeps the rules of its kind."),
    "selftest": ("pycodec.cli.selftest:command", "Check that this machine is like every other."),
    "doctor": ("pycodec.cli.doctor:command", "Show versions, the build and what is missing."),
}
"""Command name to ("module:attribute" of a click command, line in ``pycodec --help``)."""


class LazyCommand(click.Command):
    """Stands in for a command until it is called or asked for its help."""

    def __init__(self, name: str, target: str, summary: str):
        super().__init__(name, short_help=summary)
        self.target = target

    def make_context(self, info_name, args, parent=None, **extra):  # type: ignore[no-untyped-def]
        try:
            command = resolve(self.target)
        except ImportError as error:
            raise PycodecError(f"the command {self.name!r} cannot start: {error}") from error
        return command.make_context(info_name, args, parent=parent, **extra)


class CommandGroup(click.Group):
    """A click group that also takes commands by their import path."""

    def lazy_command(self, name: str, target: str, summary: str) -> None:
        """Add the click command ``"module:attribute"``, imported when it runs, with its line in the help."""
        self.add_command(LazyCommand(name, target, summary))


class Main(CommandGroup):
    """Our commands first; plugins are only loaded for a name that is not ours, or to list all names."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        for name, (target, summary) in COMMANDS.items():
            self.lazy_command(name, target, summary)
        self._origins: dict[str, Origin | str] = dict.fromkeys(COMMANDS, "pycodec")
        self._asked_plugins = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        self.add_plugin_commands()
        return list(self.commands)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.commands:
            self.add_plugin_commands()
        return super().get_command(ctx, name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(error.format_message() + get_runtime().inactive_note(), ctx) from error

    def add_plugin_commands(self) -> None:
        """Call ``pycodec_register_commands`` of every plugin, once."""
        if self._asked_plugins:
            return
        self._asked_plugins = True
        runtime = get_runtime()
        for plugin in runtime.active():
            theirs = CommandGroup()
            with runtime.isolated(plugin):
                runtime.call(plugin, "pycodec_register_commands", cli=theirs)
                for name in sorted(theirs.commands.keys() & self.commands.keys()):
                    raise DuplicateComponent(
                        f"the command {name!r} of {plugin.origin} is already taken by {self._origins[name]}; "
                        "rename it"
                    )
                self._origins.update(dict.fromkeys(theirs.commands, plugin.origin))
                self.commands.update(theirs.commands)


@dataclass
class Settings:
    """Choices that concern every command."""

    traceback: bool = False


def _set_traceback(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Settings).traceback = value


@click.group(cls=Main, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--traceback",
    is_flag=True,
    default=lambda: bool(os.environ.get("PYCODEC_DEBUG")),
    is_eager=True,
    expose_value=False,
    callback=_set_traceback,
    help="Show where an error comes from (also PYCODEC_DEBUG=1).",
)
@click.version_option(package_name="pycodec", message="pycodec %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A learned image codec: models are plugins, coding is native."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; what a user can do something about is one line on standard error.

    Returns:
        Exit status: 0, 2 for an error, 130 when interrupted or asked to terminate, 1 when the reader of our
        output went away or a check failed.
    """
    settings = Settings()
    for stream in (sys.stdout, sys.stderr):  # a name that no terminal can show must not end a command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _terminable():
            status = cli.main(arguments, prog_name="pycodec", standalone_mode=False, obj=settings)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # else Python complains again at its exit
        return 1
    except Exception as error:
        known = isinstance(error, (click.ClickException, PycodecError, OSError, ImportError))
        if not known and not out_of_memory(error):
            raise
        if settings.traceback:
            traceback.print_exception(error)
        click.echo(f"error: {_sentence(error)}", err=True)
        return 2


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM, by which schedulers and service managers end a process, is heard as Ctrl-C: temporary files
    are removed, and what can be resumed is left in order. Where somebody else handles it, that stays.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # ignored, as shells arrange for what they start in the background
            handler = signal.default_int_handler
        handler(number, frame)

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _sentence(error: Exception) -> str:
    """The message of an error in one line."""
    if isinstance(error, click.UsageError) and error.ctx:
        message = f"{error.format_message().rstrip('.')}; see {error.ctx.command_path} --help"
    elif isinstance(error, click.ClickException):
        message = error.format_message()
    elif out_of_memory(error):
        why = str(error) or type(error).__name__
        message = f"memory ran out ({why}); try a smaller picture, or free some memory"
    elif isinstance(error, OSError) and error.filename and error.strerror:
        message = f"{error.filename}: {error.strerror}"
    else:
        message = str(error)
    return " ".join(message.split()) or type(error).__name__
