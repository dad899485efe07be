"""Judgements on decisions: append-only, corrected by superseding, on the ledger, erasable in their words."""

import uuid
from typing import Any

import orjson
import pytest
from django.db import DatabaseError
from django.test import Client

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent, LedgerQueue
from tenants.roles import Role
from tenants.services import create_key, create_source
from tests.factories.erasures import erase_decision
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from traces.models import Feedback

URL = "/api/v1/feedback"


def give(cast: Cast, body: Any, scope: str = "ingest", secret: str = "", **headers: str) -> Any:
    secret = secret or cast.keys[scope].secret
    client = Client(headers={"Authorization": f"Bearer {secret}", **headers})
    return client.post(URL, orjson.dumps(body), content_type="application/json")


def read(cast: Cast, pk: uuid.UUID, scope: str = "read") -> list[dict[str, Any]]:
    client = Client(headers={"Authorization": f"Bearer {cast.keys[scope].secret}"})
    items: list[dict[str, Any]] = client.get(f"/api/v1/decisions/{pk}/feedback").json()["items"]
    return items


def test_a_judgement_is_on_record_with_a_leaf_that_tells_no_words(cast: Cast) -> None:
    (pk,) = submit(cast)
    told = give(
        cast, {"decision": str(pk), "name": "helpful", "label": "bad", "score": -1, "comment": "Rude!", "by": "u-1"}
    )
    assert told.status_code == 201
    (item,) = read(cast, pk)
    assert (item["name"], item["label"], item["score"], item["comment"], item["by"]) == (
        "helpful",
        "bad",
        -1,
        "Rude!",
        "u-1",
    )
    with tenant_atomic(cast.tenant.pk):
        event = LedgerEvent.objects.get(tag="feedback.given")
        leaf = bytes(LedgerQueue.objects.get(rid=event.pk).leaf).decode()
    body = orjson.loads(bytes(event.body))
    assert (body["decision"], body["label"]) == (str(pk), "bad")
    assert "Rude" not in bytes(event.body).decode() + leaf
    assert str(pk) in leaf


@pytest.mark.parametrize("name", ["external_id", "trace_id"])
def test_a_decision_is_named_as_the_application_knows_it(cast: Cast, name: str) -> None:
    given = {"external_id": "loan-1", "trace_id": "4b" * 16}
    (pk,) = submit(cast, 1, **given)
    assert give(cast, {name: given[name], "label": "good"}).json()["decision"] == str(pk)


def test_a_correction_supersedes_once(cast: Cast) -> None:
    (pk,) = submit(cast)
    first = give(cast, {"decision": str(pk), "label": "bad"}).json()["id"]
    assert give(cast, {"decision": str(pk), "label": "good", "supersedes": first}).status_code == 201
    assert give(cast, {"decision": str(pk), "label": "unsure", "supersedes": first}).status_code == 409
    assert [item["label"] for item in read(cast, pk)] == ["good", "bad"]
    client = Client(headers={"Authorization": f"Bearer {cast.keys['read'].secret}"})
    counts = {
        label: len(client.get("/api/v1/decisions", {"feedback": label}).json()["items"])
        for label in ("good", "bad", "any")
    }
    assert counts == {"good": 1, "bad": 0, "any": 1}


def test_a_retry_gets_the_first_answer_and_other_content_is_refused(cast: Cast) -> None:
    (pk,) = submit(cast)
    body = {"decision": str(pk), "label": "bad", "comment": "Rude!"}
    first = give(cast, body, **{"Idempotency-Key": "k1"})
    again = give(cast, body, **{"Idempotency-Key": "k1"})
    other = give(cast, body | {"label": "good"}, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json()["id"] == again.json()["id"]
    assert len(read(cast, pk)) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"label": ""}, {"label": "x" * 61}, {"score": True}, {"score": 1e9}, {"label": 5},
     {"nonsense": 1, "label": "x"}, {"label": "good", "supersedes": "x"}, {"label": "good", "trace_id": "4b" * 16}],
)  # fmt: skip
def test_what_says_nothing_is_refused(cast: Cast, body: dict[str, Any]) -> None:
    (pk,) = submit(cast)
    assert give(cast, {"decision": str(pk)} | body).status_code == 400
    assert read(cast, pk) == []


def test_a_foreign_decision_and_one_of_another_source_are_missing(cast: Cast, stranger: Cast) -> None:
    (mine,), (theirs,) = submit(cast), submit(stranger)
    other = create_key(
        by=cast.owner, name="other", scopes=["ingest"], source=create_source(by=cast.owner, name="other")
    )
    answers = [
        give(cast, {"decision": str(theirs), "label": "x"}),
        give(cast, {"decision": str(mine), "label": "x"}, secret=other.secret),
        give(cast, {"decision": str(uuid.uuid4()), "label": "x"}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert give(cast, {"decision": str(mine), "label": "x"}, "read").status_code == 403


def test_nobody_changes_what_was_given(cast: Cast) -> None:
    (pk,) = submit(cast)
    give(cast, {"decision": str(pk), "label": "bad"})
    with pytest.raises(DatabaseError), tenant_atomic(cast.tenant.pk, using="owner"):
        Feedback.objects.using("owner").update(label="good")


def test_erased_content_takes_the_words_along_and_leaves_the_judgement(cast: Cast) -> None:
    (pk,) = submit(cast)
    give(cast, {"decision": str(pk), "label": "bad", "comment": "Rude to Mr Smith"})
    erase_decision(cast, pk)
    (item,) = read(cast, pk)
    assert (item["label"], "comment" in item) == ("bad", False)
    assert give(cast, {"decision": str(pk), "comment": "again"}).status_code == 400
    assert give(cast, {"decision": str(pk), "label": "good"}).status_code == 201


def test_who_may_not_read_content_sees_no_comment(cast: Cast) -> None:
    (pk,) = submit(cast)
    give(cast, {"decision": str(pk), "label": "bad", "comment": "Rude!"})
    (item,) = read(cast, pk, "manage")
    assert "comment" not in item


def test_a_person_judges_on_the_page(cast: Cast) -> None:
    (pk,) = submit(cast)
    client, url = Client(), f"/t/{cast.tenant.slug}/decisions/{pk}/"
    client.force_login(cast.people[Role.AUDITOR], backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(f"{url}feedback/", {"label": "good", "comment": "Fine <b>work</b>"}).status_code == 302
    shown = client.get(url).content.decode()
    assert "Fine &lt;b&gt;work&lt;/b&gt;" in shown
    assert str(cast.people[Role.AUDITOR]) in shown
    client.post(f"{url}feedback/", {"label": "nonsense"})
    assert len(read(cast, pk)) == 1
