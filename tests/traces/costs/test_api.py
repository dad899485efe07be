"""Usage, budgets and prices over REST."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit, submit_each
from traces.costs.rollups import roll_up

USAGE, BUDGETS, PRICES = "/api/v1/usage", "/api/v1/budgets", "/api/v1/prices"
NOW = datetime.now(UTC)
YESTERDAY = NOW - timedelta(days=1)


def program(cast: Cast, scope: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {cast.keys[scope].secret}"})


def read(cast: Cast, path: str, **query: Any) -> Any:
    response = program(cast, "read").get(path, query)
    assert response.status_code == 200, response.content
    return response.json()


def post(cast: Cast, path: str, body: dict[str, Any]) -> Any:
    return program(cast, "manage").post(path, body, content_type="application/json")


def use(cast: Cast, n: int, **changes: Any) -> None:
    values = {"occurred_at": YESTERDAY.isoformat(), "model": {"provider": "openai", "name": "gpt-4o"}} | changes
    submit(cast, n, usage={"input_tokens": 1_000, "output_tokens": 100}, **values)
    roll_up(cast.tenant.pk, now=NOW)


def test_usage_by_a_dimension(cast: Cast, stranger: Cast) -> None:
    use(cast, 2, system="loans")
    use(cast, 1, system="claims", model={"provider": "acme", "name": "own"})
    use(stranger, 5)
    told = read(cast, USAGE, group="system")
    seen = {
        (one["system"], one["currency"]): (one["n"], one["cost_micros"], one["n_unpriced"]) for one in told["items"]
    }
    assert seen == {("loans", "USD"): (2, 7_000, 0), ("claims", None): (1, 0, 1)}
    assert told["cursor"] is None
    assert read(cast, USAGE, group="model", system="loans")["items"][0]["model"] == "gpt-4o"
    assert read(cast, USAGE, group="prompt", system="nobody")["items"] == []


@pytest.mark.parametrize("group", ["system", "task", "user", "session", "prompt", "source", "outcome", "agent"])
def test_pages_put_together_are_the_whole(cast: Cast, group: str) -> None:
    for number in range(7):
        at = (NOW - timedelta(days=number // 2)).isoformat()
        use(cast, 1, occurred_at=at, **{n: f"{n}-{number % 3}" for n in ("system", "task", "user", "session", "agent")})
    whole = read(cast, USAGE, group=group)["items"]
    cursor: str | None = ""
    pages: list[Any] = []
    while cursor is not None:
        told = read(cast, USAGE, group=group, limit=2, cursor=cursor)
        pages += told["items"]
        cursor = told["cursor"]
    assert pages == whole
    assert sum(one["n"] for one in whole) == 7


def test_the_file_says_the_same_and_holds_no_formula(cast: Cast) -> None:
    use(cast, 2, user="=cmd()")
    response = program(cast, "read").get(USAGE, {"group": "user", "format": "csv"})
    assert response["Content-Type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(response.content.decode()))
    assert (row["user"], row["n"], row["cost_micros"]) == ("'=cmd()", "2", "7000")


@pytest.mark.parametrize(
    "wrong",
    [{"group": "colour"}, {"grain": "week"}, {"since": "x"}, {"since": "2026-02-01", "until": "2026-01-01"},
     {"grain": "minute", "since": "2026-01-01", "until": "2026-01-02"}, {"cursor": "zz"}, {"limit": "x"},
     {"group": "user", "model": "gpt-4o"}, {"group": "user", "session": "s"},
     {"grain": "hour", "since": "2020-01-01", "until": "2026-01-01"}],
)  # fmt: skip
def test_a_question_without_sense_is_a_400(cast: Cast, wrong: dict[str, str]) -> None:
    response = program(cast, "read").get(USAGE, wrong)
    assert response.status_code == 400
    assert response.json()["detail"]


def test_usage_costs_the_same_queries_at_any_size(cast: Cast) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            read(cast, USAGE, group="user")
        return len(captured)

    use(cast, 2)
    queries()
    few = queries()
    many = [a_decision(user=f"u-{n}", occurred_at=YESTERDAY.isoformat()) for n in range(60)]
    submit_each(cast, many)
    roll_up(cast.tenant.pk, now=NOW)
    assert queries() == few


def test_the_life_of_a_budget(cast: Cast, stranger: Cast) -> None:
    use(cast, 2, occurred_at=NOW.isoformat())
    made = post(cast, BUDGETS, {"name": "All", "limit_micros": 14_000, "thresholds": [50]})
    assert made.status_code == 201
    told, where = made.json(), f"{BUDGETS}/{made.json()['id']}"
    assert (told["spent_micros"], told["spent_per_cent"], told["period"]) == (7_000, 50, "month")
    assert read(cast, BUDGETS)["items"] == [read(cast, where)]
    assert program(stranger, "read").get(where).status_code == 404
    manage = program(cast, "manage")
    changed = manage.put(where, {"name": "All", "limit_micros": 7_000}, content_type="application/json")
    assert changed.json()["spent_per_cent"] == 100
    assert program(cast, "read").delete(where).status_code == 403
    assert manage.delete(where).status_code == 204
    assert read(cast, BUDGETS)["items"] == []
    assert manage.delete(where).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "member"),
    [({}, "name"), ({"name": "x", "limit_micros": "5"}, "limit_micros"), ({"name": "x", "limit": 1}, "limit"),
     ({"name": "x", "limit_micros": -1}, "limit_micros"),
     ({"name": "x", "limit_micros": 1, "thresholds": ["a"]}, "thresholds"),
     ({"name": "x", "limit_micros": True}, "limit_micros"), ({"name": "x", "limit_micros": 10**30}, "limit_micros")],
)  # fmt: skip
def test_a_budget_without_sense_is_refused_by_its_member(cast: Cast, wrong: dict[str, Any], member: str) -> None:
    response = post(cast, BUDGETS, wrong)
    assert response.status_code == 400
    assert member in response.json()["errors"]


def test_the_hash_on_a_record_leads_to_its_price(cast: Cast, stranger: Cast) -> None:
    price = {"model": "own", "currency": "EUR", "rates": {"input": "2", "output": "2"}}
    made = post(cast, PRICES, price)
    assert made.status_code == 201
    digest = made.json()["sha256"]
    assert read(cast, f"{PRICES}/{digest}")["price"] == price
    assert read(cast, PRICES)["items"] == [made.json()]
    assert program(stranger, "read").get(f"{PRICES}/{digest}").status_code == 404
    quote = {"provider": "openai", "model": "gpt-4o", "usage": {"prompt_tokens": 1_000, "completion_tokens": 100}}
    told = program(cast, "read").post(f"{PRICES}/quote", quote, content_type="application/json").json()
    assert (told["cost_micros"], told["currency"]) == (3_500, "USD")
    assert read(stranger, f"{PRICES}/{told['price_sha256']}")["price"]["model"] == "gpt-4o"
    assert post(cast, PRICES, price | {"currency": "x"}).status_code == 400


def test_a_restatement_is_asked_for_and_done_later(cast: Cast) -> None:
    asked = {"since": "2026-11-01", "until": "2026-11-30", "reason": "A contract came late."}
    assert post(cast, f"{PRICES}/restatements", asked).status_code == 202
    assert post(cast, f"{PRICES}/restatements", asked | {"reason": ""}).status_code == 400
    assert post(cast, f"{PRICES}/restatements", asked | {"since": ""}).status_code == 400
