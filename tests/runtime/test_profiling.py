"""Stages of a profile, with a clock that the test turns."""

from __future__ import annotations

import threading

import pytest

from pycodec import profiling
from pycodec.profiling import add, profile, stage


@pytest.fixture
def wait(monkeypatch):
    """Lets seconds pass."""
    now = [100.0]
    monkeypatch.setattr(profiling.time, "perf_counter", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_a_stage_excludes_those_inside(wait):
    with profile() as seconds:
        with stage("outer"):
            wait(1)
            with stage("inner"):
                wait(2)
                with stage("innermost"):
                    wait(4)
            add("native", 8)
            wait(16)
        with stage("inner"):
            wait(32)
    assert seconds == {"innermost": 4, "inner": 34, "native": 8, "outer": 9}


def test_what_a_device_still_does_belongs_to_the_stage_that_asked(wait):
    left = [0.0]  # seconds of work that a call has left behind

    def finish() -> None:
        wait(left[0])
        left[0] = 0

    with profile(finish) as seconds:
        with stage("outer"):
            left[0] = 1
            with stage("inner"):
                left[0] = 2
            left[0] = 4
        with stage("next"):
            wait(8)
    assert seconds == {"inner": 2, "outer": 5, "next": 8}


def test_a_stage_that_fails_is_measured(wait):
    with profile() as seconds:
        with pytest.raises(ValueError, match="broken"), stage("whole"), stage("part"):
            wait(1)
            raise ValueError("broken")
        with stage("next"):
            wait(2)
    assert seconds == {"part": 1, "whole": 0, "next": 2}


def test_nothing_is_measured_unless_asked(wait):
    with stage("alone"):
        wait(1)
    add("alone", 1)
    with profile() as seconds:
        pass
    assert seconds == {}


def test_profiles_do_not_see_other_threads(wait):
    def work() -> None:
        with stage("elsewhere"):
            wait(1)

    with profile() as seconds:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seconds == {}


def test_a_profile_inside_another(wait):
    with profile() as outer, stage("whole"):
        wait(1)
        with profile() as inner, stage("part"):
            wait(2)
    assert inner == {"part": 2}
    assert outer == {"whole": 3}
