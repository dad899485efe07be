"""Behaviour in the browser and over REST: who sees what, at what cost."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.test_pages import browser, text_of, url
from tests.traces.drift.made import decisions, record
from traces.drift import alerting, worker
from traces.drift.events import Event
from traces.drift.selectors import list_alerts, open_alerts
from traces.drift.services import acknowledge_alert, mute_alert
from traces.models import Decision

NOW = datetime.now(UTC)


def alert(cast: Cast) -> uuid.UUID:
    """A change of prompt and manner, noticed by the worker."""
    record(cast, decisions(310, change_at=270))
    worker.look(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        return list_alerts()[0].id


def some_events(cast: Cast, n: int) -> None:
    with tenant_atomic(cast.tenant.pk):
        deployment = Decision.objects.values_list("deployment_id", flat=True)[0]
        for i in range(n):
            at = (NOW - timedelta(hours=i)).timestamp()
            event = Event(
                "repeated_requests", f"u{i}", at, at, 6, str(uuid.uuid4()), "6 identical requests, seconds apart"
            )
            alerting.write(cast.tenant.pk, deployment, event, None, at)


def read(cast: Cast, path: str) -> Any:
    return Client(headers={"Authorization": f"Bearer {cast.keys['read'].secret}"}).get(path)


def test_the_page_says_what_when_why_and_what_was_rejected(cast: Cast) -> None:
    pk = alert(cast)
    client = browser(cast.people[Role.AUDITOR])
    listed = text_of(client.get(url(cast, "drift-list")))
    shown = text_of(client.get(url(cast, "drift-detail", pk)))
    assert "prompt changed from" in listed.lower()
    for words in (
        "Between (90 %)",
        "Looked at, and rejected",
        "Inputs did not change",
        "certainly",
        "Step 2: wait",
    ):
        assert words in shown


def test_quotes_need_the_permission_to_read(cast: Cast) -> None:
    pk = alert(cast)
    shown = text_of(browser(cast.people[Role.VIEWER]).get(url(cast, "drift-detail", pk)))
    assert "Step 2: wait" not in shown
    assert "Acknowledge" not in shown


def test_people_can_take_a_stand(cast: Cast) -> None:
    pk = alert(cast)
    client = browser(cast.people[Role.AUDITOR])
    assert "Acknowledged" in text_of(client.post(url(cast, "drift-acknowledge", pk), follow=True))
    assert "Say why" in text_of(client.post(url(cast, "drift-mute", pk), {"reason": ""}, follow=True))
    assert "Muted" in text_of(client.post(url(cast, "drift-mute", pk), {"reason": "Known."}, follow=True))
    assert "Expected change" in text_of(client.post(url(cast, "drift-expect", pk), {"reason": "Meant."}, follow=True))
    assert browser(cast.people[Role.VIEWER]).post(url(cast, "drift-mute", pk), {"reason": "x"}).status_code == 403


def test_the_api_lists_and_tells(cast: Cast, stranger: Cast) -> None:
    pk = alert(cast)
    (item,) = read(cast, "/api/v1/drift").json()["items"]
    assert item["id"] == str(pk)
    assert item["onset"]["low"] <= item["onset"]["at"] <= item["onset"]["high"]
    evidence = read(cast, f"/api/v1/drift/{pk}").json()["evidence"]
    assert evidence["causes"][0]["field"] == "prompt"
    assert read(stranger, f"/api/v1/drift/{pk}").status_code == 404
    assert read(stranger, "/api/v1/drift").json()["items"] == []
    assert read(cast, "/api/v1/drift?before=yesterday").status_code == 400


def test_lists_cost_the_same_whatever_they_show(cast: Cast) -> None:
    submit(cast, 1)
    client = browser(cast.people[Role.VIEWER])
    client.get(url(cast, "drift-list"))
    counted = []
    for n in (2, 12):
        some_events(cast, n)
        with CaptureQueriesContext(connection) as captured:
            assert "identical requests" in text_of(client.get(url(cast, "drift-list")))
        counted.append(len(captured))
    assert counted[0] == counted[1]
    assert len(read(cast, "/api/v1/drift").json()["items"]) == 12


def test_nothing_noticed_says_so(cast: Cast) -> None:
    assert "Nothing has changed" in text_of(browser(cast.people[Role.VIEWER]).get(url(cast, "drift-list")))


def test_what_nobody_has_taken_on_is_open_and_what_was_muted_is_again_in_time(cast: Cast) -> None:
    submit(cast)
    some_events(cast, 3)
    by = cast.auditor
    with tenant_atomic(cast.tenant.pk):
        first, second, _ = open_alerts(NOW, 5)
    acknowledge_alert(by=by, alert_id=first.pk)
    mute_alert(by=by, alert_id=second.pk, until=datetime.now(UTC) + timedelta(days=7), note="Known.")
    with tenant_atomic(cast.tenant.pk):
        assert [len(open_alerts(NOW + timedelta(days=days), 5)) for days in (0, 8)] == [1, 2]
