"""Money that runs away is told within the day, and what is only busy is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tenants.context import tenant_atomic
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from tests.tenants.test_pages import browser, text_of, url
from traces.costs.anomalies import Pace, Usual, cause_of_shift, is_runaway, is_shift, money_lost, watch_costs
from traces.costs.rollups import roll_up
from traces.models import CostAnomaly

NOW = datetime.now(UTC).replace(hour=22, minute=30)
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)


def call(at: datetime, session: str, *, tokens: int = 1_000, prompt: str = "1", **changes: Any) -> dict[str, Any]:
    model = {"provider": "openai", "name": "gpt-4o", "prompt": {"name": "p", "version": prompt}}
    usage = {"input_tokens": tokens, "output_tokens": tokens // 10}
    return a_decision(occurred_at=at.isoformat(), session=session, model=model, usage=usage, **changes)


def a_week(sessions: int = 12, calls: int = 4) -> list[dict[str, Any]]:
    """Sessions of some calls each, on each of the last seven days."""
    return [
        call(TODAY - timedelta(days=day, hours=-hour), f"s-{day}-{session}")
        for day in range(1, 8)
        for session in range(sessions)
        for hour in range(calls)
    ]


def watched(cast: Cast, decisions: list[dict[str, Any]]) -> list[CostAnomaly]:
    submit_each(cast, decisions)
    roll_up(cast.tenant.pk, now=NOW)
    return watch_costs(cast.tenant.pk, now=NOW)


def test_a_session_that_runs_away_is_told_once_with_what_it_lost(cast: Cast) -> None:
    runaway = [call(TODAY + timedelta(minutes=n), "s-mad", tokens=1_000 + 200 * n) for n in range(40)]
    (found,) = watched(cast, [*a_week(), *runaway])
    assert (found.kind, found.who, found.n) == ("runaway_session", "s-mad", 40)
    assert found.lost_micros == found.cost_micros - 4 * 3_500
    assert "at most 4" in found.cause
    assert watched(cast, [call(NOW, "s-mad")]) == []
    shown = text_of(browser(cast.people["viewer"]).get(url(cast, "usage")))
    assert "Money that ran away" in shown
    assert "session=s-mad" in shown


def test_three_times_the_traffic_is_no_anomaly(cast: Cast) -> None:
    busy = [call(TODAY + timedelta(minutes=20 * n), f"today-{s}") for s in range(36) for n in range(4)]
    assert watched(cast, [*a_week(), *busy]) == []


def test_before_enough_is_known_nothing_is_unusual(cast: Cast) -> None:
    assert watched(cast, [call(TODAY + timedelta(minutes=n), "s-mad") for n in range(200)]) == []


def test_a_task_that_costs_more_names_the_prompt_that_came_with_it(cast: Cast) -> None:
    dearer = [call(TODAY + timedelta(minutes=20 * n), f"today-{n}", tokens=2_500, prompt="2") for n in range(60)]
    (found,) = watched(cast, [*a_week(), *dearer])
    assert (found.kind, found.who, found.n) == ("task_cost", "", 60)
    assert "gpt-4o with prompt p v2 came with it" in found.cause
    assert found.lost_micros == 60 * (8_750 - 3_500)


def test_one_burst_is_no_shift(cast: Cast) -> None:
    calm = [call(TODAY + timedelta(minutes=20 * n), f"t-{n}") for n in range(50)]
    burst = [call(TODAY + timedelta(seconds=n), f"b-{n}", tokens=20_000) for n in range(40)]
    assert watched(cast, [*a_week(), *calm, *burst]) == []


@pytest.mark.parametrize(
    ("calls", "cost", "expected"),
    [(40, 0, True), (12, 0, False), (12, 201, True), (11, 10**9, False), (15, 200, False)],
)
def test_a_runaway_is_far_beyond_its_deployment(calls: int, cost: int, expected: bool) -> None:
    assert is_runaway(calls, cost, Usual(sessions=50, calls=8, cost=100, median=10)) is expected
    assert not is_runaway(calls, cost, Usual(sessions=49, calls=8, cost=100, median=10))


def test_the_cause_is_what_changed_with_it() -> None:
    before = Pace(100, 1_000, 100_000)
    assert "came with it" in cause_of_shift(Pace(10, 1, 10_000), before, ["gpt-9"])
    assert cause_of_shift(Pace(10, 1, 30_000), before, []) == "inputs are 3.0 times as long"
    assert cause_of_shift(Pace(10, 1, 10_000), before, []).startswith("no change")


def test_what_is_lost_is_what_is_beyond_the_usual() -> None:
    assert [money_lost(100, 30), money_lost(100, 30, 3), money_lost(10, 30)] == [70, 10, 0]
    assert not is_shift(Pace(50, 100, 0, (2,) * 6), Pace(0, 0, 0))


def test_anomalies_are_their_tenants_alone(cast: Cast, stranger: Cast) -> None:
    runaway = [call(TODAY + timedelta(minutes=n), "s-mad") for n in range(40)]
    watched(cast, [*a_week(), *runaway])
    with tenant_atomic(stranger.tenant.pk):
        assert not CostAnomaly.objects.exists()
