"""How a check is declared: a function that raises when a component breaks one rule of its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pycodec.errors import InvalidInput, PycodecError, near_names
from pycodec.types import KINDS

if TYPE_CHECKING:
    from pycodec.testing.subject import Subject


class CheckFailure(PycodecError, AssertionError):
    """A component breaks a rule of its kind; the sentence says what was found, expected and to be done."""


class CheckSkipped(Exception):
    """A check that cannot be made here, or does not concern this component; the message says why."""


@dataclass(frozen=True)
class Check:
    """One rule that every component of a kind keeps.

    Attributes:
        kind: of the components it concerns.
        name: unique within the kind.
        summary: one sentence for listings.
        function: takes the subject; raises CheckFailure or CheckSkipped. Any other error that a component
            raises there counts as a failure.
        common: it concerns several kinds, and how a component is made, stored or shared between processes.
    """

    kind: str
    name: str
    summary: str
    function: Callable[[Subject], None]
    common: bool = False


_CHECKS: dict[tuple[str, str], Check] = {}


def check(*kinds: str) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Declare a check of these kinds; its name is that of the function, its summary the docstring's first
    paragraph.
    """

    def declare(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        summary = " ".join((function.__doc__ or "").partition("\n\n")[0].split())
        for kind in kinds:
            declared = Check(kind, function.__name__, summary, function, common=len(kinds) > 1)
            if _CHECKS.setdefault((kind, declared.name), declared) is not declared:
                raise InvalidInput(f"{kind} has the check {declared.name!r} already; rename one of them")
        return function

    return declare


def checks(kind: str | None = None) -> list[Check]:
    """Every check of a kind, or of all seven in their order.

    Raises:
        InvalidInput: no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise InvalidInput(f"unknown kind {kind!r}{near_names(kind, KINDS)} (kinds: {', '.join(KINDS)})")
    order = list(KINDS)
    found = [declared for declared in _CHECKS.values() if kind in (None, declared.kind)]
    return sorted(found, key=lambda declared: order.index(declared.kind))


def require(condition: object, sentence: str) -> None:
    """Fail with ``sentence`` unless ``condition`` holds."""
    if not condition:
        raise CheckFailure(sentence)


def skip(reason: str) -> None:
    """Leave the running check out."""
    raise CheckSkipped(reason)
