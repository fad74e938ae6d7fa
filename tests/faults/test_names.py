"""Names that no locale can read, in a locale that can read next to nothing: files are written and found again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pycodec import cli
from pycodec.batch.manifest import Manifest, Record

NAME = b"caf\xe9 \xe2\x82 \xf0\x9f\x90\x99"  # Latin 1, half a character of UTF-8, and a whole one

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux")

COMMANDS = """
import os, sys
from pycodec.cli import main

assert sys.getfilesystemencoding() != "utf-8", "the locale is not what the test is about"
name = sys.argv[1]
for arguments in (
    ["compress", name + ".png"],
    ["info", name + ".pci"],
    ["decompress", name + ".pci", "-o", name + ".webp"],
):
    assert main(arguments) == 0, arguments
assert main(["compress", name]) == 2
"""


def test_in_the_c_locale(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(os.fsencode(tmp_path) + b"/" + NAME + b".png")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", COMMANDS, NAME]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **locale}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(b"error: ") and done.stderr.count(b"\n") == 1
    assert b"caf" in done.stdout and done.stdout.isascii()
    found = set(os.listdir(os.fsencode(tmp_path)))
    assert found == {NAME + suffix for suffix in (b".png", b".pci", b".webp")}


def test_a_manifest_knows_them_again(tmp_path: Path) -> None:
    record = Record(os.fsdecode(NAME) + ".png", "a.pci", "ok")
    with Manifest(tmp_path, resume=False) as manifest:
        manifest.add(record)
    (line,) = manifest.path.read_text("utf-8").splitlines()
    assert json.loads(line)["source"] == record.source
    with Manifest(tmp_path, resume=True) as manifest:
        assert manifest.records["a.pci"].source == record.source


def test_on_a_terminal_that_cannot_show_them(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(NAME)
    Image.new("RGB", (20, 10)).save(f"{name}.png")
    assert cli.main(["compress", f"{name}.png"]) == 0
    assert "caf\\udce9" in capsys.readouterr().out
    assert (
        cli.main(
            ["eval", ".", "--codecs", "jpeg", "--settings", "jpeg=50", "--metrics", "psnr", "--out", "out"]
        )
        == 0
    )
    assert (tmp_path / "out/report.html").read_bytes().decode("utf-8")
