"""A data subject's name, sealed with the tenant's key for as long as a request or a hold needs it."""

import uuid

from audits.models import Erasure, Hold
from tenants import crypto

LABEL = "erasure"


def seal_subject(tenant_id: uuid.UUID, row_id: uuid.UUID, subject: str) -> bytes:
    """The name, sealed to the row that needs it."""
    return crypto.seal(_key(tenant_id), subject.encode(), row_id.bytes)


def subject_of(row: Erasure | Hold) -> str:
    """The name; empty once it is gone."""
    sealed = bytes(row.sealed_subject)
    return crypto.unseal(_key(row.tenant_id), sealed, row.pk.bytes).decode() if sealed else ""


def _key(tenant_id: uuid.UUID) -> bytes:
    return crypto.derive(crypto.tenant_key(tenant_id), LABEL)
