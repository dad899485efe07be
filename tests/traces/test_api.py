"""Reading decisions over REST: pages, filters, one record, and what a key without the scope is told."""

import base64
import json
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import a_decision, submit, submit_each
from traces.search.indexing import index_words

URL = "/api/v1/decisions"


def get(cast: Cast, path: str = "", scope: str = "read", method: str = "GET", **query: str) -> Any:
    headers = {"Authorization": f"Bearer {cast.keys[scope].secret}"}
    client = Client(raise_request_exception=False)
    return client.generic(method, f"{URL}{path}", query_params=query, headers=headers)


def body(response: Any) -> Any:
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def ids(page: Any) -> list[uuid.UUID]:
    return [uuid.UUID(item["id"]) for item in page["items"]]


def test_an_empty_tenant_has_an_empty_page(cast: Cast) -> None:
    assert body(get(cast)) == {"items": [], "newer": None, "older": None}


def test_pages_meet_without_gap_or_overlap_in_both_directions(cast: Cast) -> None:
    """Ties in time among them: the id decides."""
    everything = submit(cast, 5) + submit(cast, 4, occurred_at="2026-11-19T00:00:00Z")
    pages = [body(get(cast, limit="4"))]
    while pages[-1]["older"]:
        pages.append(body(get(cast, limit="4", cursor=pages[-1]["older"])))
    assert [len(page["items"]) for page in pages] == [4, 4, 1]
    assert sorted(pk for page in pages for pk in ids(page)) == sorted(everything)
    back = pages[-1]
    for page in reversed(pages[:-1]):
        back = body(get(cast, limit="4", cursor=back["newer"]))
        assert ids(back) == ids(page)
    assert back["newer"] is None


def test_a_cursor_keeps_its_place_while_records_arrive(cast: Cast) -> None:
    old = submit(cast, 4, occurred_at="2026-11-19T00:00:00Z")
    first = body(get(cast, limit="2"))
    submit(cast, 3)
    second = body(get(cast, limit="2", cursor=first["older"]))
    assert sorted(ids(first) + ids(second)) == sorted(old)


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "-1"}, {"limit": "many"}, {"limit": "١"}, {"since": "soon"}, {"until": "2026-13-01"},
     {"trace_id": "short"}, {"cursor": "zzz"}, {"cursor": "é"}, {"user": "a\0"}, {"q": "\0"}, {"system": "\0"},
     {"status": "ok"}],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_asked_is_400_and_says_why(cast: Cast, query: dict[str, str]) -> None:
    response = get(cast, **query)
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert json.loads(response.content)["detail"]


def test_a_limit_is_capped(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traces.api.MAX_PAGE_SIZE", 3)
    submit(cast, 5)
    assert len(body(get(cast, limit="9" * 30))["items"]) == 3


def a_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


CURSORS = ["o 2026-11-20T00:00:00 {}", "n 0001-01-01T00:00:00+14:00 {}", "o 9999-12-31T23:59:59-14:00 {}", "x 2026 {}"]


@pytest.mark.parametrize("text", CURSORS)
def test_a_cursor_made_by_hand_breaks_nothing(cast: Cast, text: str) -> None:
    submit(cast)
    assert get(cast, cursor=a_cursor(text.format(uuid.uuid4().hex))).status_code in {200, 400}


@pytest.fixture(scope="module")
def shared() -> Cast:
    cast = make_cast()
    submit(cast, 3)
    return cast


NAMES = ["since", "until", "system", "environment", "model", "policy", "action", "user", "session", "trace_id", "q",
         "cursor", "limit"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), st.text(st.characters(codec="utf-8"), max_size=40), max_size=4))
@effort(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_the_answer_is_ours(shared: Cast, query: dict[str, str]) -> None:
    assert get(shared, **query).status_code in {200, 400}


def test_a_record_comes_back_as_it_was_sent_and_its_reading_is_recorded(cast: Cast) -> None:
    sent = a_decision(metadata={"n": 1.5, "deep": {"é": ["😀", None, True]}})
    (pk,) = submit_each(cast, [sent])
    read = body(get(cast, f"/{pk}"))
    assert read["record"] == sent
    assert read["policy"]["match"] == "none"
    with tenant_atomic(cast.tenant.pk):
        (event,) = LedgerEvent.objects.filter(tag="payload.read")
        said = json.loads(bytes(event.body))
    assert (said["decisions"], said["purpose"]) == ([str(pk)], "api")
    assert said["by"] == f"key:{cast.keys['read'].row.pk}"


def test_a_key_without_the_content_gets_the_summary_and_leaves_no_event(cast: Cast) -> None:
    (pk,) = submit(cast)
    read = body(get(cast, f"/{pk}", scope="manage"))
    assert not {"record", "policy"} & read.keys()
    assert read["id"] == str(pk)
    with tenant_atomic(cast.tenant.pk):
        assert not LedgerEvent.objects.filter(tag="payload.read").exists()


def test_the_list_holds_no_content(cast: Cast) -> None:
    submit(cast, output="the-words", metadata={"a": "the-words"})
    assert b"the-words" not in get(cast).content


def test_to_find_a_word_is_to_read_and_is_recorded(cast: Cast) -> None:
    (pk,) = submit(cast, output="the-words")
    index_words(cast.tenant.pk)
    assert ids(body(get(cast, q="words"))) == [pk]
    assert body(get(cast, q="words", scope="manage"))["items"] == []
    with tenant_atomic(cast.tenant.pk):
        (event,) = LedgerEvent.objects.filter(tag="payload.read")
    assert json.loads(bytes(event.body))["purpose"] == "search"


def test_an_ingest_key_is_refused_and_a_stranger_sees_nothing(cast: Cast, stranger: Cast) -> None:
    (pk,) = submit(cast)
    assert get(cast, scope="ingest").status_code == 403
    assert get(cast, f"/{pk}", scope="ingest").status_code == 403
    missing, foreign = get(stranger, f"/{uuid.uuid4()}"), get(stranger, f"/{pk}")
    assert missing.status_code == foreign.status_code == 404
    assert missing.content == foreign.content
    for query in ({"q": str(pk)}, {"user": "u-1032"}, {"system": "loan-assistant"}):
        assert body(get(stranger, **query))["items"] == []


def test_the_database_is_asked_the_same_of_a_foreign_record_as_of_a_missing_one(cast: Cast, stranger: Cast) -> None:
    """I7: nothing to be told from the time that an answer takes, because nothing else is done."""
    (foreign,) = submit(cast)
    get(stranger, f"/{foreign}")
    asked = []
    for pk in (foreign, uuid.uuid4()):
        with CaptureQueriesContext(connection) as captured:
            assert get(stranger, f"/{pk}").status_code == 404
        asked.append([query["sql"].replace(str(pk), "?").replace(pk.hex, "?") for query in captured.captured_queries])
    assert asked[0] == asked[1]
    assert asked[0]


def test_methods_are_those_of_the_contract(cast: Cast) -> None:
    (pk,) = submit(cast)
    assert get(cast, method="HEAD").status_code == 200
    for method in ("PUT", "PATCH", "DELETE"):
        response = get(cast, method=method)
        assert response.status_code == 405
        assert "GET" in response["Allow"]
        assert get(cast, f"/{pk}", method=method).status_code == 405


def queries(cast: Cast, **query: str) -> int:
    body(get(cast, **query))
    with CaptureQueriesContext(connection) as captured:
        body(get(cast, **query))
    return len(captured)


@pytest.mark.parametrize("query", [{}, {"system": "loan-assistant"}, {"model": "gpt-5-mini"}, {"q": "u-1032"}], ids=str)
def test_a_list_asks_as_many_questions_of_many_rows_as_of_few(cast: Cast, query: dict[str, str]) -> None:
    submit(cast, 2)
    few = queries(cast, **query)
    submit(cast, 40)
    assert queries(cast, **query) == few
