"""From the checkpoint of a run to the weights file of its codec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pycodec import weights
from pycodec.errors import InvalidInput, PluginError, WeightsMismatch

from .checkpoint import CHECKPOINT, load_checkpoint, part
from .data import find_images, load_images
from .log import learning_curve
from .recipe import read_recipe
from .task import make_task, name_in_weights

CALIBRATION_IMAGES = 96


@dataclass(frozen=True)
class Record:
    """What a run was started with, as its checkpoint keeps it."""

    name: str
    """Of the weights file, without a suffix."""
    recipe: str
    """Text of the recipe file."""
    stages: list[str]
    """Names of those that are trained."""
    data: str
    """Folder of its photographs."""
    images: int
    """How many there were."""
    holdout: int
    """How many of them, the last ones, were kept apart for validation."""
    device: str
    settings: list[str] = field(default_factory=list)
    """``KEY=VALUE`` of the recipe's keys that had another value."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def export(folder: Path, path: Path | None = None, data: Path | None = None) -> Path:
    """Write the weights that a run has reached: the averaged model, its integers fitted to training images.

    Args:
        folder: of the run.
        path: of the weights file; by default in the run's folder, named after the recipe.
        data: the photographs, if they are no longer where they were.

    Returns:
        The path of the weights file.

    Raises:
        InvalidInput: no run, or no photographs.
        WeightsMismatch: a checkpoint that is damaged, or does not fit its codec as it is installed.
        PluginError: the codec's task wrote a file that is no weights file, or does not name the codec.
    """
    if not (folder / CHECKPOINT).is_file():
        raise InvalidInput(f"{folder} holds no {CHECKPOINT}; expected the folder of a run of pycodec train")
    expected = {"step", "seconds", "cpu_seconds", "history", "record"}
    tensors, progress = load_checkpoint(folder / CHECKPOINT, expected, prefix="average.")
    record = _record(progress["record"], folder)
    component, task = make_task(read_recipe(record.recipe, f"the recipe of {folder}", record.settings))
    try:
        task.load_state_dict(part(tensors, "average"))
    except RuntimeError as error:
        raise WeightsMismatch(
            f"the checkpoint in {folder} does not fit {component.kind} {component.name!r} as it is "
            f"installed: {error}"
        ) from error
    del tensors
    task.eval()
    this = {
        "recipe": record.recipe,
        "settings": record.settings,
        "stages": record.stages,
        "images": record.images,
        "steps": progress["step"],
        "seconds": round(progress["seconds"]),
        "cpu_seconds": round(progress["cpu_seconds"]),
        "device": record.device,
        "curve": learning_curve(folder, record.stages),
    }
    metadata = {"codec": name_in_weights(component), "model_card": {"runs": [*progress["history"], this]}}
    path = path or folder / f"{record.name}.safetensors"
    task.export(path, _calibration(data or Path(record.data), record.holdout), metadata)
    if weights.read_metadata(path).get("codec") != name_in_weights(component):
        raise PluginError(
            f"the training task of {component.kind} {component.name!r} wrote {path} without the metadata it "
            "was given; its export must call weights.save(path, tensors, {'config': ..., **metadata})"
        )
    return path


def _record(stored: Mapping[str, Any], folder: Path) -> Record:
    needed = {each.name for each in fields(Record) if each.default_factory is MISSING}
    if missing := needed - stored.keys():
        raise WeightsMismatch(
            f"the checkpoint in {folder} does not say {min(missing)!r}: another version wrote it"
        )
    return Record(**{each.name: stored[each.name] for each in fields(Record) if each.name in stored})


def _calibration(data: Path, holdout: int) -> list[Any]:
    files = find_images(data)
    files = files[: len(files) - holdout]
    if not files:
        raise InvalidInput(
            f"{data} has no more images than the {holdout} kept apart; name another with --data"
        )
    return load_images(files[:: max(1, len(files) // CALIBRATION_IMAGES)][:CALIBRATION_IMAGES])
