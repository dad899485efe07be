"""Words about a decision, and letters of it, kept as its content is: under the subject's key, gone when that goes."""

import uuid
from collections.abc import Iterable

from django.db import connection

from tenants import crypto
from tenants.context import current_tenant_id
from tenants.models import SubjectKey
from traces.models import DecisionPayload, Remark

MOST_CHARACTERS = 4_000


def write_remark(pk: uuid.UUID, decision_id: uuid.UUID, text: str) -> bool:
    """Seal a remark as `pk`; False where the decision's content is gone."""
    return seal_beside(pk, decision_id, text.encode())


def seal_beside(pk: uuid.UUID, decision_id: uuid.UUID, data: bytes) -> bool:
    """Seal bytes about a decision as `pk`; False where its content is gone, for then nobody may write of it again.

    Inside `tenant_atomic`; the lock is the other half of what the eraser's trigger takes (migration 0007).
    """
    tenant_id = current_tenant_id()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [f"meaning {tenant_id}"])
    payload = DecisionPayload.objects.filter(pk=decision_id).first()
    key = SubjectKey.objects.filter(pk=payload.subject_key_id).first() if payload else None
    if key is None:
        return False
    opened = crypto.unwrap(crypto.tenant_key(tenant_id), bytes(key.wrapped))
    sealed = crypto.seal(opened, data, tenant_id.bytes + pk.bytes)
    Remark.objects.create(id=pk, decision_id=decision_id, subject_key_id=key.pk, sealed=sealed)
    return True


def read_remarks(ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Remarks in the clear, by id; erased ones are missing. The caller has seen to it that they may be read."""
    return {pk: data.decode() for pk, data in opened_beside(ids).items()}


def opened_beside(ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, bytes]:
    """What `seal_beside` sealed, by id; erased ones are missing. The caller has seen to it that they may be read."""
    tenant_id = current_tenant_id()
    remarks = list(Remark.objects.filter(pk__in=list(ids)))
    keys = SubjectKey.objects.in_bulk({remark.subject_key_id for remark in remarks})
    tenant_key = crypto.tenant_key(tenant_id) if remarks else b""
    return {
        remark.pk: crypto.unseal(
            crypto.unwrap(tenant_key, bytes(keys[remark.subject_key_id].wrapped)),
            bytes(remark.sealed),
            tenant_id.bytes + remark.pk.bytes,
        )
        for remark in remarks
        if remark.subject_key_id in keys
    }
