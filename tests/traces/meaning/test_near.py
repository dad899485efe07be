"""Similar decisions and search by meaning: the nearest, within filters, the tenant and what one may read."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
from django.test import Client

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from tests.traces.meaning.words import Words, vector
from traces.meaning import embedding, near
from traces.models import Decision
from traces.selectors import DecisionFilter

QUESTIONS = ("refund for a late parcel", "refund for a lost parcel", "reset my password", "opening hours of the shop")


@pytest.fixture(autouse=True)
def encoder() -> Iterator[None]:
    with mock.patch.object(near, "encode_one", vector):
        yield


def known(cast: Cast, *questions: str, **changes: Any) -> list[str]:
    made = [a_decision(input=text, output=f"about {text}", context=None, **changes) for text in questions or QUESTIONS]
    ids = [str(pk) for pk in submit_each(cast, made)]
    embedding.embed(cast.tenant.pk, encoder=Words())
    return ids


def reader(cast: Cast, scope: str = "read") -> Client:
    return Client(headers={"Authorization": f"Bearer {cast.keys[scope].secret}"})


def test_the_nearest_come_first_and_the_decision_itself_never(cast: Cast) -> None:
    late, lost, *_ = known(cast)
    told = reader(cast).get(f"/api/v1/decisions/{late}/similar").json()
    assert (told["embedded"], told["partial"]) == (True, False)
    assert told["items"][0]["id"] == lost
    assert 0.5 < told["items"][0]["likeness"] < 1
    assert late not in [item["id"] for item in told["items"]]


def test_the_two_looks_find_what_a_full_comparison_finds(cast: Cast) -> None:
    rng = np.random.default_rng(3)
    vocabulary = [f"word{i}" for i in range(60)]
    texts = [" ".join(rng.choice(vocabulary, 8)) for _ in range(120)]
    ids = known(cast, *texts)
    full = sorted(range(120), key=lambda i: -float(vector(texts[i]) @ vector(texts[0])))
    with mock.patch.object(near, "CANDIDATES", 40), tenant_atomic(cast.tenant.pk):
        found = near.search(texts[0], DecisionFilter(), by=cast.auditor, size=5).found
    assert [str(one.decision.pk) for one in found][:2] == [ids[i] for i in full[:2]]


def test_filters_narrow_what_is_near(cast: Cast) -> None:
    known(cast)
    elsewhere = known(cast, QUESTIONS[0], system="shop", user="u-9", occurred_at="2026-10-01T00:00:00Z")
    for narrow in (
        {"system": "shop"},
        {"user": "u-9"},
        {"until": "2026-10-02"},
        {"model": "gpt-5-mini", "user": "u-9"},
    ):
        with tenant_atomic(cast.tenant.pk):
            found = near.search(QUESTIONS[0], DecisionFilter.from_query(narrow), by=cast.auditor).found
        assert [str(one.decision.pk) for one in found] == elsewhere, narrow


def test_nothing_of_another_tenant_is_near(cast: Cast, stranger: Cast) -> None:
    (mine,) = known(cast, QUESTIONS[0])
    theirs = known(stranger)
    assert reader(cast).get(f"/api/v1/decisions/{mine}/similar").json()["items"] == []
    assert reader(cast).get(f"/api/v1/decisions/{theirs[0]}/similar").status_code == 404
    found = reader(cast).get("/api/v1/decisions", {"q": "parcel refund late", "by": "meaning"}).json()["items"]
    assert [item["id"] for item in found] == [mine]


def test_only_who_may_read_content_searches_it(cast: Cast) -> None:
    (mine, *_) = known(cast)
    assert reader(cast, "manage").get(f"/api/v1/decisions/{mine}/similar").status_code == 403
    told = reader(cast, "manage").get("/api/v1/decisions", {"q": "parcel refund late", "by": "meaning"}).json()
    assert told["items"] == []
    client = Client()
    client.force_login(cast.people[Role.VIEWER], backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/t/{cast.tenant.slug}/decisions/", {"q": "late parcel please", "by": "meaning"})
    assert "Nearest in meaning" not in page.content.decode()


def test_what_was_shown_is_recorded_as_read(cast: Cast) -> None:
    late, lost, *_ = known(cast)
    reader(cast).get(f"/api/v1/decisions/{late}/similar", {"limit": "1"})
    with tenant_atomic(cast.tenant.pk):
        body = bytes(LedgerEvent.objects.filter(tag="payload.read").latest("id").body).decode()
    assert lost in body
    assert "similar decisions" in body


def test_words_that_are_nowhere_are_searched_by_meaning_and_labelled(cast: Cast) -> None:
    ids = known(cast)
    told = reader(cast).get("/api/v1/decisions", {"q": "late refund parcel quickly"}).json()
    assert (told["matched_by"], told["items"][0]["id"]) == ("meaning", ids[0])
    client = Client()
    client.force_login(cast.people[Role.AUDITOR], backend="django.contrib.auth.backends.ModelBackend")
    shown = client.get(f"/t/{cast.tenant.slug}/decisions/", {"q": "late refund parcel quickly"}).content.decode()
    assert "Nearest in meaning" in shown
    assert "% alike" in shown
    assert "Open a case on these" not in shown
    similar = client.get(f"/t/{cast.tenant.slug}/decisions/{ids[0]}/similar/").content.decode()
    assert ids[1] in similar


def test_a_decision_that_waits_says_so(cast: Cast) -> None:
    (pk,) = submit_each(cast, [a_decision()])
    assert reader(cast).get(f"/api/v1/decisions/{pk}/similar").json() == {
        "items": [],
        "embedded": False,
        "partial": False,
    }


def test_a_bounded_search_says_that_it_was(cast: Cast) -> None:
    known(cast)
    with mock.patch.object(near, "SCANNED", 2), tenant_atomic(cast.tenant.pk):
        found = near.search("parcel", DecisionFilter(), by=cast.auditor)
        assert found.is_partial
        assert Decision.objects.count() == 4


def test_the_same_question_is_held_against_earlier_answers(cast: Cast) -> None:
    for day in range(1, 5):
        known(cast, QUESTIONS[0], occurred_at=f"2026-10-0{day}T00:00:00Z")
    odd = a_decision(input=QUESTIONS[0], output="we never pay", context=None, occurred_at="2026-10-06T00:00:00Z")
    (pk,) = submit_each(cast, [odd])
    embedding.embed(cast.tenant.pk, encoder=Words())
    items = reader(cast).get(f"/api/v1/decisions/{pk}/assessments").json()["items"]
    (found,) = [item for item in items if item["evaluator"] == "consistency"]
    assert (found["label"], found["figures"]["answers"]) == ("varies", 4)
    assert found["cost"] == {"micros": 0, "currency": ""}
