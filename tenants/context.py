"""Which tenant this piece of work is for: set once at the edge, read by every query.

Two lines of defence hang on it. `TenantManager` (ORM) reads the context variable and raises without it;
row-level security (PostgreSQL) reads `app.tenant_id`, which lives only as long as the transaction.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import connections, transaction

_current_tenant: ContextVar[uuid.UUID | None] = ContextVar("current_tenant", default=None)


class TenantRequired(RuntimeError):
    """A tenant-scoped table was touched with no tenant in context. A forgotten tenant is an error, never all rows."""


def current_tenant_id() -> uuid.UUID:
    """The tenant in context; raises `TenantRequired` when there is none."""
    tenant_id = _current_tenant.get()
    if tenant_id is None:
        raise TenantRequired("No tenant in context: wrap the work in `with tenant_atomic(tenant_id):`.")
    return tenant_id


def current_tenant_or_none() -> uuid.UUID | None:
    """The tenant in context, for logs; None outside any."""
    return _current_tenant.get()


@contextmanager
def tenant_atomic(tenant_id: uuid.UUID, using: str = "default") -> Iterator[None]:
    """A transaction in which `tenant_id` is the tenant, for the ORM and for the database.

    `SET LOCAL` is a statement with a UUID literal, never a session setting: it ends with the transaction, so a
    pooled connection cannot carry one tenant into another's request, and Citus propagates it to its shards.
    Nested blocks must name the same tenant.
    """
    if not isinstance(tenant_id, uuid.UUID):
        raise TypeError(f"tenant_id must be a UUID, not {type(tenant_id).__name__}")
    outer = _current_tenant.get()
    connection = connections[using]
    if outer is not None and outer != tenant_id and connection.in_atomic_block:
        raise TenantRequired(f"Already working for tenant {outer}; one transaction serves one tenant.")
    token = _current_tenant.set(tenant_id)
    try:
        with transaction.atomic(using=using):
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL app.tenant_id = '{tenant_id}'")
            yield
    finally:
        _current_tenant.reset(token)
