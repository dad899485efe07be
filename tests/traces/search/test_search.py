"""Finding decisions by their words: what is found, by whom, and what is left when content goes."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from tenants.context import tenant_atomic
from tests.factories.erasures import erase_decision
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit, submit_each
from traces.models import SearchQueue, SearchToken
from traces.search.indexing import index_words, rebuild
from traces.selectors import DecisionFilter, page


def said(cast: Cast, text: str, **changes: Any) -> uuid.UUID:
    (pk,) = submit(cast, output=[{"role": "assistant", "content": text}], **changes)
    return pk


def found(cast: Cast, q: str, **more: object) -> list[uuid.UUID]:
    index_words(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        return [decision.pk for decision in page(DecisionFilter(q=q, **more)).decisions]  # type: ignore[arg-type]


WORDS = {
    "a word, however it is written": ("The STRASSE was closed.", "straße"),
    "a word with accents": ("Crème brûlée for everybody", "brûlée"),
    "several, in any order": ("Send your pension number by post", "post pension"),
    "a phrase": ("Send your pension number by post", '"pension number"'),
    "a phrase and a word": ("Send your pension number by post", '"pension number" send'),
    "a number": ("Your limit is 48151623.", "48151623"),
    "with punctuation": ("It's the client's own risk", "client's"),
}


@pytest.mark.parametrize("name", WORDS)
def test_a_decision_is_found_by(cast: Cast, name: str) -> None:
    text, q = WORDS[name]
    submit(cast, 2)
    wanted = said(cast, text)
    assert found(cast, q) == [wanted]


MISSES = ["pensions", '"number pension"', "pension nowhere", '"pension numb"', "!!", '"'], "Send your pension number"


@pytest.mark.parametrize("q", MISSES[0])
def test_what_was_not_said_is_not_found(cast: Cast, q: str) -> None:
    said(cast, MISSES[1])
    assert found(cast, q) == []


def test_questions_context_and_metadata_are_searched_too(cast: Cast) -> None:
    (pk,) = submit_each(cast, [a_decision(metadata={"ticket": "zebra"}, context=[{"text": "giraffe"}], input="okapi")])
    for word in ("zebra", "giraffe", "okapi"):
        assert found(cast, word) == [pk]


def test_an_id_comes_before_a_word(cast: Cast) -> None:
    by_id = said(cast, "nothing", user="falcon")
    said(cast, "the falcon landed")
    assert found(cast, "falcon") == [by_id]


def test_words_and_the_other_filters_narrow_together(cast: Cast) -> None:
    mine = said(cast, "a strange answer", user="u-7", system="chat")
    said(cast, "a strange answer", user="u-8", system="chat")
    said(cast, "a strange answer", user="u-7", system="other")
    assert found(cast, '"strange answer"', user="u-7", system="chat") == [mine]
    assert found(cast, "strange", user="u-7", system="chat") == [mine]


def test_who_may_not_read_content_cannot_ask_what_it_says(cast: Cast) -> None:
    pk = said(cast, "a secret word", user="u-5")
    assert found(cast, "secret", id_only=True) == []
    assert found(cast, "u-5", id_only=True) == [pk]


def test_a_stranger_finds_nothing_and_shares_no_hash(cast: Cast, stranger: Cast) -> None:
    said(cast, "xylophone")
    said(stranger, "xylophone")
    mine, theirs = found(cast, "xylophone"), found(stranger, "xylophone")
    assert not set(mine) & set(theirs)
    tokens = []
    for one in (cast, stranger):
        with tenant_atomic(one.tenant.pk):
            tokens.append(set(SearchToken.objects.values_list("token", flat=True)))
    assert tokens[0]
    assert not tokens[0] & tokens[1]


def test_when_content_goes_its_words_go_with_it(cast: Cast) -> None:
    gone, stays = said(cast, "orchid"), said(cast, "orchid")
    assert set(found(cast, "orchid")) == {gone, stays}
    erase_decision(cast, gone)
    with tenant_atomic(cast.tenant.pk):
        assert not SearchToken.objects.filter(id=gone).exists()
    assert found(cast, "orchid") == [stays]


def test_content_that_goes_before_it_is_indexed_leaves_the_queue(cast: Cast) -> None:
    pk = said(cast, "orchid")
    erase_decision(cast, pk)
    with tenant_atomic(cast.tenant.pk):
        assert not SearchQueue.objects.exists()


def test_the_index_can_be_made_anew(cast: Cast) -> None:
    pk = said(cast, "orchid")
    index_words(cast.tenant.pk)
    rebuild(cast.tenant.pk)
    assert found(cast, "orchid") == [pk]


def test_a_word_is_looked_up_in_the_index_under_row_level_security(cast: Cast) -> None:
    """T12: equality on a bigint is leakproof, so the policy does not keep it from being an index condition."""
    said(cast, "orchid")
    index_words(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        query = SearchToken.objects.filter(token=1).values("id")
        plan = query.explain()
    assert "token = 1" in plan.split("Index Cond")[1].split("\n")[0], plan


def test_asking_costs_the_same_number_of_queries_for_many_as_for_few(cast: Cast) -> None:
    counts = []
    for n in (2, 40):
        submit(cast, n, output="a nightingale sang")
        index_words(cast.tenant.pk)
        with tenant_atomic(cast.tenant.pk), CaptureQueriesContext(connections["default"]) as captured:
            page(DecisionFilter(q='"nightingale sang"', since=datetime(2020, 1, 1, tzinfo=UTC)))
        counts.append(len(captured))
    assert counts[0] == counts[1]
