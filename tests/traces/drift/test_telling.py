"""An alert is told in the transaction that stores it, with what and where, and nobody's words or name."""

import uuid
from datetime import UTC, datetime

import orjson

from tenants.context import tenant_atomic
from tenants.models import WebhookDelivery
from tenants.webhooks.services import EndpointTerms, create_endpoint
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from traces.drift import alerting
from traces.drift.events import Event
from traces.models import Decision

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def notice_repeats(cast: Cast, decision: uuid.UUID, who: str = "u-1032") -> None:
    at = NOW.timestamp()
    event = Event("repeated_requests", who, at - 60, at, 6, str(decision), "6 identical requests, seconds apart")
    with tenant_atomic(cast.tenant.pk):
        alerting.write(cast.tenant.pk, Decision.objects.get(pk=decision).deployment_id, event, None, at)


def told(cast: Cast) -> list[dict[str, object]]:
    with tenant_atomic(cast.tenant.pk):
        return [orjson.loads(bytes(row.payload)) for row in WebhookDelivery.objects.order_by("id")]


def test_an_alert_is_told_once_and_without_names(cast: Cast) -> None:
    create_endpoint(by=cast.owner, terms=EndpointTerms("Us", "https://hooks.example.com/"))
    (decision,) = submit(cast, 1)
    notice_repeats(cast, decision)
    notice_repeats(cast, decision)
    (event,) = told(cast)
    data = event["data"]
    assert isinstance(data, dict)
    assert (event["type"], data["kind"]) == ("drift_alert.noticed", "repeated_requests")
    assert data["title"] == "Repeated requests: loan-assistant · production · pre-screening"
    assert data["text"] == "6 identical requests, seconds apart, since 25 Nov 2026, 11:59 UTC."
    assert "u-1032" not in orjson.dumps(event).decode()


def test_with_nobody_to_tell_nothing_is_kept(cast: Cast) -> None:
    (decision,) = submit(cast, 1)
    notice_repeats(cast, decision)
    assert told(cast) == []
