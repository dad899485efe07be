"""Prices of the tenant's own, and restatements: the only writers of either."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from celery import current_app
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Max

from tenants.access import require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.canonical import dumps
from tenants.ledger.log import append
from traces.costs.book import PriceBook, forget_book, own_entry, price_book
from traces.costs.calls import call_of
from traces.costs.pricing import Cost, PriceError, price_sha256
from traces.models import Decision
from traces.models.cost import ModelPrice, RestatedCost, Restatement, RollupQueue
from traces.selectors import members_of, read_contents
from traces.submissions import Submitted

CHUNK = 500
RESTATE_TASK = "traces.tasks.restate_costs"  # by name: tasks stand above services
PRICE_MEMBERS = frozenset(
    {"provider", "model", "currency", "names", "rates", "units", "variants", "valid_from", "valid_to", "note"}
)


def record_price(*, by: Actor, document: Mapping[str, Any]) -> ModelPrice:
    """Keep a price that the tenant agreed on (`costs.pricing.read_price` says what it holds).

    It counts for what happens in its validity and is recorded from now on; for the past there is `restate_costs`.
    One without rates and units ends an agreement: from its `valid_from` on, the published list counts again.
    Raises `ValidationError`.
    """
    require(by, "price.manage")
    known = {name: value for name, value in document.items() if value not in (None, "", {}, [])}
    if unknown := sorted(set(known) - PRICE_MEMBERS):
        raise ValidationError({unknown[0]: "No such member of a price."})
    if not isinstance(known.get("model"), str) or len(known["model"]) > 200:
        raise ValidationError({"model": "Name the model, in at most 200 characters."})
    digest = price_sha256(known)
    try:
        own_entry(0, digest, known)
    except PriceError as error:
        where, _, what = str(error).partition(": ")
        raise ValidationError({where.split(".")[0]: what or where}) from None
    with tenant_atomic(by.tenant_id):
        _lock(by.tenant_id, "prices")
        newest = ModelPrice.objects.aggregate(newest=Max("edition"))["newest"] or 0
        row = ModelPrice.objects.create(
            edition=newest + 1,
            provider=str(known.get("provider") or "").lower(),
            model=known["model"],
            sha256=digest,
            document=dumps(known),
            recorded_by=by.reference,
        )
        append(Tag.PRICE_RECORDED, by=by, body={"price": f"sha256:{digest.hex()}", "document": known}, ref=row.pk)
        transaction.on_commit(lambda: forget_book(by.tenant_id))
    return row


def _lock(tenant_id: uuid.UUID, what: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{what} {tenant_id}"])


# --- Restatements ---------------------------------------------------------------------------------------------------


def restate_costs(*, by: Actor, since: datetime, until: datetime, reason: str) -> Restatement:
    """Ask for today's prices to be applied to the decisions of a time; `run_restatement` does it."""
    require(by, "price.manage")
    if since >= until:
        raise ValidationError({"until": "After since."})
    if not reason.strip():
        raise ValidationError({"reason": "Say why: it is what an auditor will ask."})
    with tenant_atomic(by.tenant_id):
        body = {"since": since.isoformat(), "until": until.isoformat(), "reason": reason.strip()}
        event = append(Tag.COSTS_RESTATED, by=by, body=body)
        restatement = Restatement.objects.create(
            id=event, since=since, until=until, reason=reason.strip(), requested_by=by.reference
        )
        run = partial(current_app.send_task, RESTATE_TASK, [str(by.tenant_id), str(event)])
        transaction.on_commit(run)
    return restatement


def run_restatement(tenant_id: uuid.UUID, pk: uuid.UUID, *, chunk: int = CHUNK) -> int:
    """Write a line for each decision whose number is another today; returns how many. Decisions stay as they are.

    A chunk a transaction. Run again after a crash it only finds what is left: a line is written where the result
    differs from the newest number there is, and the last run has already written the others.
    """
    with tenant_atomic(tenant_id):
        restatement = Restatement.objects.get(pk=pk)
    place: tuple[datetime, uuid.UUID] | None = None
    written = 0
    while True:
        with tenant_atomic(tenant_id):
            _lock(tenant_id, "restatement")
            decisions = _next_decisions(restatement, place, chunk)
            written += _restate(restatement, decisions, price_book(tenant_id))
        if len(decisions) < chunk:
            return written
        place = (decisions[-1].occurred_at, decisions[-1].pk)


def _next_decisions(restatement: Restatement, place: tuple[datetime, uuid.UUID] | None, chunk: int) -> list[Decision]:
    rows = Decision.objects.filter(occurred_at__gte=restatement.since, occurred_at__lt=restatement.until)
    if place is not None:
        beyond = rows.filter(occurred_at=place[0], pk__gt=place[1]) | rows.filter(occurred_at__gt=place[0])
        rows = beyond.filter(occurred_at__gte=place[0])
    return list(rows.order_by("occurred_at", "id")[:chunk])


@dataclass(frozen=True, slots=True)
class _Number:
    micros: int | None
    currency: str
    price_sha256: bytes | None


def _restate(restatement: Restatement, decisions: Sequence[Decision], book: PriceBook) -> int:
    contents = read_contents([decision.pk for decision in decisions])
    newest = _newest_numbers([decision.pk for decision in decisions])
    lines = []
    for decision in decisions:
        if decision.pk not in contents:
            continue  # erased: how it was called is no longer known, so its number stands
        call = call_of(msgspec.convert(members_of(contents[decision.pk]), Submitted, strict=True))
        old = newest.get(decision.pk) or _recorded(decision)
        new = _number(book.cost_of(call, decision.occurred_at) if call else None)
        if new != old:
            lines.append(_line(restatement, decision.pk, old, new))
    RestatedCost.objects.bulk_create(lines)
    RollupQueue.objects.bulk_create([RollupQueue(id=line.pk, restated=True) for line in lines])
    return len(lines)


def _line(restatement: Restatement, decision_id: uuid.UUID, old: _Number, new: _Number) -> RestatedCost:
    return RestatedCost(
        restatement=restatement,
        decision_id=decision_id,
        old_micros=old.micros,
        old_currency=old.currency,
        old_price_sha256=old.price_sha256,
        new_micros=new.micros,
        new_currency=new.currency,
        new_price_sha256=new.price_sha256,
    )


def _number(cost: Cost | None) -> _Number:
    return _Number(cost.micros, cost.currency, cost.price_sha256) if cost else _Number(None, "", None)


def _recorded(decision: Decision) -> _Number:
    digest = bytes(decision.price_sha256) if decision.price_sha256 is not None else None
    return _Number(decision.cost_micros, decision.currency or "", digest)


def _newest_numbers(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, _Number]:
    rows = RestatedCost.objects.filter(decision_id__in=ids).order_by("decision_id", "-id").distinct("decision_id")
    return {
        row.decision_id: _Number(
            row.new_micros, row.new_currency, bytes(row.new_price_sha256) if row.new_price_sha256 is not None else None
        )
        for row in rows
    }
