"""The training loop: Lightning Fabric, checkpoints, a weight average, logs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.errors import InvalidInput, TrainingDiverged

from .checkpoint import CHECKPOINT, load_checkpoint, part, restore_optimizer, save_checkpoint
from .data import RandomCrops, batches
from .log import NoLog, RunLog
from .optimizers import make_optimizers
from .parallel import Processes, launch
from .recipe import Recipe, Stage
from .schedule import learning_rate_factor
from .task import Losses


@dataclass
class RunOptions:
    """What may differ between two sessions of one run."""

    directory: Path
    resume: bool = False
    minutes: float = math.inf
    processes: Processes | None = None
    """Those of `parallel.launch`; by default this one alone, on the CPU."""
    workers: int = 0
    on_event: Callable[[str, int, dict[str, float]], None] = lambda event, step, scalars: None


class WeightAverage:
    """Exponential moving average of a module's state (Polyak averaging); early steps count more."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, values = [], []
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                averages.append(self.state[name])
                values.append(value)
            else:
                self.state[name].copy_(value)
        torch._foreach_lerp_(averages, values, 1 - decay)

    def applied(self, module: nn.Module) -> _Applied:
        """Context manager: the module holds the averaged weights, in eval mode."""
        return _Applied(self, module)


class _Applied:
    """Exchanges weights and averages one by one, so that no third set of them is ever held."""

    def __init__(self, average: WeightAverage, module: nn.Module):
        self.average, self.module = average, module

    def __enter__(self) -> None:
        self._exchange()
        self.module.eval()

    def __exit__(self, *exc: object) -> None:
        self._exchange()
        self.module.train()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, value in self.module.state_dict().items():
            weights = value.clone()
            value.copy_(self.average.state[name])
            self.average.state[name].copy_(weights)


class Run:
    """One training run: create it, then ``train()``; its checkpoint is what `export.export` makes weights of.

    Args:
        recipe: what to train.
        task: the codec's training task (see ``task.py``), an nn.Module.
        images: training photographs, RGB uint8 arrays.
        validation: photographs kept apart, same form.
        options: processes, time limit, folder.
        history: earlier runs that the starting weights come from, as their model card lists them; kept in the
            checkpoint, so that a resumed run knows them too.
        record: kept in the checkpoint too, see `export.Record`.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Any,
        images: list[np.ndarray],
        validation: list[np.ndarray],
        options: RunOptions,
        history: Sequence[Mapping[str, Any]] = (),
        record: Mapping[str, Any] | None = None,
    ):
        self.recipe, self.task, self.options = recipe, task, options
        self.images, self.validation = images, validation
        self.step, self.seconds, self.cpu_seconds = 0, 0.0, 0.0
        self.history, self.record = list(history), record
        self.path = options.directory / CHECKPOINT
        self.processes = options.processes or launch(precision=recipe.precision)
        with self.processes.together():
            self._start()
        self.processes.check_same(self.step, self.task)

    def _start(self) -> None:
        recipe, options = self.recipe, self.options
        if self.path.exists() and not options.resume:
            raise InvalidInput(
                f"{self.path} exists already; continue it with --resume or choose another --out folder"
            )
        for stage in recipe.stages:
            self.processes.share(stage.batch)
        options.directory.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        self.task.to(self.processes.device)
        self.average = WeightAverage(self.task, recipe.ema)
        self._restored: dict[str, Tensor] = {}
        if self.path.exists():
            self._load()

    def _load(self) -> None:
        tensors, progress = load_checkpoint(self.path, {"step", "seconds", "cpu_seconds", "stage", "history"})
        self.task.load_state_dict(part(tensors, "model"))
        for name, value in part(tensors, "average").items():
            self.average.state[name].copy_(value)
        self.step, self.history = progress["step"], progress["history"]
        self.seconds = progress["seconds"]
        self.cpu_seconds = progress["cpu_seconds"] if self.processes.first else 0.0  # summed when saved
        self._restored = part(tensors, "optimizer")
        self._restored_stage = progress["stage"]

    def _optimizers(self, index: int, stage: Stage) -> dict[str, torch.optim.Optimizer]:
        groups = {
            name: [{**g, "params": list(g["params"])} for g in own]
            for name, own in self.task.parameter_groups(stage.name).items()
        }
        trained = {id(p) for own in groups.values() for g in own for p in g["params"]}
        for parameter in self.task.parameters():
            parameter.requires_grad_(id(parameter) in trained)
        built = make_optimizers(stage, groups)
        if self._restored and self._restored_stage == index:
            for name, optimizer in built.items():
                restore_optimizer(optimizer, part(self._restored, name))
        self._restored = {}
        return built

    def train(self) -> bool:
        """Train until the recipe or the time is over, at least one step.

        Returns:
            Whether the recipe is finished.

        Raises:
            TrainingDiverged: a loss is not finite. The last checkpoint stays.
            ProcessFailed: another process of the run failed.
        """
        deadline = time.monotonic() + 60 * self.options.minutes
        self.task.train()
        with self.processes.together(), self._log() as log:
            while self.step < self.recipe.steps and not self._train_stage(deadline, log):
                pass
        return self.step >= self.recipe.steps

    def _log(self) -> RunLog | NoLog:
        if not self.processes.first:
            return NoLog()
        return RunLog(self.options.directory, self.recipe.steps, self.step, self.options.minutes)

    def _train_stage(self, deadline: float, log: RunLog | NoLog) -> bool:
        """Train to the end of a stage; returns whether the time was over before."""
        recipe = self.recipe
        index, inner = recipe.stage_at(self.step)
        stage = recipe.stages[index]
        self.stage_index = index
        self.optimizers = self._optimizers(index, stage)
        self.log_event(
            "stage",
            log,
            {"index": float(index)},
            f"stage {stage.name}: {stage.steps} steps from {self.step - inner}, {stage.batch} crops of "
            f"{stage.crop} x {stage.crop} each",
        )
        first = self.step - inner
        clock, cpu = time.monotonic(), time.process_time()
        batches = self._batches(stage, index, inner)
        while self.step < first + stage.steps:
            self._step(stage, self.step - first, batches, log)
            now = time.monotonic()
            self.seconds += now - clock
            self.cpu_seconds += time.process_time() - cpu
            over = math.isfinite(deadline) and self.processes.any(now > deadline)
            if over or self.step % recipe.checkpoint_every == 0:
                self._save()
            if over:
                return True
            if self.step % recipe.validate_every == 0 and self.processes.first:
                self._validate(stage, log)
            clock, cpu = time.monotonic(), time.process_time()
        self._save()
        return False

    def _batches(self, stage: Stage, index: int, inner: int) -> Iterator[Tensor]:
        recipe = self.recipe
        seed = recipe.seed * 1000 + index
        dataset = RandomCrops(self.images, stage.crop, recipe.scale, recipe.native, seed)
        share = self.processes.share(stage.batch)
        return batches(dataset, stage.batch, inner, stage.steps - inner, self.options.workers, share)

    def _step(self, stage: Stage, inner: int, batches: Iterator[Tensor], log: RunLog | NoLog) -> None:
        parameters = {
            name: [p for g in optimizer.param_groups for p in g["params"]]
            for name, optimizer in self.optimizers.items()
        }
        with self.processes.same_state(self.task), self.processes.together():
            losses = self._gradients(stage, next(batches), parameters)
        self.processes.average_gradients([p for own in parameters.values() for p in own])
        factor = learning_rate_factor(stage, inner)
        clip_norm = self.recipe.clip_norm if stage.clip_norm is None else stage.clip_norm
        for name, optimizer in self.optimizers.items():
            norm = nn.utils.clip_grad_norm_(parameters[name], clip_norm)
            if not torch.isfinite(norm):
                raise self._diverged("gradient", stage)
            for group in optimizer.param_groups:
                group["lr"] = stage.learning_rate[name] * group["ratio"] * factor
            optimizer.step()
        self.step += 1
        if self.processes.first:
            self.average.update(self.task, self.step)
        log.step(self.step, stage.name, losses.scalars)
        if self.step % 50 == 0 and self.processes.first:
            self.options.on_event("step", self.step, losses.scalars)

    def _diverged(self, what: str, stage: Stage) -> TrainingDiverged:
        then = "lower the learning rate and start again: there is no checkpoint yet"
        if self.path.exists():
            then = f"the last good checkpoint is {self.path}: lower the learning rate and go on with --resume"
        return TrainingDiverged(
            f"the {what} is not finite at step {self.step} (stage {stage.name!r}); {then}"
        )

    def _gradients(self, stage: Stage, images: Tensor, parameters: Mapping[str, list[Tensor]]) -> Losses:
        """The gradients of this process's share of a batch, in the parameters."""
        # Seeding each step makes a resumed run draw the same noise as an uninterrupted one.
        torch.manual_seed((self.recipe.seed << 32) + self.step)
        images = images.to(self.processes.device, non_blocking=True)
        with self.processes.noise(stage.batch), self.processes.autocast():
            losses: Losses = self.task.training_step(images, stage.name)
        if not all(bool(torch.isfinite(loss)) for loss in losses.by_optimizer.values()):
            raise self._diverged("loss", stage)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        last = len(losses.by_optimizer) - 1
        for i, (name, loss) in enumerate(losses.by_optimizer.items()):
            loss.backward(inputs=parameters[name], retain_graph=i < last)
        return losses

    @torch.no_grad()
    def _validate(self, stage: Stage, log: RunLog | NoLog) -> None:
        with self.average.applied(self.task), self.processes.autocast():
            rows = [self.task.validation_step(image, stage.name) for image in self.validation]
        if rows:
            common = [key for key in rows[0] if all(key in row for row in rows)]
            means = {key: float(np.mean([row[key] for row in rows])) for key in common}
            self.log_event("validation", log, means)

    def log_event(
        self, event: str, log: RunLog | NoLog, scalars: dict[str, float], sentence: str = ""
    ) -> None:
        log.event(event, self.step, scalars, sentence)
        if self.processes.first:
            self.options.on_event(event, self.step, scalars)

    def _save(self) -> None:
        cpu_seconds = self.processes.sum(self.cpu_seconds)
        if not self.processes.first:
            return
        progress = {
            "step": self.step,
            "seconds": self.seconds,
            "cpu_seconds": cpu_seconds,
            "stage": self.stage_index,
            "history": self.history,
            "record": self.record,
        }
        save_checkpoint(self.path, self.task.state_dict(), self.average.state, self.optimizers, progress)
