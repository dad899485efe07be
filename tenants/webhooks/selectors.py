"""Reads of endpoints and of what was sent to them."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.models import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tenants.webhooks.services import PERMISSION

PAGE_SIZE = 50
ATTEMPTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery with its tries, the newest first."""

    delivery: WebhookDelivery
    attempts: Sequence[WebhookAttempt]


@dataclass(frozen=True, slots=True)
class Page:
    """Some deliveries, newest first; `before` goes on (None on the last page)."""

    items: Sequence[Sent]
    before: uuid.UUID | None


def list_endpoints(actor: Actor) -> list[WebhookEndpoint]:
    """Every endpoint of the tenant, by name: there are few."""
    require(actor, PERMISSION)
    return list(WebhookEndpoint.objects.order_by("name"))


def get_endpoint(actor: Actor, pk: uuid.UUID) -> WebhookEndpoint:
    """One endpoint, or 404."""
    require(actor, PERMISSION)
    return get_row(WebhookEndpoint.objects.all(), pk=pk)


def get_delivery(actor: Actor, pk: uuid.UUID) -> WebhookDelivery:
    """One delivery, or 404."""
    require(actor, PERMISSION)
    return get_row(WebhookDelivery.objects.all(), pk=pk)


def waiting_counts(endpoints: Sequence[WebhookEndpoint]) -> Mapping[uuid.UUID, int]:
    """How many deliveries wait for each: one query."""
    rows = WebhookDelivery.objects.filter(endpoint__in=endpoints, state=DeliveryState.WAITING)
    return dict(rows.order_by().values_list("endpoint_id").annotate(Count("id")))


def list_deliveries(endpoint: WebhookEndpoint, *, before: uuid.UUID | None = None, size: int = PAGE_SIZE) -> Page:
    """The newest deliveries of an endpoint with their last tries: two queries, whatever is stored."""
    below = Q(pk__lt=before) if before else Q()
    rows = list(WebhookDelivery.objects.filter(below, endpoint=endpoint).order_by("-id")[: size + 1])
    more, rows = len(rows) > size, rows[:size]
    return Page(_with_attempts(rows), rows[-1].pk if more else None)


def with_attempts(delivery: WebhookDelivery) -> Sent:
    """One delivery beside its last tries."""
    return _with_attempts([delivery])[0]


def _with_attempts(rows: Sequence[WebhookDelivery]) -> list[Sent]:
    found = WebhookAttempt.objects.filter(delivery__in=[row.pk for row in rows]).order_by("-number")
    by_delivery: dict[uuid.UUID, list[WebhookAttempt]] = {row.pk: [] for row in rows}
    for attempt in found:
        by_delivery[attempt.delivery_id].append(attempt)
    return [Sent(row, by_delivery[row.pk][:ATTEMPTS_SHOWN]) for row in rows]


def health_of(endpoint: WebhookEndpoint) -> tuple[str, str]:
    """The endpoint's state, and how to say it."""
    if not endpoint.is_enabled:
        return "disabled", "Disabled"
    if endpoint.failing_since is not None:
        return "failed", "Failing"
    return "active", "Enabled"


def is_overlapping(endpoint: WebhookEndpoint, now: datetime) -> bool:
    """Whether a replaced secret still signs."""
    return endpoint.previous_until is not None and now < endpoint.previous_until
