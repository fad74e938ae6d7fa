"""Runs that two processes share, as torchrun starts them: python two_processes.py FOLDER; writes what became of each.

Imported by the test too, which trains the same task in one process.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pycodec.errors import InvalidInput, PycodecError
from pycodec.training.loop import Run, RunOptions
from pycodec.training.parallel import Processes, launch
from pycodec.training.recipe import parse_recipe
from pycodec.training.task import Losses

RECIPE = {
    "codec": "toy",
    "precision": "32-true",
    "seed": 3,
    "checkpoint_every": 4,
    "validate_every": 5,
    "stage": [
        {
            "name": "pretrain",
            "steps": 8,
            "learning_rate": {"model": 1e-2, "critic": 2e-2},
            "optimizer": {"model": {"name": "adamw", "betas": [0.5, 0.9], "weight_decay": 0.1}},
            "schedule": "ramp_cosine",
            "warmup_steps": 2,
            "clip_norm": 0.05,
            "batch": 4,
            "crop": 16,
        },
        {"name": "finetune", "steps": 4, "learning_rate": {"critic": 1e-2}, "batch": 2, "crop": 16},
    ],
}


class AdversarialTask(nn.Module):
    """A codec with noise of every kind and its critic, whose losses share a graph; counts its batches."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.Softplus(), nn.Conv2d(4, 3, 3, padding=1)
        )
        self.model.to(memory_format=torch.channels_last)
        self.critic = nn.Conv2d(3, 2, 3)
        self.unused = nn.Parameter(torch.ones(2))
        self.register_buffer("seen", torch.zeros(()))

    def parameter_groups(self, stage):
        critic = {"critic": [{"params": self.critic.parameters()}]}
        first, _, last = self.model
        model = [
            {"params": [*first.parameters(), self.unused]},
            {"params": last.parameters(), "ratio": 0.5, "weight_decay": 0.0},
        ]
        return critic if stage == "finetune" else {"model": model, **critic}

    def training_step(self, images, stage):
        self.seen += images.mean()  # of the share: differs between the processes
        x = images / 128
        quality = torch.rand(len(x), 1, 1, 1)
        quality = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, quality, 1)
        common = torch.randint(1, 4, ()) / 4
        y = self.model[1](self.model[0](x))
        y = y + 0.2 * (torch.rand_like(y) - 0.5) + 0.1 * torch.empty_like(y).normal_()
        x_hat = self.model[2](nn.functional.dropout(y, 0.1)) * common
        mse = (x_hat - x).square().mean((1, 2, 3))
        real, fooled = self.critic(x), self.critic(x_hat)
        critic = nn.functional.softplus(-real).mean() + nn.functional.softplus(fooled).mean()
        losses = {"critic": critic}
        if stage != "finetune":
            losses["model"] = (quality.flatten() * mse).mean() + nn.functional.softplus(-fooled).mean()
        return Losses(losses, {"mse": mse.mean().item()})

    def validation_step(self, image, stage):
        return {"bias": float(self.critic.bias.sum())}


class OneFails(AdversarialTask):
    """The second process goes another way at the third batch."""

    def __init__(self, what, rank):
        super().__init__()
        self.what, self.rank, self.batches = what, rank, 0

    def training_step(self, images, stage):
        self.batches += 1
        losses = super().training_step(images, stage)
        if self.rank == 1 and self.batches == 3:
            losses = self.what(losses)
        return losses


def refuse(losses):
    raise InvalidInput("no such thing")


def diverge(losses):
    return Losses({name: loss * float("nan") for name, loss in losses.by_optimizer.items()}, losses.scalars)


def vanish(losses):
    os._exit(7)


def photographs():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40, 50, 3), np.uint8) for _ in range(5)]


def make_run(folder: Path, processes: Processes | None = None, task=None, recipe=RECIPE, **options) -> Run:
    images = photographs()
    options = RunOptions(folder, processes=processes, **options)
    return Run(parse_recipe(recipe), task or AdversarialTask(), images[:4], images[4:], options)


def main(folder: Path) -> None:
    outcomes: dict[str, str] = {}
    rank = int(os.environ["RANK"])

    def attempt(name: str, *changes: object, **options: object) -> None:
        processes = launch()
        try:
            run = make_run(folder / name, processes, *changes, **options)
            outcomes[name] = f"finished: {run.train()}"
            outcomes[f"seen by {name}"] = run.task.seen.item()
        except (PycodecError, OSError) as error:
            outcomes[name] = f"{type(error).__name__}: {error}"
        (folder / f"outcomes{rank}.json").write_text(json.dumps(outcomes))

    def disk_full(event: str, step: int, scalars: dict[str, float]) -> None:
        if event == "validation":
            raise OSError("disk full")

    attempt("whole")
    attempt("stopped", minutes=0.0)
    attempt("refused", OneFails(refuse, rank))
    attempt("diverged", OneFails(diverge, rank))
    attempt("first fails", on_event=disk_full)
    attempt("unequal", None, {**RECIPE, "stage": [{**RECIPE["stage"][0], "batch": 3}]})
    other = AdversarialTask()
    with torch.no_grad():
        other.critic.bias += rank
    attempt("other weights", other)
    attempt("lost", OneFails(vanish, rank))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
