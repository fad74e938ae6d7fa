"""The frame of the command line: one line for an error, exit statuses, no traceback unless asked for."""

from __future__ import annotations

import json
import os
import signal

import click
import pytest
from test_runtime import found

from pycodec import cli, runtime
from pycodec.errors import CorruptStream
from pycodec.runtime import Runtime


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """Adds a command ``fail`` that raises what it is given."""

    def add(error: BaseException | type[BaseException]) -> None:
        @click.command("fail")
        def fail() -> None:
            raise error

        monkeypatch.setitem(cli.cli.commands, "fail", fail)

    return add


@pytest.mark.parametrize(
    ("error", "line", "status"),
    [
        (CorruptStream("the checksum is\nwrong"), "error: the checksum is wrong\n", 2),
        (FileNotFoundError(2, "No such file", "a.pci"), "error: a.pci: No such file\n", 2),
        (OSError("cannot identify image file"), "error: cannot identify image file\n", 2),
        (ModuleNotFoundError("No module named 'x'"), "error: No module named 'x'\n", 2),
        (click.ClickException("too big"), "error: too big\n", 2),
        (click.exceptions.Exit(3), "", 3),
    ],
)
def test_errors_are_one_line(failing, capfd, error: Exception, line: str, status: int) -> None:
    failing(error)
    assert cli.main(["fail"]) == status
    captured = capfd.readouterr()
    assert captured.err == line and captured.out == ""


@pytest.mark.parametrize("way", ["--traceback", "1", "yes please"])
def test_a_traceback_is_shown_when_asked_for(failing, capfd, monkeypatch, way: str) -> None:
    failing(CorruptStream("cut short"))
    if way != "--traceback":
        monkeypatch.setenv("PYCODEC_DEBUG", way)
    assert cli.main([*([way] if way == "--traceback" else []), "fail"]) == 2
    error = capfd.readouterr().err
    assert error.startswith("Traceback") and error.endswith("\nerror: cut short\n")


def test_a_bug_keeps_its_traceback(failing) -> None:
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["fail"])


def test_an_interrupt_ends_with_130(failing, capfd) -> None:
    failing(KeyboardInterrupt)
    assert cli.main(["fail"]) == 130
    assert capfd.readouterr().err.strip() == "interrupted"


@pytest.mark.parametrize("interrupts", ["heard", "ignored"])  # the latter in a script's background
def test_a_request_to_terminate_ends_with_130(monkeypatch, capfd, interrupts: str) -> None:
    @click.command("wait")
    def wait() -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setitem(cli.cli.commands, "wait", wait)
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler if interrupts == "heard" else signal.SIG_IGN
    )
    try:
        assert cli.main(["wait"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err.strip() == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plugin"], "No such command 'plugin'"),
        (["--nothing"], "No such option"),
        (["plugins", "--nothing"], "see pycodec plugins --help"),
        (["plugins", "superfluous"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line_too(capfd, arguments: list[str], words: str) -> None:
    assert cli.main(arguments) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("error: ") and words in captured.err and captured.err.count("\n") == 1


def test_a_command_that_cannot_be_imported_says_so(capfd, monkeypatch) -> None:
    lazy = cli.LazyCommand("lazy", "a_module_nobody_has:command", "Never.")
    monkeypatch.setitem(cli.cli.commands, "lazy", lazy)
    assert cli.main(["lazy"]) == 2
    assert capfd.readouterr().err.startswith("error: the command 'lazy' cannot start: No module named")


def test_help_lists_every_command_and_needs_none(capfd) -> None:
    assert cli.main([]) == 0
    overview = capfd.readouterr().out
    assert cli.main(["--help"]) == 0
    assert capfd.readouterr().out == overview
    for name, (_, summary) in cli.COMMANDS.items():
        assert f"  {name} " in overview and summary in overview


def test_every_command_of_the_table_exists(capfd) -> None:
    for name in cli.COMMANDS:
        assert cli.main([name, "--help"]) == 0, name
        assert f"Usage: pycodec {name}" in capfd.readouterr().out


def test_a_reader_that_goes_away_is_no_error(python) -> None:
    program = (
        "import os, sys\n"
        "from pycodec.cli import main\n"
        "reader, writer = os.pipe()\n"
        "os.close(reader)\n"
        "os.dup2(writer, 1)\n"
        "sys.exit(main(['plugins', '--json']))\n"
    )
    done = python("-c", program)
    assert (done.returncode, done.stderr) == (1, "")


def test_json_of_the_listings_has_stable_keys(python) -> None:
    keys = {
        "plugins": ["name", "distribution", "version", "module", "status", "reason", "components"],
        "codecs": ["name", "aliases", "summary", "plugin", "distribution", "version", "missing"],
    }
    for command, expected in keys.items():
        for row in json.loads(python("-m", "pycodec", command, "--json").stdout):
            assert list(row) == expected


def test_a_plugin_that_takes_the_name_of_a_command_is_disabled(monkeypatch) -> None:
    def pycodec_register_commands(cli) -> None:
        cli.lazy_command("zip", "somewhere:command", "Free.")
        cli.lazy_command("greet", "somewhere:command", "Taken.")

    def greet(cli) -> None:
        cli.lazy_command("greet", "elsewhere:command", "First.")

    host = Runtime(
        [
            found("b", pycodec_register_commands=pycodec_register_commands),
            found("a", pycodec_register_commands=greet),
        ]
    )
    monkeypatch.setattr(runtime, "_runtime", host)
    main = cli.Main(name="pycodec")
    assert main.list_commands(click.Context(main)) == [*cli.COMMANDS, "greet"]
    assert [(plugin.name, plugin.status) for plugin in host.plugins] == [("a", "active"), ("b", "failed")]
    reason = host.plugins[1].reason
    assert "'greet' of plugin 'b'" in reason and "taken by plugin 'a'" in reason


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_a_terminal_gets_a_drawn_table(python) -> None:
    program = "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'pycodec', 'plugins']) >> 8)"
    assert "status" in python("-c", program).stdout
