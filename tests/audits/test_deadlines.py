"""When something is due."""

from datetime import UTC, date, datetime, timedelta

import pytest

from audits.deadlines import ClockKind, deadline, due_at, paused_due

START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "is_extended", "due"),
    [
        (ClockKind.SERIOUS, False, datetime(2026, 2, 15, 9, 30, tzinfo=UTC)),
        (ClockKind.WIDESPREAD, False, datetime(2026, 2, 2, 9, 30, tzinfo=UTC)),
        (ClockKind.DEATH, False, datetime(2026, 2, 10, 9, 30, tzinfo=UTC)),
        (ClockKind.EXPLANATION, False, datetime(2026, 2, 28, 9, 30, tzinfo=UTC)),
        (ClockKind.CONTEST, True, datetime(2026, 4, 30, 9, 30, tzinfo=UTC)),
    ],
)
def test_the_law_says_when(kind: ClockKind, is_extended: bool, due: datetime) -> None:
    assert due_at(kind, START, is_extended=is_extended) == due


def test_a_month_over_the_turn_of_the_year() -> None:
    start = datetime(2027, 11, 30, tzinfo=UTC)
    assert due_at(ClockKind.CONTEST, start, is_extended=True) == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "met_after", "state"),
    [
        (1, None, "running"),
        (12, None, "soon"),
        (15, None, "soon"),
        (16, None, "overdue"),
        (30, 15, "met"),
        (30, 16, "late"),
    ],
)
def test_where_a_clock_stands(days: int, met_after: int | None, state: str) -> None:
    now, met_at = START + timedelta(days=days), START + timedelta(days=met_after) if met_after else None
    found = deadline(ClockKind.SERIOUS, START, now, met_at=met_at)
    assert (found.state, found.is_overdue) == (state, state == "overdue")


def test_a_hold_moves_the_due_date_of_a_case() -> None:
    due, now = date(2026, 3, 1), START + timedelta(days=10)
    assert paused_due(None, timedelta(), None, now) is None
    assert paused_due(due, timedelta(), None, now) == due
    assert paused_due(due, timedelta(days=2, hours=23), None, now) == date(2026, 3, 3)
    assert paused_due(due, timedelta(days=1), START, now) == date(2026, 3, 12)
