"""Events over REST: recorded once, all or nothing, with a leaf each; read back in pages."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.factories.tenants import Cast
from traces.models import Mark

URL = "/api/v1/events"


def an_event(**changes: Any) -> dict[str, Any]:
    event = {"kind": "deployment", "title": "loan-assistant 2.5.0", "occurred_at": "2026-11-24T09:30:00Z"}
    return event | {"external_id": "deploy-1", "system": "loan-assistant", "version": "2.5.0"} | changes


def post(cast: Cast, body: Any, scope: str = "ingest") -> Any:
    headers = {"Authorization": f"Bearer {cast.keys[scope].secret}"}
    return Client().post(URL, json.dumps(body), content_type="application/json", headers=headers)


def get(cast: Cast, scope: str = "read", **query: str) -> Any:
    headers = {"Authorization": f"Bearer {cast.keys[scope].secret}"}
    return Client().get(URL, query_params=query, headers=headers)


def titles(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["title"] for item in response.json()["items"]]


def leaves(cast: Cast) -> list[dict[str, Any]]:
    with tenant_atomic(cast.tenant.pk):
        rows = LedgerEvent.objects.filter(tag="event.recorded").order_by("id")
        return [json.loads(bytes(row.body)) for row in rows]


def test_an_event_is_recorded_with_a_leaf_and_read_back(cast: Cast) -> None:
    told = post(cast, an_event())
    assert told.status_code == 201, told.content
    (item,) = get(cast).json()["items"]
    assert item == told.json() | {}
    assert {"kind": "deployment", "version": "2.5.0", "occurred_at": "2026-11-24T09:30:00.000Z"}.items() <= item.items()
    (leaf,) = leaves(cast)
    assert (leaf["event"], leaf["kind"]) == (item["id"], "deployment")


def test_the_same_again_is_the_same_and_leaves_no_second_leaf(cast: Cast) -> None:
    first, again = post(cast, an_event()), post(cast, an_event())
    assert again.status_code == 201
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert again.json() == first.json()
    assert len(leaves(cast)) == 1


def test_other_content_under_the_same_id_is_refused_with_all_of_its_request(cast: Cast) -> None:
    post(cast, an_event())
    answer = post(cast, [an_event(external_id="other"), an_event(title="another")])
    assert answer.status_code == 409
    assert [error["index"] for error in answer.json()["errors"]] == [1]
    assert titles(get(cast)) == ["loan-assistant 2.5.0"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [({"kind": "party"}, "/kind"), ({"title": ""}, "/title"), ({"occurred_at": "soon"}, "/occurred_at"),
     ({"occurred_at": "2026-11-24T09:30:00"}, "/occurred_at"), ({"ended_at": "2026-11-23T00:00:00Z"}, "/ended_at"),
     ({"url": "javascript:alert(1)"}, "/url"), ({"extra": 1}, ""), ({"title": "a\0"}, "")],
    ids=str,
)  # fmt: skip
def test_a_bad_event_is_named_and_nothing_is_stored(cast: Cast, changes: dict[str, Any], pointer: str) -> None:
    answer = post(cast, [an_event(), an_event(external_id="x", **changes)])
    assert answer.status_code == 422, answer.content
    assert [(error["index"], error["pointer"]) for error in answer.json()["errors"]] == [(1, pointer)]
    with tenant_atomic(cast.tenant.pk):
        assert not Mark.objects.exists()


def test_filters_and_pages(cast: Cast) -> None:
    days = [an_event(external_id=f"e{day}", title=f"day {day}", occurred_at=f"2026-11-0{day}T00:00:00Z",
                     system="a" if day % 2 else "") for day in range(1, 6)]  # fmt: skip
    post(cast, days)
    assert titles(get(cast, since="2026-11-03", until="2026-11-05")) == ["day 4", "day 3"]
    assert titles(get(cast, system="b")) == ["day 4", "day 2"]
    first = get(cast, limit="2")
    assert titles(first) == ["day 5", "day 4"]
    assert titles(get(cast, limit="2", cursor=first.json()["older"])) == ["day 3", "day 2"]
    for query in ({"since": "soon"}, {"cursor": "x"}, {"limit": "0"}, {"kind": "\0"}):
        assert get(cast, **query).status_code == 400


def test_each_source_has_its_own_ids_and_a_stranger_sees_none(cast: Cast, stranger: Cast) -> None:
    assert post(cast, an_event()).status_code == post(stranger, an_event(title="theirs")).status_code == 201
    assert titles(get(cast)) == ["loan-assistant 2.5.0"]
    assert titles(get(stranger)) == ["theirs"]
    assert post(cast, an_event(), scope="read").status_code == 403
    assert get(cast, scope="ingest").status_code == 403


def test_a_list_asks_as_many_questions_of_many_rows_as_of_few(cast: Cast) -> None:
    counts = []
    get(cast)  # the key is looked up once
    for n in (2, 40):
        post(cast, [an_event(external_id=f"{n}-{i}") for i in range(n)])
        with CaptureQueriesContext(connection) as captured:
            get(cast)
        counts.append(len(captured))
    assert counts[0] == counts[1]
