"""The runtime in one process, over plugins made here: order, hooks, components and their options."""

from __future__ import annotations

import logging
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import pycodec
from pycodec import hookspecs, runtime
from pycodec.errors import InvalidInput, PluginError, UnknownComponent
from pycodec.runtime import Runtime
from pycodec.types import KINDS


class Metric:
    """A metric.

    With options.
    """

    higher_is_better = True
    data_range = 255.0

    def __init__(self, window: int, sigma: float = 1.5):
        self.options = {"window": window, "sigma": sigma}

    def update(self, x_hat: Any, x: Any) -> None: ...

    def compute(self) -> float:
        return 0.0

    def reset(self) -> None: ...

    def config(self) -> dict[str, Any]:
        return self.options


def found(name: str, distribution: str = "acme", **hooks: Any) -> Any:
    """An entry point whose plugin is a module with these hooks."""
    plugin = ModuleType(name)
    vars(plugin).update(hooks)
    return SimpleNamespace(
        name=name,
        value=f"{name}.plugin",
        dist=SimpleNamespace(metadata={"Name": distribution}, version="2.0"),
        load=lambda: plugin,
    )


def metrics(*names: str, **options: Any) -> Any:
    """A hook that registers metrics."""

    def pycodec_register_metrics(register: Any) -> None:
        for name in names:
            register(name, Metric, **options)

    return {"pycodec_register_metrics": pycodec_register_metrics}


def state(host: Runtime) -> dict[str, str]:
    return {f"{plugin.origin.distribution}/{plugin.name}": plugin.status for plugin in host.plugins}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_hook(kind: str) -> None:
    def hook(register: Any) -> None:
        register("mine", Metric, aliases=("own",))

    host = Runtime([found("a", **{f"pycodec_register_{kind}s": hook})])
    (component,) = host.registry.components()
    assert (component.kind, component.name, component.origin.plugin) == (kind, "mine", "a")
    assert host.find(kind, "own") is component
    assert component.summary == "A metric."


@pytest.mark.parametrize("name", hookspecs.HOOKS)
def test_every_hook_says_when_it_is_called_and_gives_an_example(name: str) -> None:
    text = hookspecs.HOOKS[name].__doc__ or ""
    assert "Called" in text and f"def {name}(" in text


def test_order_is_built_in_first_then_by_distribution_and_name() -> None:
    points = [found("z"), found("b", "zeta"), found("y"), found("cpm", "pycodec")]
    order = [*state(Runtime(points))]
    assert order == [*state(Runtime(points[::-1]))] == ["pycodec/cpm", "acme/y", "acme/z", "zeta/b"]


@pytest.mark.parametrize(
    "claim", [metrics("psnr"), metrics("other", aliases=("psnr",)), metrics("free", "p")]
)
def test_the_built_in_keeps_a_name_that_another_claims(claim: Any) -> None:
    host = Runtime(
        [
            found("a-thief", "acme", **claim),
            found("z-built-in", "pycodec", **metrics("psnr", aliases=("p",))),
            found("bystander", "zeta", **metrics("ssim")),
        ],
        blocked=(),
    )
    assert state(host) == {
        "pycodec/z-built-in": "active",
        "acme/a-thief": "failed",
        "zeta/bystander": "active",
    }
    assert host.registry.names("metric") == ["p", "psnr", "ssim"]
    reason = host.plugins[1].reason
    assert "acme 2.0" in reason and "pycodec 2.0" in reason


def test_two_plugins_of_one_name() -> None:
    host = Runtime([found("cpm", "acme", **metrics("m")), found("cpm", "pycodec", **metrics("psnr"))])
    assert state(host) == {"pycodec/cpm": "active", "acme/cpm": "failed"}
    assert host.registry.names("metric") == ["psnr"]
    assert "'cpm' of pycodec 2.0" in host.plugins[1].reason


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        ({"PYCODEC_API": 2}, "version 2 of the plugin interface, and this pycodec serves 1: install a newer"),
        ({"PYCODEC_API": 0}, "pycodec serves 1: install an older"),
        ({"PYCODEC_API": "1"}, "PYCODEC_API is '1', expected an integer"),
        ({"pycodec_register_codecs": 3}, "int, expected a function"),
        ({"pycodec_registers": lambda register: None}, "is no hook"),
        ({"pycodec_register_metrics": lambda register, more: None}, "argument 'more', expected 'register'"),
        (metrics("No Name"), "'No Name' is no name for a metric"),
        (metrics("x" * 25), "at most 24"),
        ({"pycodec_register_metrics": lambda register: register("m", "no target")}, "'module:attribute'"),
        ({"pycodec_register_metrics": lambda register: register("m")}, "TypeError"),
        ({"pycodec_register_metrics": lambda register: 1 / 0}, "ZeroDivisionError"),
        ({"pycodec_register_metrics": lambda register: sys.exit("no licence")}, "SystemExit: no licence"),
        ({"pycodec_register_metrics": lambda register: pycodec.load("ctx3d")}, "while plugins are loaded"),
    ],
)
def test_a_fault_is_one_sentence(hooks: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_loading", True)  # as it is while the runtime of the process is made
    monkeypatch.setattr(runtime, "_runtime", None)
    host = Runtime([found("bad", **hooks), found("good", **metrics("m"))])
    assert state(host) == {"acme/bad": "failed", "acme/good": "active"}
    assert words in host.plugins[0].reason and "\n" not in host.plugins[0].reason


def test_an_imported_module_is_no_hook_and_arguments_may_be_left_out() -> None:
    host = Runtime([found("a", pycodec_plugins=pytest, pycodec_training_event=lambda step: None)])
    host.training_event("step", 1, {})
    assert state(host) == {"acme/a": "active"}


def test_training_events_reach_every_plugin_that_works(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []
    host = Runtime(
        [
            found("a", **metrics("m"), pycodec_training_event=lambda event: 1 / 0),
            found(
                "b", pycodec_training_event=lambda event, step, scalars: seen.append((event, step, scalars))
            ),
        ]
    )
    with caplog.at_level(logging.WARNING, "pycodec"):
        for step in (1, 2):
            host.training_event("step", step, {"rate_bpp": 0.5})
    assert seen == [("step", 1, {"rate_bpp": 0.5}), ("step", 2, {"rate_bpp": 0.5})]
    assert state(host) == {"acme/a": "failed", "acme/b": "active"}
    (record,) = caplog.records
    assert "'a'" in record.getMessage() and "ZeroDivisionError" in record.getMessage()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """The runtime of this process, with one metric and one plugin that fails."""
    point = found("a", **metrics("psnr", aliases=("peak",)))
    host = Runtime([point, found("sick", pycodec_nothing=lambda: None)])
    monkeypatch.setattr(runtime, "_runtime", host)
    return host


def test_create_passes_options(host: Runtime) -> None:
    assert pycodec.create("metric", "peak", window=11).config() == {"window": 11, "sigma": 1.5}
    assert [component.name for component in pycodec.components("metric")] == ["psnr"]
    assert [plugin.name for plugin in pycodec.plugins()] == ["a", "sick"]


@pytest.mark.parametrize(
    ("kind", "name", "options", "error", "words"),
    [
        ("metrik", "psnr", {}, InvalidInput, "unknown kind 'metrik'; did you mean 'metric'?"),
        ("metric", "psmr", {}, UnknownComponent, "unknown metric 'psmr'; did you mean 'psnr'?"),
        (
            "metric",
            "psmr",
            {},
            UnknownComponent,
            "plugin 'sick' of acme 2.0 is not active: 'pycodec_nothing'",
        ),
        ("codec", "x", {}, UnknownComponent, "none is registered"),
        (
            "metric",
            "psnr",
            {"window": 1, "sigmas": 2},
            InvalidInput,
            "no option 'sigmas'; did you mean 'sigma'?",
        ),
        ("metric", "psnr", {}, InvalidInput, "needs the option 'window' (it takes sigma, window)"),
    ],
)
def test_create_refuses_in_one_sentence(
    host: Runtime, kind: str, name: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        pycodec.create(kind, name, **options)
    assert words in str(caught.value)


def test_a_component_that_breaks_its_contract_is_refused() -> None:
    hooks = {"pycodec_register_metrics": lambda register: register("m", SimpleNamespace)}
    with pytest.raises(PluginError, match=r"SimpleNamespace without compute, config, .*pycodec.types.Metric"):
        Runtime([found("a", **hooks)]).find("metric", "m").create()
