"""A log that cannot go on (set back, forked) is frozen at its last good head; the next shard begins with that head.

The first leaf of the next shard is the event `log.frozen`, whose body names the frozen log's origin, size and root,
what the signer had signed beyond it, and who decided. Leaves that the frozen head does not cover get a place in the new
shard too: nothing that the database still has is lost. Old receipts and proofs go on verifying against the old log.

It is the tables' owner who does this: no process that serves anybody may change the state of a log.
"""

import uuid
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from tenants.actors import system_actor
from tenants.bulk import raw_cursor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import record_event
from tenants.ledger.memory import memory_path, remembered_heads
from tenants.ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash
from tenants.ledger.rederive import Rederivation, rederive
from tenants.models import LedgerCheckpoint, LedgerLog, LogState

MIN_REASON = 10


class FreezeRefused(ValueError):
    """The log is not frozen; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """What an operator decides: why, and which two people stand for it."""

    reason: str
    operators: tuple[str, str]

    def check(self) -> None:
        """Raises FreezeRefused."""
        names = {name.strip().casefold() for name in self.operators}
        if len(names) != 2 or "" in names:
            raise FreezeRefused("Two different people must stand for it.")
        if len(self.reason.strip()) < MIN_REASON:
            raise FreezeRefused(f"Say why, in at least {MIN_REASON} characters: it stays in the log for good.")


@dataclass(frozen=True, slots=True)
class Frozen:
    """The log before, the log after, and how many leaves were moved over."""

    before: LedgerLog
    after: LedgerLog
    size: int
    moved: int


def freeze_log(tenant_id: uuid.UUID, *, by: Freeze, state: Path, using: str = "owner") -> Frozen:
    """Freeze the tenant's growing log at the largest head that its leaves still give; open the next shard.

    `state` is the signer's folder: which heads are good is not a question that the database alone may answer.
    Raises FreezeRefused.
    """
    by.check()
    walk = rederive(tenant_id, using=using, state=state)[-1]
    seen = max((head.size for head, _ in remembered_heads(_memory(state, walk.log))), default=0)
    with tenant_atomic(tenant_id, using=using), raw_cursor(using) as cursor:
        before = _lock(walk, using)
        good = LedgerCheckpoint.objects.using(using).filter(shard=before.shard, size=walk.holds_to).first()
        size, root = (good.size, bytes(good.root)) if good else (0, EMPTY_ROOT)
        moved = before.size - size
        body = {
            "frozen": {"shard": before.shard, "origin": before.origin, "size": size, "root": b64encode(root).decode()},
            "note": good.note if good else "",
            "seen_size": seen,
            "moved": moved,
            "reason": by.reason.strip(),
            "operators": [name.strip() for name in by.operators],
            "findings": [finding.text for finding in walk.findings[:3]],
        }
        cursor.execute(
            "UPDATE tenants_ledgerlog SET state = %s WHERE tenant_id = %s AND shard = %s",
            [LogState.FROZEN, tenant_id, before.shard],
        )
        after = _open_next(cursor, before, body, using)
        cursor.execute(
            "INSERT INTO tenants_ledgerqueue (tenant_id, rid, leaf) SELECT tenant_id, rid, leaf FROM tenants_ledgerleaf"
            " WHERE tenant_id = %s AND shard = %s AND leaf_index >= %s AND leaf_index < %s ORDER BY leaf_index",
            [tenant_id, before.shard, size, before.size],
        )
    return Frozen(before, after, size, moved)


def _memory(state: Path, log: LedgerLog) -> Path:
    path = memory_path(state, log.tenant_id, log.shard)
    if not path.exists():
        raise FreezeRefused(f"{path} is not there: without the signer's folder nobody knows which heads are good.")
    return path


def _lock(walk: Rederivation, using: str) -> LedgerLog:
    """The log's row, held as the sequencer holds it; it must not have grown since it was walked."""
    row = LedgerLog.objects.using(using).select_for_update().get(shard=walk.log.shard)
    if row.state != LogState.ACTIVE:
        raise FreezeRefused(f"{row.origin} is frozen already.")
    if row.size != walk.log.size:
        raise FreezeRefused("The log grew meanwhile: stop the sequencer first.")
    return row


def _open_next(cursor: psycopg.Cursor[Any], before: LedgerLog, body: dict[str, Any], using: str) -> LedgerLog:
    """The next shard, with the event of the freeze as its only leaf."""
    actor = system_actor(before.tenant_id, "operator")
    rid, leaf = record_event(Tag.LOG_FROZEN, by=actor, body=body, using=using)
    digest, shard = leaf_hash(leaf), before.shard + 1
    tree = Frontier().extend([digest])
    cursor.execute(
        "INSERT INTO tenants_ledgerleaf (tenant_id, shard, leaf_index, rid, leaf, leaf_hash)"
        " VALUES (%s, %s, 0, %s, %s, %s)",
        [before.tenant_id, shard, rid, leaf, digest],
    )
    cursor.execute(
        "INSERT INTO tenants_ledgertile (tenant_id, shard, level, tile_index, width, data)"
        " VALUES (%s, %s, 0, 0, 1, %s)",
        [before.tenant_id, shard, digest],
    )
    return LedgerLog.objects.using(using).create(
        tenant_id=before.tenant_id,
        shard=shard,
        origin=f"{before.origin.rpartition('-')[0]}-{shard}",
        size=1,
        root=tree.root(),
        frontier=b"".join(tree.hashes),
        integrated_at=datetime.now(UTC),
    )
