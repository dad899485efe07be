"""Identical requests have a price, a cause and an owner; they are told again when they have grown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from tests.tenants.test_pages import browser, text_of, url
from traces.costs.anomalies import watch_costs
from traces.costs.repeats import Call, cause_of, spent, until_a_pause
from traces.costs.rollups import roll_up
from traces.drift import worker
from traces.models import CostAnomaly

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
LATER = NOON + timedelta(hours=6)
EACH = 2_500  # micros for a thousand tokens of gpt-4o


def asked(second: float, text: str = "Where is my order?", **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"session": None, "user": "u-8", "input": text} | changes
    usage = {"input_tokens": 1_000, "output_tokens": 0}
    at = (NOON + timedelta(seconds=second)).isoformat()
    return a_decision(occurred_at=at, model={"provider": "openai", "name": "gpt-4o"}, usage=usage, **values)


def watched(cast: Cast, decisions: list[dict[str, Any]], now: datetime = LATER) -> list[CostAnomaly]:
    submit_each(cast, decisions)
    roll_up(cast.tenant.pk, now=LATER)
    worker.look(cast.tenant.pk, now=LATER + timedelta(days=1))
    return watch_costs(cast.tenant.pk, now=now)


def test_identical_requests_are_told_with_their_price_and_their_owner(cast: Cast) -> None:
    calm = [asked(-3_600 + 300 * n, f"Question {n}") for n in range(5)]
    (found,) = watched(cast, [*calm, *(asked(5 * n) for n in range(20))])
    assert (found.kind, found.who, found.n, found.currency) == ("repeated_requests", "u-8", 20, "USD")
    assert (found.cost_micros, found.lost_micros) == (20 * EACH, 19 * EACH)
    assert found.cause == "a client asks again although it was answered: 20 identical requests, 5 s apart"
    shown = text_of(browser(cast.people["viewer"]).get(url(cast, "usage")))
    assert "0.0475 USD lost" in shown
    assert "user=u-8" in shown


def test_what_grows_is_told_again_when_it_has_doubled(cast: Cast) -> None:
    assert [one.n for one in watched(cast, [asked(5 * n) for n in range(10)])] == [10]
    assert watched(cast, [asked(5 * n) for n in range(10, 15)]) == []
    assert [one.n for one in watched(cast, [asked(5 * n) for n in range(15, 30)])] == [30]
    shown = text_of(browser(cast.people["viewer"]).get(url(cast, "usage")))
    assert "30 identical requests" in shown
    assert "10 identical requests" not in shown


def test_what_has_no_price_lost_nothing_that_is_known(cast: Cast) -> None:
    own = {"provider": "acme", "name": "own"}
    (found,) = watched(cast, [asked(n) | {"model": own} for n in range(9)])
    assert (found.currency, found.lost_micros, found.n) == ("", 0, 9)
    assert "no price known" in text_of(browser(cast.people["viewer"]).get(url(cast, "usage")))


def test_another_tenant_is_told_nothing(cast: Cast, stranger: Cast) -> None:
    assert len(watched(cast, [asked(n) for n in range(9)])) == 1
    assert watch_costs(stranger.tenant.pk, now=LATER) == []


def calls(*seconds: float, failed: bool = False, cost: int | None = 10) -> list[Call]:
    return [Call(NOON + timedelta(seconds=second), cost, "USD", failed) for second in seconds]


def test_a_run_ends_with_the_first_pause() -> None:
    assert len(until_a_pause(calls(0, 60, 180, 301, 302))) == 3
    assert len(until_a_pause(calls(0, 60))) == 2
    assert until_a_pause([]) == []


@pytest.mark.parametrize(("n_failed", "cause"), [(0, "although it was answered"), (2, "retries what fails")])
def test_the_cause_is_what_the_client_got(n_failed: int, cause: str) -> None:
    assert cause in cause_of([*calls(*range(n_failed), failed=True), *calls(*range(10, 12))])


def test_all_but_the_first_that_was_paid_for_are_lost() -> None:
    mixed = [*calls(0, cost=None), *calls(1, 2), *[one._replace(currency="EUR") for one in calls(3)]]
    assert spent(mixed) == ("USD", 20, 10)
    assert spent(calls(0, cost=None)) == ("USD", 0, 0)
