"""What a directory may do: bring people, name them, switch them off, and give roles by groups; never make an owner.

A seat follows what the directory says, through the services that people use, with their rules and their leaves:
conflicting roles are refused, and an owner stays whatever the directory says, so that a broken directory locks nobody
out.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from tenants.models import DirectoryUser, Membership, User
from tenants.roles import Role
from tenants.services import add_member, change_roles, remove_member

GROUPS = [role for role in Role if role not in {Role.OWNER, Role.EXTERNAL_AUDITOR}]  # what groups can give


class AlreadyThere(ValidationError):
    """Somebody of that address, or of that external id, is in the organisation."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the tenant: `entry` where a directory manages them, `seat` where they may come in."""

    user: User
    entry: DirectoryUser | None
    seat: Membership | None

    @property
    def is_active(self) -> bool:
        return self.entry.is_active if self.entry else True

    @property
    def roles(self) -> list[str]:
        """By group, also while the person is switched off."""
        return self.entry.roles if self.entry else self.seat.roles if self.seat else []

    @property
    def display_name(self) -> str:
        return (self.entry.display_name if self.entry else "") or self.user.name


@dataclass(frozen=True, slots=True)
class Change:
    """What a request says of a person; None: nothing."""

    external_id: str | None = None
    display_name: str | None = None
    is_active: bool | None = None


def people(condition: Q | None = None) -> QuerySet[User]:
    """Everybody of the tenant, by id: members, and those whom the directory knows. Inside `tenant_atomic`."""
    known = Q(pk__in=Membership.objects.values("user_id")) | Q(pk__in=DirectoryUser.objects.values("user_id"))
    return User.objects.filter(known, condition or Q()).order_by("pk")


def as_persons(users: Collection[User]) -> list[Person]:
    """With their entries and seats, in two queries."""
    ids = [user.pk for user in users]
    entries = {row.user_id: row for row in DirectoryUser.objects.filter(user_id__in=ids)}
    seats = {row.user_id: row for row in Membership.objects.filter(user_id__in=ids)}
    return [Person(user, entries.get(user.pk), seats.get(user.pk)) for user in users]


def person(user_id: uuid.UUID) -> Person:
    """Somebody of the tenant, or 404."""
    return as_persons([get_row(people(), pk=user_id)])[0]


def in_group(role: str, users: Collection[uuid.UUID] | None = None) -> list[Person]:
    """Who has a role, switched-off people included."""
    entries = DirectoryUser.objects.filter(roles__contains=[role]).values("user_id")
    unmanaged = Membership.objects.filter(roles__contains=[role]).exclude(
        user_id__in=DirectoryUser.objects.values("user_id")
    )
    found = people(Q(pk__in=entries) | Q(pk__in=unmanaged.values("user_id")))
    return as_persons(list(found.filter(pk__in=users) if users is not None else found))


def provision(*, by: Actor, email: str, change: Change) -> Person:
    """Bring somebody: they have no seat until a group gives a role. Raises `AlreadyThere`."""
    require(by, "member.manage")
    with tenant_atomic(by.tenant_id):
        address = email.strip().lower()
        if people(Q(email=address)).exists():
            raise AlreadyThere("Somebody with this userName is in the organisation.")
        # A person is global: with another organisation's person this one shares the address and nothing else.
        user = User.objects.filter(email=address).first() or _new_user(address, change.display_name or "")
        row = DirectoryUser(user=user)
        _write(by, row, change)
        return person(user.pk)


def change_person(*, by: Actor, user_id: uuid.UUID, change: Change) -> Person:
    """Name somebody, switch them off or on."""
    require(by, "member.manage")
    with tenant_atomic(by.tenant_id):
        row = _entry(user_id)
        if change.is_active is False and Role.OWNER in row.roles:
            raise ValidationError("An owner is not the directory's to switch off; another owner may remove them.")
        _write(by, row, change)
        _settle(by, row)
        return person(user_id)


def forget(*, by: Actor, user_id: uuid.UUID) -> None:
    """Take somebody out of the organisation."""
    change_person(by=by, user_id=user_id, change=Change(is_active=False))
    with tenant_atomic(by.tenant_id):
        row = DirectoryUser.objects.select_for_update().get(user_id=user_id)
        row.delete()
        append(Tag.DIRECTORY_USER_FORGOTTEN, by=by, body={"user": str(user_id)})


def change_group(*, by: Actor, role: str, add: Collection[uuid.UUID] = (), remove: Collection[uuid.UUID] = ()) -> None:
    """Give a role to some, and take it from others; all or nothing."""
    require(by, "member.manage")
    if role not in GROUPS:
        raise ValidationError(f"The groups are the roles {', '.join(GROUPS)}.")
    with tenant_atomic(by.tenant_id):
        for user_id in sorted({*add, *remove}):  # in one order, so that two requests do not wait for each other
            row = _entry(user_id)
            before = set(row.roles)
            row.roles = sorted(before | {role} if user_id in add else before - {role})
            if set(row.roles) != before:
                row.changed_at = datetime.now(UTC)
                row.save()
                _settle(by, row)


def _new_user(address: str, name: str) -> User:
    user = User(email=address, name=name[:120])
    user.set_unusable_password()  # they come in through the organisation's provider, or by a link
    user.full_clean(exclude=["password"])
    user.save(force_insert=True)
    return user


def _entry(user_id: uuid.UUID) -> DirectoryUser:
    """The person's entry, locked; made from their seat when the directory speaks of them first."""
    known = person(user_id)
    if known.entry is None:
        DirectoryUser.objects.create(user=known.user, roles=known.roles)
    return DirectoryUser.objects.select_for_update().get(user_id=user_id)


def _write(by: Actor, row: DirectoryUser, change: Change) -> None:
    given = {name: value for name in Change.__slots__ if (value := getattr(change, name)) is not None}
    for name, value in given.items():
        setattr(row, name, value)
    row.changed_at = datetime.now(UTC)
    row.full_clean(exclude=["user", "roles"], validate_constraints=False)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise AlreadyThere("Somebody else has this externalId.") from None
    body = {"user": str(row.user_id), "external_id": row.external_id, "is_active": row.is_active}
    append(Tag.DIRECTORY_USER_CHANGED, by=by, body=body)


def _settle(by: Actor, row: DirectoryUser) -> None:
    """Bring the seat to what the directory says."""
    wanted = row.roles if row.is_active else []
    seat = Membership.objects.filter(user_id=row.user_id).first()
    if seat is None:
        if wanted:
            add_member(by=by, user=row.user, roles=wanted)
    elif not wanted:
        remove_member(by=by, membership=seat)
    elif sorted(wanted) != sorted(seat.roles):
        change_roles(by=by, membership=seat, roles=wanted)
