"""Pages of decisions: the list and its filters, one record with its proof, and what each role sees of the content."""

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
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
from tenants.roles import PERMISSIONS, Role
from tests.audits.log import publish
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import a_decision, submit, submit_each
from tests.invariants.worlds import superuser
from tests.tenants.test_pages import browser, text_of, url
from traces.selectors import PAGE_SIZE
from traces.submissions import ItemsRefused

CANARY = "the-words-nobody-else-reads"
READERS = sorted(role for role in Role.values if "decision.read_payload" in PERMISSIONS[Role(role)])
OTHERS = sorted(role for role in Role.values if "decision.read" in PERMISSIONS[Role(role)] and role not in READERS)


def auditor(cast: Cast) -> Client:
    return browser(cast.people[Role.AUDITOR])


def shown(page: str) -> list[uuid.UUID]:
    """The decisions that a page links to, in its order."""
    found = re.findall(r'/decisions/([0-9a-f-]{36})/"', page)
    return [uuid.UUID(text) for text in dict.fromkeys(found)]


def listed(cast: Cast, **query: str) -> list[uuid.UUID]:
    return shown(text_of(auditor(cast).get(url(cast, "decision-list"), query)))


def link(page: str, rel: str) -> str | None:
    """The address of the pager's link, `newer` or `older`."""
    found = re.search(rf'<a[^>]+href="([^"]*cursor=[^"]*)"[^>]*>[^<]*(?:<[^>]+>)*[^<]*{rel}', page, re.IGNORECASE)
    return found[1] if found else None


# --- The list ----------------------------------------------------------------------------------------------------


def test_an_empty_tenant_is_told_how_to_begin(cast: Cast) -> None:
    page = text_of(auditor(cast).get(url(cast, "decision-list")))
    assert "/api/v1/decisions" in page
    assert shown(page) == []


def test_a_filter_that_matches_nothing_says_so(cast: Cast) -> None:
    submit(cast)
    assert "No decision matches" in text_of(auditor(cast).get(url(cast, "decision-list"), {"user": "nobody"}))


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FILTERS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "system": ({"system": "other"}, {"system": "other"}),
    "environment": ({"environment": "staging"}, {"environment": "staging"}),
    "task": ({"task": "triage"}, {"task": "triage"}),
    "model": ({"model": {"name": "other-model"}}, {"model": "other-model"}),
    "user": ({"user": "u-9"}, {"user": "u-9"}),
    "session": ({"session": "s-9"}, {"session": "s-9"}),
    "trace": ({"trace_id": TRACE}, {"trace_id": TRACE}),
    "any id: external": ({"external_id": "loan-9"}, {"q": "loan-9"}),
    "any id: trace": ({"trace_id": TRACE}, {"q": TRACE}),
    "any id: user": ({"user": "u-9"}, {"q": "u-9"}),
    "since": ({"occurred_at": "2026-11-21T00:00:00Z"}, {"since": "2026-11-21"}),
    "until": ({"occurred_at": "2026-11-01T00:00:00Z"}, {"until": "2026-11-01T00:00:01Z"}),
    "status": ({"outcome": {"decision": "error"}}, {"status": "failed"}),
    "two at once": ({"system": "other", "model": {"name": "m"}}, {"system": "other", "model": "m"}),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_shows_what_it_names_and_nothing_else(cast: Cast, name: str) -> None:
    changes, query = FILTERS[name]
    submit(cast, 2)
    (wanted,) = submit(cast, **changes)
    assert listed(cast, **query) == [wanted]
    assert len(listed(cast)) == 3


def test_the_action_and_the_policy_that_asked_for_it_are_filters(cast: Cast) -> None:
    put_in_force(cast, a_document("brevity", limit=10))
    (blocked,) = submit(cast, occurred_at=None, output="more than ten characters")
    submit(cast, occurred_at=None, output="short")
    assert listed(cast, action="block") == listed(cast, policy="brevity") == [blocked]


def test_what_failed_is_marked_wherever_it_is_shown_and_nothing_else_is(cast: Cast) -> None:
    reasons = [{"code": "RateLimitError", "text": "Too many requests."}]
    submit(cast, session="calm", trace_id=uuid.uuid4().hex)
    (failed,) = submit(cast, session="broken", trace_id=TRACE, outcome={"decision": "error", "reasons": reasons})
    client, mark = auditor(cast), "</svg>Failed</span>"
    page = text_of(client.get(url(cast, "decision-list")))
    assert page.count(mark) == 1
    record = text_of(client.get(url(cast, "decision-detail", failed)))
    assert all(words in record for words in (mark, "RateLimitError", "Too many requests."))
    assert mark in text_of(client.get(url(cast, "session"), {"id": "broken"}))
    assert mark not in text_of(client.get(url(cast, "session"), {"id": "calm"}))
    assert mark in text_of(client.get(url(cast, "trace", TRACE)))


@pytest.mark.parametrize(
    "query", [{"since": "tomorrow"}, {"trace_id": "xyz"}, {"cursor": "x"}, {"user": "a\0b"}, {"status": "ok"}]
)
def test_a_filter_that_says_nothing_is_explained(cast: Cast, query: dict[str, str]) -> None:
    submit(cast)
    response = auditor(cast).get(url(cast, "decision-list"), query)
    assert response.status_code == 200
    assert 'class="field-error" role="alert"' in text_of(response)


def test_pages_follow_both_ways_through_decisions_of_one_moment(cast: Cast) -> None:
    """Ties in time: every decision once, and the same pages on the way back."""
    everything = submit(cast, 2 * PAGE_SIZE + 7)
    client, forwards = auditor(cast), [text_of(auditor(cast).get(url(cast, "decision-list")))]
    while older := link(forwards[-1], "older"):
        forwards.append(text_of(client.get(older)))
    assert [len(shown(page)) for page in forwards] == [PAGE_SIZE, PAGE_SIZE, 7]
    assert sorted(pk for page in forwards for pk in shown(page)) == sorted(everything)
    backwards = [forwards[-1]]
    while newer := link(backwards[-1], "newer"):
        backwards.append(text_of(client.get(newer)))
    assert [shown(page) for page in backwards] == [shown(page) for page in reversed(forwards)]


def queries(ask: Callable[[], Any]) -> int:
    ask()
    with CaptureQueriesContext(connection) as captured:
        assert ask().status_code == 200
    return len(captured)


@pytest.mark.parametrize("query", [{}, {"system": "loan-assistant"}, {"model": "gpt-5-mini"}], ids=str)
def test_a_list_asks_as_many_questions_of_many_rows_as_of_few(cast: Cast, query: dict[str, str]) -> None:
    client = auditor(cast)
    submit(cast, 2)
    few = queries(lambda: client.get(url(cast, "decision-list"), query))
    submit(cast, 40, subject=None)
    assert queries(lambda: client.get(url(cast, "decision-list"), query)) == few


def test_a_record_asks_as_many_questions_whatever_it_holds(cast: Cast) -> None:
    client = auditor(cast)
    (small,) = submit(cast)
    turns = [{"role": "user", "content": f"turn {n}"} for n in range(60)]
    (large,) = submit(cast, input=turns, context=[{"id": str(n), "text": "x"} for n in range(60)])
    counted = [queries(lambda pk=pk: client.get(url(cast, "decision-detail", pk))) for pk in (small, large)]  # type: ignore[misc]
    assert counted[0] == counted[1]


# --- One record and its proof ---------------------------------------------------------------------------------------


def test_a_record_shows_what_was_said_and_every_id(cast: Cast) -> None:
    (pk,) = submit(cast, external_id="loan-42")
    page = text_of(auditor(cast).get(url(cast, "decision-detail", pk)))
    for words in ("May I borrow 5,000?", "proof of income", "No payslip.", "loan-42", "gpt-5-mini", "930 ms", "eu"):
        assert words in page
    hashed = text_of(auditor(cast).get(url(cast, "decision-detail", pk), {"tab": "json"}))
    assert f"record {pk}" in hashed
    assert "commitment" in hashed


def test_the_proof_goes_from_queued_to_signed_to_verified(cast: Cast) -> None:
    (pk,) = submit(cast)
    client = auditor(cast)
    assert "Queued" in text_of(client.get(url(cast, "decision-detail", pk)))
    assert client.get(url(cast, "decision-proof", pk)).status_code == 404
    publish(cast)
    assert "On the record" in text_of(client.get(url(cast, "decision-detail", pk)))
    verified = text_of(client.post(url(cast, "decision-verify", pk)))
    assert "Verified" in verified
    assert verified.count("<li") == 4
    file = client.get(url(cast, "decision-proof", pk))
    assert file.content.startswith(b"c2sp.org/tlog-proof@v1")
    assert "attachment" in file["Content-Disposition"]


def test_a_record_that_was_changed_does_not_verify(cast: Cast) -> None:
    (pk,) = submit(cast)
    publish(cast)
    with superuser() as database, database.transaction():
        database.execute("SET LOCAL session_replication_role = replica")
        database.execute("ALTER TABLE traces_decision DISABLE TRIGGER USER")
        database.execute("UPDATE traces_decision SET leaf_hash = sha256('other') WHERE id = %s", [pk])
        database.execute("ALTER TABLE traces_decision ENABLE ALWAYS TRIGGER append_only_rows")
        database.execute("ALTER TABLE traces_decision ENABLE ALWAYS TRIGGER append_only_table")
    assert "Does not verify" in text_of(auditor(cast).post(url(cast, "decision-verify", pk)))


def test_late_and_skewed_records_are_marked(cast: Cast) -> None:
    """D10: order is the log's, so a wrong clock moves nothing, and it is seen."""
    now = datetime.now(UTC)
    (late,) = submit(cast, occurred_at=(now - timedelta(hours=3)).isoformat())
    (skewed,) = submit(cast, occurred_at=(now + timedelta(hours=1)).isoformat())
    (plain,) = submit(cast, occurred_at=None)
    marks = {"Arrived late": late, "Clock ahead": skewed}
    for words, marked in marks.items():
        for pk in (late, skewed, plain):
            page = text_of(auditor(cast).get(url(cast, "decision-detail", pk)))
            assert (words in page) == (pk == marked), words


# --- Who sees the content -------------------------------------------------------------------------------------------


def read_events(cast: Cast) -> list[dict[str, Any]]:
    with tenant_atomic(cast.tenant.pk):
        rows = LedgerEvent.objects.filter(tag="payload.read").order_by("id")
        return [json.loads(bytes(row.body)) for row in rows]


@pytest.mark.parametrize("role", READERS)
def test_reading_content_is_recorded_each_time(cast: Cast, role: str) -> None:
    (pk,) = submit(cast, output=CANARY)
    client = browser(cast.people[role])
    assert CANARY in text_of(client.get(url(cast, "decision-list")))
    assert CANARY in text_of(client.get(url(cast, "decision-detail", pk)))
    events = read_events(cast)
    assert [event["purpose"] for event in events] == ["decision list", "decision page"]
    assert all(event["decisions"] == [str(pk)] for event in events)
    assert all(event["by"] == f"person:{cast.people[role].pk}" for event in events)


@pytest.mark.parametrize("role", OTHERS)
def test_without_the_permission_nobody_sees_a_word(cast: Cast, role: str) -> None:
    words: dict[str, Any] = {
        "input": CANARY,
        "output": CANARY,
        "metadata": {"a": CANARY},
        "outcome": {"reasons": [{"text": CANARY}]},
    }
    (pk,) = submit(cast, context=[{"text": CANARY}], **words)
    publish(cast)
    client = browser(cast.people[role])
    for address in (url(cast, "decision-list"), url(cast, "decision-detail", pk), url(cast, "tenant-home")):
        for query in ({}, {"tab": "json"}):
            page = text_of(client.get(address, query))
            assert CANARY not in page
    assert "hidden for your role" in text_of(client.get(url(cast, "decision-list")))
    assert CANARY not in text_of(client.post(url(cast, "decision-verify", pk)))
    assert read_events(cast) == []


def test_an_external_auditor_sees_no_decision_outside_a_case(cast: Cast) -> None:
    (pk,) = submit(cast)
    client = browser(cast.people[Role.EXTERNAL_AUDITOR])
    for name, rest in (("decision-list", ()), ("decision-detail", (pk,)), ("decision-proof", (pk,))):
        assert client.get(url(cast, name, *rest)).status_code in {403, 404}


# --- Hostile content -------------------------------------------------------------------------------------------------

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea></title></script><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7|add:35 }}{% load x %}",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "<style>@import url(//evil.example)</style><base href=//evil.example/>",
    "data:text/html,<script>alert(1)</script>",
)


class Harm(HTMLParser):
    """What a browser would run or fetch that is not ours."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in {"iframe", "object", "embed", "base", "style"} or (tag == "script" and "src" not in values):
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in values if name.startswith("on") or name == "srcdoc"]
        for name in ("href", "src", "action", "formaction"):
            target = values.get(name, "").strip().lower()
            if re.match(r"(javascript|data|vbscript):|//", target):
                self.found.append(f"{tag} {name}={target}")


def harm_in(page: bytes) -> list[str]:
    parser = Harm()
    parser.feed(page.decode())
    return parser.found


def hostile(attack: str) -> dict[str, Any]:
    """An attack in every field that takes text."""
    inner = {"name": attack[:100], "version": attack[:100]}
    parts = [{"type": "text", "text": attack}, {"type": "tool_call", "name": attack, "arguments": {attack: attack}},
             {"type": "image", "uri": attack, "mime_type": attack}, {"type": attack, "x": attack}]  # fmt: skip
    return a_decision(
        external_id=attack, system=attack, system_version=attack, environment=attack[:100], task=attack,
        session=attack, user=attack, agent=attack, instance=attack, subject=attack,
        model={"provider": attack, "name": attack, "parameters": {attack: attack}, "prompt": inner},
        input=[{"role": attack, "name": attack, "content": attack}, {"role": "user", "content": parts}], output=attack,
        context=[{"id": attack, "hash": attack, "text": attack}], metadata={attack: attack},
        outcome={"decision": attack, "reasons": [{"code": attack, "text": attack}]},
        enforcement=[{"guard": attack, "rule": attack, "verdict": attack, "action": attack}],
    )  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_content_is_shown_and_never_runs(cast: Cast, attack: str) -> None:
    (pk,) = submit_each(cast, [hostile(attack)])
    client = auditor(cast)
    detail = url(cast, "decision-detail", pk)
    answers = [client.get(address) for address in (url(cast, "decision-list"), detail, f"{detail}?tab=json")]
    answers += [client.get(url(cast, "decision-list"), {"user": attack, "system": attack, "q": attack})]
    for answer in answers:
        assert answer.status_code == 200
        assert harm_in(answer.content) == []
        policy = answer["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer["X-Content-Type-Options"] == "nosniff"
    assert attack in text_of(answers[1])


def test_the_search_for_harm_finds_it() -> None:
    assert len([attack for attack in ATTACKS if harm_in(attack.encode())]) >= 6


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["role", "content", "parts", "tool_calls", "refusal", "type", "text", "function", "name"])
members = json_values | st.lists(st.dictionaries(names, json_values), max_size=3)
messages = st.lists(
    st.dictionaries(names, members, max_size=3).map(lambda message: {"role": "user", "content": "x"} | message),
    max_size=3,
)


@pytest.fixture(scope="module")
def shared() -> Cast:
    return make_cast()


@given(said=messages | json_values, more=st.dictionaries(st.text(max_size=8), json_values, max_size=3))
@effort(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_recorded_can_be_shown(shared: Cast, said: Any, more: dict[str, Any]) -> None:
    try:
        (pk,) = submit_each(shared, [a_decision(input=said, output=said, metadata=more, human=more, tools=[said])])
    except ItemsRefused:
        return
    client = auditor(shared)
    assert client.get(url(shared, "decision-detail", pk)).status_code == 200
    assert client.get(url(shared, "decision-list")).status_code == 200
