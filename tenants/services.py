"""Tenants, members, sources and keys: every write, each with its leaf in the same transaction."""

import hashlib
import secrets
import uuid
from base64 import b32encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError

from tenants import crypto
from tenants.access import require
from tenants.actors import Actor, system_actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import uuid7_now
from tenants.ledger.log import append, record_event
from tenants.ledger.merkle import EMPTY_ROOT
from tenants.models import ApiKey, LedgerLog, LedgerQueue, Membership, Scope, SourceSystem, Tenant, TenantKey, User
from tenants.roles import Role, conflict_in

KEY_PREFIX = "aff"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only moment its secret can be seen."""

    row: ApiKey
    secret: str


def create_tenant(*, slug: str, name: str, owner: User) -> Tenant:
    """A new organisation with its data key, its empty log and its first owner. An operator's act."""
    tenant = Tenant(id=uuid7_now(), slug=slug, name=name)
    tenant.clean_fields()
    by = system_actor(tenant.id, "operator")
    with tenant_atomic(tenant.id):
        tenant.save(force_insert=True)
        TenantKey.objects.create(tenant=tenant, wrapped=crypto.new_wrapped_key(crypto.master_key()))
        origin = f"{settings.AFFIDAVIT_INSTANCE}/t/{slug}-1"
        LedgerLog.objects.create(tenant=tenant, shard=1, origin=origin, root=EMPTY_ROOT)
        append(Tag.TENANT_CREATED, by=by, body={"slug": slug, "name": name, "origin": origin})
        _seat(tenant.id, owner, [Role.OWNER], by)
    return tenant


def set_limits(*, tenant_id: uuid.UUID, operator: str, records: int | None, requests: int | None) -> None:
    """What all keys of a tenant may use together, a second; None: as everybody, 0: no limit. An operator's act.

    It goes by the owner of the tables: the login that serves requests cannot lift the limits of those who make them.
    """
    by = system_actor(tenant_id, operator)
    limits = {"records_per_second": records, "requests_per_second": requests}
    with tenant_atomic(tenant_id, using="owner"):
        Tenant.objects.using("owner").filter(pk=tenant_id).update(**limits)
        rid, leaf = record_event(Tag.LIMITS_SET, by=by, body=limits, using="owner")
        LedgerQueue.objects.using("owner").create(tenant_id=tenant_id, rid=rid, leaf=leaf)


def _seat(tenant_id: uuid.UUID, user: User, roles: Sequence[str], by: Actor) -> Membership:
    membership = Membership.objects.create(tenant_id=tenant_id, user=user, roles=sorted(roles))
    append(Tag.MEMBER_ADDED, by=by, body={"user": str(user.pk), "email": user.email, "roles": sorted(roles)})
    return membership


def add_member(*, by: Actor, user: User, roles: Sequence[str]) -> Membership:
    """Seat a person. Refuses conflicting roles, and an administrator who would make an owner or lift themselves."""
    require(by, "member.manage")
    check_roles(by, user, roles)
    with tenant_atomic(by.tenant_id):
        return _seat(by.tenant_id, user, roles, by)


def change_roles(*, by: Actor, membership: Membership, roles: Sequence[str]) -> Membership:
    """Give a member other roles; the last owner stays an owner."""
    require(by, "member.manage")
    check_roles(by, membership.user, roles)
    with tenant_atomic(by.tenant_id):
        locked = Membership.objects.select_for_update().get(pk=membership.pk)
        before = locked.roles
        if Role.OWNER in before and Role.OWNER not in roles:
            require_other_owner(locked)
        locked.roles = sorted(roles)
        locked.save(update_fields=["roles"])
        body = {"user": str(locked.user_id), "before": before, "after": locked.roles}
        append(Tag.MEMBER_ROLES_CHANGED, by=by, body=body)
    return locked


def remove_member(*, by: Actor, membership: Membership) -> None:
    """Take a seat away; the last owner cannot leave."""
    require(by, "member.manage")
    with tenant_atomic(by.tenant_id):
        locked = Membership.objects.select_for_update().get(pk=membership.pk)
        if Role.OWNER in locked.roles:
            if "tenant.manage" not in by.permissions:
                raise ValidationError("Only an owner removes an owner.")
            require_other_owner(locked)
        locked.delete()
        append(Tag.MEMBER_REMOVED, by=by, body={"user": str(locked.user_id), "roles": locked.roles})


def check_roles(by: Actor, user: User, roles: Sequence[str]) -> None:
    """Known roles, no conflicting pair, nobody above the one who gives them."""
    unknown = set(roles) - set(Role.values)
    if unknown or not roles:
        raise ValidationError(
            f"Unknown role: {', '.join(sorted(unknown))}." if unknown else "Choose at least one role."
        )
    if pair := conflict_in(roles):
        raise ValidationError(
            f"One person cannot be both {' and '.join(sorted(pair))}: they could approve their own work."
        )
    if "tenant.manage" not in by.permissions and (Role.OWNER in roles or by.user_id == user.pk):
        raise ValidationError("Only an owner makes owners, and nobody changes their own roles.")


def require_other_owner(membership: Membership) -> None:
    """Refuse to leave a tenant without an owner; the owners' rows are locked, so two cannot leave at once."""
    owners = Membership.objects.select_for_update().filter(roles__contains=[Role.OWNER])
    if not [row for row in owners if row.pk != membership.pk]:
        raise ValidationError("The last owner cannot leave; make somebody else an owner first.")


def create_source(*, by: Actor, name: str) -> SourceSystem:
    """A system that will submit records and number them."""
    require(by, "source.manage")
    with tenant_atomic(by.tenant_id):
        source = SourceSystem(name=name.strip())
        source.full_clean()
        source.save(force_insert=True)
        append(Tag.SOURCE_CREATED, by=by, body={"source": str(source.pk), "name": source.name})
    return source


def create_key(
    *,
    by: Actor,
    name: str,
    scopes: Sequence[str],
    source: SourceSystem | None = None,
    expires_at: datetime | None = None,
) -> NewKey:
    """A key for a program. `ingest` needs a source; a key with `ingest` has no other scope (least privilege)."""
    require(by, "key.manage")
    if not scopes or set(scopes) - set(Scope.values):
        raise ValidationError(f"Choose from the scopes {', '.join(Scope.values)}.")
    if Scope.DIRECTORY in scopes and "tenant.manage" not in by.permissions:
        raise ValidationError("Only an owner makes a directory's key: whoever holds it could give themselves roles.")
    if Scope.DIRECTORY in scopes and len(scopes) > 1:
        raise ValidationError("A directory key manages members and does nothing else: give it its own key.")
    if Scope.INGEST in scopes and (len(scopes) > 1 or source is None):
        raise ValidationError("An ingest key writes for one source and does nothing else: give it its own key.")
    with tenant_atomic(by.tenant_id):
        made = _new_key(by, name, scopes, source, expires_at)
        append(Tag.KEY_CREATED, by=by, body=_key_body(made.row))
    return made


def rotate_key(*, by: Actor, key: ApiKey, overlap: timedelta = timedelta(days=7)) -> NewKey:
    """A successor with the same rights; the old key goes on for `overlap`, so that nothing stops meanwhile."""
    require(by, "key.manage")
    with tenant_atomic(by.tenant_id):
        old = ApiKey.objects.select_for_update().get(pk=key.pk)
        if old.revoked_at:
            raise ValidationError("This key is revoked; make a new one.")
        made = _new_key(by, old.name, old.scopes, old.source, None)
        ends = datetime.now(UTC) + overlap
        old.expires_at = min(filter(None, (old.expires_at, ends)))
        old.save(update_fields=["expires_at"])
        append(Tag.KEY_ROTATED, by=by, body=_key_body(made.row) | {"replaces": old.prefix, "until": ends.isoformat()})
    return made


def revoke_key(*, by: Actor, key: ApiKey) -> ApiKey:
    """End a key now. Doing it twice changes nothing."""
    require(by, "key.manage")
    with tenant_atomic(by.tenant_id):
        row = ApiKey.objects.select_for_update().get(pk=key.pk)
        if row.revoked_at is None:
            row.revoked_at = datetime.now(UTC)
            row.save(update_fields=["revoked_at"])
            append(Tag.KEY_REVOKED, by=by, body=_key_body(row))
    return row


def _new_key(
    by: Actor, name: str, scopes: Sequence[str], source: SourceSystem | None, expires_at: datetime | None
) -> NewKey:
    prefix = key_prefix(by.tenant_id, secrets.token_bytes(5))
    secret = _base32(secrets.token_bytes(25))
    row = ApiKey(
        name=name.strip(),
        prefix=prefix,
        secret_sha256=hashlib.sha256(secret.encode()).digest(),
        scopes=sorted(scopes),
        source=source,
        created_by_id=by.user_id,
        expires_at=expires_at,
    )
    row.full_clean(exclude=["prefix", "secret_sha256"])
    row.save(force_insert=True)
    return NewKey(row, f"{prefix}_{secret}")


def _key_body(row: ApiKey) -> dict[str, object]:
    source = str(row.source_id) if row.source_id else None
    return {"key": str(row.pk), "prefix": row.prefix, "name": row.name, "scopes": row.scopes, "source": source}


def _base32(data: bytes) -> str:
    return b32encode(data).decode().lower().rstrip("=")


def key_prefix(tenant_id: uuid.UUID, key_id: bytes) -> str:
    """`aff_` and 34 letters that hold the tenant and five bytes of identity: the key itself says where to look it up.

    So authentication needs no query across tenants.
    """
    return f"{KEY_PREFIX}_{_base32(tenant_id.bytes + key_id)}"
