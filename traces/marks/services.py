"""The one write path of events."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError

from tenants.access import require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from traces.marks.submissions import EventItem
from traces.models import Mark
from traces.services import Conflict

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Told:
    """The events of a request in its order, and whether all of them were there before."""

    marks: list[Mark]
    is_replayed: bool


def record_events(*, by: Actor, items: Sequence[EventItem]) -> Told:
    """Record events, all or nothing, each with a leaf of the log; the same external id again is the same event.

    Raises `Conflict` where an external id was used with other content, `PermissionDenied`.
    """
    require(by, "event.write")
    if by.source_id is None:
        raise ValueError("A key that writes events is bound to a source.")
    source_id = by.source_id
    for attempt in range(ATTEMPTS):
        try:
            with tenant_atomic(by.tenant_id):
                return _record(by, source_id, items)
        except IntegrityError:  # another request recorded one of them in between: it is found at the next look
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _record(by: Actor, source_id: uuid.UUID, items: Sequence[EventItem]) -> Told:
    names = {item.typed.external_id for item in items} - {""}
    stored = Mark.objects.filter(source_id=source_id, external_id__in=names) if names else []
    known: dict[str, Mark] = {mark.external_id: mark for mark in stored}
    told: list[Mark] = []
    conflicts: dict[int, str] = {}
    fresh = 0
    for index, item in enumerate(items):
        mark = known.get(item.typed.external_id)
        if mark is None:
            mark, fresh = _add(by, source_id, item), fresh + 1
            if mark.external_id:
                known[mark.external_id] = mark
        elif bytes(mark.fingerprint) != item.fingerprint:
            conflicts[index] = str(mark.pk)
        told.append(mark)
    if conflicts:
        raise Conflict(conflicts)
    return Told(told, is_replayed=not fresh)


def _add(by: Actor, source_id: uuid.UUID, item: EventItem) -> Mark:
    typed = item.typed
    values: Mapping[str, Any] = {name: getattr(typed, name) for name in typed.__struct_fields__}
    mark = Mark.objects.create(source_id=source_id, fingerprint=item.fingerprint, **values)
    body = {"event": str(mark.pk), "kind": mark.kind, "sha256": item.fingerprint.hex()}
    append(Tag.EVENT_RECORDED, by=by, body=body, ref=mark.pk)
    return mark
