"""Endpoints: every change that a person or a program makes, each with its leaf. The log never holds a whole address."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import uuid7_now
from tenants.ledger.log import append
from tenants.models import DeliveryState, EndpointKind, WebhookDelivery, WebhookEndpoint
from tenants.webhooks.addresses import checked_address, shown_address
from tenants.webhooks.catalogue import CHOOSABLE, EventType, Notice
from tenants.webhooks.publishing import queue
from tenants.webhooks.retention import remove_deliveries
from tenants.webhooks.sealing import seal_text
from tenants.webhooks.signing import new_secret

PERMISSION = "webhook.manage"
MOST_ENDPOINTS = 20
MOST_TRIES = 100  # of one delivery, by hand and by the schedule
OVERLAP = timedelta(days=1)  # in which a replaced secret signs too


@dataclass(frozen=True, slots=True)
class EndpointTerms:
    """What an endpoint is. `event_types` empty: all of them. `address` is a URL, or an e-mail address."""

    name: str
    address: str
    kind: str = EndpointKind.GENERIC
    event_types: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class NewSecret:
    """An endpoint, and the only moment its secret can be seen; empty for kinds that sign nothing."""

    row: WebhookEndpoint
    secret: str


def create_endpoint(*, by: Actor, terms: EndpointTerms) -> NewSecret:
    """Somebody to be told from now on. Raises `ValidationError`."""
    require(by, PERMISSION)
    address, pk = checked_address(terms.kind, terms.address), uuid7_now()
    secret = new_secret() if terms.kind == EndpointKind.GENERIC else ""
    with tenant_atomic(by.tenant_id):
        if WebhookEndpoint.objects.count() >= MOST_ENDPOINTS:
            raise ValidationError(f"There are {MOST_ENDPOINTS} endpoints already; remove one first.")
        row = WebhookEndpoint(
            id=pk,
            kind=terms.kind,
            address=seal_text(by.tenant_id, pk, address),
            shown=shown_address(terms.kind, address),
            secret=seal_text(by.tenant_id, pk, secret),
            previous_secret=b"",
        )
        _name(row, terms)
        append(Tag.WEBHOOK_CREATED, by=by, body=_body(row), ref=pk)
    return NewSecret(row, secret)


def change_endpoint(*, by: Actor, pk: uuid.UUID, terms: EndpointTerms) -> WebhookEndpoint:
    """Another name, address or choice of events; an empty address stays as it is, the kind always does."""
    require(by, PERMISSION)
    with tenant_atomic(by.tenant_id):
        row = _locked(pk)
        before = _body(row)
        if terms.address.strip():
            address = checked_address(row.kind, terms.address)
            row.address, row.shown = seal_text(by.tenant_id, pk, address), shown_address(row.kind, address)
        _name(row, terms)
        append(Tag.WEBHOOK_CHANGED, by=by, body=_body(row) | {"before": before}, ref=pk)
    return row


def _name(row: WebhookEndpoint, terms: EndpointTerms) -> None:
    """Set what both steps may set, and store the row."""
    unknown = set(terms.event_types) - set(CHOOSABLE)
    if unknown:
        raise ValidationError({"event_types": f"No such event: {', '.join(sorted(unknown))}."})
    row.name, row.event_types = terms.name.strip(), sorted(set(terms.event_types))
    row.full_clean(exclude=["address", "secret", "previous_secret", "event_types"], validate_unique=False)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise ValidationError({"name": "There is an endpoint of this name already."}) from None


def rotate_secret(*, by: Actor, pk: uuid.UUID, overlap: timedelta = OVERLAP) -> NewSecret:
    """A new secret; for `overlap` everything is signed under the old one too, so that no verifier fails meanwhile."""
    require(by, PERMISSION)
    with tenant_atomic(by.tenant_id):
        row = _locked(pk)
        if row.kind != EndpointKind.GENERIC:
            raise ValidationError("Only what is sent to a program is signed.")
        secret, until = new_secret(), datetime.now(UTC) + overlap
        row.previous_secret, row.previous_until = row.secret, until
        row.secret = seal_text(by.tenant_id, pk, secret)
        row.save(update_fields=["secret", "previous_secret", "previous_until"])
        append(Tag.WEBHOOK_SECRET_ROTATED, by=by, body=_body(row) | {"until": until.isoformat()}, ref=pk)
    return NewSecret(row, secret)


def enable_endpoint(*, by: Actor, pk: uuid.UUID) -> WebhookEndpoint:
    """Tell it again, what waits for it first. Doing it twice changes nothing."""
    require(by, PERMISSION)
    with tenant_atomic(by.tenant_id):
        row = _locked(pk)
        if not row.is_enabled:
            row.is_enabled, row.disabled_at, row.disabled_because, row.failing_since = True, None, "", None
            row.save(update_fields=["is_enabled", "disabled_at", "disabled_because", "failing_since"])
            append(Tag.WEBHOOK_ENABLED, by=by, body=_body(row), ref=pk)
    return row


def disable_endpoint(*, by: Actor, pk: uuid.UUID, reason: str = "") -> WebhookEndpoint:
    """Tell it nothing for now: what happens meanwhile is not kept for it. Doing it twice changes nothing."""
    require(by, PERMISSION)
    with tenant_atomic(by.tenant_id):
        row = _locked(pk)
        stop_telling(row, by, reason.strip() or "By hand.", datetime.now(UTC))
    return row


def stop_telling(row: WebhookEndpoint, by: Actor, reason: str, at: datetime) -> None:
    """Disable a locked endpoint, by hand or because it fails; inside the caller's transaction."""
    if not row.is_enabled:
        return
    row.is_enabled, row.disabled_at, row.disabled_because = False, at, reason[:200]
    row.save(update_fields=["is_enabled", "disabled_at", "disabled_because"])
    append(Tag.WEBHOOK_DISABLED, by=by, body=_body(row) | {"reason": row.disabled_because}, ref=row.pk)


def remove_endpoint(*, by: Actor, pk: uuid.UUID) -> None:
    """Take it away with the log of what it was sent; the ledger keeps that it was there."""
    require(by, PERMISSION)
    with tenant_atomic(by.tenant_id):
        row = _locked(pk)
        append(Tag.WEBHOOK_REMOVED, by=by, body=_body(row), ref=pk)
        remove_deliveries(WebhookDelivery.objects.filter(endpoint=row))
        row.delete()


def ping_endpoint(*, by: Actor, pk: uuid.UUID) -> WebhookDelivery:
    """Send a test, whatever it wants to be told of; it is tried and signed as everything else."""
    require(by, PERMISSION)
    with tenant_atomic(by.tenant_id):
        row, event_id = _locked(pk), uuid7_now()
        if not row.is_enabled:
            raise ValidationError("It is disabled; enable it first.")
        notice = Notice(
            EventType.PING, datetime.now(UTC), "A test from Affidavit",
            f"{by.label} asked whether “{row.name}” is reached. It is.", ("webhook-detail", str(pk)),
            {"endpoint": str(pk)},
        )  # fmt: skip
        queue(notice, event_id, [row])
        return WebhookDelivery.objects.get(endpoint=row, event_id=event_id)


def resend(*, by: Actor, pk: uuid.UUID) -> WebhookDelivery:
    """Send a delivery again now, under the same id; where its tries are used up, once. One that waits: sooner."""
    require(by, PERMISSION)
    with tenant_atomic(by.tenant_id):
        row = get_row(WebhookDelivery.objects.select_for_update(of=("self",)).select_related("endpoint"), pk=pk)
        if not row.endpoint.is_enabled:
            raise ValidationError("Its endpoint is disabled; enable it first.")
        if row.n_attempts >= MOST_TRIES:
            raise ValidationError(f"It was tried {row.n_attempts} times; that is enough.")
        row.state, row.due_at, row.settled_at = DeliveryState.WAITING, datetime.now(UTC), None
        row.save(update_fields=["state", "due_at", "settled_at"])
    return row


def _locked(pk: uuid.UUID) -> WebhookEndpoint:
    return get_row(WebhookEndpoint.objects.select_for_update(), pk=pk)


def _body(row: WebhookEndpoint) -> dict[str, Any]:
    return {"endpoint": str(row.pk), "name": row.name, "kind": row.kind, "address": row.shown,
            "event_types": list(row.event_types)}  # fmt: skip
