"""Checkpoints of a run: safetensors, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pycodec import files
from pycodec.errors import WeightsMismatch

CHECKPOINT = "checkpoint.safetensors"
"""Its name in the folder of a run."""


def save_checkpoint(
    path: Path,
    model: Mapping[str, Tensor],
    average: Mapping[str, Tensor],
    optimizers: Mapping[str, torch.optim.Optimizer],
    progress: Mapping[str, Any],
) -> None:
    """Write everything a run needs to go on exactly where it is."""
    tensors = {f"model.{k}": v for k, v in model.items()} | {f"average.{k}": v for k, v in average.items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{name}.{index}.{key}"] = torch.as_tensor(value)
    files.remove_leftovers([path])  # a run has its folder to itself
    for leftover in path.parent.glob(".tmp??????"):  # those of safetensors, of a process that was killed
        leftover.unlink(missing_ok=True)
    with files.new_file(path) as temporary:
        try:
            save_file(_apart(tensors), temporary, {"progress": json.dumps(dict(progress))})
        except SafetensorError as error:
            raise OSError(f"{path}: not written: {error}") from error


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As a file needs them: in C order, none in the memory of another. Only those that are not are copied,
    as all of them are several times the size of the model.
    """
    found: dict[str, Tensor] = {}
    memory: set[int] = set()
    for name, value in tensors.items():
        value = value.detach().cpu().contiguous()
        if value.untyped_storage().data_ptr() in memory:
            value = value.clone()
        memory.add(value.untyped_storage().data_ptr())
        found[name] = value
    return found


def load_progress(path: Path, expected: Set[str] = frozenset()) -> dict[str, Any]:
    """What a checkpoint says besides its tensors; arguments and errors as of `load_checkpoint`."""
    try:
        with safe_open(path, "pt") as file:
            progress: dict[str, Any] = json.loads((file.metadata() or {})["progress"])
        if missing := sorted(expected - progress.keys()):
            raise KeyError(f"no {missing[0]!r}: written by another version")
        return progress
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise WeightsMismatch(
            f"{path}: not a pycodec checkpoint ({error}); train anew in another folder"
        ) from None


def load_checkpoint(
    path: Path, expected: Set[str] = frozenset(), prefix: str = ""
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, those whose names begin with ``prefix``, and progress of a checkpoint.

    Raises:
        WeightsMismatch: the file is no checkpoint, or its progress lacks one of the ``expected`` entries.
    """
    progress = load_progress(path, expected)
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 (not a mapping)
        return {name: file.get_tensor(name) for name in names}, progress


def recorded(path: Path) -> dict[str, Any]:
    """What the run was started with, an `export.Record`; nothing where there is no checkpoint."""
    record = load_progress(path).get("record") if path.is_file() else None
    return dict(record or {})


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under ``prefix.``, without it."""
    return {key[len(prefix) + 1 :]: value for key, value in tensors.items() if key.startswith(prefix + ".")}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load the state that ``save_checkpoint`` wrote; param groups keep the recipe's settings."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            # Fused optimisers go through memory: a state lies in it as its parameter does.
            value = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
