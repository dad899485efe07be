"""Pages narrowed by words, policy hits and feedback: the same rows whichever way the database is sent."""

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenants.context import tenant_atomic
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit, submit_each
from tests.traces.meaning.test_feedback import give
from traces import selectors
from traces.models import Pairing
from traces.search import finding, newest, subsets
from traces.search.indexing import index_words
from traces.selectors import DecisionFilter, filtered, page

SAYINGS = ("the moon is income", "income and moon", "a wage is income", "nothing at all", "no moon tonight")
FILTERS: dict[str, dict[str, str]] = {
    "a word": {"q": "moon"},
    "a word that few have": {"q": "tonight"},
    "two words": {"q": "moon income"},
    "two words that never meet": {"q": "wage moon"},
    "a word nobody said": {"q": "moon landing"},
    "a phrase": {"q": '"moon is"'},
    "a phrase, and a word": {"q": '"is income" wage'},
    "a phrase nobody said": {"q": '"income moon"'},
    "a policy": {"policy": "brevity"},
    "a policy and a word": {"policy": "brevity", "q": "income"},
    "feedback": {"feedback": "wrong"},
    "any feedback, a system": {"feedback": "any", "system": "other"},
    "all of them": {"feedback": "any", "policy": "brevity", "q": '"the moon"', "user": "u-0"},
}


@pytest.fixture
def archive(cast: Cast) -> Cast:
    """Forty decisions, some judged by a policy, some by people."""
    put_in_force(cast, a_document("brevity", limit=15))
    now = datetime.now(UTC)
    made = [
        a_decision(output=SAYINGS[n % 5], user=f"u-{n % 2}", system=("loan-assistant", "other")[n % 5 == 0],
                   occurred_at=(now + timedelta(milliseconds=n // 2)).isoformat())
        for n in range(40)
    ]  # fmt: skip
    for number, pk in enumerate(submit_each(cast, made)):
        if number % 4 == 0:
            give(cast, {"decision": str(pk), "label": ("wrong", "helpful")[number % 8 == 0]})
    index_words(cast.tenant.pk)
    return cast


def walked(wanted: DecisionFilter, size: int, *, and_back: bool = True) -> list[uuid.UUID]:
    """What its pages show, from the newest on; and each page's way back shows what was before it."""
    there: list[uuid.UUID] = []
    shown = page(wanted, "", size)
    while True:
        there += [decision.pk for decision in shown.decisions]
        if not shown.older:
            return there
        before, shown = shown, page(wanted, shown.older, size)
        if and_back and shown.newer and before.decisions:
            assert page(wanted, shown.newer, size).decisions == before.decisions


@pytest.mark.parametrize(("few", "recent"), [(0, 1_000), (3, 1_000), (1_000, 1_000), (3, 6), (1_000, 13)])
@pytest.mark.parametrize("name", FILTERS)
def test_looked_up_or_asked_of_each_it_is_the_same(
    archive: Cast, monkeypatch: pytest.MonkeyPatch, name: str, few: int, recent: int
) -> None:
    for module in (subsets, finding):
        monkeypatch.setattr(module, "FEW", few)
    for module in (finding, newest):
        monkeypatch.setattr(module, "RECENT", recent)
    monkeypatch.setattr(finding, "SAMPLED", 2)
    wanted = DecisionFilter.from_query(FILTERS[name])
    with tenant_atomic(archive.tenant.pk):
        expected = list(filtered(wanted).order_by("-occurred_at", "-id").values_list("pk", flat=True))
        assert walked(wanted, 4) == expected
        assert walked(wanted, 100) == expected
    assert bool(expected) == ("never" not in name and "nobody" not in name)


@pytest.mark.parametrize("strays", [0, 1_000])
@pytest.mark.parametrize("q", ["moon income", '"the moon" income'])
def test_the_newest_are_found_whenever_they_were_received(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, q: str, strays: int
) -> None:
    for module in (finding, newest):
        monkeypatch.setattr(module, "RECENT", 12)
    monkeypatch.setattr(newest, "STRAYS", strays)
    monkeypatch.setattr(selectors, "CANDIDATES", 5)
    began, hours = datetime.now(UTC), random.Random(7).sample(range(-40, 40), 40)
    when = [(began + timedelta(hours=hour)).isoformat() for hour in hours]
    submit_each(cast, [a_decision(output=SAYINGS[n % 2], occurred_at=when[n]) for n in range(40)])
    index_words(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        expected = list(filtered(DecisionFilter(q=q)).order_by("-occurred_at", "-id").values_list("pk", flat=True))
        assert walked(DecisionFilter(q=q), 4, and_back='"' not in q) == expected  # back, other candidates are compared
    assert len(expected) == {"m": 40, '"': 20}[q[0]]


def test_a_phrase_is_compared_with_so_many_a_page_and_the_next_goes_on(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "CANDIDATES", 3)
    (wanted,) = submit(cast, output="the moon is income", occurred_at="2026-11-01T00:00:00Z")
    submit(cast, 7, output="income is the moon")
    index_words(cast.tenant.pk)
    phrase = DecisionFilter(q='"moon is income"')
    with tenant_atomic(cast.tenant.pk):
        first = page(phrase)
        assert (first.decisions, first.is_partial, first.newer) == ([], True, "")
        assert walked(phrase, 50) == [wanted]
        last = page(phrase, page(phrase, first.older).older)
        assert not last.is_partial
        assert page(phrase, last.newer).is_partial


def test_the_api_says_that_it_looked_at_some_only(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "CANDIDATES", 3)
    submit(cast, 5, output="income is the moon")
    index_words(cast.tenant.pk)
    client = Client(headers={"Authorization": f"Bearer {cast.keys['read'].secret}"})
    told = client.get("/api/v1/decisions", {"q": '"moon is income"'}).json()
    assert (told["items"], told["partial"]) == ([], True)
    told = client.get("/api/v1/decisions", {"q": '"moon is income"', "cursor": told["older"]}).json()
    assert "partial" not in told


def asked_of_decisions(wanted: DecisionFilter) -> int:
    with CaptureQueriesContext(connections["default"]) as captured:
        assert page(wanted).decisions == []
    return sum('FROM "traces_decision" WHERE' in query["sql"] for query in captured)


def test_what_cannot_match_asks_nothing_of_the_decisions(cast: Cast, stranger: Cast) -> None:
    submit(cast, model={"name": "gpt-5"}, system="chat")
    submit(cast, model={"name": "claude"}, system="other")
    submit(stranger, model={"name": "claude"}, system="chat")
    with tenant_atomic(cast.tenant.pk):
        assert asked_of_decisions(DecisionFilter(system="chat", model="claude")) == 0
        assert asked_of_decisions(DecisionFilter(policy="brevity")) == 0
        assert asked_of_decisions(DecisionFilter(feedback="any")) == 0
        assert asked_of_decisions(DecisionFilter(q="nobody")) == 1  # whether it is an id
        assert Pairing.objects.count() == 2
        assert len(page(DecisionFilter(system="chat", model="gpt-5")).decisions) == 1
