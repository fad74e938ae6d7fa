"""The faces of the conformance kit: functions, pytest, the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from mutants import MeanOfBatch, Padded
from toys import TOYS

from pycodec import testing
from pycodec.cli import cli, main
from pycodec.errors import InvalidInput
from pycodec.testing import CheckFailure, parametrize_with_checks
from pycodec.types import KINDS

CHECK = {kind: getattr(testing, f"check_{kind}") for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_is_checked_by_name_factory_and_instance(kind, toys):
    for component in ("toy", TOYS[kind], TOYS[kind]()):
        CHECK[kind](component)


def test_the_first_failure_is_one_sentence_that_names_the_check(toys):
    for subject in ("leaky", MeanOfBatch, MeanOfBatch()):
        with pytest.raises(
            CheckFailure, match=r"^transform '\w+' fails batch_invariance: analysis gives image"
        ):
            testing.check_transform(subject)
    with pytest.raises(AssertionError, match="fails code_length"):
        testing.check_entropy_model(Padded)


def test_a_configuration_reaches_the_factory(toys):
    testing.check_quantizer("toy", limit=3)
    testing.check_quantizer(TOYS["quantizer"], limit=3)
    testing.check_quantizer(TOYS["quantizer"], limit=0)  # all symbols are 0, and the gradient goes through
    with pytest.raises(CheckFailure, match=r"no option 'limits'; did you mean 'limit'"):
        testing.check_quantizer("toy", limits=3)
    with pytest.raises(InvalidInput, match="made already"):
        testing.check_quantizer(TOYS["quantizer"](), limit=3)


def test_unknown_names_tell_near_ones(toys):
    with pytest.raises(InvalidInput, match=r"no transform 'toi'; did you mean 'toy'"):
        testing.check_transform("toi")
    with pytest.raises(InvalidInput, match=r"no plugin of the distribution 'toybox'"):
        testing.installed(plugin="toybox")
    with pytest.raises(InvalidInput, match=r"unknown kind 'transfrom'; did you mean 'transform'"):
        testing.checks("transfrom")


def test_components_are_checked_in_every_test_configuration_of_their_plugin(toys):
    subjects = testing.installed(plugin="toys")
    assert [s.name for s in subjects if s.kind == "quantizer"] == ["toy[0]", "toy[1]"]
    assert [s.component.limit for s in subjects if s.kind == "quantizer"] == [5, 1000]
    assert [s.name for s in testing.find("plaything")] == ["toy"]


def test_a_test_configuration_of_no_component_is_refused(toys, monkeypatch):
    monkeypatch.setattr("toy_plugin.PYCODEC_TEST_CONFIGS", {"quantiser:toy": [{}]})
    with pytest.raises(InvalidInput, match=r"'quantiser:toy', .* did you mean 'quantizer:toy'"):
        testing.installed()


def test_every_check_has_a_summary_and_every_kind_its_checks():
    for kind in KINDS:
        found = testing.checks(kind)
        assert len(found) > 5
        assert all(
            check.summary.endswith((".", " in", " as")) and "\n" not in check.summary for check in found
        )
    assert len(testing.checks()) == sum(len(testing.checks(kind)) for kind in KINDS)


def test_a_broken_component_does_not_end_the_run(toys):
    results = list(testing.run([testing.subject.Subject("metric", "broken", lambda: 1 / 0)]))
    assert {r.check for r in results} == {c.name for c in testing.checks("metric")}
    assert "ZeroDivisionError" in results[0].sentence and results[0].status == "failed"


# In pytest.


def test_each_check_of_each_component_is_a_test(toys):
    mark = parametrize_with_checks("transform", "toys")
    ids = [parameter.id for parameter in mark.args[1]]
    checks = [check.name for check in testing.checks("transform")]
    assert ids == [f"transform:{name}:{check}" for name in ("leaky", "toy") for check in checks]


def test_expected_failures_have_to_be_checks(toys):
    with pytest.raises(
        InvalidInput, match=r"no check 'batch_invarance' to fail; did you mean 'batch_invariance'"
    ):
        parametrize_with_checks("transform", expected_failures={"batch_invarance": "why"})


def test_expected_failures_are_strict(installed, tmp_path):
    tmp_path.joinpath("test_conformance.py").write_text(
        "from pycodec.testing import parametrize_with_checks\n"
        "@parametrize_with_checks(kind='transform', plugin='Toy_Box', expected_failures={\n"
        "    'transform:leaky:batch_invariance': 'known', 'transform:toy:shapes': 'passes',\n"
        "})\n"
        "def test_conformance(check):\n"
        "    check()\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "-k",
        "batch_inv or shapes or device",
    ]
    done = subprocess.run([*command, tmp_path], env=installed, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    for line in (
        "XFAIL test_conformance.py::test_conformance[transform:leaky:batch_invariance] - known",
        "FAILED test_conformance.py::test_conformance[transform:toy:shapes]",
        "PASSED test_conformance.py::test_conformance[transform:leaky:shapes]",
    ):
        assert line in done.stdout
    assert "[XPASS(strict)] passes" in done.stdout


# On the command line.


def invoke(*arguments):
    return CliRunner().invoke(cli, ["check", *arguments])


def test_the_table_has_a_row_for_each_check(toys):
    done = invoke("toy", "--kind", "quantizer")
    rows = [line.split() for line in done.output.splitlines()[1:-1]]
    checks = [check.name for check in testing.checks("quantizer")]
    assert done.exit_code == 0
    assert [row[0] for row in rows] == checks * 2
    assert all(row[1] == "quantizer" and row[3] in ("passed", "skipped") for row in rows)


def test_a_failure_is_exit_status_1_and_data(toys):
    done = invoke("leaky", "--json")
    assert done.exit_code == 1
    failed = [row for row in json.loads(done.output) if row["status"] == "failed"]
    assert [row["check"] for row in failed] == ["batch_invariance"]
    assert failed[0]["kind"] == "transform" and failed[0]["component"] == "leaky"
    assert "expected the same" in failed[0]["sentence"]


def test_checks_are_listed_without_a_component(toys):
    rows = json.loads(invoke("--list", "--json").output)
    assert [(row["kind"], row["check"]) for row in rows] == [(c.kind, c.name) for c in testing.checks()]
    assert "bits_shape" in invoke("--list", "--kind", "entropy_model").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["toi"], r"no component 'toi'; did you mean 'toy'"),
        (["toy", "--plugin", "toybox"], r"no plugin of the distribution 'toybox'; did you mean 'toy-box'"),
        (
            ["toy", "--kind", "codec", "--plugin", "pycodec"],
            r"no codec 'toy' in pycodec \(known: .*cpm, ctx3d.*\)",
        ),
        ([], "nothing to check"),
    ],
)
def test_mistakes_are_one_sentence(toys, arguments, words, capsys):
    assert main(["check", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and re.search(words, line)


def test_a_distribution_is_checked_in_a_fresh_process(installed):
    command = [sys.executable, "-m", "pycodec", "check", "--plugin", "toy-box", "--json"]
    done = subprocess.run(command, env=installed, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    rows = json.loads(done.stdout)
    assert {row["kind"] for row in rows} == set(KINDS)
    assert [(r["component"], r["check"]) for r in rows if r["status"] == "failed"] == [
        ("leaky", "batch_invariance")
    ]
