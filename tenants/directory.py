"""Every tenant, for scheduled work: the second of the two look-ups that see across tenants (see ADR 3)."""

import uuid

from django.db import connections


def tenant_ids(using: str = "default") -> list[uuid.UUID]:
    """All tenants' ids, in order. Only the worker's and the owner's database roles may ask."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM affidavit_tenant_ids()")
        return [row[0] for row in cursor.fetchall()]


def tenant_named(slug: str, using: str = "default") -> uuid.UUID | None:
    """The id behind a short name. The same roles may ask."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM affidavit_tenant_ids() WHERE slug = %s", [slug])
        row = cursor.fetchone()
    return row[0] if row else None
