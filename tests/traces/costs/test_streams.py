"""Public streams with known truth, through the whole path: totals are exact, loops are told, and calm is left alone."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tenants.context import tenant_atomic
from tests.factories.tenants import Cast
from tests.factories.traces import submit_each
from traces.costs.anomalies import watch_costs
from traces.costs.budgets import midnight
from traces.costs.rollups import roll_up
from traces.costs.services import record_price
from traces.drift import worker
from traces.models import CostAnomaly, UsageRollup

STREAMS = Path(__file__).resolve().parents[4] / "shared" / "data" / "streams"
pytestmark = pytest.mark.skipif(not STREAMS.exists(), reason="the public streams are not here")
IN, OUT = 150, 600  # micro-units for a million tokens, in thousandths: 0.15 and 0.60


def stream(name: str) -> list[dict[str, Any]]:
    with gzip.open(STREAMS / f"{name}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def as_decision(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "external_id": record["id"],
        "occurred_at": record["timestamp"],
        "system": record["deployment"],
        "task": record["task"],
        "user": record["user"],
        "session": record["session"],
        "model": {"name": record["model"], "prompt": {"name": "main", "version": record["prompt_version"]}},
        "input": record.get("input_messages") or "?",
        "output": record.get("output") or record["id"],
        "usage": {name: record.get(name) or 0 for name in ("input_tokens", "output_tokens")},
    }


def moment(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["timestamp"])


def price_all(cast: Cast, records: list[dict[str, Any]]) -> None:
    for model in sorted({record["model"] for record in records}):
        rates = {"input": "0.15", "output": "0.6"}
        record_price(by=cast.owner, document={"model": model, "currency": "USD", "rates": rates})


def record(cast: Cast, records: list[dict[str, Any]]) -> None:
    for start in range(0, len(records), 500):
        submit_each(cast, [as_decision(one) for one in records[start : start + 500]])
    roll_up(cast.tenant.pk)


def rounded(thousandths: int) -> int:
    """Half to even, in integers."""
    whole, rest = divmod(thousandths, 1_000)
    return whole + (rest > 500 or (rest == 500 and whole % 2 == 1))


@pytest.mark.parametrize("name", ["p-stationary-azure", "p-length-azure-25", "p-length-azure-10"])
def test_the_totals_are_those_of_an_independent_sum(cast: Cast, name: str) -> None:
    records = stream(name)
    price_all(cast, records)
    record(cast, records)
    expected: dict[Any, Counter[str]] = {}
    for one in records:
        given, made = one.get("input_tokens") or 0, one.get("output_tokens") or 0
        cost = rounded(given * IN + made * OUT)
        day = expected.setdefault(midnight(moment(one)), Counter())
        day.update(n=1, input_tokens=given, output_tokens=made, cost_micros=cost)
    found: dict[Any, Counter[str]] = {}
    with tenant_atomic(cast.tenant.pk):
        for row in UsageRollup.objects.filter(grain=3):
            names = ("n", "input_tokens", "output_tokens", "cost_micros")
            found.setdefault(row.bucket, Counter()).update({name: getattr(row, name) for name in names})
    assert {at: +day for at, day in found.items()} == {at: +day for at, day in expected.items()}
    assert sum(day["n"] for day in found.values()) == len(records)


def changed_at(name: str) -> int:
    """The place of the first record that is otherwise."""
    truth = {one["name"]: one for one in json.loads((STREAMS / "truth.json").read_text())}[name]
    return int(truth["change"]["index"])


def look(cast: Cast, records: list[dict[str, Any]]) -> list[CostAnomaly]:
    """Record these, and look at them as the worker does a second after the last."""
    price_all(cast, records)
    record(cast, records)
    now = moment(records[-1]) + timedelta(seconds=1)
    worker.look(cast.tenant.pk, now=now + timedelta(days=999))
    return watch_costs(cast.tenant.pk, now=now)


@pytest.mark.parametrize("name", ["p-runaway-1", "p-runaway-2"])
def test_a_loop_is_told_within_fifteen_records(cast: Cast, name: str) -> None:
    records, change = stream(name), changed_at(name)
    loop = Counter(one["session"] for one in records[change:]).most_common(1)[0][0]
    (found,) = look(cast, records[: change + 15])
    assert (found.kind, found.who) == ("runaway_session", loop)
    assert "an agent in a loop" in found.cause
    assert found.lost_micros > 0


@pytest.mark.parametrize("name", ["p-repeat-1", "p-repeat-2"])
def test_repeated_requests_are_told_within_fifteen_records(cast: Cast, name: str) -> None:
    records, change = stream(name), changed_at(name)
    (found,) = look(cast, records[: change + 15])
    run = [one for one in records[change : change + 15] if one["user"] == records[change]["user"]]
    same = [one for one in run if one["input_messages"] == records[change]["input_messages"]]
    costs = [rounded((one["input_tokens"] or 0) * IN + (one["output_tokens"] or 0) * OUT) for one in same]
    assert (found.kind, found.who, found.n) == ("repeated_requests", records[change]["user"], len(same))
    assert (found.cost_micros, found.lost_micros) == (sum(costs), sum(costs[1:]))
    assert "a client asks again although it was answered" in found.cause


@pytest.mark.parametrize(
    ("name", "cause"),
    [("p-length-prompt", "prompt main p2 came with it (before: main p1)"), ("p-length-context", "inputs of ")],
)
def test_lengths_that_cost_more_are_told_within_fifteen_records(cast: Cast, name: str, cause: str) -> None:
    records, change = stream(name), changed_at(name)
    (found,) = look(cast, records[: change + 15])
    assert found.kind == "lengths"
    assert cause in found.cause
    assert 0 < found.lost_micros < found.cost_micros
    assert found.n <= 15 + 5


@pytest.mark.parametrize(
    "name", ["p-stationary-1", "p-stationary-clustered-1", "p-stationary-opinion", "p-control-volume"]
)
def test_calm_and_busy_streams_are_left_alone(cast: Cast, name: str) -> None:
    records = stream(name)
    price_all(cast, records)
    record(cast, records)
    worker.look(cast.tenant.pk, now=datetime.now(UTC) + timedelta(days=1))
    first, last = moment(records[0]), moment(records[-1])
    told = []
    for day in range((last - first).days + 2):
        at = midnight(first) + timedelta(days=day, hours=23, minutes=59)
        told += watch_costs(cast.tenant.pk, now=at)
    assert told == []
