"""Budgets: periods, forecasts, thresholds, verdicts. Pure; the clock is an argument. All days are UTC."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from traces.models.cost import OnExceed, Period

DAY = timedelta(days=1)
PACE_DAYS = 7  # what the pace of spending is measured over
THRESHOLDS = (50, 80, 100)


@dataclass(frozen=True, slots=True)
class Window:
    """Whole days: `start` included, `end` excluded."""

    start: datetime
    end: datetime

    def left(self, now: datetime) -> timedelta:
        """What of it is still to come."""
        return max(self.end - max(now, self.start), timedelta())


def midnight(now: datetime) -> datetime:
    """The start of the day."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def window_of(period: str, days: int, now: datetime) -> Window:
    """The period that `now` is in. A rolling one is the last `days` days with today, and starts anew each day."""
    today = midnight(now)
    if period == Period.DAY:
        return Window(today, today + DAY)
    if period == Period.MONTH:
        first = today.replace(day=1)
        return Window(first, (first + 32 * DAY).replace(day=1))
    return Window(today - (days - 1) * DAY, today + DAY)


def pace_window(now: datetime) -> Window:
    """The days that the pace is measured over, today among them."""
    today = midnight(now)
    return Window(today - (PACE_DAYS - 1) * DAY, today + DAY)


def forecast(spent: int, recent: int, window: Window, now: datetime) -> int:
    """Spending at the window's end, if it goes on at the pace of the last days. `recent`: spent in `pace_window`."""
    pace = pace_window(now)
    elapsed = max(now - pace.start, timedelta(hours=1))
    return spent + recent * (window.left(now) // timedelta(seconds=1)) // (elapsed // timedelta(seconds=1))


def crossed(thresholds: Iterable[int], spent: int, limit: int) -> list[int]:
    """Thresholds, in per cent of the limit, that have been reached."""
    return [threshold for threshold in sorted(thresholds) if spent * 100 >= threshold * limit]


def per_cent(spent: int, limit: int) -> int:
    """How much of the limit is spent, in whole per cent rounded down."""
    return spent * 100 // limit


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a budget stands."""

    window: Window
    spent: int
    recent: int
    limit: int
    forecast: int

    @property
    def is_over(self) -> bool:
        return self.spent >= self.limit


def standing(period: str, days: int, limit: int, spent: int, recent: int, now: datetime) -> Standing:
    """Put a budget's figures together."""
    window = window_of(period, days, now)
    ahead = forecast(spent, recent, window, now) if period != Period.ROLLING else spent
    return Standing(window, spent, recent, limit, ahead)


@dataclass(frozen=True, slots=True)
class BudgetVerdict:
    """What budgets say of an action that is about to happen; `action`: allow, block or route (`route_to`)."""

    action: str = "allow"
    budget: str = ""
    route_to: str = ""
    spent_micros: int = 0
    limit_micros: int = 0
    currency: str = ""
    until: datetime | None = None  # when the period ends, and with it the verdict

    def document(self) -> dict[str, object]:
        """As the API says it; empty members are left out."""
        members = {
            "action": self.action,
            "budget": self.budget,
            "route_to": self.route_to,
            "spent_micros": self.spent_micros or None,
            "limit_micros": self.limit_micros or None,
            "currency": self.currency,
            "until": self.until.isoformat().replace("+00:00", "Z") if self.until else None,
        }
        return {name: value for name, value in members.items() if value}


@dataclass(frozen=True, slots=True)
class Rule:
    """A budget that does something when it is over, with how it stands."""

    name: str
    scope: str
    subject: str
    on_exceed: str
    route_to: str
    currency: str
    standing: Standing

    def concerns(self, facts: Mapping[str, str]) -> bool:
        """Whether it is about who asks: `facts` has `system`, `user` and `key` (the source's name)."""
        return self.scope == "tenant" or facts.get(self.scope, "") == self.subject


def verdict(rules: Iterable[Rule], facts: Mapping[str, str]) -> BudgetVerdict:
    """The strictest of the budgets that are over: blocking before routing."""
    over = [rule for rule in rules if rule.standing.is_over and rule.concerns(facts)]
    for action in (OnExceed.BLOCK, OnExceed.ROUTE):
        for rule in over:
            if rule.on_exceed == action:
                return BudgetVerdict(
                    action=str(action),
                    budget=rule.name,
                    route_to=rule.route_to,
                    spent_micros=rule.standing.spent,
                    limit_micros=rule.standing.limit,
                    currency=rule.currency,
                    until=rule.standing.window.end,
                )
    return BudgetVerdict()
