"""Budgets: periods, pace, thresholds, alerts once, verdicts."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.http import Http404
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.costs import spend as spend_at
from tests.factories.costs import terms
from tests.factories.tenants import Cast
from traces.costs import budgeting
from traces.costs.budgeting import (
    budget_verdict,
    change_budget,
    create_budget,
    exceeding,
    live_budgets,
    retire_budget,
    standings,
    watch_budgets,
)
from traces.costs.budgets import Window, crossed, forecast, pace_window, window_of
from traces.models import BudgetAlert

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def spend(cast: Cast, dollars: int, at: datetime = NOW - timedelta(hours=1), **changes: Any) -> None:
    spend_at(cast, dollars, at=at, now=NOW, **changes)


def test_periods_are_whole_days() -> None:
    day, month, rolling = (window_of(period, 7, NOW) for period in ("day", "month", "rolling"))
    assert day == Window(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
    assert month == Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert rolling == Window(datetime(2026, 11, 14, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
    december = window_of("month", 1, datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert december == Window(datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_a_forecast_goes_on_at_the_pace_of_the_last_days() -> None:
    window = window_of("month", 1, NOW)
    assert (NOW - pace_window(NOW).start) == timedelta(days=6.5)
    assert forecast(spent=100, recent=65, window=window, now=NOW) == 100 + 105
    assert forecast(spent=100, recent=65, window=window, now=window.end) == 100


@given(st.lists(st.integers(1, 1_000)), st.integers(0, 10**15), st.integers(1, 10**15))
def test_a_threshold_is_crossed_when_it_is_reached(thresholds: list[int], spent: int, limit: int) -> None:
    assert crossed(thresholds, spent, limit) == sorted(one for one in thresholds if spent * 100 >= one * limit)


def test_each_scope_counts_its_own(cast: Cast) -> None:
    spend(cast, 2, system="loans", user="u-1")
    spend(cast, 3, system="claims", user="u-2")
    spend(cast, 4, system="claims", user="u-2", at=NOW - timedelta(days=25))
    expected = {"tenant": ("", 5), "system": ("loans", 2), "user": ("u-2", 3), "key": ("loan-app", 5)}
    for scope, (subject, _) in expected.items():
        create_budget(by=cast.owner, terms=terms(name=scope, scope=scope, subject=subject))
    create_budget(by=cast.owner, terms=terms(name="rolling", period="rolling", days=30))
    create_budget(by=cast.owner, terms=terms(name="euro", currency="EUR"))
    with tenant_atomic(cast.tenant.pk):
        budgets = live_budgets()
        found = standings(budgets, NOW)
    spent = {budget.name: found[budget.pk].spent for budget in budgets}
    dollars = {scope: dollars for scope, (_, dollars) in expected.items()} | {"rolling": 9, "euro": 0}
    assert spent == {name: amount * 1_000_000 for name, amount in dollars.items()}


def test_any_number_of_budgets_costs_the_same_queries(cast: Cast) -> None:
    def queries() -> int:
        with (
            tenant_atomic(cast.tenant.pk),
            CaptureQueriesContext(
                connection,
            ) as captured,
        ):
            standings(live_budgets(), NOW)
        return len(captured)

    for number in range(2):
        create_budget(by=cast.owner, terms=terms(name=f"b{number}", scope="user", subject=f"u{number}"))
    few = queries()
    for number in range(2, 12):
        create_budget(by=cast.owner, terms=terms(name=f"b{number}", period="rolling", days=number))
    assert queries() == few == 3


def test_an_alert_is_raised_once_a_period(cast: Cast) -> None:
    create_budget(by=cast.owner, terms=terms(limit_micros=10_000_000, thresholds=(50, 100)))
    spend(cast, 6, at=NOW - timedelta(days=15))
    raised = [(a.kind, a.threshold) for a in watch_budgets(cast.tenant.pk, now=NOW)]
    assert raised == [("spent", 50)]
    assert watch_budgets(cast.tenant.pk, now=NOW) == []
    spend(cast, 3)
    raised = [(a.kind, a.threshold) for a in watch_budgets(cast.tenant.pk, now=NOW)]
    assert raised == [("forecast", 100)]
    spend(cast, 1)
    assert [a.threshold for a in watch_budgets(cast.tenant.pk, now=NOW)] == [100]
    next_month = NOW + timedelta(days=20)
    assert watch_budgets(cast.tenant.pk, now=next_month) == []
    with tenant_atomic(cast.tenant.pk):
        assert BudgetAlert.objects.count() == 3


def ask(cast: Cast, **facts: str) -> tuple[str, str]:
    budgeting._rules.clear()
    with tenant_atomic(cast.tenant.pk, using="ingest"):
        found = budget_verdict(cast.tenant.pk, facts, NOW, using="ingest")
    return found.action, found.route_to


def test_who_is_over_is_blocked_or_routed(cast: Cast) -> None:
    create_budget(by=cast.owner, terms=terms(name="told", limit_micros=1))
    create_budget(
        by=cast.owner,
        terms=terms(name="r", limit_micros=2, scope="system", subject="loans", on_exceed="route", route_to="small"),
    )
    create_budget(by=cast.owner, terms=terms(name="b", limit_micros=2, scope="user", subject="u-1", on_exceed="block"))
    assert ask(cast, system="loans", user="u-1") == ("allow", "")
    spend(cast, 1, system="loans", user="u-1")
    assert ask(cast, system="loans", user="u-1") == ("block", "")
    assert ask(cast, system="loans", user="u-2") == ("route", "small")
    assert ask(cast, system="claims") == ("allow", "")


@pytest.mark.parametrize(
    "wrong",
    [{"limit_micros": 0}, {"thresholds": ()}, {"thresholds": (0,)}, {"currency": "usd"}, {"scope": "user"},
     {"subject": "x"}, {"on_exceed": "route"}, {"route_to": "x"}, {"period": "year"}, {"days": 0}, {"name": ""}],
)  # fmt: skip
def test_terms_that_make_no_sense_are_refused(cast: Cast, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        create_budget(by=cast.owner, terms=terms(**wrong))


def test_every_change_is_in_the_log_with_what_was(cast: Cast) -> None:
    budget = create_budget(by=cast.owner, terms=terms())
    with pytest.raises(ValidationError):
        create_budget(by=cast.owner, terms=terms())
    change_budget(by=cast.owner, pk=budget.pk, terms=terms(limit_micros=5))
    retire_budget(by=cast.owner, pk=budget.pk)
    create_budget(by=cast.owner, terms=terms())
    with tenant_atomic(cast.tenant.pk):
        tags = list(LedgerEvent.objects.filter(tag__startswith="budget.").order_by("id").values_list("tag", flat=True))
        changed = bytes(LedgerEvent.objects.get(tag="budget.changed").body)
    assert sorted(tags) == ["budget.changed", "budget.created", "budget.created", "budget.retired"]
    assert b'"before":{' in changed
    assert b"10000000" in changed


def test_budgets_have_a_door_and_a_key(cast: Cast, stranger: Cast) -> None:
    budget = create_budget(by=cast.owner, terms=terms())
    for pk, by in ((budget.pk, stranger.owner), (uuid.uuid4(), cast.owner)):
        with pytest.raises(Http404):
            retire_budget(by=by, pk=pk)
    with pytest.raises(PermissionDenied):
        create_budget(by=cast.actors[Role.VIEWER], terms=terms(name="other"))


def test_the_last_word_on_each_budget_that_is_used_up_or_will_be(cast: Cast) -> None:
    names = {"over": 3_000_000, "ahead": 9_000_000, "within": 900_000_000}
    made = {name: create_budget(by=cast.owner, terms=terms(name=name, limit_micros=n)) for name, n in names.items()}
    spend(cast, 4)

    def said(now: datetime) -> dict[str, str]:
        with tenant_atomic(cast.tenant.pk):
            return {told.budget.name: told.kind for told in exceeding(now)}

    watch_budgets(cast.tenant.pk, now=NOW)
    assert said(NOW) == {"over": "spent", "ahead": "forecast"}
    assert said(NOW + timedelta(days=20)) == {}  # another month
    change_budget(by=cast.owner, pk=made["over"].pk, terms=terms(name="over", limit_micros=50_000_000))
    retire_budget(by=cast.owner, pk=made["ahead"].pk)
    assert said(NOW) == {}
