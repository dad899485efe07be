"""The newest decisions that hold several words, of which none is rare: found among the newest rows of the rarest.

An id begins with the time at which its decision was received, and most are received soon after they occurred, so the
newest by the one are nearly the newest by the other. Nearly is not enough: whatever occurred since the last one found
is counted too if its id is of another time (`strays`: imported later, or by a clock that was ahead).
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from tenants.ids import first_uuid_at
from traces.models import Decision, SearchToken
from traces.search.subsets import beyond_now, looked_up, one_of

RECENT = 500  # rows of the rarest word, asked for the others
STRAYS = 1_000  # decisions of another time than their id's; with more of them every row is looked at
SOON = timedelta(hours=1)  # after they occurred most have been received


@dataclass(frozen=True, slots=True)
class Newest:
    """What is wanted: the first `enough` of `rows`, which are ordered newest first and begin at `until`."""

    rows: QuerySet[Decision]
    enough: int
    until: datetime | None = None


def newest_of(rarest: QuerySet[SearchToken], together: QuerySet[SearchToken], wanted: Newest) -> Q | None:
    """The condition of being one of them; None: recent rows do not tell.

    `together` are the rows of `rarest` whose decisions hold the other words too.
    """
    beyond = first_uuid_at(wanted.until + SOON) if wanted.until else beyond_now()
    since = rarest.filter(id__lt=beyond).order_by("-id").values_list("id", flat=True)[RECENT - 1 : RECENT].first()
    if since is None:
        return None
    recent = looked_up(together.filter(id__gte=since, id__lt=beyond), "id", RECENT)
    found = list(wanted.rows.filter(recent).values_list("pk", "occurred_at")[: wanted.enough])
    if len(found) < wanted.enough:
        return None
    strays = _strays(since, beyond, found[-1][1], wanted.until)
    if len(strays) > STRAYS:
        return None
    held = together.filter(id__any_of=strays).values_list("id", flat=True) if strays else ()
    return one_of([*(pk for pk, _ in found), *held])


def _strays(since: uuid.UUID, beyond: uuid.UUID, oldest: datetime, until: datetime | None) -> list[uuid.UUID]:
    """Decisions that occurred in this time and whose ids are not of it."""
    rows = Decision.objects.filter(Q(pk__lt=since) | Q(pk__gte=beyond), pk__lt=beyond_now(), occurred_at__gte=oldest)
    if until:
        rows = rows.filter(occurred_at__lte=until)
    return list(rows.order_by("-occurred_at", "-id").values_list("pk", flat=True)[: STRAYS + 1])
