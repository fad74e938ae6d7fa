"""Running checks: results as data, or an error at the first failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycodec.errors import MissingDependency, MissingWeights
from pycodec.testing.checks import Check, CheckFailure, CheckSkipped, checks
from pycodec.testing.subject import Subject, in_hand


@dataclass(frozen=True)
class Result:
    """What became of one check.

    Attributes:
        kind, component, check: which; ``component`` is its registered name, with the number of the
            configuration if it is tested in several.
        status: ``"passed"``, ``"failed"`` or ``"skipped"``.
        sentence: of a failure what was found, expected and is to be done; of a skip why; else empty.
    """

    kind: str
    component: str
    check: str
    status: str
    sentence: str = ""


def make_check(check: Check, subject: Subject) -> None:
    """Make one check.

    Raises:
        CheckFailure: the component breaks the rule, or raised an error that it should not.
        CheckSkipped: the check cannot be made here.
    """
    try:
        check.function(subject)
    except (CheckFailure, CheckSkipped):
        raise
    except MissingWeights as error:
        raise CheckSkipped(f"no weights: {error}") from error
    except MissingDependency as error:
        raise CheckSkipped(f"not usable here: {error}") from error
    except Exception as error:
        message = " ".join(str(error).split())
        raise CheckFailure(
            f"raised {type(error).__name__}{f' ({message})' if message else ''}, expected no error; see it "
            f"with pycodec.testing.check_{subject.kind}"
        ) from error


def run(subjects: Iterable[Subject]) -> Iterator[Result]:
    """Results of every check of every subject, one by one."""
    for subject in subjects:
        for check in checks(subject.kind):
            where = subject.kind, subject.name, check.name
            try:
                make_check(check, subject)
            except CheckFailure as error:
                yield Result(*where, "failed", str(error))
            except CheckSkipped as reason:
                yield Result(*where, "skipped", str(reason))
            else:
                yield Result(*where, "passed")


def check_all(kind: str, component: Any, config: Mapping[str, Any], golden: Path | None = None) -> None:
    """Make every check of a kind on one component.

    Raises:
        CheckFailure: the first that fails.
    """
    for subject in in_hand(kind, component, config, golden):
        for check in checks(kind):
            try:
                make_check(check, subject)
            except CheckSkipped:
                continue
            except CheckFailure as error:
                raise CheckFailure(f"{kind} {subject.name!r} fails {check.name}: {error}") from (
                    error.__cause__ or error
                )
