"""What others are told of an alert: what, where, since when, why; never what anybody asked or answered."""

import uuid
from datetime import UTC, datetime
from typing import Any

from tenants.webhooks.catalogue import EventType, Notice
from tenants.webhooks.publishing import publish
from traces.drift.muting import is_muted
from traces.drift.names import channel_name
from traces.drift.severity import severity_of
from traces.models import Deployment
from traces.models.drift import DriftAlert


def tell(alert: DriftAlert) -> None:
    """Queue it for who wants to know, unless it is muted, in the transaction that stores the alert."""
    now = datetime.now(UTC)
    if is_muted(alert, now):
        return
    deployment = Deployment.objects.get(pk=alert.deployment_id)
    publish(notice_of(alert, deployment, now), event_id=alert.pk)


def notice_of(alert: DriftAlert, deployment: Deployment, now: datetime) -> Notice:
    """The alert as an event. The second row of a change is told as what it adds to the first. Pure."""
    first: uuid.UUID = alert.supersedes_id or alert.pk
    where = f"{deployment}{f', segment {alert.segment}' if alert.segment else ''}"
    data: dict[str, Any] = {
        "alert": str(first),
        "kind": alert.kind,
        "severity": severity_of(alert.kind),
        "deployment": {name: getattr(deployment, name) for name in ("system", "environment", "task")},
        "segment": alert.segment or None,
        "channel": alert.channel if alert.p is not None else None,
        "cause": alert.cause,
        "p": alert.p,
        "onset_at": alert.onset_at.isoformat(),
        "noticed_at": alert.noticed_at.isoformat(),
        "final": alert.final,
    }
    kind = EventType.DRIFT_WORKED_OUT if alert.supersedes_id else EventType.DRIFT_NOTICED
    return Notice(kind, now, f"{_what(alert)}: {where}", _text(alert), ("drift-detail", str(first)), data)


def _what(alert: DriftAlert) -> str:
    return f"{alert.get_kind_display()}, worked out" if alert.supersedes_id else alert.get_kind_display()


def _text(alert: DriftAlert) -> str:
    since = f"{alert.onset_at:%-d %b %Y, %H:%M} UTC"
    cause = alert.cause[:1].upper() + alert.cause[1:]
    if alert.p is None:
        return f"{cause}, since {since}."
    return f"{channel_name(alert.channel)}, since {since}. Likeliest cause: {cause}."
