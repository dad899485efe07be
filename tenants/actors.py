"""Who acts: a person in a tenant, a program with a key, or the system itself. Services take one as `by`."""

import uuid
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    PERSON = "person"
    KEY = "key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated someone, with what they may do in one tenant."""

    kind: Kind
    tenant_id: uuid.UUID
    label: str
    permissions: frozenset[str] = frozenset()
    user_id: uuid.UUID | None = None
    key_id: uuid.UUID | None = None
    source_id: uuid.UUID | None = None

    @property
    def reference(self) -> str:
        """How the ledger names them: `person:<uuid>`, `key:<uuid>`, `system:<name>`."""
        return f"{self.kind}:{self.user_id or self.key_id or self.label}"

    def may(self, permission: str) -> bool:
        """Whether a permission codename (`case.create`) is theirs."""
        return permission in self.permissions


def system_actor(tenant_id: uuid.UUID, label: str, *permissions: str) -> Actor:
    """The product itself, for scheduled work and operators' commands."""
    return Actor(Kind.SYSTEM, tenant_id, label, frozenset(permissions))
