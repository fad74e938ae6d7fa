"""Each check of the conformance kit passes a toy that keeps its rule, and rejects toys that break it."""

from __future__ import annotations

import pytest
from mutants import MUTANTS, Clairvoyant
from toys import TOYS

from pycodec.testing import CheckFailure, checks
from pycodec.testing.checks import CheckSkipped
from pycodec.testing.run import make_check
from pycodec.testing.subject import Subject

CHECKS = {(check.kind, check.name): check for check in checks()}
HEAVY, PRINTING, MISSING = "toys", "toy_printing_plugin", "no_such_plugin"
for key, declared in CHECKS.items():
    if declared.name == "light_import":
        MUTANTS[key] = [HEAVY, PRINTING, MISSING]


def ids(key):
    return ":".join(key)


@pytest.fixture(scope="session")
def golden(tmp_path_factory):
    """Folder of the streams of the good toys."""
    folder = tmp_path_factory.mktemp("golden")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYCODEC_WRITE_GOLDEN", "1")
        for kind in ("entropy_model", "codec"):
            make_check(CHECKS[kind, "golden_streams"], Subject(kind, "toy", TOYS[kind], golden=folder))
    return folder


def subject(kind, factory, golden, plugin="toy_plugin"):
    return Subject(kind, "toy", factory, factory, plugin=plugin, golden=golden, device="cpu")


@pytest.fixture(scope="session")
def good(golden):
    return {kind: subject(kind, factory, golden) for kind, factory in TOYS.items()}


@pytest.mark.parametrize("key", CHECKS, ids=ids)
def test_a_good_component_passes(key, good):
    make_check(CHECKS[key], good[key[0]])


def test_every_check_has_a_mutant():
    assert set(MUTANTS) == set(CHECKS)


@pytest.mark.parametrize(
    ("key", "mutant"),
    [
        pytest.param(key, mutant, id=f"{ids(key)}:{getattr(mutant, '__name__', mutant)}")
        for key, mutants in MUTANTS.items()
        for mutant in mutants
    ],
)
def test_a_mutant_is_rejected_in_one_sentence(key, mutant, golden):
    check, kind = CHECKS[key], key[0]
    if isinstance(mutant, str):
        found = subject(kind, TOYS[kind], golden, plugin=mutant)
    else:
        found = subject(kind, mutant, golden)
    with pytest.raises(CheckFailure) as caught:
        make_check(check, found)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert (
        "expected" in sentence or "golden" in sentence
    )  # what is found there was written by an older version


def test_a_missing_golden_stream_is_a_failure_that_says_how_to_write_it(tmp_path, monkeypatch):
    monkeypatch.delenv("PYCODEC_WRITE_GOLDEN", raising=False)
    for kind in ("entropy_model", "codec"):
        with pytest.raises(CheckFailure, match="write it with PYCODEC_WRITE_GOLDEN=1"):
            make_check(CHECKS[kind, "golden_streams"], subject(kind, TOYS[kind], tmp_path))
    assert list(tmp_path.iterdir()) == []


class WithSideInformation(Clairvoyant):
    side_information = True


def test_side_information_may_depend_on_every_value(golden):
    """Its cost is part of what bits() gives, so that probabilities of the symbols alone sum to less than one."""
    found = subject("entropy_model", WithSideInformation, golden)
    with pytest.raises(CheckSkipped, match="side information"):
        make_check(CHECKS["entropy_model", "causality"], found)
    make_check(CHECKS["entropy_model", "probabilities_sum_to_one"], found)


def test_what_cannot_be_checked_here_says_why():
    plain = Subject("entropy_model", "toy", TOYS["entropy_model"])
    for name, reason in (
        ("light_import", "not registered"),
        ("config_round_trip", "made already"),
        ("golden_streams", "no folder of golden streams"),
    ):
        with pytest.raises(CheckSkipped, match=reason):
            make_check(CHECKS["entropy_model", name], plain)
