"""Plugins as users meet them: installed distributions, good and faulty ones together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

REASONS = {
    "broken-import": ["ModuleNotFoundError", "a_module_nobody_has", "broken_import_plugin.py, line 1"],
    "fails-in-command": ["RuntimeError: no display", "line 6"],
    "misspelt-hook": ["'pycodec_register_codec'", "did you mean 'pycodec_register_codecs'"],
    "of-tomorrow": ["version 99 of the plugin interface", "this pycodec serves 1"],
    "taken-name": ["codec 'tiny'", "taken-name 1.5", "already taken", "acme 1.5"],
    "wrong-argument": ["'pycodec_register_codecs'", "'registry'", "expected 'register'"],
}


@pytest.fixture(scope="module")
def listing(site: Path, python) -> dict[str, Any]:
    """What ``pycodec plugins --json`` says, by name."""
    done = python("-m", "pycodec", "plugins", "--json", path=site)
    assert done.returncode == 0, done.stderr
    return {plugin["name"]: plugin for plugin in json.loads(done.stdout)}


def test_a_good_plugin_is_listed_with_what_it_registers(listing: dict[str, Any]) -> None:
    assert listing["acme"] == {
        "name": "acme",
        "distribution": "acme",
        "version": "1.5",
        "module": "acme_plugin",
        "status": "active",
        "reason": "",
        "components": {"transform": ["identity"], "codec": ["tiny"]},
    }


@pytest.mark.parametrize("name", REASONS)
def test_a_faulty_plugin_disables_itself_and_says_why(listing: dict[str, Any], name: str) -> None:
    plugin = listing[name]
    assert plugin["status"] == "failed" and plugin["components"] == {}
    for words in REASONS[name]:
        assert words in plugin["reason"]
    assert "\n" not in plugin["reason"]


def test_only_faulty_plugins_are_disabled(listing: dict[str, Any]) -> None:
    installed = {name for name, plugin in listing.items() if plugin["distribution"] != "pycodec"}
    assert installed == {"acme", *REASONS}


def test_the_table_names_every_plugin_and_reason(site: Path, python, listing: dict[str, Any]) -> None:
    lines = python("-m", "pycodec", "plugins", path=site).stdout.splitlines()
    for name, plugin in listing.items():
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert plugin["status"] in line and plugin["reason"] in line


def test_codecs_of_healthy_plugins_are_listed(site: Path, python) -> None:
    codecs = json.loads(python("-m", "pycodec", "codecs", "--json", path=site).stdout)
    (tiny,) = [codec for codec in codecs if codec["distribution"] != "pycodec"]
    assert tiny == {
        "name": "tiny",
        "aliases": [],
        "summary": "a toy",
        "plugin": "acme",
        "distribution": "acme",
        "version": "1.5",
        "missing": "",
    }


def test_an_unknown_name_tells_near_names_and_failed_plugins(site: Path, python) -> None:
    done = python("-c", "import pycodec; pycodec.load('tinny')", path=site)
    error = done.stderr.splitlines()[-1]
    assert error.startswith("pycodec.errors.UnknownComponent: unknown codec 'tinny'; did you mean 'tiny'?")
    for name in REASONS.keys() - {"fails-in-command"}:  # which only the command line asks for commands
        assert f"plugin {name!r} of {name} 1.5 is not active" in error


def test_a_blocked_plugin_is_left_out(site: Path, python) -> None:
    blocked = {"PYCODEC_DISABLE_PLUGINS": "acme, broken-import"}
    done = python("-m", "pycodec", "plugins", "--json", path=site, **blocked)
    status = {plugin["name"]: plugin["status"] for plugin in json.loads(done.stdout)}
    assert status["acme"] == status["broken-import"] == "blocked"
    assert status["taken-name"] == "active"  # the name is free now


def test_commands_of_plugins_are_listed_and_run(site: Path, python) -> None:
    overview = python("-m", "pycodec", "--help", path=site)
    assert "Say hello." in overview.stdout and "Compress an image" in overview.stdout
    assert "half-made" not in overview.stdout
    assert python("-m", "pycodec", "greet", path=site).stdout == "hello\n"
    unknown = python("-m", "pycodec", "half-made", path=site)
    assert unknown.returncode == 2
    assert "No such command 'half-made'" in unknown.stderr and "RuntimeError: no display" in unknown.stderr


def test_components_are_imported_when_they_are_made(site: Path, python) -> None:
    program = """
import sys, pycodec
pycodec.plugins(), pycodec.components()
assert "acme_plugin" in sys.modules and "acme_parts" not in sys.modules
assert pycodec.create("transform", "nothing", gain=2.0).config() == {"gain": 2.0}
"""
    done = python("-c", program, path=site)
    assert done.returncode == 0, done.stderr


def test_a_factory_that_cannot_be_imported_names_its_plugin(site: Path, python) -> None:
    error = python("-c", "import pycodec; pycodec.load('tiny')", path=site).stderr.splitlines()[-1]
    assert error.startswith(
        "pycodec.errors.PluginError: codec 'tiny' of plugin 'acme' of acme 1.5 cannot be imported"
    )
    assert "no_such_factory" in error
