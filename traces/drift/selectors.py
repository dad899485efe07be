"""Reads of alerts: the list, one with its evidence, and the series behind a chart."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db.models import Q, QuerySet

from tenants.access import get_row, require
from tenants.actors import Actor
from traces.drift.severity import severity_of
from traces.models import Deployment
from traces.models.drift import DriftAlert, DriftAlertState, DriftStanding, DriftWatch
from traces.recording import rfc3339

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """An alert as it is now: its newest word, the id it is known by, and where it stands."""

    id: uuid.UUID
    alert: DriftAlert
    state: DriftAlertState
    deployment: Deployment

    @property
    def document(self) -> dict[str, Any]:
        """The evidence."""
        return dict(orjson.loads(bytes(self.alert.document)))


def list_alerts(*, before: datetime | None = None, size: int = PAGE_SIZE) -> list[Shown]:
    """The newest alerts, each once; `before` goes on from a page's last `noticed_at`."""
    rows = DriftAlert.objects.filter(supersedes_id=None)
    if before is not None:
        rows = rows.filter(noticed_at__lt=before)
    return _shown(list(rows.order_by("-noticed_at", "-id")[:size]))


def open_alerts(now: datetime, size: int) -> list[DriftAlert]:
    """The newest alerts that nobody has taken on, as they were first told, with their deployments. One query."""
    standing = Q(standing=DriftStanding.OPEN) | Q(standing=DriftStanding.MUTED, muted_until__lte=now)
    rows = DriftAlert.objects.filter(pk__in=DriftAlertState.objects.filter(standing).values("pk"))
    return list(rows.select_related("deployment").defer("document").order_by("-noticed_at", "-id")[:size])


def ripe_alerts(
    first: uuid.UUID,
    kinds: Sequence[str],
    *,
    now: datetime,
    patience: timedelta,
    without: QuerySet[Any, Any],
    most: int,
) -> list[Shown]:
    """The oldest alerts of these kinds from an id on that somebody should look into, but those that `without` names.

    A change counts once it is worked out, or after `patience`; one that is expected, or muted now, does not.
    """
    worked_out = DriftAlert.objects.filter(supersedes_id__gte=first).values("supersedes_id")
    settled = DriftAlertState.objects.filter(
        Q(standing=DriftStanding.EXPECTED) | Q(standing=DriftStanding.MUTED, muted_until__gt=now), pk__gte=first
    )
    rows = DriftAlert.objects.filter(
        Q(final=True) | Q(recorded_at__lte=now - patience) | Q(pk__in=worked_out),
        pk__gte=first, supersedes_id=None, kind__in=kinds,
    )  # fmt: skip
    rows = rows.exclude(pk__in=without).exclude(pk__in=settled.values("pk"))
    return _shown(list(rows.order_by("id")[:most]))


def get_alert(actor: Actor, pk: uuid.UUID) -> Shown:
    """One alert by the id it became known by, or 404."""
    require(actor, "decision.read")
    return _shown([get_row(DriftAlert.objects.filter(supersedes_id=None), pk=pk)])[0]


def _shown(firsts: list[DriftAlert]) -> list[Shown]:
    ids = [alert.pk for alert in firsts]
    later = {alert.supersedes_id: alert for alert in DriftAlert.objects.filter(supersedes_id__in=ids)}
    states = DriftAlertState.objects.in_bulk(ids)
    deployments = Deployment.objects.in_bulk({alert.deployment_id for alert in firsts})
    return [
        Shown(alert.pk, later.get(alert.pk, alert), states[alert.pk], deployments[alert.deployment_id])
        for alert in firsts
    ]


@dataclass(frozen=True, slots=True)
class Watched:
    """A deployment and how far its baseline is."""

    deployment: Deployment
    n_seen: int
    forming: bool


def list_watched(limit: int = 200) -> list[Watched]:
    """Deployments that are watched, the most recently active first."""
    rows = list(DriftWatch.objects.defer("state").order_by("-seen_to")[:limit])
    deployments = Deployment.objects.in_bulk([row.pk for row in rows])
    return [Watched(deployments[row.pk], row.n_seen, row.n_seen < 200) for row in rows if row.pk in deployments]


def as_json(shown: Shown, *, with_evidence: bool = False) -> dict[str, Any]:
    """An alert for the API."""
    alert, state = shown.alert, shown.state
    found: dict[str, Any] = {
        "id": str(shown.id),
        "kind": alert.kind,
        "severity": severity_of(alert.kind),
        "deployment": {name: getattr(shown.deployment, name) for name in ("system", "environment", "task")},
        "segment": alert.segment or None,
        "channel": alert.channel if alert.p is not None else alert.kind,
        "cause": alert.cause,
        "p": alert.p,
        "noticed_at": rfc3339(alert.noticed_at),
        "onset": {
            "at": rfc3339(alert.onset_at),
            "low": rfc3339(alert.onset_low_at),
            "high": rfc3339(alert.onset_high_at),
            "ramp_end": rfc3339(alert.ramp_end_at) if alert.ramp_end_at else None,
        },
        "final": alert.final,
        "standing": _standing(state, datetime.now(UTC)),
    }
    return found | ({"evidence": shown.document} if with_evidence else {})


def _standing(state: DriftAlertState, now: datetime) -> Mapping[str, Any]:
    return {
        "value": state.standing_at(now),
        "note": state.note,
        "by": state.changed_by or None,
        "at": rfc3339(state.changed_at),
        "muted_until": rfc3339(state.muted_until) if state.muted_until else None,
    }
