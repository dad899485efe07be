"""Endpoints and deliveries as pages and the API show them. No writes."""

import uuid
from datetime import datetime
from typing import Any

import orjson
from django.urls import reverse

from tenants.models import EndpointKind, WebhookAttempt, WebhookEndpoint
from tenants.webhooks.catalogue import LABELS
from tenants.webhooks.schedule import MOST_ATTEMPTS
from tenants.webhooks.selectors import Page, Sent, health_of, is_overlapping

STATES = {"waiting": "pending", "delivered": "active", "given_up": "failed"}  # as components/state.html colours them


def event_label(event_type: str) -> str:
    """How a type reads; one that is no longer known, as it is."""
    return LABELS.get(event_type, event_type)


def endpoint_row(slug: str, row: WebhookEndpoint, n_waiting: int) -> dict[str, Any]:
    """A line of the list."""
    state, label = health_of(row)
    return {
        "url": reverse("webhook-detail", args=[slug, row.pk]),
        "name": row.name,
        "kind": EndpointKind(row.kind).label,
        "shown": row.shown,
        "events": [event_label(name) for name in row.event_types],
        "state": state,
        "state_label": label,
        "n_waiting": n_waiting,
    }


def endpoint_page(slug: str, row: WebhookEndpoint, page: Page, before: str, now: datetime) -> dict[str, Any]:
    """Everything of an endpoint's page but its forms."""
    url = reverse("webhook-detail", args=[slug, row.pk])
    steps = ("ping", "rotate", "enable", "disable", "remove")
    urls = {f"{step}_url": reverse(f"webhook-{step}", args=[slug, row.pk]) for step in steps}
    return urls | {
        "endpoint": endpoint_row(slug, row, 0),
        "facts": _facts(row, now),
        "trouble": _trouble(row),
        "is_enabled": row.is_enabled,
        "is_signed": row.kind == EndpointKind.GENERIC,
        "deliveries": [_delivery_row(slug, one) for one in page.items],
        "shown": len(page.items),
        "newer_url": url if before else "",
        "older_url": f"{url}?before={page.before}" if page.before else "",
    }


def _facts(row: WebhookEndpoint, now: datetime) -> list[dict[str, str]]:
    events = ", ".join(event_label(name) for name in row.event_types) or "All"
    facts = [("Told as", EndpointKind(row.kind).label), ("Address", row.shown), ("Events", events),
             ("Made", _when(row.created_at))]  # fmt: skip
    if is_overlapping(row, now) and row.previous_until:
        facts.append(("The former secret signs too", f"until {_when(row.previous_until)}"))
    return [{"label": label, "value": value} for label, value in facts]


def _trouble(row: WebhookEndpoint) -> str:
    """What is wrong with it, in a sentence; empty where it is well."""
    if row.disabled_at is not None:
        return f"Disabled {_when(row.disabled_at)}. {row.disabled_because}"
    if row.failing_since is not None:
        return f"Every try since {_when(row.failing_since)} failed. After five days it is disabled."
    return ""


def _when(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M} UTC"


def _delivery_row(slug: str, sent: Sent) -> dict[str, Any]:
    row = sent.delivery
    return {
        "id": str(row.pk),
        "event": event_label(row.event_type),
        "type": row.event_type,
        "title": str(orjson.loads(bytes(row.payload))["data"]["title"]),
        "created_at": row.created_at,
        "state": STATES[row.state],
        "state_label": row.get_state_display(),
        "due_at": row.due_at if row.state == "waiting" else None,
        "tries": f"{row.n_attempts} of {max(MOST_ATTEMPTS, row.n_attempts)}",
        "attempts": [_attempt_row(one) for one in sent.attempts],
        "payload": orjson.dumps(orjson.loads(bytes(row.payload)), option=orjson.OPT_INDENT_2).decode(),
        "resend_url": reverse("webhook-resend", args=[slug, row.pk]),
    }


def _attempt_row(one: WebhookAttempt) -> dict[str, Any]:
    answer = f"HTTP {one.status}" if one.status else ""
    return {"number": one.number, "at": one.at, "answer": answer, "took": f"{one.took_ms:,} ms", "detail": one.detail}


# --- As JSON --------------------------------------------------------------------------------------------------------


def endpoint_document(row: WebhookEndpoint, secret: str = "") -> dict[str, Any]:
    """An endpoint for the API; its secret only in the answer to what made it."""
    state, _ = health_of(row)
    document = {
        "id": str(row.pk),
        "name": row.name,
        "kind": row.kind,
        "address": row.shown,
        "event_types": list(row.event_types),
        "state": "failing" if state == "failed" else state,
        "failing_since": _iso(row.failing_since),
        "disabled_at": _iso(row.disabled_at),
        "disabled_because": row.disabled_because or None,
        "created_at": _iso(row.created_at),
    }
    return document | ({"secret": secret} if secret else {})


def delivery_document(sent: Sent) -> dict[str, Any]:
    """A delivery with its tries for the API."""
    row = sent.delivery
    return {
        "id": str(row.pk),
        "endpoint": str(row.endpoint_id),
        "webhook_id": message_id(row.event_id),
        "type": row.event_type,
        "state": row.state,
        "created_at": _iso(row.created_at),
        "next_try_at": _iso(row.due_at) if row.state == "waiting" else None,
        "settled_at": _iso(row.settled_at),
        "payload": orjson.loads(bytes(row.payload)),
        "attempts": [
            {"number": one.number, "at": _iso(one.at), "took_ms": one.took_ms, "status": one.status,
             "detail": one.detail} for one in sent.attempts
        ],
    }  # fmt: skip


def message_id(event_id: uuid.UUID) -> str:
    """The event's `webhook-id`."""
    return f"msg_{event_id.hex}"


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
