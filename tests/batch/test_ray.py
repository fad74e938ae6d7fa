"""A Ray cluster of several nodes, one of which is killed in the middle; all of it in a process of its own.

PYCODEC_BATCH_FILES is the number of files, for a long run by hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from folders import contents, write_images
from PIL import Image
from tile_codec import HANGS_ONCE, MARKS

from pycodec import batch
from pycodec.errors import MissingDependency

FILES = int(os.environ.get("PYCODEC_BATCH_FILES", "120"))

# Half way, kills the node on which the first image hangs: its task is lost for certain.
PROGRAM = """
import pathlib, sys, time
from ray.cluster_utils import Cluster
from pycodec import batch

def main():
    source, packed, back, mark = map(pathlib.Path, sys.argv[1:])
    memory = {"object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **memory})
    nodes = [cluster.add_node(num_cpus=1, wait=False, **memory) for _ in range(3)]
    cluster.wait_for_nodes()

    def kill(state):
        if state.done == state.total // 2:
            while not mark.exists() or not mark.read_text():
                time.sleep(0.01)
            (node,) = (node for node in nodes if node.node_id == mark.read_text())
            cluster.remove_node(node, allow_graceful=False)

    options = {"engine": "ray", "address": cluster.address}
    print(batch.run([source], packed, codec="tile", progress=kill, **options))
    print(batch.run([packed], back, **options))
    cluster.shutdown()

if __name__ == "__main__":
    main()
"""


def test_a_killed_node_changes_nothing(tmp_path: Path, tile: dict[str, str]) -> None:
    pytest.importorskip("ray")
    write_images(tmp_path / "in", FILES)
    Image.new("RGB", (HANGS_ONCE, 16)).save(tmp_path / "in/0.png")  # the first to be begun
    program, mark = tmp_path / "program.py", Path(tile[MARKS], f"{HANGS_ONCE}x16")
    program.write_text(PROGRAM)
    command = [sys.executable, program, *(tmp_path / name for name in ("in", "packed", "back")), mark]
    with open(tmp_path / "output", "w+b") as output:
        done = subprocess.run(command, env=tile, stdout=output, stderr=output, timeout=300)
    assert done.returncode == 0, (tmp_path / "output").read_text()

    batch.run([tmp_path / "in"], tmp_path / "packed alone", codec="tile", jobs=2)
    batch.run([tmp_path / "packed"], tmp_path / "back alone", jobs=2)
    for name in ("packed", "back"):
        outputs = contents(tmp_path / name)
        assert len(outputs) == FILES + 1
        assert outputs == contents(tmp_path / f"{name} alone")
        with open(tmp_path / name / "manifest.jsonl") as manifest:
            assert sorted(json.loads(line)["target"] for line in manifest) == sorted(outputs)


def test_without_ray_its_engine_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "in", 1)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pycodec\[ray\]'"):
        batch.run([tmp_path / "in"], tmp_path / "out", codec="tile", engine="ray")
    assert not (tmp_path / "out").exists()
