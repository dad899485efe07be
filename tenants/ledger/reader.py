"""Reading a tenant's log, inside `tenant_atomic`: tiles, bundles, proofs, health. Costs what it shows."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import Q, Subquery

from tenants.ids import uuid7_time
from tenants.ledger.merkle import consistency_proof, inclusion_proof
from tenants.ledger.proofs import TrustPolicy, build_proof, trust
from tenants.ledger.receipts import receipt_signer
from tenants.ledger.tiles import ENTRIES, HEIGHT, WIDTH, TileRef, encode_bundle, node_reader, tile_width
from tenants.models import LedgerCheckpoint, LedgerKey, LedgerLeaf, LedgerLog, LedgerQueue, LedgerTile

HASH_BYTES = 32


class NotThere(LookupError):
    """No such tile, leaf or checkpoint (yet)."""


def log_of(shard: int | None = None) -> LedgerLog:
    """One of the tenant's logs; without a shard the growing one. Raises `NotThere`."""
    rows = LedgerLog.objects.all() if shard is None else LedgerLog.objects.filter(shard=shard)
    log = rows.order_by("-shard").first()
    if log is None:
        raise NotThere("No such log.")
    return log


def latest_checkpoint(shard: int | None = None) -> LedgerCheckpoint | None:
    """The newest signed head (of one shard, or of the newest that has one)."""
    rows = LedgerCheckpoint.objects.all() if shard is None else LedgerCheckpoint.objects.filter(shard=shard)
    return rows.order_by("-shard", "-size").first()


def signed_head(log: LedgerLog) -> LedgerCheckpoint:
    """The log's newest signed head. Raises `NotThere` before the first."""
    checkpoint = latest_checkpoint(log.shard)
    if checkpoint is None:
        raise NotThere("Nothing is signed yet; ask again in a few seconds.")
    return checkpoint


def tile_bytes(log: LedgerLog, ref: TileRef) -> bytes:
    """A tile of hashes, or an entry bundle, exactly as wide as asked. Raises `NotThere`."""
    if tile_width(ref.level, ref.index, log.size) < ref.width:
        raise NotThere("The tree has no such tile yet.")
    if ref.level == ENTRIES:
        first = ref.index * WIDTH
        rows = LedgerLeaf.objects.filter(shard=log.shard, leaf_index__gte=first, leaf_index__lt=first + ref.width)
        return encode_bundle([bytes(leaf) for leaf in rows.order_by("leaf_index").values_list("leaf", flat=True)])
    return tile_data(log.shard, ref.level, ref.index, ref.width)


def tile_data(shard: int, level: int, index: int, width: int) -> bytes:
    """The first `width` hashes of a stored tile; a wider one starts with the narrower one's."""
    tile = LedgerTile.objects.filter(shard=shard, level=level, tile_index=index).first()
    if tile is None:
        raise LookupError(f"Tile {level}/{index} is missing: run verify_ledger.")
    return bytes(tile.data)[: width * HASH_BYTES]


class Prover:
    """Proofs against one signed head. Reads the tiles that the leaves need at once, then proves without a query."""

    def __init__(self, checkpoint: LedgerCheckpoint, leaf_indexes: Iterable[int] = ()) -> None:
        self.checkpoint = checkpoint
        self._tiles = {(tile.level, tile.tile_index): bytes(tile.data) for tile in self._rows(set(leaf_indexes))}
        self._node = node_reader(checkpoint.size, self._tile)

    def path(self, leaf_index: int) -> list[bytes]:
        """The inclusion path (RFC 9162 §2.1.3) of a leaf."""
        return inclusion_proof(leaf_index, self.checkpoint.size, self._node)

    def proof(self, leaf: LedgerLeaf) -> str:
        """The leaf's c2sp.org/tlog-proof text, with the leaf itself in it."""
        return build_proof(leaf.leaf_index, self.path(leaf.leaf_index), self.checkpoint.note, bytes(leaf.leaf))

    def consistency(self, old_size: int) -> list[bytes]:
        """The proof (RFC 9162 §2.1.4) that the first `old_size` leaves are the same tree."""
        return consistency_proof(old_size, self.checkpoint.size, self._node)

    def _rows(self, indexes: set[int]) -> Iterable[LedgerTile]:
        """On each level: the tiles above the leaves, and the last one, from which the right edge is folded."""
        wanted, size, level = Q(), self.checkpoint.size, 0
        while tile_width(level, 0, size):
            last = ((size >> (HEIGHT * level)) - 1) // WIDTH
            above = {index >> (HEIGHT * (level + 1)) for index in indexes} | {last}
            wanted |= Q(level=level, tile_index__in=sorted(above))
            level += 1
        return LedgerTile.objects.filter(wanted, shard=self.checkpoint.shard) if level else []

    def _tile(self, level: int, index: int, width: int) -> bytes:
        data = self._tiles.get((level, index))
        if data is None:
            data = self._tiles[level, index] = tile_data(self.checkpoint.shard, level, index, WIDTH)
        return data[: width * HASH_BYTES]


def leaf_of(record_id: uuid.UUID) -> LedgerLeaf | None:
    """The leaf of a record or event; None while it waits in the queue (or never was)."""
    return LedgerLeaf.objects.filter(rid=record_id).order_by("-shard").first()  # moved leaves: where they live on


def covering_checkpoint(leaf: LedgerLeaf) -> LedgerCheckpoint | None:
    """The newest signed head that includes the leaf."""
    newest = latest_checkpoint(leaf.shard)
    return newest if newest is not None and newest.size > leaf.leaf_index else None


def proof_of(record_id: uuid.UUID) -> str:
    """The record's tlog-proof. Raises `NotThere` until a signed head covers it."""
    leaf = leaf_of(record_id)
    checkpoint = covering_checkpoint(leaf) if leaf else None
    if leaf is None or checkpoint is None:
        raise NotThere("Not covered by a signed checkpoint yet; ask again in a few seconds.")
    return Prover(checkpoint, [leaf.leaf_index]).proof(leaf)


def proof_at(log: LedgerLog, leaf_index: int) -> str:
    """The tlog-proof of the leaf at an index. Raises `NotThere` until a signed head covers it."""
    checkpoint = signed_head(log)
    leaf = LedgerLeaf.objects.filter(shard=log.shard, leaf_index=leaf_index).first()
    if leaf is None or leaf_index >= checkpoint.size:
        raise NotThere(f"The newest signed head covers the leaves below {checkpoint.size}.")
    return Prover(checkpoint, [leaf_index]).proof(leaf)


def consistency_between(log: LedgerLog, old_size: int, new_size: int) -> list[bytes]:
    """The proof (RFC 9162 §2.1.4) from one size to a later one, both within the log."""
    return consistency_proof(old_size, new_size, node_reader(new_size, partial(tile_data, log.shard)))


def trust_policy() -> TrustPolicy:
    """Whose checkpoints to believe: every key that has signed this tenant's logs."""
    return trust(LedgerKey.objects.order_by("shard", "first_used_at").values_list("vkey", flat=True))


def trust_text() -> str:
    """`trust_policy` as c2sp.org/tlog-policy text; the instance's key of receipts stands in a comment."""
    return f"{trust_policy().text}# receipts: {receipt_signer().verifier.vkey}\n"


def proof_states(record_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """`queued`, `integrated` or `signed` for each record, in two queries."""
    ids = list(record_ids)
    rows = LedgerLeaf.objects.filter(rid__in=ids).order_by("shard").values_list("rid", "shard", "leaf_index")
    placed = {rid: (shard, index) for rid, shard, index in rows}
    newest = latest_checkpoint()
    # Earlier shards are frozen at a signed head; what that head does not cover was moved to a later shard.
    head = (newest.shard, newest.size) if newest else (0, 0)
    return {
        rid: "queued" if (place := placed.get(rid)) is None else "signed" if place < head else "integrated"
        for rid in ids
    }


@dataclass(frozen=True, slots=True)
class Health:
    """How the log is doing now."""

    log: LedgerLog
    checkpoint: LedgerCheckpoint | None
    queued: int
    queued_capped: bool
    oldest_queued: timedelta
    unsigned: timedelta

    @property
    def covered(self) -> int:
        """Leaves under the newest signed head."""
        return self.checkpoint.size if self.checkpoint and self.checkpoint.shard == self.log.shard else 0

    @property
    def is_current(self) -> bool:
        """Everything is within the maximum merge delay."""
        limit = timedelta(seconds=settings.AFFIDAVIT_MMD_SECONDS)
        return self.oldest_queued < limit and self.unsigned < limit


QUEUE_COUNTED = 10_000


def health(tenant_id: uuid.UUID, now: datetime | None = None) -> Health:
    """Size, queue and age of what is not yet signed."""
    moment = now or datetime.now(UTC)
    first = LedgerQueue.objects.order_by("enq_id").values("rid")[:1]
    log, newest = LedgerLog.objects.annotate(oldest=Subquery(first)).order_by("-shard")[0], latest_checkpoint()
    oldest = log.oldest
    queued = LedgerQueue.objects.all()[:QUEUE_COUNTED].count() if oldest else 0
    covered = newest.size if newest and newest.shard == log.shard else 0
    first_unsigned = None
    if covered < log.size:
        unsigned_leaf = LedgerLeaf.objects.filter(shard=log.shard, leaf_index=covered).values_list("rid", flat=True)
        first_unsigned = unsigned_leaf.first()
    return Health(
        log,
        newest,
        queued,
        queued == QUEUE_COUNTED,
        moment - uuid7_time(oldest) if oldest else timedelta(),
        moment - uuid7_time(first_unsigned) if first_unsigned else timedelta(),
    )
