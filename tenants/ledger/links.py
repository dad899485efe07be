"""What the first leaf of a shard says of the log before it, which was frozen (`shards` writes it)."""

import json
import uuid
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tenants.events import Tag
from tenants.ids import uuid7_time
from tenants.models import LedgerEvent, LedgerLeaf


@dataclass(frozen=True, slots=True)
class Link:
    """The frozen log's last good head, and why it ended there."""

    event_id: uuid.UUID
    origin: str
    size: int
    root: bytes
    seen_size: int  # the largest head that had been signed
    reason: str
    operators: tuple[str, ...]
    at: datetime


def link_of(shard: int, using: str = "default") -> Link | None:
    """What a shard's first leaf says of the one before it; None for the first shard. Inside `tenant_atomic`."""
    leaf = LedgerLeaf.objects.using(using).filter(shard=shard, leaf_index=0).first() if shard > 1 else None
    event = LedgerEvent.objects.using(using).filter(pk=leaf.rid, tag=Tag.LOG_FROZEN).first() if leaf else None
    return _parse(event) if event else None


def links(shards: Iterable[int], using: str = "default") -> dict[int, Link]:
    """By the shard that was frozen: what its successor says of it."""
    found = {shard: link_of(shard + 1, using) for shard in shards}
    return {shard: link for shard, link in found.items() if link is not None}


def _parse(event: LedgerEvent) -> Link:
    body = json.loads(bytes(event.body))
    frozen = body["frozen"]
    return Link(
        event.pk,
        frozen["origin"],
        frozen["size"],
        b64decode(frozen["root"]),
        body["seen_size"],
        body["reason"],
        tuple(body["operators"]),
        uuid7_time(event.pk),
    )
