"""What happens at sign-in, in the log of every organisation of the person: an account is global, the logs are not."""

from collections.abc import Mapping
from typing import Any

from tenants.access import Seat, actor_for, seats_of
from tenants.actors import system_actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from tenants.models import RefusedSignIn, User

BATCH = 500


def record_for_seats(tag: Tag, *, user: User, body: Mapping[str, Any]) -> None:
    """A leaf in each organisation where the person has a seat today, as their own act."""
    for seat in seats_of(user.pk):
        with tenant_atomic(seat.tenant_id):
            append(tag, by=actor_for(user, seat), body={"user": str(user.pk), **body})


def record_glass_broken(*, user: User, seat: Seat, methods: tuple[str, ...]) -> None:
    """An owner came past the single sign-on that the organisation asks for."""
    with tenant_atomic(seat.tenant_id):
        append(Tag.SIGN_IN_GLASS_BROKEN, by=actor_for(user, seat), body={"methods": list(methods)})


def note_refusal(*, user: User | None, method: str) -> None:
    """Remember that somebody was turned away, for `record_refusals`: the same work whether they exist or not."""
    RefusedSignIn.objects.create(user=user, method=method)


def record_refusals() -> int:
    """Move what was noted into the logs; returns how many leaves that gave.

    The row goes in the transaction of its first leaf, so two workers write it once.
    """
    leaves = 0
    for refused in RefusedSignIn.objects.order_by("pk")[:BATCH]:
        seats = seats_of(refused.user_id) if refused.user_id else []
        if not seats:
            RefusedSignIn.objects.filter(pk=refused.pk).delete()
        for number, seat in enumerate(seats):
            with tenant_atomic(seat.tenant_id):
                if number == 0 and not RefusedSignIn.objects.filter(pk=refused.pk).delete()[0]:
                    break
                body = {"user": str(refused.user_id), "method": refused.method, "at": refused.at.isoformat()}
                append(Tag.SIGN_IN_REFUSED, by=system_actor(seat.tenant_id, "sign-in"), body=body)
                leaves += 1
    return leaves
