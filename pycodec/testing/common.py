"""Checks of several kinds: how a component is made, described, stored and shared between processes."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch
from torch import nn

from pycodec import weights
from pycodec.config import canonical_json
from pycodec.errors import MissingWeights
from pycodec.testing import workers
from pycodec.testing.checks import CheckFailure, check, require, skip
from pycodec.testing.probes import PROBES, require_equal
from pycodec.testing.subject import Subject
from pycodec.types import KINDS, missing_members

PARTS = ("transform", "quantizer", "entropy_model")
TRAINED = (*PARTS, "discriminator")
THREADS = 4


@check(*KINDS)
def constructible(subject: Subject) -> None:
    """Its factory makes a component with every member of its kind, as often as it is called."""
    for _ in range(2):
        try:
            component = subject.fresh()
        except MissingWeights as error:
            raise CheckFailure(
                f"found no weights ({error}), expected those it needs; ship them with it"
            ) from error
        missing = missing_members(component, subject.kind)
        contract = KINDS[subject.kind].__name__
        require(
            not missing,
            f"found a {type(component).__name__} without {', '.join(missing)}, expected every member of "
            f"pycodec.types.{contract}; add them",
        )


_REPORT = """
import importlib.metadata, sys
importlib.metadata.EntryPoint("", sys.argv[1], "pycodec").load()
sys.stderr.write("torch" if "torch" in sys.modules else "light")
"""


@cache
def _import_alone(module: str) -> tuple[int, str, str]:
    """Exit status, output and last word of a fresh interpreter that imports a plugin's module."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", _REPORT, module], env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout, (done.stderr.splitlines() or [""])[-1]


@check(*KINDS)
def light_import(subject: Subject) -> None:
    """The plugin's module imports without torch and without printing: listings stay quick and clean."""
    if not subject.plugin:
        skip("not registered by a plugin")
    status, output, word = _import_alone(subject.plugin)
    require(
        status == 0,
        f"importing {subject.plugin} alone fails ({word}), expected it to work in a fresh process; import "
        "what it needs there",
    )
    require(
        not output,
        f"importing {subject.plugin} prints {output.splitlines()[:1]}, expected nothing; "
        "print in commands only",
    )
    require(
        not word.endswith("torch"),
        f"importing {subject.plugin} loads torch, expected a light module; register factories as "
        '"module:attribute" and import torch there',
    )


@check(*(kind for kind in KINDS if kind != "codec"))
def config_round_trip(subject: Subject) -> None:
    """config() is JSON from which the factory makes an equal component."""
    found = canonical_json(subject.component.config())
    if subject.factory is None:
        skip("made already: there is no factory to give its config() to")
    assert subject.factory is not None
    rebuilt = canonical_json(subject.factory(**subject.component.config()).config())
    require(
        rebuilt == found,
        f"config() is {found}, rebuilt from it {rebuilt}, expected the same; return every keyword argument "
        "of the factory as it was given",
    )


@check(*TRAINED)
def state_dict_round_trip(subject: Subject) -> None:
    """Weights survive a safetensors file bit for bit, and hold all that decides the output."""
    component = subject.component
    if not isinstance(component, nn.Module):
        skip("not a torch module")
    before = {name: tensor.clone() for name, tensor in component.state_dict().items()}
    other = subject.fresh(seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        weights.save(path, before, {"config": {}})
        weights.load_module(other, weights.load(path)[0])
    for name, tensor in other.state_dict().items():
        require(
            torch.equal(tensor, before[name]) or bool((tensor.isnan() & before[name].isnan()).any()),
            f"state_dict()[{name!r}] changes on its way through a file; load it as it was stored",
        )
    if hasattr(component, "freeze"):
        return  # its integers are weights of their own, which the codec stores
    require_equal(
        PROBES[subject.kind](component),
        PROBES[subject.kind](other),
        "once its state_dict() is loaded into another one",
        "keep in parameters and buffers all that decides the output",
    )


@check(*KINDS)
def same_in_other_process(subject: Subject) -> None:
    """Made again in a spawned process, it gives the same: nothing depends on hashes, order or the process."""
    if multiprocessing.parent_process() is not None:
        skip("in a spawned process already; call checks under if __name__ == '__main__'")
    component = subject.component
    expected = PROBES[subject.kind](component)
    state = component.state_dict() if isinstance(component, nn.Module) else None
    found = workers.answers(subject.kind, subject.make, state)
    require_equal(
        expected,
        found,
        "in a spawned process",
        "let the output depend on configuration, weights and input alone",
    )


@check(*PARTS, "codec")
def same_in_threads(subject: Subject) -> None:
    """Used by several threads at once, it gives each the same."""
    component, probe = subject.component, PROBES[subject.kind]
    expected = probe(component)
    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(probe, component) for _ in range(2 * THREADS)]
        for answers in running:
            require_equal(
                expected,
                answers.result(),
                "while other threads use it",
                "keep what a call works on in local variables, or guard it by a lock",
            )
