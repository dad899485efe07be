"""When something is due. Pure: the clock is an argument.

A case's own due date stands still while the case is held. Statutory clocks do not: a hold is the organisation's choice.
"""

import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import models


class ClockKind(models.TextChoices):
    """What set a statutory clock going."""

    SERIOUS = "serious_incident", "Serious incident: report"
    WIDESPREAD = "widespread", "Widespread infringement or critical infrastructure: report"
    DEATH = "death", "Death of a person: report"
    EXPLANATION = "explanation", "Explanation: answer the person"
    CONTEST = "contest", "Contested decision: answer the person"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long a clock runs, by what law, and by how much it may be extended."""

    law: str
    days: int = 0
    months: int = 0
    extra_months: int = 0


RULES = {
    ClockKind.SERIOUS: Rule("AI Act, Art. 73(2)", days=15),
    ClockKind.WIDESPREAD: Rule("AI Act, Art. 73(3)", days=2),
    ClockKind.DEATH: Rule("AI Act, Art. 73(4)", days=10),
    # Art. 86 sets no period of its own; who asks about their data has GDPR's.
    ClockKind.EXPLANATION: Rule("AI Act, Art. 86; GDPR, Art. 12(3)", months=1, extra_months=2),
    ClockKind.CONTEST: Rule("GDPR, Art. 22(3) and 12(3)", months=1, extra_months=2),
}
SOON = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Deadline:
    """Where a clock stands. `state`: met, late (met after it was due), overdue, soon, running."""

    due: datetime
    state: str

    @property
    def is_overdue(self) -> bool:
        """Whether it is past and not met."""
        return self.state == "overdue"


def due_at(kind: ClockKind, started_at: datetime, *, is_extended: bool = False) -> datetime:
    """The last moment: days count from the moment, months by the calendar (31 January + 1 month: 28 or 29 February)."""
    rule = RULES[kind]
    months = rule.months + (rule.extra_months if is_extended else 0)
    return _add_months(started_at, months) + timedelta(days=rule.days)


def _add_months(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def deadline(
    kind: ClockKind, started_at: datetime, now: datetime, *, is_extended: bool = False, met_at: datetime | None = None
) -> Deadline:
    """Where the clock stands at `now`."""
    due = due_at(kind, started_at, is_extended=is_extended)
    if met_at is not None:
        return Deadline(due, "met" if met_at <= due else "late")
    if now > due:
        return Deadline(due, "overdue")
    return Deadline(due, "soon" if due - now <= SOON else "running")


def paused_due(due: date | None, held: timedelta, held_since: datetime | None, now: datetime) -> date | None:
    """A case's due date, moved by the whole days that the case was held, the present hold among them."""
    if due is None:
        return None
    if held_since is not None:
        held += now - held_since
    return due + timedelta(days=held.days)
