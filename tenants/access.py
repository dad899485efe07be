"""Doors: from a person or a path to what they may touch. A foreign row looks like a missing one."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import connection, models
from django.http import Http404

from tenants.actors import Actor, Kind
from tenants.assurance import SignInRules
from tenants.models import User
from tenants.roles import Role, permissions_of

ModelT = TypeVar("ModelT", bound=models.Model)


@dataclass(frozen=True, slots=True)
class Seat:
    """A person's place in one tenant."""

    tenant_id: uuid.UUID
    slug: str
    name: str
    roles: tuple[str, ...]
    rules: SignInRules = field(default_factory=SignInRules)

    @property
    def role_names(self) -> str:
        """The roles as people read them."""
        return ", ".join(Role(role).label for role in self.roles)


def seats_of(user_id: uuid.UUID, *, now: datetime | None = None) -> list[Seat]:
    """Every tenant the person belongs to today, by name. The one look-up across tenants (see ADR 3)."""
    moment = now or datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id, slug, name, roles, expires_at, second_factor_from, sso_provider, sso_from"
            " FROM affidavit_memberships(%s)",
            [user_id],
        )
        rows = cursor.fetchall()
    return [
        Seat(row[0], row[1], row[2], tuple(row[3]), SignInRules(*row[5:]))
        for row in rows
        if row[4] is None or moment < row[4]
    ]


def actor_for(user: User, seat: Seat) -> Actor:
    """The person, acting in that tenant."""
    return Actor(Kind.PERSON, seat.tenant_id, str(user), permissions_of(seat.roles), user_id=user.pk)


def require(actor: Actor, permission: str) -> None:
    """Refuse unless the actor holds the permission."""
    if not actor.may(permission):
        raise PermissionDenied(f"This needs the permission {permission}; ask an administrator of your organisation.")


def get_row(queryset: models.QuerySet[ModelT], **lookup: Any) -> ModelT:
    """The one row, or 404 in words that do not tell a foreign row from a missing one."""
    try:
        return queryset.get(**lookup)
    except (ObjectDoesNotExist, ValidationError, ValueError, TypeError):
        raise Http404(f"No such {queryset.model._meta.verbose_name}.") from None
