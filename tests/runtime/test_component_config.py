"""Configurations: one spelling, a component from its description, and back."""

from __future__ import annotations

from typing import Any

import pytest
from test_runtime import Metric, found

from pycodec import config, runtime
from pycodec.errors import InvalidInput, PluginError
from pycodec.runtime import Runtime


class Drifting(Metric):
    """Says something else than what it was made with."""

    def config(self) -> dict[str, Any]:
        return {**self.options, "window": self.options["window"] + 1}


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime with two metrics."""

    def pycodec_register_metrics(register: Any) -> None:
        register("good", Metric)
        register("drifting", Drifting)

    host = Runtime([found("a", pycodec_register_metrics=pycodec_register_metrics)])
    monkeypatch.setattr(runtime, "_runtime", host)


def test_canonical_json_has_one_spelling() -> None:
    assert config.canonical_json({"b": (1, 2.5), "a": {"z": None, "é": True}}) == (
        '{"a":{"z":null,"\\u00e9":true},"b":[1,2.5]}'
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [float("nan")]}, "['a'][0] is nan"),
        ({"a": float("inf")}, "['a'] is inf"),
        ({"a": {1: 2}}, "['a'] has the key 1"),
        ({"a": object()}, "['a'] is a object"),
        ({"a": b"x"}, "['a'] is a bytes"),
    ],
)
def test_canonical_json_refuses_what_json_cannot_say(value: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        config.canonical_json(value)
    assert words in str(caught.value)


def test_a_component_is_rebuilt_from_its_description() -> None:
    metric = config.build("metric", {"name": "good", "config": {"window": 7, "sigma": 2.0}})
    description = config.describe("good", metric)
    assert description == {"name": "good", "config": {"window": 7, "sigma": 2.0}}
    assert config.build("metric", description).config() == metric.config()
    config.check_round_trip("metric", "good", metric)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"nam": "good"}, "no key 'nam'; did you mean 'name'?"),
        ({"config": {}}, "needs a 'name'"),
        ({"name": "good", "config": 3}, "expected an object"),
        ({"name": "good", "config": {"windows": 3}}, "no option 'windows'; did you mean 'window'?"),
        ("good", "found 'good'"),
    ],
)
def test_a_wrong_description_is_refused_in_one_sentence(description: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        config.build("metric", description)
    assert words in str(caught.value)


def test_a_configuration_that_builds_another_component_is_found() -> None:
    with pytest.raises(PluginError, match=r"'drifting' does not survive its own config\(\)"):
        config.check_round_trip("metric", "drifting", Drifting(window=3))
