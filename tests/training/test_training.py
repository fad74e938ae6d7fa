"""The training loop: resumed runs equal uninterrupted ones, a diverged run keeps its checkpoint, recipes are checked."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pycodec.errors import InvalidInput, TrainingDiverged, WeightsMismatch
from pycodec.training.checkpoint import load_checkpoint, save_checkpoint
from pycodec.training.data import RandomCrops, batches, center_crop, find_images, load_images
from pycodec.training.log import learning_curve
from pycodec.training.loop import CHECKPOINT, Run, RunOptions, WeightAverage
from pycodec.training.recipe import Stage, find_recipe, load_recipe, parse_recipe
from pycodec.training.schedule import learning_rate_factor
from pycodec.training.task import Losses

TABLE = {
    "codec": "toy",
    "precision": "32-true",
    "checkpoint_every": 3,
    "validate_every": 4,
    "stage": [
        {"name": "first", "steps": 5, "learning_rate": {"model": 1e-2}, "batch": 2, "crop": 16},
        {"name": "second", "steps": 6, "learning_rate": {"model": 5e-3}, "batch": 2, "crop": 16},
    ],
}


class ToyTask(nn.Module):
    """One convolution with noise on its input, so that the random state matters."""

    def __init__(self, bad_step=None):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.to(memory_format=torch.channels_last)  # in which the states of optimisers lie too
        self.bad_step, self.steps = bad_step, 0

    def parameter_groups(self, stage):
        return {
            "model": [
                {"params": list(self.layer.parameters())},
                {"params": self.norm.parameters(), "ratio": 2.0},
            ]
        }

    def training_step(self, images, stage):
        self.steps += 1
        y = self.norm(self.layer(images / 128 + 0.1 * torch.randn_like(images)))
        loss = (y - images / 128).square().mean() * (1 if stage == "first" else 2)
        if self.steps == self.bad_step:
            loss = loss * float("nan")
        return Losses({"model": loss}, {"loss": loss.item()})

    def validation_step(self, image, stage):
        return {"mean": float(self.layer.weight.mean())}

    def export(self, path, calibration, metadata):
        path.write_text(json.dumps(metadata))


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40, 50, 3), np.uint8) for _ in range(5)]


def run(tmp_path, images, name, task=None, **options):
    task = task or ToyTask()
    return Run(parse_recipe(TABLE), task, images[:4], images[4:], RunOptions(tmp_path / name, **options))


def test_a_gradient_that_is_not_finite_harms_nothing(tmp_path, images):
    class Kinked(ToyTask):
        def training_step(self, images, stage):
            self.layer.weight.data.zero_()
            loss = self.layer.weight.square().sum().sqrt()  # 0, with a gradient of 0 / 0
            return Losses({"model": loss}, {"loss": loss.item()})

    kinked = run(tmp_path, images, "kinked", Kinked())
    with pytest.raises(TrainingDiverged, match=r"the gradient is not finite at step 0 .* no checkpoint yet"):
        kinked.train()
    assert all(p.isfinite().all() for p in kinked.task.parameters())


def test_resumed_run_equals_an_uninterrupted_one(tmp_path, images):
    assert run(tmp_path, images, "whole").train()
    interrupted = run(tmp_path, images, "parts", ToyTask(bad_step=8))  # dies inside the second stage
    with pytest.raises(TrainingDiverged, match="--resume"):
        interrupted.train()
    _, progress = load_checkpoint(tmp_path / "parts" / CHECKPOINT)
    assert progress["step"] == 6
    resumed = run(tmp_path, images, "parts", resume=True)
    assert resumed.step == 6 and resumed.train()
    whole, parts = (load_checkpoint(tmp_path / name / CHECKPOINT)[0] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for key, value in whole.items():
        assert torch.equal(value, parts[key]), key


def test_a_folder_with_a_run_is_not_overwritten(tmp_path, images):
    run(tmp_path, images, "run").train()
    with pytest.raises(InvalidInput, match="--resume"):
        run(tmp_path, images, "run")


def test_time_limit_stops_with_a_checkpoint(tmp_path, images):
    assert not run(tmp_path, images, "short", minutes=0.0).train()
    resumed = run(tmp_path, images, "short", resume=True)
    assert resumed.step == 1 and resumed.train() and resumed.step == 11


def test_events_reach_the_log_and_the_listener(tmp_path, images):
    seen = []
    run(tmp_path, images, "run", on_event=lambda *event: seen.append(event)).train()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [(e, s) for e, s, _ in seen if e == "validation"] == [("validation", 4), ("validation", 8)]
    assert [line["step"] for line in lines if line["event"] == "validation"] == [4, 8]
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_a_curve_is_what_counted_in_few_points(tmp_path):
    def steps(first, last, loss):
        return [
            {"event": "step", "step": s, "seconds": 1.0, "loss": loss, **({"late": 3.0} if s > 4000 else {})}
            for s in range(first, last + 1, 50)
        ]

    lines = [
        {"event": "stage", "step": 0, "index": 0.0},
        *steps(50, 4100, 8.0),
        {"event": "validation", "step": 4000, "psnr": 30.0},
        {"event": "stage", "step": 4000, "index": 0.0},  # killed, and resumed from its checkpoint
        *steps(4050, 8000, 4.0),
        {"event": "stage", "step": 8000, "index": 1.0},
        *steps(8050, 8100, 1 / 3),
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, second = learning_curve(tmp_path, ["one", "two", "three"])
    assert (first["stage"], second["stage"]) == ("one", "two")
    assert first["points"][0] == {"step": 200, "loss": 8.0}
    assert [p["loss"] for p in first["points"]] == [8.0] * 20 + [4.0] * 20
    assert first["points"][-1] == {"step": 8000, "loss": 4.0, "late": 3.0}
    assert second["points"] == [{"step": s, "loss": 0.33333, "late": 3.0} for s in (8050, 8100)]
    assert learning_curve(tmp_path / "nowhere", ["one"]) == []


def test_damaged_checkpoint_is_named(tmp_path, images):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsMismatch, match="not a pycodec checkpoint"):
        run(tmp_path, images, "run", resume=True)


def test_crops_depend_on_seed_and_index_alone(images):
    crops = RandomCrops(images, 16, (0.5, 0.75), 0.25, seed=3)
    assert torch.equal(crops[7], RandomCrops(images, 16, (0.5, 0.75), 0.25, seed=3)[7])
    assert not torch.equal(crops[7], crops[8])
    first = list(batches(crops, 2, first=0, steps=4, workers=0))
    tail = list(batches(crops, 2, first=2, steps=2, workers=0))
    assert all(torch.equal(a, b) for a, b in zip(first[2:], tail, strict=True))
    assert first[0].shape == (2, 3, 16, 16) and first[0].min() >= -128 and first[0].max() <= 127


def test_too_small_images_are_refused(images):
    with pytest.raises(InvalidInput, match="64 x 64"):
        RandomCrops(images, 64, (0.5, 0.75), 0.25, seed=0)
    with pytest.raises(InvalidInput, match="no training image is 44 x 44"):  # 32 / 0.75, and none as it is
        RandomCrops([image[:43] for image in images], 33, (0.5, 0.75), 0.0, seed=0)


def test_a_photograph_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(InvalidInput, match=r"cannot read .*a\.png"):
        load_images(find_images(tmp_path))


def test_photographs_are_seen_as_codecs_see_them(tmp_path):
    photograph = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was on its side
    photograph.save(tmp_path / "a.png", exif=exif)
    Image.fromarray(np.full((4, 6), 32768, np.uint16)).save(tmp_path / "b.png")
    turned, deep = load_images(find_images(tmp_path))
    assert turned.shape == (6, 4, 3)
    assert deep.shape == (4, 6, 3) and np.all(deep == 128)


def test_center_crop_keeps_the_middle():
    image = np.arange(5 * 8 * 3, dtype=np.uint8).reshape(5, 8, 3)
    assert np.array_equal(center_crop(image, 4), image[0:4, 2:6])
    assert np.array_equal(center_crop(image, 9), image)


def test_data_folder_errors(tmp_path):
    with pytest.raises(InvalidInput, match="not a folder"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="holds no image"):
        find_images(tmp_path)


def test_learning_rate_warms_up_and_ends_where_the_recipe_says():
    stage = Stage("s", 1000, {}, warmup_steps=100, final_ratio=0.1)
    assert learning_rate_factor(stage, 0) == pytest.approx(0.01)
    assert learning_rate_factor(stage, 99) == pytest.approx(1, abs=0.03)
    assert learning_rate_factor(stage, 999) == pytest.approx(0.1, abs=1e-4)


def test_constant_learning_rate():
    stage = Stage("s", 1000, {}, schedule="constant", warmup_steps=100)
    assert [learning_rate_factor(stage, step) for step in (0, 49, 99, 999)] == [0.01, 0.5, 1, 1]


def test_ramp_cosine_of_the_released_settings_ends_at_three_quarters_of_the_peak():
    (stage,) = load_recipe(find_recipe("illm_pretrain")).stages
    assert (stage.steps, stage.warmup_steps, stage.schedule) == (500_000, 10_000, "ramp_cosine")
    assert learning_rate_factor(stage, 4_999) == 0.5
    for batch in (10_000, 100_000, 300_000, 499_999):
        released = math.cos((batch - 10_000) / 1_000_000 * math.pi / 2)
        assert learning_rate_factor(stage, batch) == pytest.approx(released, abs=2e-4)
    assert learning_rate_factor(stage, 499_999) == pytest.approx(0.72, abs=0.005)


def test_the_labelers_schedule_is_the_same_cosine_to_its_end():
    (stage,) = load_recipe(find_recipe("illm_labeler_full")).stages
    (pretrain,) = load_recipe(find_recipe("illm_pretrain")).stages
    assert (stage.steps, stage.warmup_steps, stage.schedule) == (1_000_000, 10_000, "ramp_cosine")
    assert stage.optimizer == pretrain.optimizer and stage.learning_rate == pretrain.learning_rate
    assert learning_rate_factor(stage, 4_999) == 0.5
    for batch in (10_000, 100_000, 500_000, 999_999):
        released = math.cos((batch - 10_000) / 1_000_000 * math.pi / 2)
        assert learning_rate_factor(stage, batch) == pytest.approx(released, abs=2e-4)
    assert learning_rate_factor(stage, 999_999) == pytest.approx(0.0157, abs=1e-4)


def test_weights_that_are_shared_or_in_another_order_are_in_the_checkpoint(tmp_path):
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(3, 2, 3))
    module[1].weight = module[0].weight
    module[2].to(memory_format=torch.channels_last)
    state = module.state_dict()
    save_checkpoint(tmp_path / CHECKPOINT, state, state, {}, {"step": 1})
    tensors, _ = load_checkpoint(tmp_path / CHECKPOINT)
    assert tensors.keys() == {f"{part}.{name}" for part in ("model", "average") for name in state}
    assert all(torch.equal(value, state[name.split(".", 1)[1]]) for name, value in tensors.items())
    averages, _ = load_checkpoint(tmp_path / CHECKPOINT, prefix="average.")
    assert averages.keys() == {f"average.{name}" for name in state}


def test_validation_sees_the_average_and_leaves_the_weights():
    task = ToyTask()
    average = WeightAverage(task, 0.5)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    for value in average.state.values():
        value.add_(1)
    with average.applied(task):
        assert not task.training
        assert all(torch.equal(v, before[name] + 1) for name, v in task.state_dict().items())
    assert task.training
    assert all(torch.equal(v, before[name]) for name, v in task.state_dict().items())
    assert all(torch.equal(v, before[name] + 1) for name, v in average.state.items())


def test_ramp_cosine_to_zero_is_a_quarter_of_a_period():
    stage = Stage("s", 1100, {}, schedule="ramp_cosine", warmup_steps=100, final_ratio=0)
    assert learning_rate_factor(stage, 600) == pytest.approx(0.5**0.5)
    assert learning_rate_factor(stage, 1099) == pytest.approx(math.pi / 2 / 1000, rel=1e-3)


class Scalars(nn.Module):
    """Three numbers with gradients 3, 4 and 0 in two groups, the second of which does not decay."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Parameter(torch.ones(())) for _ in range(3))

    def parameter_groups(self, stage):
        return {
            "model": [{"params": [self.a, self.b]}, {"params": [self.c], "ratio": 2.0, "weight_decay": 0.0}]
        }

    def training_step(self, images, stage):
        return Losses({"model": 3 * self.a + 4 * self.b + 0 * self.c}, {})


def test_adamw_decays_and_clips_as_the_stage_says(tmp_path, images):
    stage = {
        **{
            "name": "s",
            "steps": 1,
            "learning_rate": {"model": 0.1},
            "batch": 1,
            "crop": 16,
            "clip_norm": 0.5,
        },
        **{"optimizer": {"model": {"name": "adamw", "betas": [0.5, 0.9], "weight_decay": 0.2}}},
        **{"schedule": "constant", "warmup_steps": 0},
    }
    recipe = parse_recipe({"codec": "toy", "precision": "32-true", "clip_norm": 9.0, "stage": [stage]})
    run = Run(recipe, Scalars(), images, [], RunOptions(tmp_path / "run"))
    run.train()
    # One step of AdamW: (1 - rate decay) 1 - rate sign of the gradient.
    assert [p.item() for p in run.task.parameters()] == pytest.approx([0.88, 0.88, 1.0])
    optimizer = run.optimizers["model"]
    averages = [optimizer.state[p]["exp_avg"].item() for p in run.task.parameters()]
    assert averages == pytest.approx(
        [0.5 * 0.3, 0.5 * 0.4, 0], rel=1e-4
    )  # of the gradient (3, 4) at norm 0.5
    assert optimizer.param_groups[1]["lr"] == pytest.approx(0.2)


def test_optimizers_that_the_task_does_not_have(tmp_path, images):
    stage = {"name": "s", "steps": 1, "learning_rate": {"model": 0.1}, "crop": 16, "optimizer": {"modle": {}}}
    recipe = parse_recipe({"codec": "toy", "precision": "32-true", "stage": [stage]})
    with pytest.raises(InvalidInput, match="no optimizer 'modle'; expected one of model"):
        Run(recipe, Scalars(), images, [], RunOptions(tmp_path / "run")).train()


def stage_with(**keys):
    return {"stage": [{"name": "a", "steps": 1, "learning_rate": {"model": 1e-3}, **keys}]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stage": []}, "no \\[\\[stage\\]\\]"),
        ({"sead": 1}, "unknown key 'sead'"),
        ({"stage": [{"name": "a", "learning_rate": {}}]}, "steps"),
        ({"stage": [{"name": "a", "steps": 0, "learning_rate": {}}]}, "steps 0"),
        ({"seed": "one"}, "seed is 'one'; expected a whole number"),
        ({"scale": [1]}, "scale is \\[1\\]; expected two numbers"),
        ({"seed": -1}, "seed is -1; expected 0 to"),
        ({"validate_every": 0}, "validate_every is 0; expected at least 1"),
        ({"checkpoint_every": -1}, "checkpoint_every is -1"),
        ({"scale": [0, 0]}, "scale is .*; expected two numbers above 0"),
        ({"ema": 2.0}, "ema is 2"),
        ({"native": 2.0}, "native is 2"),
        ({"clip_norm": -1.0}, "clip_norm is -1"),
        (stage_with(schedule="cosin"), "stage 1: schedule 'cosin'; .* did you mean 'cosine'"),
        (stage_with(final_ratio=2.0), "stage 1: final_ratio 2.0"),
        (stage_with(clip_norm=0), "clip_norm is 0; expected more than 0"),
        (stage_with(learning_rate={"model": "fast"}), "learning_rate is .*; expected a table of numbers"),
        (stage_with(optimizer={"model": "adamw"}), "expected a table for each optimiser"),
        (
            stage_with(optimizer={"model": {"name": "sgd"}}),
            "optimizer 'model': name 'sgd'; expected one of adam, adamw",
        ),
        (stage_with(optimizer={"model": {"beta": 0.5}}), "unknown key 'beta'"),
        (
            stage_with(optimizer={"model": {"betas": [0.5, 1]}}),
            "betas are \\[0.5, 1\\]; expected two numbers from 0",
        ),
        (stage_with(optimizer={"model": {"weight_decay": 0.1}}), "weight_decay is 0.1 for 'adam'"),
    ],
)
def test_recipe_errors_name_the_key(change, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        parse_recipe({**TABLE, **change})


def test_recipe_files(tmp_path):
    with pytest.raises(InvalidInput, match="no such recipe"):
        load_recipe(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text("codec = ")
    with pytest.raises(InvalidInput, match="not valid TOML"):
        load_recipe(tmp_path / "b.toml")
