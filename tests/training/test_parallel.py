"""Two processes reach what one reaches, go on where it stopped and the other way round, and fail together."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from interpreters import python_path
from torch import nn
from two_processes import AdversarialTask, make_run

from pycodec.errors import InvalidInput
from pycodec.training.checkpoint import CHECKPOINT, load_checkpoint, part
from pycodec.training.noise import NoiseOfShare
from pycodec.training.parallel import launch

SCRIPT = Path(__file__).with_name("two_processes.py")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The folder where two processes ran, and what became of each run in each of them."""
    folder = tmp_path_factory.mktemp("pair")
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        "TORCHELASTIC_RUN_ID": "test",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        **dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), "2"),
    }
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder)],
            env={**environment, "RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    ends = [(*process.communicate(timeout=300), process.returncode) for process in started]
    assert [status for *_, status in ends] == [0, 7], ends
    return folder, *(json.loads((folder / f"outcomes{rank}.json").read_text()) for rank in "01")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Checkpoint of one process."""
    folder = tmp_path_factory.mktemp("alone")
    assert make_run(folder).train()
    return load_checkpoint(folder / CHECKPOINT)[0]


def assert_close(found, expected):
    """All weights, averages and states of optimisers, each to 1e-5 of its norm."""
    assert found.keys() == expected.keys()
    for prefix in ("model", "average", "optimizer"):
        # "seen" sums the share of the first process, and "step" counts.
        keys = [key for key in part(expected, prefix) if not key.endswith(("seen", "step"))]
        ours, theirs = (
            torch.cat([part(t, prefix)[key].double().flatten() for key in keys]) for t in (found, expected)
        )
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


def test_two_processes_reach_what_one_does(pair, alone):
    folder, first, second = pair
    assert first["whole"] == second["whole"] == "finished: True"
    tensors, progress = load_checkpoint(folder / "whole" / CHECKPOINT)
    assert progress["step"] == 12
    assert_close(tensors, alone)
    start = AdversarialTask().state_dict()["model.0.weight"]
    moved = (alone["model.model.0.weight"] - start).norm()
    assert moved > 1e-2 * start.norm()


def test_what_a_step_changes_by_hand_is_as_in_the_first_process(pair):
    folder, first, second = pair
    assert first["seen by whole"] == second["seen by whole"] != 0
    assert load_checkpoint(folder / "whole" / CHECKPOINT)[0]["model.seen"] == first["seen by whole"]


def test_what_two_began_one_finishes(pair, alone):
    folder, first, _ = pair
    assert first["stopped"] == "finished: False"
    resumed = make_run(folder / "stopped", resume=True)
    assert resumed.step == 1 and resumed.train()
    assert_close(load_checkpoint(folder / "stopped" / CHECKPOINT)[0], alone)


def test_only_the_first_process_reports(pair):
    folder, *_ = pair
    lines = [json.loads(line) for line in (folder / "whole" / "log.jsonl").read_text().splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [
        *(("stage", 0), ("validation", 5), ("stage", 8), ("validation", 10))
    ]


def test_all_fail_together(pair):
    _, first, second = pair
    assert first["refused"] == second["refused"] == "ProcessFailed: process 2 of 2: no such thing"
    assert first["diverged"].startswith("ProcessFailed: process 2 of 2: the loss is not finite at step 2")
    assert first["first fails"] == "OSError: disk full"
    assert second["first fails"] == "ProcessFailed: process 1 of 2: disk full"
    assert first["unequal"].startswith("InvalidInput: a batch of 3 cannot be shared equally by 2 processes")
    assert "do not start from the same weights" in first["other weights"]
    assert first["lost"].startswith("ProcessLost: process 1 of 2 has lost the others")


def test_noise_of_shares_is_that_of_the_batch():
    def draw(count):
        like = torch.zeros(count, 3, 4, 5).contiguous(memory_format=torch.channels_last)
        drawn = [
            torch.rand(count),
            torch.randn(count, 2),
            torch.randint(0, 9, (count, 7)),
            torch.rand_like(like),
        ]
        drawn += [torch.empty_like(like).uniform_(), torch.bernoulli(like + 0.5), torch.randperm(3)]
        drawn += [
            nn.functional.dropout(like + 1, 0.5),
            torch.randn(()),
            torch.empty(count, 20).exponential_(),
        ]
        return [*drawn, torch.rand(2, 3)]

    torch.manual_seed(1)
    whole = draw(6)
    for share in (range(0, 3), range(3, 6), range(5, 6)):
        torch.manual_seed(1)
        with NoiseOfShare(6, share):
            part = draw(len(share))
        for ours, theirs in zip(part, whole, strict=True):
            expected = theirs[share.start : share.stop] if len(theirs.shape) and len(theirs) == 6 else theirs
            assert torch.equal(ours, expected)


def test_devices_there_are_not(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InvalidInput, match="--devices is 2; torch finds 1 CUDA devices"):
        launch("cuda", 2)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(InvalidInput, match="--devices is 2, but 4 processes were started"):
        launch("cpu", 2)
