"""Addresses and secrets of endpoints, at rest: AES-256-GCM under a key of the tenant's, bound to their row."""

import uuid

from tenants import crypto

LABEL = "webhook endpoint"


def seal_text(tenant_id: uuid.UUID, endpoint_id: uuid.UUID, text: str) -> bytes:
    """The sealed text; nothing for an empty one."""
    return crypto.seal(_key(tenant_id), text.encode(), endpoint_id.bytes) if text else b""


def open_text(tenant_id: uuid.UUID, endpoint_id: uuid.UUID, sealed: bytes) -> str:
    """The text again; raises `crypto.SealError`."""
    return crypto.unseal(_key(tenant_id), bytes(sealed), endpoint_id.bytes).decode() if sealed else ""


def _key(tenant_id: uuid.UUID) -> bytes:
    return crypto.derive(crypto.tenant_key(tenant_id), LABEL)
