"""The example organisation's surroundings are what the API takes: traces become decisions, nothing is refused."""

import json
from datetime import UTC, datetime

from django.test import Client

from config.demonstration import BUDGETS, chats, claims, events, feedback
from tenants.context import tenant_atomic
from tests.factories.tenants import Cast
from traces.models import Decision, Span

ENDS = datetime(2026, 11, 20, 12, tzinfo=UTC)


def send(cast: Cast, scope: str, path: str, body: object) -> int:
    client = Client(headers={"Authorization": f"Bearer {cast.keys[scope].secret}"})
    return client.post(path, json.dumps(body), content_type="application/json").status_code


def test_a_trace_of_the_agent_becomes_its_calls_and_what_lies_around_them(cast: Cast) -> None:
    made = list(claims(ENDS))
    assert send(cast, "ingest", "/v1/traces", made[-1]) == 200
    with tenant_atomic(cast.tenant.pk):
        recorded, around = list(Decision.objects.all()), Span.objects.count()
        tasks = sorted(decision.deployment.task for decision in recorded)
    assert (tasks, around) == (["chat", "chat", "execute_tool", "invoke_agent"], 2)
    assert len({trace["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] for trace in made}) == len(made)


def test_releases_thumbs_and_budgets_are_taken(cast: Cast) -> None:
    known = {judged["external_id"] for judged in feedback()}
    named = [chat for chat in chats(ENDS) if chat["external_id"] in known]
    assert len(named) == len(known)
    assert send(cast, "ingest", "/api/v1/decisions", named[:5]) == 201
    for judged in [one for one in feedback() if one["external_id"] in {chat["external_id"] for chat in named[:5]}]:
        assert send(cast, "ingest", "/api/v1/feedback", judged) == 201
    assert send(cast, "ingest", "/api/v1/events", events(ENDS)) == 201
    for budget in BUDGETS:
        assert send(cast, "manage", "/api/v1/budgets", budget) == 201
