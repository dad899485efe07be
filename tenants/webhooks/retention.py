"""The log of what was sent is bounded: by age, and by number for each endpoint."""

import uuid
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import QuerySet

from tenants.context import current_tenant_id, tenant_atomic
from tenants.ids import first_uuid_at
from tenants.ledger.canonical import dumps
from tenants.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint

KEPT = timedelta(days=30)
MOST_KEPT = 10_000  # of an endpoint
BATCH = 1_000


def forget_deliveries(tenant_id: uuid.UUID, now: datetime | None = None) -> int:
    """Remove deliveries, with their tries, that are older than a month or beyond the newest of their endpoint.

    In batches of a transaction each: run again, it does what is left. What still waits after a month is for an endpoint
    that is disabled, and goes too.
    """
    before, removed = first_uuid_at((now or datetime.now(UTC)) - KEPT), 0
    with tenant_atomic(tenant_id):
        bounds = [(pk, max(before, _beyond(pk))) for pk in WebhookEndpoint.objects.values_list("pk", flat=True)]
    for endpoint_id, bound in bounds:
        while n := _remove_some(tenant_id, endpoint_id, bound):
            removed += n
    return removed


def _beyond(endpoint_id: uuid.UUID) -> uuid.UUID:
    """The oldest delivery that is kept by number alone; the smallest id there is where they are fewer."""
    ids = WebhookDelivery.objects.filter(endpoint_id=endpoint_id).order_by("-id").values_list("pk", flat=True)
    return next(iter(ids[MOST_KEPT - 1 : MOST_KEPT]), uuid.UUID(int=0))


def _remove_some(tenant_id: uuid.UUID, endpoint_id: uuid.UUID, before: uuid.UUID) -> int:
    with tenant_atomic(tenant_id):
        rows = WebhookDelivery.objects.filter(endpoint_id=endpoint_id, pk__lt=before).order_by("id")
        ids = list(rows.values_list("pk", flat=True)[:BATCH])
        remove_deliveries(WebhookDelivery.objects.filter(pk__in=ids))
        return len(ids)


def forget_name(name: str) -> int:
    """Remove deliveries in which `name` is a whole value; returns how many. Inside `tenant_atomic`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM tenants_webhookdelivery WHERE tenant_id = %s AND position(%s::bytea in payload) > 0",
            [current_tenant_id(), dumps(name)],
        )
        ids = [row[0] for row in cursor.fetchall()]
    remove_deliveries(WebhookDelivery.objects.filter(pk__in=ids))
    return len(ids)


def remove_deliveries(rows: QuerySet[WebhookDelivery]) -> None:
    """Take them away with their tries: two statements, in the caller's transaction."""
    WebhookAttempt.objects.filter(delivery__in=rows).delete()
    rows.delete()
