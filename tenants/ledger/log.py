"""Adding to the log: a writer only enqueues its leaf, in the transaction of the fact itself."""

import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tenants.actors import Actor
from tenants.events import Tag
from tenants.ids import unix_ms, uuid7, uuid7_time
from tenants.ledger.canonical import dumps
from tenants.ledger.commitments import commit, event_leaf
from tenants.models.ledger import LedgerEvent, LedgerLog, LedgerQueue


class LogBusy(RuntimeError):
    """The queue is longer or older than promised: the caller should retry in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"The ledger is behind; retry in {retry_after} s.")
        self.retry_after = retry_after


def append(tag: Tag, *, by: Actor, body: Mapping[str, Any], ref: uuid.UUID | None = None) -> uuid.UUID:
    """Record that something happened: an event row, and its leaf in the queue. Returns the event's id.

    Call inside the `tenant_atomic` block that makes it happen. `body` is I-JSON; it is committed to with a salt, so
    that the log itself tells nothing of it.
    """
    rid, leaf = record_event(tag, by=by, body=body, ref=ref)
    LedgerQueue.objects.create(tenant_id=by.tenant_id, rid=rid, leaf=leaf)
    return rid


def record_event(
    tag: Tag, *, by: Actor, body: Mapping[str, Any], ref: uuid.UUID | None = None, using: str = "default"
) -> tuple[uuid.UUID, bytes]:
    """The event's row, without a place in the log: returns its id and the leaf that the caller must give one."""
    rid = uuid7(unix_ms(datetime.now(UTC)))
    salt = os.urandom(32)
    canonical = dumps({"by": by.reference, "label": by.label, **body})
    LedgerEvent.objects.using(using).create(
        id=rid, tenant_id=by.tenant_id, tag=tag, actor=by.reference, body=canonical, salt=salt
    )
    commitments = {"event": commit("event", salt, canonical)}
    leaf = event_leaf(
        type=tag,
        tenant_id=by.tenant_id,
        record_id=rid,
        received_at=uuid7_time(rid),
        parent_id=ref,
        commitments=commitments,
    )
    return rid, leaf


def active_log(tenant_id: uuid.UUID, using: str = "default") -> LedgerLog:
    """The tenant's log that still grows."""
    return LedgerLog.objects.using(using).order_by("-shard")[0]
