"""What is checked: components of plugins, or one in hand, and how to make another one like it."""

from __future__ import annotations

import copy
import importlib.metadata
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import pycodec
from pycodec.errors import InvalidInput, MissingWeights, near_names
from pycodec.testing import samples
from pycodec.types import Config

TEST_CONFIGS = "PYCODEC_TEST_CONFIGS"
"""Mapping a plugin's module may define: ``{"kind:name": [configuration, ...]}``, what its components are
checked with; a component that is not in it is made without arguments, one with an empty list is left out."""


@dataclass
class Subject:
    """A component under test.

    Attributes:
        kind: one of the seven.
        name: for reports.
        make: makes one more; can be pickled, so that other processes make it too.
        factory: makes one from a configuration as keyword arguments; None where there is no such function.
        plugin: module of its plugin; empty where there is none.
        golden: folder of streams that were written once and are decoded for ever.
        device: what ``device_parity`` compares the CPU with.
    """

    kind: str
    name: str
    make: Callable[[], Any]
    factory: Callable[..., Any] | None = None
    plugin: str = ""
    golden: Path | None = None
    device: str = "cuda"

    @cached_property
    def component(self) -> Any:
        """The component that checks look at; none of them leaves it changed."""
        return self.fresh()

    @property
    def foreign_suffix(self) -> str | None:
        """Suffix of a codec's files if they are of another format than ours, which promises less."""
        suffix: str = getattr(self.component, "suffix", ".pci")
        return None if suffix == ".pci" else suffix

    def fresh(self, seed: int = 0) -> Any:
        """One more, ready for use; what it draws while it is made depends on ``seed`` alone."""
        return prepared(self.kind, self.make, seed)


def prepared(kind: str, make: Callable[[], Any], seed: int) -> Any:
    """Make a component with seeded generators; an entropy model without integers freezes some."""
    with seeded(seed):
        component = make()
        if isinstance(component, nn.Module):
            component.eval()
        if kind == "entropy_model" and hasattr(component, "freeze"):
            _freeze_if_needed(component)
    return component


class seeded:
    """Seeds torch and numpy for as long as the body runs, and restores both."""

    def __init__(self, seed: int):
        self._seed = seed

    def __enter__(self) -> None:
        self._states = torch.get_rng_state(), np.random.get_state()
        torch.manual_seed(self._seed)
        np.random.seed(self._seed)

    def __exit__(self, *error: object) -> None:
        torch.set_rng_state(self._states[0])
        np.random.set_state(self._states[1])


def _freeze_if_needed(model: Any) -> None:
    """Integers for an untrained entropy model, see `pycodec.types.FreezableEntropyModel`."""
    symbols, step = samples.symbols(model, 4, 4), samples.quality_steps(model)[0]
    try:
        model.encode(symbols, step)
    except MissingWeights:
        calibration = [(samples.symbols(model, 8, 8, seed), step / 16) for seed in range(2)]
        model.freeze(calibration, lambda symbols: torch.from_numpy(symbols.astype(np.float32))[None])


def in_hand(
    kind: str, component: Any, config: Mapping[str, Any], golden: Path | None = None
) -> list[Subject]:
    """Subjects of what ``check_transform`` and its like take.

    Args:
        component: a registered name or alias; a factory, called with ``config``; or a component.
    """
    if isinstance(component, str):
        if config:
            make = partial(pycodec.create, kind, component, **config)
            return [Subject(kind, component, make, partial(pycodec.create, kind, component), golden=golden)]
        return find(component, kind, golden=golden)
    if callable(component) and not isinstance(component, nn.Module):
        name = getattr(component, "__name__", repr(component))
        return [Subject(kind, name, partial(component, **config), component, golden=golden)]
    if config:
        raise InvalidInput(
            f"a configuration {dict(config)} for a {type(component).__name__} that is made already; "
            "give its factory or its name instead"
        )
    return [Subject(kind, type(component).__name__, partial(copy.deepcopy, component), golden=golden)]


def find(
    name: str, kind: str | None = None, plugin: str | None = None, golden: Path | None = None
) -> list[Subject]:
    """Subjects of the registered components of that name or alias.

    Raises:
        InvalidInput: no such component, kind or plugin.
    """
    found = installed(kind, plugin, golden, names=(name,))
    if not found:
        known = sorted({c.name for c in pycodec.components(kind) if _belongs(c.origin, plugin)})
        what = kind or "component"
        inactive = "".join(
            f"; plugin {p.name!r} is not active: {p.reason}" for p in pycodec.plugins() if p.reason
        )
        raise InvalidInput(
            f"no {what} {name!r}{f' in {plugin}' if plugin else ''}{near_names(name, known)} "
            f"(known: {', '.join(known) or 'none'}){inactive}"
        )
    return found


def installed(
    kind: str | None = None,
    plugin: str | None = None,
    golden: Path | None = None,
    names: Iterable[str] | None = None,
) -> list[Subject]:
    """Subjects of registered components, of all plugins or of those of one distribution or entry point.

    Raises:
        InvalidInput: no such kind or plugin, one that does not work, or test configurations of no component.
    """
    modules = _modules(plugin)
    configs = {name: _test_configs(module) for name, module in modules.items()}
    subjects = []
    for component in pycodec.components(kind):
        if component.origin.plugin not in modules:
            continue
        if names is not None and not {component.name, *component.aliases} & set(names):
            continue
        create = partial(pycodec.create, component.kind, component.name)
        given = configs[component.origin.plugin].get(f"{component.kind}:{component.name}", [{}])
        for i, config in enumerate(given):
            title = component.name if len(given) == 1 else f"{component.name}[{i}]"
            make = partial(create, **config)
            module = modules[component.origin.plugin]
            subjects.append(Subject(component.kind, title, make, create, module, golden))
    return subjects


def _modules(plugin: str | None) -> dict[str, str]:
    """Entry point to module of the active plugins that ``plugin`` names."""
    found = [p for p in pycodec.plugins() if _belongs(p.origin, plugin)]
    if plugin is not None:
        if not found:
            known = sorted({p.origin.distribution for p in pycodec.plugins()})
            raise InvalidInput(
                f"no plugin of the distribution {plugin!r}{near_names(plugin, known)} is installed "
                f"(there are: {', '.join(known)})"
            )
        for broken in found:
            if broken.status != "active":
                raise InvalidInput(f"plugin {broken.name!r} is not active: {broken.reason}")
    return {p.name: p.module for p in found if p.status == "active"}


def _belongs(origin: Any, plugin: str | None) -> bool:
    """Whether ``plugin`` is None, or names the distribution or the entry point of ``origin``."""
    return plugin is None or _canonical(plugin) in (
        _canonical(origin.distribution),
        _canonical(origin.plugin),
    )


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _test_configs(module: str) -> Mapping[str, list[Config]]:
    """The plugin's own configurations to test with, each checked to be of a registered component."""
    loaded = importlib.metadata.EntryPoint("", module, "pycodec").load()
    configs: Mapping[str, list[Config]] = getattr(loaded, TEST_CONFIGS, {})
    known = [f"{c.kind}:{c.name}" for c in pycodec.components()]
    for key in configs:
        if key not in known:
            raise InvalidInput(
                f"{TEST_CONFIGS} of {module} has {key!r}, expected the kind:name of a component"
                f"{near_names(key, known)}"
            )
    return configs
