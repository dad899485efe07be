"""The feed behind the bell: events are added as they are told, and forgotten; a member marks what they have read."""

import uuid
from datetime import UTC, datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.db.models.expressions import Subquery, Value
from django.db.models.functions import Coalesce

from tenants.access import get_row
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.ids import first_uuid_at
from tenants.models import Notification, NotificationMark
from tenants.webhooks.catalogue import Notice

KEPT = timedelta(days=60)
MOST_KEPT = 2_000  # of a tenant
MOST_COUNTED = 10  # the bell says "9+"
PAGE_SIZE = 50
_FIRST = uuid.UUID(int=0)  # below every notification, and nobody's id


def keep(notice: Notice, event_id: uuid.UUID) -> None:
    """Add an event, in the transaction of the fact; one that is there already stays as it is."""
    row = Notification(
        event_id=event_id, event_type=notice.type, title=" ".join(notice.title.split())[:300], text=notice.text,
        page=list(notice.page), permission=notice.permission, people=list(notice.people),
    )  # fmt: skip
    Notification.objects.bulk_create([row], ignore_conflicts=True)


def visible_to(actor: Actor) -> QuerySet[Notification]:
    """What a member is told of: what is for them by name, and what is for everybody with a permission they hold."""
    for_all = Q(people=[], permission__in=sorted(actor.permissions))
    by_name = Q(people__contains=[actor.user_id or _FIRST])
    return Notification.objects.filter(for_all | by_name)


def unread(actor: Actor) -> QuerySet[Notification]:
    """What came since they looked last: one query with its mark."""
    mark = NotificationMark.objects.filter(user_id=actor.user_id or _FIRST).values("read_to")
    return visible_to(actor).filter(pk__gt=Coalesce(Subquery(mark), Value(_FIRST)))


def count_unread(actor: Actor) -> int:
    """How many, up to `MOST_COUNTED`; none for a program."""
    return unread(actor)[:MOST_COUNTED].count() if actor.user_id else 0


def mark_read(*, by: Actor, read_to: uuid.UUID) -> None:
    """What a member has seen is read, up to and with this one; a mark never goes back. It is no matter of the ledger.

    Raises 404 for one that they are not told of.
    """
    if by.user_id is None:
        raise PermissionDenied("Only people read.")
    with tenant_atomic(by.tenant_id):
        get_row(visible_to(by), pk=read_to)
        mark, made = NotificationMark.objects.get_or_create(user_id=by.user_id, defaults={"read_to": read_to})
        if not made and mark.read_to < read_to:
            mark.read_to = read_to
            mark.save(update_fields=["read_to"])


def forget_notifications(tenant_id: uuid.UUID, now: datetime | None = None) -> int:
    """Remove what is older than two months or beyond the newest; returns how many went. Run again, nothing is left."""
    before = first_uuid_at((now or datetime.now(UTC)) - KEPT)
    with tenant_atomic(tenant_id):
        ids = Notification.objects.order_by("-id").values_list("pk", flat=True)
        beyond = next(iter(ids[MOST_KEPT - 1 : MOST_KEPT]), _FIRST)
        return Notification.objects.filter(pk__lt=max(before, beyond)).delete()[0]
