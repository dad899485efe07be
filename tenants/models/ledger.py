"""The tables of the transparency log: RFC 6962 tree, C2SP tiles and checkpoints, one log per tenant and shard.

Writers add to `LedgerQueue` in the transaction of the fact itself; only the sequencer moves leaves into the tree,
only the signer writes checkpoints.
"""

from django.db import models
from django.utils import timezone

from tenants.models.base import TenantModel, TenantRow


class LogState(models.TextChoices):
    ACTIVE = "active", "Active"
    FROZEN = "frozen", "Frozen"


class LedgerLog(TenantRow):
    """The tree's head: `size` leaves, `root`, and the frontier (roots of the complete subtrees, left to right)."""

    pk = models.CompositePrimaryKey("tenant_id", "shard")
    shard = models.SmallIntegerField(default=1)
    origin = models.CharField(max_length=200, unique=False)
    size = models.BigIntegerField(default=0)
    root = models.BinaryField(max_length=32)
    frontier = models.BinaryField(default=bytes)
    state = models.CharField(max_length=10, choices=LogState.choices, default=LogState.ACTIVE)
    integrated_at = models.DateTimeField(null=True)


class LedgerQueue(TenantRow):
    """Leaves that wait to be sequenced; a row leaves in the transaction that integrates it."""

    enq_id = models.BigAutoField(primary_key=True)
    rid = models.UUIDField()
    leaf = models.BinaryField(max_length=2048)


class LedgerLeaf(TenantRow):
    """A leaf at its place in the tree."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "leaf_index")
    shard = models.SmallIntegerField()
    leaf_index = models.BigIntegerField()
    rid = models.UUIDField()
    leaf = models.BinaryField(max_length=2048)
    leaf_hash = models.BinaryField(max_length=32)

    class Meta(TenantRow.Meta):
        indexes = (models.Index(fields=("tenant", "rid"), name="ledger_leaf_rid"),)


class LedgerTile(TenantRow):
    """A tile of up to 256 hashes of one level (C2SP tlog-tiles). A full tile never changes."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "level", "tile_index")
    shard = models.SmallIntegerField()
    level = models.SmallIntegerField()
    tile_index = models.BigIntegerField()
    width = models.SmallIntegerField()
    data = models.BinaryField(max_length=8192)


class LedgerCheckpoint(TenantRow):
    """A signed tree head: the note as published."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "size")
    shard = models.SmallIntegerField()
    size = models.BigIntegerField()
    root = models.BinaryField(max_length=32)
    note = models.TextField()
    signed_at = models.DateTimeField(default=timezone.now)


class LedgerEvent(TenantModel):
    """The body of a product event whose commitment is a leaf: who did what, as canonical JSON."""

    tag = models.CharField(max_length=64)
    actor = models.CharField(max_length=200)
    body = models.BinaryField()
    salt = models.BinaryField(max_length=32)

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=("tenant", "tag", "id"), name="ledger_event_tag"),)


class AnchorState(models.TextChoices):
    PENDING = "pending", "Pending"
    ANCHORED = "anchored", "Anchored"
    FAILED = "failed", "Failed"


class LedgerAnchor(TenantModel):
    """What an outside witness of a checkpoint answered: a file position, a timestamp token, a cosignature."""

    shard = models.SmallIntegerField()
    size = models.BigIntegerField()
    sink = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=AnchorState.choices, default=AnchorState.PENDING)
    proof = models.BinaryField(default=bytes)
    detail = models.CharField(max_length=500, blank=True)
    tried_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "shard", "size", "sink"), name="ledger_anchor_unique"),
        )


class LedgerKey(TenantRow):
    """A key that has signed this log, as its verifier key (`vkey`, C2SP signed-note): what a trust policy lists."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "vkey")
    shard = models.SmallIntegerField()
    vkey = models.CharField(max_length=300)
    first_used_at = models.DateTimeField(default=timezone.now)
