"""An event goes to every endpoint that wants it, in the transaction of the fact it tells of."""

import uuid

from django.conf import settings
from django.urls import reverse

from tenants.context import current_tenant_id
from tenants.models import Tenant, WebhookDelivery, WebhookEndpoint
from tenants.notices import feed
from tenants.webhooks.catalogue import Notice
from tenants.webhooks.formats import payload


def publish(notice: Notice, *, event_id: uuid.UUID) -> int:
    """Queue the event for every endpoint that is enabled and wants its type, and for the bell; returns how many do.

    Call inside the `tenant_atomic` block that makes it happen: it is told if, and only if, it happened. `event_id` is
    the fact's own: published twice, it is told once.
    """
    feed.keep(notice, event_id)
    endpoints = [row for row in WebhookEndpoint.objects.filter(is_enabled=True) if wants(row, notice.type)]
    return queue(notice, event_id, endpoints) if endpoints else 0


def wants(endpoint: WebhookEndpoint, event_type: str) -> bool:
    """Whether it is to be told of these; one that names no type is told of all."""
    return not endpoint.event_types or event_type in endpoint.event_types


def queue(notice: Notice, event_id: uuid.UUID, endpoints: list[WebhookEndpoint]) -> int:
    """One delivery an endpoint, due now, all with the same bytes; one that there is already stays as it is."""
    body = payload(notice, _url(notice))
    rows = [WebhookDelivery(endpoint=row, event_id=event_id, event_type=notice.type, payload=body) for row in endpoints]
    return len(WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True))


def _url(notice: Notice) -> str | None:
    """The page of it, where this site knows its own address."""
    if not settings.AFFIDAVIT_PUBLIC_URL or not notice.page:
        return None
    name, *rest = notice.page
    slug = Tenant.objects.values_list("slug", flat=True).get(pk=current_tenant_id())
    return f"{settings.AFFIDAVIT_PUBLIC_URL}{reverse(name, args=[slug, *rest])}"
