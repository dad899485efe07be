"""Pages of a trace, a session and a user, and the links from them to other tools."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.telemetry import Made, a_wide_trace, record_spans
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit, submit_each
from tests.tenants.test_pages import browser, text_of, url
from tests.traces.test_views import harm_in, queries
from traces.models import ApmLink
from traces.trees.links import MOST_LINKS, LinkTerms, remove_apm_link, set_apm_link

NOW = datetime(2026, 11, 20, 8, 46, tzinfo=UTC)
JAEGER = "https://jaeger.example.com/trace/{trace_id}?uiFind={span_id}"


def auditor(cast: Cast) -> Client:
    return browser(cast.people[Role.AUDITOR])


def numbers(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-number="(\d+)"', page)]


def a_trace(cast: Cast, n: int, fail_every: int = 0) -> uuid.UUID:
    trace_id = uuid.uuid4()
    record_spans(cast, trace_id, a_wide_trace(n, NOW, fail_every))
    return trace_id


def tags(cast: Cast, tag: str) -> list[dict[str, Any]]:
    with tenant_atomic(cast.tenant.pk):
        return [json.loads(bytes(row.body)) for row in LedgerEvent.objects.filter(tag=tag).order_by("id")]


# --- A trace -------------------------------------------------------------------------------------------------------


def test_a_trace_shows_spans_and_decisions_as_one_tree(cast: Cast) -> None:
    trace_id = uuid.uuid4()
    record_spans(cast, trace_id, [Made(1, None, NOW, ms=900, name="POST /loans"), Made(2, 1, NOW, is_failed=True)])
    (pk,) = submit(cast, trace_id=trace_id.hex, span_id=f"{3:016x}", parent_span_id=f"{1:016x}")
    page = text_of(auditor(cast).get(url(cast, "trace", trace_id.hex)))
    for words in ("POST /loans", "GET /loans", "Decision: ", "pre-screening", "Failed", "908", "1 failed", "3 lines."):
        assert words in page, words
    assert re.findall(r'aria-level="(\d)"', page) == ["1", "2", "2"]
    assert pk.hex in page


def test_a_long_trace_is_sent_in_windows(cast: Cast) -> None:
    trace_id, client = a_trace(cast, 350), auditor(cast)
    first = text_of(client.get(url(cast, "trace", trace_id.hex)))
    assert numbers(first) == list(range(100))
    assert 'data-total="350"' in first
    rows = url(cast, "trace-rows", trace_id.hex)
    assert numbers(text_of(client.get(rows, {"from": "300"}))) == list(range(300, 350))
    assert numbers(text_of(client.get(rows, {"closed": "0"}))) == [0]
    for odd in ({"from": "x"}, {"closed": "a,,9999999999,-1"}, {"from": "9" * 30}, {"after": "?"}):
        assert client.get(rows, odd).status_code == 200


def test_the_next_failure_is_found_beyond_the_window_and_round_the_end(cast: Cast) -> None:
    trace_id, client = a_trace(cast, 350, fail_every=340), auditor(cast)
    rows = url(cast, "trace-rows", trace_id.hex)
    place = int(client.get(rows, {"after": "-1"})["X-Failure-At"])
    assert place > 0
    assert int(client.get(rows, {"after": str(place)})["X-Failure-At"]) == place
    calm = a_trace(cast, 3)
    assert client.get(url(cast, "trace-rows", calm.hex), {"after": "-1"})["X-Failure-At"] == "-1"


def test_a_trace_asks_as_many_questions_of_many_spans_as_of_few(cast: Cast) -> None:
    few, many, client = a_trace(cast, 3), a_trace(cast, 300), auditor(cast)
    counts = [queries(lambda one=one: client.get(url(cast, "trace", one.hex))) for one in (few, many)]  # type: ignore[misc]
    assert counts[0] == counts[1]


def test_content_is_read_when_a_line_is_opened_and_the_reading_is_recorded(cast: Cast) -> None:
    (pk,) = submit(cast, trace_id="4bf92f3577b34da6a3ce929d0e0e4736", output="the-canary")
    trace, client = "4bf92f3577b34da6a3ce929d0e0e4736", auditor(cast)
    assert "the-canary" not in text_of(client.get(url(cast, "trace", trace)))
    assert tags(cast, "payload.read") == []
    panel = url(cast, "trace-span", trace, pk.hex)
    assert "the-canary" in text_of(client.get(panel))
    assert [event["purpose"] for event in tags(cast, "payload.read")] == ["trace page"]
    assert "the-canary" not in text_of(browser(cast.people[Role.VIEWER]).get(panel))
    assert "the-canary" in text_of(client.get(url(cast, "trace", trace), {"span": pk.hex}))


def test_what_is_not_there_or_another_tenants_is_404(cast: Cast, stranger: Cast) -> None:
    trace_id = a_trace(cast, 2)
    client = browser(stranger.people[Role.AUDITOR])
    for name in ("trace", "trace-rows"):
        for trace in (trace_id.hex, uuid.uuid4().hex, "x", "é" * 32):
            assert client.get(url(stranger, name, trace)).status_code == 404
    for key in (f"{1:016x}", "x", uuid.uuid4().hex, "z" * 16):
        assert client.get(url(stranger, "trace-span", trace_id.hex, key)).status_code == 404
    for name in ("session", "app-user"):
        for identity in ("s-77", "u-1032", "a\0"):
            assert client.get(url(stranger, name), {"id": identity}).status_code == 404


# --- Sessions and users ----------------------------------------------------------------------------------------------


def turn(n: int, text: str, **changes: Any) -> dict[str, Any]:
    earlier = (
        [{"role": "user", "content": "the very first"}, {"role": "assistant", "content": "an old answer"}] if n else []
    )
    said = [*earlier, {"role": "user", "content": text}]
    at = (NOW + timedelta(minutes=n)).isoformat()
    return a_decision(occurred_at=at, input=said, output=f"answer to {text}", session="s/1?", user="u 1", **changes)


def test_a_session_is_read_as_a_conversation_each_turn_once(cast: Cast) -> None:
    submit_each(cast, [turn(n, f"question-{n}-") for n in (2, 0, 1)])
    page = text_of(auditor(cast).get(url(cast, "session"), {"id": "s/1?"}))
    places = [page.index(f"question-{n}-") for n in range(3)]
    assert places == sorted(places)
    assert "the very first" not in page
    assert "2 min 0 s" in page
    assert [event["purpose"] for event in tags(cast, "payload.read")] == ["session page"]
    hidden = text_of(browser(cast.people[Role.VIEWER]).get(url(cast, "session"), {"id": "s/1?"}))
    assert "question-0-" not in hidden


def test_a_long_session_has_pages(cast: Cast) -> None:
    submit_each(cast, [turn(n, f"q-{n}-") for n in range(1, 41)])
    client = auditor(cast)
    first = text_of(client.get(url(cast, "session"), {"id": "s/1?"}))
    (later,) = re.findall(r'href="(\?[^"]*cursor=[^"]*)"', first)
    second = text_of(client.get(url(cast, "session") + later))
    assert "q-30-" in first
    assert "q-31-" not in first
    assert "q-31-" in second


def test_a_user_has_their_sessions_the_latest_first(cast: Cast) -> None:
    submit_each(cast, [turn(0, "a"), turn(1, "b"), turn(9, "c") | {"session": "s-later"}])
    page = text_of(auditor(cast).get(url(cast, "app-user"), {"id": "u 1"}))
    assert page.index("s-later") < page.index("s/1?")
    assert "session" in text_of(auditor(cast).get(url(cast, "session"))).lower()


def test_the_pages_of_a_decision_lead_here(cast: Cast) -> None:
    (pk,) = submit_each(cast, [turn(0, "a", trace_id="4bf92f3577b34da6a3ce929d0e0e4736")])
    page = text_of(auditor(cast).get(url(cast, "decision-detail", pk)))
    for address in ("/traces/4bf92f3577b34da6a3ce929d0e0e4736/", "/sessions/?id=s%2F1%3F", "/users/?id=u+1"):
        assert address in page


def test_hostile_names_never_run(cast: Cast) -> None:
    attack = "\"><img src=x onerror=alert(1)>'</title><script>alert(1)</script>"
    trace_id = uuid.uuid4()
    record_spans(cast, trace_id, [Made(1, None, NOW, name=attack, service=attack, instance=attack)])
    submit_each(cast, [a_decision(trace_id=trace_id.hex, session=attack, user=attack, agent=attack, instance=attack)])
    client = auditor(cast)
    asked = [(url(cast, "trace", trace_id.hex), {"span": f"{1:016x}"}), (url(cast, "session"), {"id": attack})]
    asked += [(url(cast, "app-user"), {"id": attack}), (url(cast, "timeline"), {"instance": attack, "window": "30d"})]
    for address, query in asked:
        answer = client.get(address, query)
        assert answer.status_code == 200
        assert harm_in(answer.content) == []


# --- Links to other tools --------------------------------------------------------------------------------------------


def test_a_link_is_set_shown_replaced_and_removed_each_with_a_leaf(cast: Cast) -> None:
    (pk,) = submit(cast, trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7")
    owner, page = browser(cast.people[Role.OWNER]), url(cast, "apm-link-list")
    form = {"kind": "jaeger", "name": "Jaeger", "template": JAEGER}
    assert owner.post(page, form).status_code == 302
    filled = "https://jaeger.example.com/trace/4bf92f3577b34da6a3ce929d0e0e4736?uiFind=00f067aa0ba902b7"
    assert filled in text_of(auditor(cast).get(url(cast, "decision-detail", pk)))
    assert filled.replace("00f067aa0ba902b7", "") in text_of(auditor(cast).get(url(cast, "trace", filled[33:65])))
    owner.post(page, form | {"template": "https://other.example.com/{trace_id}"})
    with tenant_atomic(cast.tenant.pk):
        (link,) = ApmLink.objects.all()
    assert owner.post(url(cast, "apm-link-remove", link.pk)).status_code == 302
    assert "other.example.com" not in text_of(auditor(cast).get(url(cast, "decision-detail", pk)))
    assert len(tags(cast, "apm_link.set")) == 2
    assert len(tags(cast, "apm_link.removed")) == 1


def test_a_bad_address_is_explained_and_nothing_is_kept(cast: Cast) -> None:
    form = {"kind": "custom", "name": "Bad", "template": "javascript:alert({trace_id})"}
    answer = browser(cast.people[Role.OWNER]).post(url(cast, "apm-link-list"), form)
    assert "begins with https://" in text_of(answer)
    assert tags(cast, "apm_link.set") == []


def test_only_who_manages_sources_sets_links(cast: Cast, stranger: Cast) -> None:
    terms = LinkTerms("Jaeger", "jaeger", JAEGER)
    with pytest.raises(PermissionDenied):
        set_apm_link(by=cast.auditor, terms=terms)
    link = set_apm_link(by=cast.owner, terms=terms)
    client = browser(stranger.people[Role.OWNER])
    assert client.post(url(stranger, "apm-link-remove", link.pk)).status_code == 404
    for n in range(MOST_LINKS - 1):
        set_apm_link(by=cast.owner, terms=LinkTerms(f"n{n}", "custom", JAEGER))
    with pytest.raises(ValidationError):
        set_apm_link(by=cast.owner, terms=LinkTerms("one too many", "custom", JAEGER))
    remove_apm_link(by=cast.owner, pk=link.pk)
