"""How long content is kept: rules with floors, what they would let go today, and the runs that let it go.

A run goes through a rule's contents from the oldest, a batch a transaction, past what holds and open cases keep. It
ends with a receipt in the ledger: counts, and a digest over the records. Killed anywhere, the next one goes on.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from audits.erasing import records_under
from audits.holds import held_by, live_holds
from audits.models import CaseItem, Purge, PurgeState, RetentionRule
from audits.retention_classes import CLASSES, RetentionClass
from audits.workflow import State
from tenants.access import require
from tenants.actors import Actor, system_actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import first_uuid_at
from tenants.ledger.log import append
from traces.erasing import BATCH, Under, destroy_unused_keys, erase_contents, forget_usage
from traces.models import Decision, DecisionPayload, Deployment, Feedback, SpanContent

MOST_DAYS = 36_525
MOST_SHOWN = 50
COUNTED = 10_000  # contents of a preview; more are told as more
LOOKED_AT = 1_000  # of these, asked whether something keeps them
SETTLED = (State.CLOSED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would let go now: how many contents (up to `COUNTED`), and how many of the oldest are kept."""

    rule: RetentionRule
    before: datetime
    count: int
    held: int


def set_retention(*, by: Actor, system: str, retention_class: str, keep_days: int) -> RetentionRule:
    """Say how long a system's content is kept. Raises `ValidationError` below the floor of its class."""
    require(by, "retention.manage")
    known = _known(retention_class, keep_days)
    system = system.strip()
    with tenant_atomic(by.tenant_id):
        if system and not Deployment.objects.filter(system=system).exists():
            raise ValidationError({"system": "No record came from a system of this name."})
        row = RetentionRule.objects.select_for_update().filter(system=system).first()
        before = row.keep_days if row else None
        row = row or RetentionRule(system=system)
        row.retention_class, row.floor_days, row.keep_days = known.id, known.floor_days, keep_days
        row.set_by, row.set_label, row.set_at = by.reference, by.label, datetime.now(UTC)
        row.save()
        body = {"system": system, "class": known.id, "floor_days": known.floor_days, "keep_days": keep_days}
        append(Tag.RETENTION_SET, by=by, body=body | {"before": before}, ref=row.pk)
    return row


def _known(retention_class: str, keep_days: int) -> RetentionClass:
    known = CLASSES.get(retention_class)
    if known is None:
        raise ValidationError({"retention_class": "One of the classes."})
    if not known.floor_days <= keep_days <= MOST_DAYS:
        raise ValidationError({"keep_days": f"At least {known.floor_days} days: {known.source}."})
    return known


def rules() -> "QuerySet[RetentionRule]":
    """Every rule, those of a system first. Inside `tenant_atomic`."""
    return RetentionRule.objects.order_by("-system")


def previews(by: Actor, now: datetime) -> list[Preview]:
    """What each rule would let go now. Nothing is touched. Inside `tenant_atomic`."""
    require(by, "retention.read")
    return [_preview(rule, now) for rule in rules()]


def _preview(rule: RetentionRule, now: datetime) -> Preview:
    before = now - timedelta(days=rule.keep_days)
    ids = list(due(rule.system, before).values_list("pk", flat=True)[: COUNTED + 1])
    return Preview(rule, before, len(ids), len(kept_among(ids[:LOOKED_AT])))


def due(system: str, before: datetime) -> "QuerySet[DecisionPayload]":
    """Contents of a system's decisions that were received before then, the oldest first. Inside `tenant_atomic`.

    Without a system: of all that have no rule of their own, and what came apart from a span that never came.
    """
    places = Deployment.objects.filter(system=system) if system else _without_rule()
    own = Decision.objects.filter(pk=OuterRef("pk"), deployment_id__in=places.values("pk"))
    span = SpanContent.objects.filter(pk=OuterRef("pk"))
    decision = Decision.objects.filter(trace_id=OuterRef("trace_id"), span_id=OuterRef("span_id"))
    late = span.filter(Exists(decision.filter(deployment_id__in=places.values("pk"))))
    wanted = Q(Exists(own)) | Q(Exists(late))
    if not system:
        wanted |= Q(Exists(span.filter(~Exists(decision))))
    return DecisionPayload.objects.filter(wanted, pk__lt=first_uuid_at(before)).order_by("pk")


def _without_rule() -> "QuerySet[Deployment]":
    return Deployment.objects.exclude(system__in=RetentionRule.objects.exclude(system="").values("system"))


def kept_among(ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these contents a hold or an open case keeps."""
    of = {pk: pk for pk in ids}
    for pk, trace_id, span_id in SpanContent.objects.filter(pk__in=ids).values_list("pk", "trace_id", "span_id"):
        decision = Decision.objects.filter(trace_id=trace_id, span_id=span_id).values_list("pk", flat=True).first()
        of[pk] = decision or pk
    asked = set(of.values())
    open_items = CaseItem.objects.filter(decision_id__in=asked).exclude(case__state__in=SETTLED)
    kept = set(open_items.values_list("decision_id", flat=True))
    for hold in live_holds().select_related("case"):
        kept |= set(held_by(hold).filter(pk__in=asked - kept).values_list("pk", flat=True))
    return {pk for pk, decision in of.items() if decision in kept}


def purge(tenant_id: uuid.UUID, *, now: datetime | None = None, batch: int = BATCH) -> list[Purge]:
    """Let go what is over its time, rule by rule; returns the runs that had something to do."""
    moment = now or datetime.now(UTC)
    with tenant_atomic(tenant_id):
        asked = list(rules())
    return [run for rule in asked if (run := _purge(tenant_id, rule, moment, batch))]


def _purge(tenant_id: uuid.UUID, rule: RetentionRule, now: datetime, batch: int) -> Purge | None:
    run = _begun(tenant_id, rule, now)
    if run is None:
        return None
    after, held = uuid.UUID(int=0), 0
    while True:
        with tenant_atomic(tenant_id):
            row = Purge.objects.select_for_update().get(pk=run.pk)
            ids = list(due(row.system, row.before).filter(pk__gt=after).values_list("pk", flat=True)[:batch])
            if not ids:
                return _completed(row, held)
            kept = kept_among(ids)
            held, after = held + len(kept), ids[-1]
            if gone := [pk for pk in ids if pk not in kept]:
                removed = erase_contents(gone, Under(row.pk, row.spoken_reason), None)
                removed["judgements"] = Feedback.objects.filter(decision_id__in=gone).update(given_by="")
                row.removed = dict(Counter(row.removed) + removed)
                row.save(update_fields=["removed"])


def _begun(tenant_id: uuid.UUID, rule: RetentionRule, now: datetime) -> Purge | None:
    """The run that is under way, else a new one where something is to go."""
    with tenant_atomic(tenant_id):
        if running := Purge.objects.filter(system=rule.system, state=PurgeState.RUNNING).first():
            return running
        before = now - timedelta(days=rule.keep_days)
        first = list(due(rule.system, before).values_list("pk", flat=True)[:LOOKED_AT])
        if len(kept_among(first)) == len(first) < LOOKED_AT:
            return None
        return Purge.objects.create(
            number=(Purge.objects.aggregate(last=Max("number"))["last"] or 0) + 1,
            system=rule.system,
            retention_class=rule.retention_class,
            keep_days=rule.keep_days,
            before=before,
        )


def _completed(row: Purge, held: int) -> Purge:
    places = Deployment.objects.filter(system=row.system) if row.system else _without_rule()
    removed = Counter(row.removed)
    removed["usage_rows"] += forget_usage(list(places.values_list("pk", flat=True)), row.before)
    removed["keys"] += destroy_unused_keys(row.before)
    listed = records_under(row.pk)
    row.removed, row.held, row.state = dict(+removed), held, PurgeState.COMPLETED
    row.completed_at, row.records_sha256 = datetime.now(UTC), bytes.fromhex(listed.sha256)
    row.save()
    append(
        Tag.CONTENT_PURGED, by=system_actor(row.tenant_id, "retention"), body=_receipt(row, listed.count), ref=row.pk
    )
    return row


def _receipt(row: Purge, records: int) -> dict[str, Any]:
    return {
        "purge": row.number,
        "system": row.system,
        "class": row.retention_class,
        "keep_days": row.keep_days,
        "before": row.before.isoformat(),
        "removed": row.removed,
        "held": row.held,
        "records": records,
        "records_sha256": bytes(row.records_sha256 or b"").hex(),
    }


def purges() -> list[Purge]:
    """The newest runs. Inside `tenant_atomic`."""
    return list(Purge.objects.order_by("-number")[:MOST_SHOWN])
