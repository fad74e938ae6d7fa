"""Goals as data, and what a run says about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .timing import Row

FASTEST_PEER = "fastest peer"
MET, MISSED, NO_PEER, NOT_MEASURED = "met", "missed", "peer not installed", "not measured"


@dataclass(frozen=True)
class Goal:
    """What a row should be: so many times faster than another row of its case, or a field within a bound.

    Attributes:
        case, subject: the row. Its field ``at_best`` says what the machine gives at most, of a ``speedup``.
        at_least, at_most: the bound, one of them.
        against: the subject it is compared with, or the fastest peer; the value is how many times longer that
            takes.
        field: without ``against``, the field of the row that is the value.
        unit: of the value.
    """

    case: str
    at_least: float | None = None
    at_most: float | None = None
    against: str = ""
    field: str = ""
    subject: str = "pycodec"
    unit: str = "x"


def judge(goals: Iterable[Goal], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every goal with its value and verdict, ready for JSON."""
    by_name = {(row["case"], row["subject"]): row for row in rows}
    judged = []
    for goal in goals:
        own = by_name.get((goal.case, goal.subject))
        against, value, verdict = goal.against, None, NOT_MEASURED
        if own is not None and goal.field:
            value = own.get(goal.field)
        elif own is not None:
            others = [row for row in rows if row["case"] == goal.case and row["peer"]]
            if goal.against != FASTEST_PEER:
                others = [by_name[key] for key in [(goal.case, goal.against)] if key in by_name]
            if others:
                fastest = min(others, key=lambda row: float(row["ratio"]))
                against, value = fastest["subject"], fastest["ratio"] / own["ratio"]
            else:
                verdict = NO_PEER
        if value is not None:
            good = value >= goal.at_least if goal.at_least is not None else value <= (goal.at_most or 0)
            verdict = MET if good else MISSED
        judged.append(
            {
                "case": goal.case,
                "subject": goal.subject,
                "against": against,
                "field": goal.field,
                "at_least": goal.at_least,
                "at_most": goal.at_most,
                "unit": goal.unit,
                "value": value,
                "at_best": own.get("at_best") if own is not None and goal.field == "speedup" else None,
                "verdict": verdict,
            }
        )
    return judged


def describe(goal: dict[str, Any]) -> list[str]:
    """A judged goal as cells: what, goal, measured, verdict."""
    what = goal["case"] if goal["subject"] == "pycodec" else f"{goal['case']}, {goal['subject']}"
    what += f" against {goal['against']}" if goal["against"] else f", {goal['field'].replace('_', ' ')}"
    sign, bound = (">=", goal["at_least"]) if goal["at_least"] is not None else ("<=", goal["at_most"])
    unit = f" {goal['unit']}" if goal["unit"] else ""
    value = "-" if goal["value"] is None else f"{short(goal['value'])}{unit}"
    if goal.get("at_best"):
        value += f" of {short(goal['at_best'])}"
    return [what, f"{sign} {bound:g}{unit}", value, goal["verdict"]]


def short(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def score(goal: dict[str, Any]) -> float | None:
    """How many times better than its bound the value is; of a value far below what it may be, 10."""
    value = goal["value"]
    if value is None:
        return None
    if goal["at_least"] is not None:
        return float(value / goal["at_least"])
    return float(goal["at_most"] / max(value, goal["at_most"] / 10))
