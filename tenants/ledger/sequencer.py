"""The sequencer: takes leaves from the queue and gives each its place in the tree.

One transaction per tenant and batch, so a kill at any point leaves either all of it or nothing. Only the sequencer
locks `LedgerLog`; writers never wait for it. Several may run: `SKIP LOCKED` shares the tenants out.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import transaction

from tenants.bulk import BYTEA, INT8, UUID, BulkInsert, raw_cursor
from tenants.ledger.merkle import HASH_BYTES, Frontier, leaf_hash
from tenants.ledger.tiles import Tile, append

USING = "sequencer"
BATCH = 4096

LEAVES = BulkInsert(
    "tenants_ledgerleaf",
    [("shard", INT8), ("leaf_index", INT8), ("rid", UUID), ("leaf", BYTEA), ("leaf_hash", BYTEA)],
)

Failpoint = Callable[[str], None]


def nothing(step: str) -> None:
    """The failpoint of normal operation."""


@dataclass(frozen=True, slots=True)
class Head:
    """The locked head of a log."""

    shard: int
    frontier: Frontier


def waiting_tenants() -> list[uuid.UUID]:
    """Tenants with leaves in the queue: one index probe a log, whatever the queue holds."""
    with raw_cursor(USING) as cursor:
        cursor.execute(
            "SELECT DISTINCT tenant_id FROM tenants_ledgerlog l WHERE state = 'active'"
            " AND EXISTS (SELECT FROM tenants_ledgerqueue q WHERE q.tenant_id = l.tenant_id)"
        )
        return [row[0] for row in cursor.fetchall()]


def integrate(tenant_id: uuid.UUID, *, limit: int = BATCH, at: Failpoint = nothing) -> int:
    """Move up to `limit` leaves of one tenant into its tree; returns how many (0: none, or another has the lock)."""
    with transaction.atomic(using=USING), raw_cursor(USING) as cursor:
        head = _lock_head(cursor, tenant_id)
        if head is None:
            return 0
        at("locked")
        queued = _take_queue(cursor, tenant_id, limit)
        if not queued:
            return 0
        at("taken")
        hashes = [leaf_hash(leaf) for _, _, leaf in queued]
        start = head.frontier.size
        rows = [
            (head.shard, start + offset, rid, leaf, digest)
            for offset, ((_, rid, leaf), digest) in enumerate(zip(queued, hashes, strict=True))
        ]
        LEAVES.insert(cursor, tenant_id, rows)
        at("leaves")
        _write_tiles(cursor, tenant_id, head, hashes)
        at("tiles")
        _move_head(cursor, tenant_id, head.shard, head.frontier.extend(hashes))
        at("head")
    at("committed")
    return len(queued)


def _lock_head(cursor: psycopg.Cursor[Any], tenant_id: uuid.UUID) -> Head | None:
    cursor.execute(
        "SELECT shard, size, frontier FROM tenants_ledgerlog WHERE tenant_id = %s AND state = 'active'"
        " ORDER BY shard DESC LIMIT 1 FOR UPDATE SKIP LOCKED",
        [tenant_id],
    )
    row = cursor.fetchone()
    if row is None:
        return None
    shard, size, frontier = row
    hashes = tuple(frontier[i : i + HASH_BYTES] for i in range(0, len(frontier), HASH_BYTES))
    return Head(shard, Frontier(size, hashes))


def _take_queue(cursor: psycopg.Cursor[Any], tenant_id: uuid.UUID, limit: int) -> list[tuple[int, uuid.UUID, bytes]]:
    """Remove and return the oldest leaves. Never by "id greater than the last seen": ids commit out of order."""
    cursor.execute(
        "DELETE FROM tenants_ledgerqueue WHERE tenant_id = %s AND enq_id IN ("
        " SELECT enq_id FROM tenants_ledgerqueue WHERE tenant_id = %s ORDER BY enq_id LIMIT %s)"
        " RETURNING enq_id, rid, leaf",
        [tenant_id, tenant_id, limit],
        binary=True,
    )
    return sorted(cursor.fetchall())


def _write_tiles(cursor: psycopg.Cursor[Any], tenant_id: uuid.UUID, head: Head, hashes: list[bytes]) -> None:
    def edge(level: int, index: int, width: int) -> bytes:
        cursor.execute(
            "SELECT data FROM tenants_ledgertile"
            " WHERE tenant_id = %s AND shard = %s AND level = %s AND tile_index = %s",
            [tenant_id, head.shard, level, index],
        )
        row = cursor.fetchone()
        if row is None:
            raise LookupError(f"Tile {level}/{index} of log {tenant_id}/{head.shard} is missing: run verify_ledger.")
        return bytes(row[0])[: width * HASH_BYTES]

    for tile in append(head.frontier.size, hashes, edge):
        _upsert_tile(cursor, tenant_id, head.shard, tile)


def _upsert_tile(cursor: psycopg.Cursor[Any], tenant_id: uuid.UUID, shard: int, tile: Tile) -> None:
    cursor.execute(
        "INSERT INTO tenants_ledgertile (tenant_id, shard, level, tile_index, width, data)"
        " VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (tenant_id, shard, level, tile_index) DO UPDATE SET width = excluded.width, data = excluded.data",
        [tenant_id, shard, tile.level, tile.index, tile.width, tile.data],
    )


def _move_head(cursor: psycopg.Cursor[Any], tenant_id: uuid.UUID, shard: int, frontier: Frontier) -> None:
    cursor.execute(
        "UPDATE tenants_ledgerlog SET size = %s, root = %s, frontier = %s, integrated_at = %s"
        " WHERE tenant_id = %s AND shard = %s",
        [frontier.size, frontier.root(), b"".join(frontier.hashes), datetime.now(UTC), tenant_id, shard],
    )


def integrate_all(*, limit: int = BATCH) -> int:
    """One round over every tenant that waits; returns how many leaves found their place."""
    return sum(integrate(tenant_id, limit=limit) for tenant_id in waiting_tenants())
