"""Reads of events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from traces.models import Mark
from traces.selectors import Cursor, FilterError, parse_moment


@dataclass(frozen=True, slots=True)
class MarkFilter:
    """Which events; an event of no system or instance in particular belongs to each."""

    since: datetime | None = None
    until: datetime | None = None
    kind: str = ""
    system: str = ""
    instance: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "MarkFilter":
        """From URL parameters. Raises `FilterError`."""
        texts = {name: (query.get(name) or "").strip() for name in ("since", "until", "kind", "system", "instance")}
        if any("\0" in text for text in texts.values()):
            raise FilterError("No event holds the character U+0000.")
        since, until = (parse_moment(name, texts[name]) if texts[name] else None for name in ("since", "until"))
        return cls(since, until, texts["kind"], texts["system"], texts["instance"])


@dataclass(frozen=True, slots=True)
class MarkPage:
    """Events newest first, and the cursor of those before them (empty: there are none)."""

    marks: list[Mark]
    older: str


def marks(wanted: MarkFilter) -> QuerySet[Mark]:
    """The events of a filter, newest first."""
    rows = Mark.objects.order_by("-occurred_at", "-id")
    if wanted.since:
        lasting = Q(ended_at__gte=wanted.since)
        rows = rows.filter(Q(occurred_at__gte=wanted.since) | lasting)
    if wanted.until:
        rows = rows.filter(occurred_at__lt=wanted.until)
    if wanted.kind:
        rows = rows.filter(kind=wanted.kind)
    if wanted.system:
        rows = rows.filter(system__in=["", wanted.system])
    if wanted.instance:
        rows = rows.filter(instance__in=["", wanted.instance])
    return rows


def mark_page(wanted: MarkFilter, cursor: str, size: int) -> MarkPage:
    """One page. Raises `FilterError` for a cursor that is not ours."""
    rows = marks(wanted)
    if cursor:
        place = Cursor.decode(cursor)
        rows = rows.filter(Q(occurred_at__lt=place.occurred_at) | Q(occurred_at=place.occurred_at, id__lt=place.id))
    found = list(rows[: size + 1])
    shown = found[:size]
    return MarkPage(shown, Cursor(shown[-1].occurred_at, shown[-1].pk).encode() if len(found) > size else "")
