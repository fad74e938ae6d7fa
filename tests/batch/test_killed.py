"""kill -9 at any moment loses nothing: what a resumed run leaves is what an undisturbed one does.

PYCODEC_BATCH_FILES is the number of files, for a long run by hand.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from folders import contents, write_images
from PIL import Image
from tile_codec import HANGS_ONCE, MARKS

from pycodec import batch

FILES = int(os.environ.get("PYCODEC_BATCH_FILES", "120"))
KILLS = 3

# Kills itself, as kill -9 does, as soon as the manifest has so many lines.
PROGRAM = """
import os, signal, sys
from pycodec import batch

def kill(state):
    with open(sys.argv[2] + "/manifest.jsonl") as manifest:
        if sum(1 for _ in manifest) >= int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    options = {"codec": "tile"} if sys.argv[4] == "compress" else {}
    batch.run([sys.argv[1]], sys.argv[2], jobs=2, resume=True, progress=kill, **options)
"""


@pytest.mark.parametrize("direction", ["compress", "decompress"])
def test_a_run_killed_three_times_ends_as_an_undisturbed_one(
    tmp_path: Path, tile: dict[str, str], direction: str
) -> None:
    source, options = tmp_path / "in", {"codec": "tile"}
    write_images(source, FILES - 1)
    Image.new("RGB", (HANGS_ONCE, 16)).save(source / "0.png")
    mark = Path(tile[MARKS], f"{HANGS_ONCE}x16")
    mark.touch()
    if direction == "decompress":
        batch.run([source], tmp_path / "packed", jobs=2, **options)
        source, options = tmp_path / "packed", {}
    batch.run([source], tmp_path / "undisturbed", jobs=2, **options)
    expected = contents(tmp_path / "undisturbed")
    assert len(expected) == FILES

    mark.unlink()  # now a worker compresses one image for ever, until somebody ends it
    out, program = tmp_path / "out", tmp_path / "program.py"
    program.write_text(PROGRAM)
    moments = sorted(random.Random(direction).sample(range(1, FILES - 10), KILLS))
    for lines in moments:
        command = [sys.executable, program, source, out, str(lines), direction]
        # This returns when nobody holds its output any more: no worker outlives the run.
        done = subprocess.run(command, env=tile, capture_output=True, text=True, timeout=100)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert len(contents(out)) < FILES
    summary = batch.run([source], out, jobs=2, resume=True, **options)
    assert contents(out) == expected
    assert (summary.errors, summary.made + summary.kept) == ((), FILES)
    assert summary.kept >= moments[-1]
    with open(out / "manifest.jsonl") as manifest:
        targets = [json.loads(line)["target"] for line in manifest]
    assert sorted(targets) == sorted(expected)  # once each
