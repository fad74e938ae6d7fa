"""The kit in pytest: one test for each check of each component of a plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from pycodec.errors import InvalidInput, near_names
from pycodec.testing.checks import Check, CheckFailure, CheckSkipped, checks
from pycodec.testing.run import make_check
from pycodec.testing.subject import Subject, installed


def parametrize_with_checks(
    kind: str | None = None,
    plugin: str | None = None,
    expected_failures: Mapping[str, str] | None = None,
    golden: str | PathLike[str] | None = None,
) -> Callable[..., Any]:
    """Decorator of a pytest function that takes ``check``: one test per component and check.

    ::

        @parametrize_with_checks(plugin="my-distribution")
        def test_conformance(check):
            check()

    Args:
        kind: components of this kind only.
        plugin: components of this distribution or entry point only; without it, of all that are installed.
        expected_failures: reasons by ``"kind:name:check"`` or ``"check"``: these checks are made and have to
            fail (a strict xfail).
        golden: folder of golden streams; PYCODEC_WRITE_GOLDEN=1 writes those that are missing.

    Raises:
        InvalidInput: no such kind or plugin, a plugin that does not work or registers nothing, or an expected
            failure of a check that there is not.
    """
    import pytest

    subjects = installed(kind, plugin, Path(golden) if golden is not None else None)
    if not subjects:
        raise InvalidInput(
            f"{plugin or 'no plugin'} registers {f'a {kind}' if kind else 'nothing'}: there is nothing to "
            "check"
        )
    reasons = dict(expected_failures or {})
    parameters, known = [], set()
    for subject in subjects:
        for check in checks(subject.kind):
            name = f"{subject.kind}:{subject.name}:{check.name}"
            known |= {name, check.name}
            reason = reasons.get(name, reasons.get(check.name))
            marks = (
                [] if reason is None else [pytest.mark.xfail(reason=reason, raises=CheckFailure, strict=True)]
            )
            parameters.append(pytest.param(_Call(check, subject), id=name, marks=marks))
    for name in reasons:
        if name not in known:
            raise InvalidInput(f"there is no check {name!r} to fail{near_names(name, known)}")
    return pytest.mark.parametrize("check", parameters)


class _Call:
    """A check of a subject, ready to be made in a test."""

    def __init__(self, check: Check, subject: Subject):
        self._check, self._subject = check, subject

    def __call__(self) -> None:
        import pytest

        try:
            make_check(self._check, self._subject)
        except CheckSkipped as reason:
            pytest.skip(str(reason))
