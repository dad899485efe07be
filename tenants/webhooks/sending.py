"""Sends what is due: takes it, sends it with no transaction open, writes down what came of it.

1. `claim` takes due deliveries and moves each `due_at` on by a lease, in one transaction. Two senders never take the
   same one; a sender that is killed leaves its deliveries due again when the lease ends.
2. `send` talks to the outside, in threads, without the database.
3. `record` writes the try and what follows: delivered, tried again later, or given up; an endpoint that says it is
   gone, or did nothing but fail for days, is disabled.

So an event arrives at least once, under one `webhook-id`, by which a receiver knows a repetition.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import DatabaseError
from django.db.models import F

from tenants.actors import system_actor
from tenants.context import tenant_atomic
from tenants.crypto import SealError
from tenants.ids import uuid7_now
from tenants.models import DeliveryState, EndpointKind, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tenants.webhooks import formats, signing, transport
from tenants.webhooks.catalogue import EventType, Notice
from tenants.webhooks.guard import parse_url
from tenants.webhooks.publishing import publish
from tenants.webhooks.schedule import is_hopeless, next_try
from tenants.webhooks.sealing import open_text
from tenants.webhooks.services import PERMISSION, stop_telling

LEASE = timedelta(minutes=5)  # more than a whole round can take
A_ROUND = 100  # deliveries, of all tenants together
AN_ENDPOINT = 8  # of one endpoint in a round; of one that is failing, a single one
THREADS = 16
DETAIL_CHARACTERS = 1_000
GONE = 410
logger = logging.getLogger("affidavit.webhooks")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A delivery that was taken, with all that sending it needs."""

    tenant_id: uuid.UUID
    delivery_id: uuid.UUID
    endpoint_id: uuid.UUID
    kind: str
    address: str
    secrets: Sequence[str]
    message_id: str
    body: bytes
    number: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try. `status` is None where nobody answered; of e-mail always."""

    outgoing: Outgoing
    at: datetime
    took_ms: int
    is_delivered: bool
    status: int | None
    detail: str
    retry_after: int | None = None


def send_due(tenants: Sequence[uuid.UUID], now: datetime | None = None) -> int:
    """One round over these tenants; returns how many deliveries were tried. One tenant's trouble is not another's."""
    moment = now or datetime.now(UTC)
    taken: list[Outgoing] = []
    for tenant_id in tenants:
        if len(taken) >= A_ROUND:
            break
        try:
            taken += claim(tenant_id, moment, A_ROUND - len(taken))
        except (DatabaseError, SealError):
            logger.exception("the deliveries of tenant %s could not be taken", tenant_id)
    if taken:
        with ThreadPoolExecutor(max_workers=min(THREADS, len(taken))) as pool:
            for outcome in pool.map(send, taken):
                _record_or_log(outcome)
    return len(taken)


def claim(tenant_id: uuid.UUID, now: datetime, most: int = A_ROUND) -> list[Outgoing]:
    """Take what is due of a tenant, the longest due of each endpoint first; its try counts from now on."""
    with tenant_atomic(tenant_id):
        due = WebhookDelivery.objects.filter(state=DeliveryState.WAITING, due_at__lte=now)
        waiting = set(due.order_by().values_list("endpoint_id", flat=True).distinct())
        if not waiting:
            return []
        taken: list[Outgoing] = []
        for endpoint in WebhookEndpoint.objects.filter(pk__in=waiting, is_enabled=True).order_by("pk"):
            size = min(1 if endpoint.failing_since else AN_ENDPOINT, most - len(taken))
            rows = list(due.filter(endpoint=endpoint).select_for_update(skip_locked=True).order_by("due_at")[:size])
            secrets = _secrets(endpoint, now) if rows else []
            taken += [_outgoing(endpoint, row, secrets) for row in rows]
        ids = [one.delivery_id for one in taken]
        WebhookDelivery.objects.filter(pk__in=ids).update(due_at=now + LEASE, n_attempts=F("n_attempts") + 1)
        return taken


def _secrets(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    sealed = [bytes(endpoint.secret)]
    if endpoint.previous_until and now < endpoint.previous_until:
        sealed.append(bytes(endpoint.previous_secret))
    return [open_text(endpoint.tenant_id, endpoint.pk, one) for one in sealed if one]


def _outgoing(endpoint: WebhookEndpoint, row: WebhookDelivery, secrets: Sequence[str]) -> Outgoing:
    address = open_text(endpoint.tenant_id, endpoint.pk, bytes(endpoint.address))
    return Outgoing(
        endpoint.tenant_id, row.pk, endpoint.pk, endpoint.kind, address, secrets,
        f"msg_{row.event_id.hex}", bytes(row.payload), row.n_attempts + 1,
    )  # fmt: skip


def send(outgoing: Outgoing) -> Outcome:
    """Try once. Whatever the other side does is an outcome, never an error."""
    at, began = datetime.now(UTC), time.monotonic()
    try:
        answer = _mail(outgoing) if outgoing.kind == EndpointKind.EMAIL else _post(outgoing, int(at.timestamp()))
    except (OSError, ValidationError) as error:
        told = " ".join(error.messages) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        return Outcome(outgoing, at, _ms(began), False, None, told[:DETAIL_CHARACTERS])
    is_delivered = outgoing.kind == EndpointKind.EMAIL or 200 <= answer.status < 300
    status = None if outgoing.kind == EndpointKind.EMAIL else answer.status
    head = answer.head[:DETAIL_CHARACTERS]
    return Outcome(outgoing, at, _ms(began), is_delivered, status, head, answer.retry_after)


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _post(outgoing: Outgoing, timestamp: int) -> transport.Answer:
    body = formats.slack(outgoing.body) if outgoing.kind == EndpointKind.SLACK else outgoing.body
    signed = signing.headers(outgoing.secrets, outgoing.message_id, timestamp, body) if outgoing.secrets else {}
    headers = {"Content-Type": "application/json", "User-Agent": "Affidavit-Webhooks/1"} | signed
    return transport.post(parse_url(outgoing.address), body, headers)


def _mail(outgoing: Outgoing) -> transport.Answer:
    """By the operator's mail server. The message id is the event's: mail programs know a repetition by it."""
    letter = formats.letter(outgoing.body)
    headers = {"Message-ID": f"<{outgoing.message_id}@affidavit>", "Auto-Submitted": "auto-generated"}
    EmailMessage(letter.subject, letter.text, None, [outgoing.address], headers=headers).send()
    return transport.Answer(250, "The mail server took it.")


def _record_or_log(outcome: Outcome) -> None:
    try:
        record(outcome)
    except DatabaseError:  # it is due again when its lease ends
        logger.exception("a try of delivery %s could not be written down", outcome.outgoing.delivery_id)


def record(outcome: Outcome) -> None:
    """Write the try down, and what follows from it. A delivery that is gone with its endpoint is left alone."""
    outgoing = outcome.outgoing
    with tenant_atomic(outgoing.tenant_id):
        endpoint = WebhookEndpoint.objects.select_for_update().filter(pk=outgoing.endpoint_id).first()
        row = WebhookDelivery.objects.select_for_update().filter(pk=outgoing.delivery_id).first()
        if endpoint is None or row is None:
            return
        WebhookAttempt.objects.create(
            delivery=row, number=outgoing.number, at=outcome.at, took_ms=outcome.took_ms,
            status=outcome.status, detail=outcome.detail,
        )  # fmt: skip
        if row.state == DeliveryState.WAITING:
            _settle(row, outcome)
        _judge(endpoint, outcome)


def _settle(row: WebhookDelivery, outcome: Outcome) -> None:
    now = datetime.now(UTC)
    if outcome.is_delivered:
        row.state, row.settled_at = DeliveryState.DELIVERED, now
    elif row.n_attempts > outcome.outgoing.number:
        return  # taken again since: that try decides
    elif again := next_try(row.n_attempts, now, outcome.retry_after):
        row.due_at = again
    else:
        row.state, row.settled_at = DeliveryState.GIVEN_UP, now
    row.save(update_fields=["state", "settled_at", "due_at"])


def _judge(endpoint: WebhookEndpoint, outcome: Outcome) -> None:
    """Whether the endpoint is well: since when it fails, and whether that is too long."""
    if outcome.is_delivered:
        if endpoint.failing_since is not None:
            endpoint.failing_since = None
            endpoint.save(update_fields=["failing_since"])
        return
    if endpoint.failing_since is None:
        endpoint.failing_since = outcome.at
        endpoint.save(update_fields=["failing_since"])
    if outcome.status == GONE:
        _give_up(endpoint, "It answered 410 Gone.", outcome.at)
    elif is_hopeless(endpoint.failing_since, outcome.at, outcome.outgoing.number):
        _give_up(endpoint, f"It has failed since {endpoint.failing_since:%-d %b %Y}.", outcome.at)


def _give_up(endpoint: WebhookEndpoint, reason: str, at: datetime) -> None:
    """Disable it, and tell everybody else: who listens there would learn by silence."""
    if not endpoint.is_enabled:
        return
    stop_telling(endpoint, system_actor(endpoint.tenant_id, "webhooks"), reason, at)
    data = {"endpoint": str(endpoint.pk), "name": endpoint.name, "reason": reason}
    title, page = f"“{endpoint.name}” is told no more", ("webhook-detail", str(endpoint.pk))
    publish(Notice(EventType.ENDPOINT_DISABLED, at, title, reason, page, data, PERMISSION), event_id=uuid7_now())
