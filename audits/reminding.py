"""A case whose day comes near is told of, once for each day that was set: to webhooks, and to who works on it."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from audits.models import Case
from audits.telling import due_soon
from audits.workflow import State
from tenants.context import tenant_atomic
from tenants.webhooks.publishing import publish

AHEAD = timedelta(days=3)
BEHIND = timedelta(days=7)  # what nobody was told of while no worker ran
MOST = 200
OVER = (State.REPORTED, State.CLOSED, State.CANCELLED, State.ON_HOLD)
NAMESPACE = uuid.UUID("b5a5be0a-0c1f-5a83-8a1c-4c1f4f6d2b30")


def remind_of_cases(tenant_id: uuid.UUID, now: datetime | None = None) -> int:
    """Tell of each open case that is due within three days; told again, it is told once. Returns how many are."""
    moment = now or datetime.now(UTC)
    with tenant_atomic(tenant_id):
        cases = list(_due(moment))
        for case in cases:
            publish(due_soon(case, moment), event_id=uuid.uuid5(NAMESPACE, f"{case.pk} {case.due}"))
    return len(cases)


def _due(now: datetime) -> Iterable[Case]:
    today = now.date()
    rows = Case.objects.exclude(state__in=OVER).filter(due__gte=today - BEHIND, due__lte=today + AHEAD)
    return rows.order_by("due", "number")[:MOST]
