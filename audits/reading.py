"""Who read what: what a guest of a case looks at is recorded, and everybody's reading of content can be looked up.

The record of a reading is its ledger event; this looks through them, newest first, a fixed number at a time, so that a
page costs the same however long the log is.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q

from audits.access import is_guest, may_in_case
from audits.models import Case, CaseEvent
from audits.timeline import record
from tenants.access import require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import uuid7_time
from tenants.ledger.canonical import parse_strict
from tenants.models import LedgerEvent
from traces.models import Decision

LOOKED_THROUGH = 500
CONTENT, PURPOSELESS = "content, all fields", "not stated"
READS = frozenset({"viewed", "read", "bundle"})  # actions of a case's own timeline that are readings


@dataclass(frozen=True, slots=True)
class Reading:
    """Somebody saw something: `what` in words, and why they said they did."""

    at: datetime
    who: str
    what: str
    purpose: str


@dataclass(frozen=True, slots=True)
class ReadingPage:
    """Readings newest first; `before` continues the search (None: it went to the beginning)."""

    readings: list[Reading]
    before: uuid.UUID | None


def note_read(by: Actor, case: Case, page: str) -> None:
    """Record that a guest looked at a page of the case. Others read cases by their role, and only content is noted."""
    if is_guest(by):
        with tenant_atomic(by.tenant_id):
            record(case, by, Tag.CASE_READ, {"page": page}, action="viewed", note=f"Page: {page}")


def reader_in(case: Case, actor: Actor) -> Actor:
    """The actor, who may open the content of this case's decisions if the case lets them: guests see none unasked."""
    if is_guest(actor) and may_in_case(actor, case, "case.open_payloads"):
        return replace(actor, permissions=actor.permissions | {"decision.read_payload"})
    return actor


def readings_of_decision(by: Actor, decision: Decision, before: uuid.UUID | None = None) -> ReadingPage:
    """Who opened the content of one record."""
    require(by, "activity.read")
    found, older = _payload_reads(before)
    own = str(decision.pk)
    if older is not None and older < decision.pk:
        older = None  # nobody reads a record before it is there
    readings = [reading for ids, reading in found if own in ids]
    return ReadingPage(readings, older)


def readings_of_case(by: Actor, case: Case, before: uuid.UUID | None = None) -> ReadingPage:
    """Who opened the content of its decisions, its files and bundles; and which pages its guests looked at."""
    require(by, "activity.read")
    found, older = _payload_reads(before)
    reference = f"case {case.reference}"
    readings = [reading for _, reading in found if reading.purpose.endswith(reference)]  # "bundle of case C-1"
    events = CaseEvent.objects.filter(_within(before, older), case=case, action__in=READS).select_related("file")
    readings += [_of_event(event) for event in events.order_by("-id")[:LOOKED_THROUGH]]
    if older is not None and older < case.pk:
        older = None
    return ReadingPage(sorted(readings, key=lambda reading: reading.at, reverse=True), older)


def _within(before: uuid.UUID | None, older: uuid.UUID | None) -> Q:
    span = Q(pk__lt=before) if before else Q()
    return span & Q(pk__gte=older) if older else span


def _of_event(event: CaseEvent) -> Reading:
    what = f"{event.file.reference} {event.file.name}" if event.file else event.note or "evidence bundle"
    return Reading(uuid7_time(event.pk), event.actor_label, what, "case work")


def _payload_reads(before: uuid.UUID | None) -> tuple[list[tuple[frozenset[str], Reading]], uuid.UUID | None]:
    """(ids of the decisions, the reading) of the next events, and where the search goes on."""
    events = LedgerEvent.objects.filter(tag=Tag.PAYLOAD_READ).order_by("-id")
    if before:
        events = events.filter(pk__lt=before)
    rows = list(events[: LOOKED_THROUGH + 1])
    more = rows[LOOKED_THROUGH - 1].pk if len(rows) > LOOKED_THROUGH else None
    return list(_told(rows[:LOOKED_THROUGH])), more


def _told(rows: list[LedgerEvent]) -> Iterator[tuple[frozenset[str], Reading]]:
    for row in rows:
        body = parse_strict(bytes(row.body))
        ids = frozenset(body.get("decisions", ()))
        purpose = body.get("purpose") or PURPOSELESS
        yield ids, Reading(uuid7_time(row.pk), body.get("label", row.actor), CONTENT, purpose)
