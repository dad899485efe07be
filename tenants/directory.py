"""Every tenant, for scheduled work: the second of the two look-ups that see across tenants (see ADR 3)."""

import uuid

from django.db import connections


def tenant_ids(using: str = "default") -> list[uuid.UUID]:
    """All tenants' ids, in order. Only the worker's and the owner's database roles may ask."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM affidavit_tenant_ids()")
        return [row[0] for row in cursor.fetchall()]
