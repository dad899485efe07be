"""Users and sessions are ranked by what they cost today, and of a million only the dearest are looked at."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from tenants.context import tenant_atomic
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from traces.costs.dearest import EACH_STEP, dearest
from traces.costs.rollups import roll_up
from traces.costs.services import record_price, restate_costs, run_restatement
from traces.costs.spending import UsageQuery, read_query

NOW = datetime.now(UTC)
GPT_4O = {"provider": "openai", "name": "gpt-4o"}


def spend(cast: Cast, tokens: dict[str, int], days: float = 0, **changes: Any) -> None:
    """A decision of each session, so many thousand tokens long; a thousand cost 2,500 micros."""
    at = {"occurred_at": (NOW - timedelta(days=days)).isoformat(), "model": GPT_4O} | changes
    submit_each(
        cast,
        [
            a_decision(session=name, usage={"input_tokens": n * 1_000, "output_tokens": 0}, **at)
            for name, n in tokens.items()
        ],
    )
    roll_up(cast.tenant.pk, now=NOW)


def wanted(**query: str) -> UsageQuery:
    return read_query({"group": "session", "grain": "day"} | query, NOW)


def ranked(cast: Cast, listed: int = 25, movers: int = 5, currency: str = "USD", **query: str) -> list[str]:
    with tenant_atomic(cast.tenant.pk):
        return [value for value, _ in dearest(wanted(**query), currency, listed, movers)]


def test_the_dearest_come_first_and_then_those_that_changed_most(cast: Cast) -> None:
    spend(cast, {"s-gone": 90, "s-steady": 50}, days=40)
    spend(cast, {"s-steady": 51, "s-new": 30, "s-small": 1})
    assert ranked(cast, listed=1, movers=2) == ["s-steady", "s-new", "s-gone"]
    with tenant_atomic(cast.tenant.pk):
        figures = dict(dearest(wanted(), "USD", 9, 9))
    assert figures["s-steady"] == (127_500, 125_000, 1, 1, 0, 0, 51_000, 0)


def test_one_system_has_its_own_dearest(cast: Cast) -> None:
    spend(cast, {f"a-{n}": 100 + n for n in range(EACH_STEP + 5)}, system="loans")
    spend(cast, {"b-1": 2, "b-2": 3}, system="claims", task="pay")
    assert ranked(cast, system="claims") == ["b-2", "b-1"]
    assert ranked(cast, system="claims", task="pay") == ["b-2", "b-1"]
    assert ranked(cast, system="nobody") == []


def test_what_a_restatement_priced_is_ranked_by_its_new_number(cast: Cast) -> None:
    rates = {"currency": "EUR", "rates": {"input": "1"}}
    record_price(by=cast.owner, document={"model": "known"} | rates)
    spend(cast, {f"s-{n:02}": 1 for n in range(EACH_STEP)}, model={"provider": "acme", "name": "known"})
    spend(cast, {"s-late": 30}, model={"provider": "acme", "name": "own"})
    record_price(by=cast.owner, document={"model": "own"} | rates)
    span = {"since": NOW - timedelta(days=2), "until": NOW + timedelta(days=1)}
    asked = restate_costs(by=cast.owner, reason="A contract came late.", **span)
    run_restatement(cast.tenant.pk, asked.pk)
    roll_up(cast.tenant.pk, now=NOW)
    assert ranked(cast, listed=1, movers=0, currency="EUR") == ["s-late"]


@pytest.mark.parametrize("narrow", [{}, {"system": "loans"}])
def test_of_many_only_the_dearest_of_each_step_are_looked_at(cast: Cast, narrow: dict[str, str]) -> None:
    spend(cast, {f"s-{n}": n for n in range(1, 8 * EACH_STEP)}, system="loans")
    with tenant_atomic(cast.tenant.pk), CaptureQueriesContext(connection) as captured:
        dearest(wanted(**narrow), "USD", 25, 5)
    (statement,) = [one["sql"] for one in captured if "looked_at" in one["sql"]]
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE traces_subjectrollup")
    with tenant_atomic(cast.tenant.pk), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        (plan,) = cursor.fetchone()[0]
    read = {node["Index Name"]: rows_of(node) for node in nodes(plan["Plan"])}
    by_cost, by_value = f"subject_rollup_dearest{'_in' if narrow else ''}", "subject_rollup_value"
    assert read == {by_cost: EACH_STEP, by_value: EACH_STEP}


def rows_of(node: dict[str, Any]) -> int:
    """All that a scan touched, what its filter threw away as well."""
    return int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The index scans of the rollups in a plan."""
    here = [plan] if plan.get("Relation Name") == "traces_subjectrollup" else []
    return here + [found for part in plan.get("Plans", ()) for found in nodes(part)]


def test_others_are_not_ranked(cast: Cast, stranger: Cast) -> None:
    spend(stranger, {"s-theirs": 9})
    spend(cast, {"s-ours": 1})
    assert ranked(cast) == ["s-ours"]
