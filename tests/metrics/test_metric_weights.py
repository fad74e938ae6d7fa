"""Weights of metrics: where they are looked for, what is said when they are missing, how they are made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import pycodec
from pycodec.cli import main
from pycodec.errors import MissingWeights, WeightsMismatch
from pycodec.testing import samples
from pycodec_plugins.metrics.convert import converted
from pycodec_plugins.metrics.dists import DISTS
from pycodec_plugins.metrics.inception import Inception
from pycodec_plugins.metrics.lpips import LPIPS
from pycodec_plugins.metrics.swav import SwAV
from pycodec_plugins.metrics.weights import PUBLISHED, UNUSED

NEEDED = [
    ("lpips", {}, "lpips_alex", "alexnet-owt-7be5be79.pth"),
    ("lpips", {"network": "vgg"}, "lpips_vgg", "vgg16-397923af.pth"),
    ("dists", {}, "dists", "vgg16-397923af.pth"),
    ("fid", {}, "inception", "weights-inception-2015-12-05-6726825d.pth"),
    ("kid", {"network": "swav"}, "swav", "swav_800ep_pretrain.pth.tar"),
]


@pytest.mark.parametrize(("metric", "config", "name", "published"), NEEDED)
def test_missing_weights_say_what_to_do(metric, config, name, published, tmp_path, monkeypatch):
    monkeypatch.delenv("PYCODEC_METRIC_WEIGHTS", raising=False)
    steps = rf"fetch https://\S+/{published} and run pycodec metric-weights {name} {published}$"
    with pytest.raises(MissingWeights, match=rf"neither weights= nor PYCODEC_METRIC_WEIGHTS .*{steps}"):
        pycodec.create("metric", metric, **config)
    monkeypatch.setenv("PYCODEC_METRIC_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match=rf"there is no {tmp_path}/{name}.safetensors; {steps}"):
        pycodec.create("metric", metric, **config)
    with pytest.raises(MissingWeights, match=r"there is no mine\.safetensors"):
        pycodec.create("metric", metric, weights="mine.safetensors", **config)


def test_weights_are_found_by_path_and_by_folder(weights_folder, monkeypatch):
    by_path = pycodec.create("metric", "lpips", weights=str(weights_folder / "lpips_alex.safetensors"))
    monkeypatch.setenv("PYCODEC_METRIC_WEIGHTS", str(weights_folder))
    by_folder = pycodec.create("metric", "lpips")
    assert by_path.info()["weights"] == by_folder.info()["weights"]
    assert by_path.info()["weights"].startswith("sha256 ") and by_folder.config()["weights"] is None
    assert by_path.label == "LPIPS (AlexNet)"
    assert pycodec.create("metric", "lpips", weights="random").label == "LPIPS (AlexNet), random weights"


def test_other_weights_are_refused(weights_folder, tmp_path):
    lpips = str(weights_folder / "lpips_alex.safetensors")
    with pytest.raises(WeightsMismatch, match=r"holds lpips_alex, expected weights of dists"):
        pycodec.create("metric", "dists", weights=lpips)
    (tmp_path / "torn.safetensors").write_bytes(Path(lpips).read_bytes()[:-9])
    with pytest.raises(WeightsMismatch, match=r"torn.safetensors holds no weights of pycodec"):
        pycodec.create("metric", "lpips", weights=str(tmp_path / "torn.safetensors"))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("lpips_alex", LPIPS("alex", "random")),
        ("lpips_vgg", LPIPS("vgg", "random")),
        ("dists", DISTS("random")),
        ("inception", Inception("random")),
        ("swav", SwAV("random")),
    ],
)
def test_published_files_have_what_the_networks_need(name, module, tmp_path):
    """Files as they are published, but narrow, with the tensors they have besides."""
    inside = {
        key: t
        for key, t in module.state_dict().items()
        if key not in ("alpha", "beta") and "heads" not in key
    }
    prefix = "module." if name == "swav" else ""
    more = ["classifier.6.weight", "fc.weight", "module.projection_head.0.weight", "module.prototypes.weight"]
    table = {prefix + key: t for key, t in inside.items()} | dict.fromkeys(
        more[:2] if not prefix else more[2:], torch.ones(2, 2)
    )
    if name == "inception":
        del table["classifier.6.weight"]  # all of that file is Inception
    torch.save(table, tmp_path / "published.pth")
    found = converted(name, tmp_path / "published.pth")
    assert found.keys() == {key for key in module.state_dict() if not key.endswith(UNUSED)}
    for key, tensor in inside.items():
        assert key.endswith(UNUSED) or torch.equal(found[key], tensor)


def test_the_command_makes_a_file_that_the_metric_takes(weights_folder, tmp_path, monkeypatch, capsys):
    module = LPIPS("alex", weights_folder / "lpips_alex.safetensors")
    published = {f"features.{key}": t for key, t in module.features.state_dict().items()}
    torch.save(published, tmp_path / "alexnet.pth")
    monkeypatch.setenv("PYCODEC_METRIC_WEIGHTS", str(tmp_path))
    assert main(["metric-weights", "lpips_alex", str(tmp_path / "alexnet.pth")]) == 0
    assert "BSD-3-Clause" in capsys.readouterr().out
    metric = pycodec.create("metric", "lpips")
    x = samples.images(1, 64, 64)
    metric.update(x * 0.5, x)
    assert metric.compute() > 0  # the heads are those that torchmetrics brings
    assert (
        main(["metric-weights", "lpips_alex", str(tmp_path / "alexnet.pth"), "-o", str(tmp_path / "a")]) == 0
    )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "lpips_alex.safetensors").read_bytes()


class Planted:
    def __reduce__(self):
        return os.mkdir, ("planted",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"features.0.weight": Planted()}, "is no file of weights"),
        ({"features.0.weight": "text"}, "expected a table of tensors"),
        ({"layer.weight": torch.ones(2)}, "holds no weights of lpips_alex, expected those of https://"),
    ],
)
def test_files_that_are_something_else_are_refused(content, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save(content, "file.pth")
    assert main(["metric-weights", "lpips_alex", "file.pth"]) == 2
    assert sentence in capsys.readouterr().err
    assert os.listdir() == ["file.pth"]  # nothing was run, nothing written


def test_every_published_file_has_its_licence():
    assert all(p.licence and p.url.startswith("https://") for p in PUBLISHED.values())
