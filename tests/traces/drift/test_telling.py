"""An alert is told in the transaction that stores it, with what and where, and nobody's words or name."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tenants.context import tenant_atomic
from tenants.models import WebhookDelivery
from tenants.webhooks.services import EndpointTerms, create_endpoint
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from traces.drift import alerting, services
from traces.drift.events import Event
from traces.drift.presentation import alert_row
from traces.drift.selectors import as_json, list_alerts
from traces.models import Decision, DriftAlert
from traces.models.drift import DriftAlertState

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def notice_repeats(cast: Cast, decision: uuid.UUID, who: str = "u-1032") -> None:
    at = NOW.timestamp()
    event = Event("repeated_requests", who, at - 60, at, 6, str(decision), "6 identical requests, seconds apart")
    with tenant_atomic(cast.tenant.pk):
        alerting.write(cast.tenant.pk, Decision.objects.get(pk=decision).deployment_id, event, None, at)


def told(cast: Cast) -> list[dict[str, Any]]:
    with tenant_atomic(cast.tenant.pk):
        return [orjson.loads(bytes(row.payload)) for row in WebhookDelivery.objects.order_by("id")]


def test_an_alert_is_told_once_and_without_names(cast: Cast) -> None:
    create_endpoint(by=cast.owner, terms=EndpointTerms("Us", "https://hooks.example.com/"))
    (decision,) = submit(cast, 1)
    notice_repeats(cast, decision)
    notice_repeats(cast, decision)
    (event,) = told(cast)
    data = event["data"]
    assert (event["type"], data["kind"]) == ("drift_alert.noticed", "repeated_requests")
    assert data["title"] == "Repeated requests: loan-assistant · production · pre-screening"
    assert data["text"] == "6 identical requests, seconds apart, since 25 Nov 2026, 11:59 UTC."
    assert "u-1032" not in orjson.dumps(event).decode()


def mute(cast: Cast, until: datetime) -> None:
    with tenant_atomic(cast.tenant.pk):
        pk = DriftAlert.objects.order_by("id")[0].pk
        DriftAlertState.objects.filter(pk=pk).update(standing="open", muted_until=None)
        services.mute_alert(by=cast.auditor, alert_id=pk, until=datetime.now(UTC) + timedelta(days=7), note="Known.")
        DriftAlertState.objects.filter(pk=pk).update(muted_until=until)


def test_a_mute_keeps_the_same_quiet_until_it_ends(cast: Cast) -> None:
    create_endpoint(by=cast.owner, terms=EndpointTerms("Us", "https://hooks.example.com/"))
    here, elsewhere = submit(cast, 1)[0], submit(cast, 1, system="another")[0]
    notice_repeats(cast, here)
    mute(cast, datetime.now(UTC) + timedelta(days=7))
    notice_repeats(cast, here, "u-2")
    notice_repeats(cast, elsewhere)
    with tenant_atomic(cast.tenant.pk):
        assert DriftAlert.objects.count() == 3
    assert [one["data"]["deployment"]["system"] for one in told(cast)] == ["loan-assistant", "another"]
    mute(cast, datetime.now(UTC) - timedelta(seconds=1))
    notice_repeats(cast, here, "u-3")
    assert len(told(cast)) == 3


def test_a_mute_that_is_over_leaves_the_alert_open(cast: Cast) -> None:
    (decision,) = submit(cast, 1)
    notice_repeats(cast, decision)
    mute(cast, datetime.now(UTC) - timedelta(seconds=1))
    with tenant_atomic(cast.tenant.pk):
        (shown,) = list_alerts()
    assert as_json(shown)["standing"]["value"] == "open"
    assert alert_row(shown, cast.tenant.slug)["state_label"] == "Open"


def test_with_nobody_to_tell_nothing_is_kept(cast: Cast) -> None:
    (decision,) = submit(cast, 1)
    notice_repeats(cast, decision)
    assert told(cast) == []
