"""Deriving a log again from its leaves, and comparing everything that was ever said of it. Memory does not grow.

Needs no key: leaves give hashes, hashes tiles and roots, roots what the signed heads must say. What the signer keeps
outside the database is the other witness: a database changed with all its hashes still disagrees with it.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tenants.context import tenant_atomic
from tenants.ledger.links import Link, links
from tenants.ledger.memory import memory_path, remembered_heads
from tenants.ledger.merkle import HASH_BYTES, Frontier, leaf_hash
from tenants.ledger.notes import Checkpoint, NoteError
from tenants.ledger.proofs import TrustPolicy, trust
from tenants.ledger.tiles import HEIGHT, WIDTH, Tile, append, right_edge
from tenants.models import LedgerCheckpoint, LedgerKey, LedgerLeaf, LedgerLog, LedgerTile

CHUNK = 16 * WIDTH
FINDINGS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold: `index` is the first leaf it is about, `last` the last where that is a guess."""

    index: int
    text: str
    last: int | None = None
    is_tree: bool = False  # about a leaf or a tile itself: explains every root above it


@dataclass
class Rederivation:
    """One log, walked from its first leaf to its head."""

    tenant_id: uuid.UUID
    using: str
    log: LedgerLog
    policy: TrustPolicy
    remembered: Iterator[tuple[Checkpoint, str]]
    link: Link | None = None  # of a frozen log: where it ended, as the next one's first leaf says
    frontier: Frontier = field(default_factory=Frontier)
    edges: dict[int, Tile] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    heads: int = 0
    holds_to: int = 0  # size of the largest head that held
    _next: tuple[Checkpoint, str] | None = None

    @property
    def end(self) -> int:
        """The leaves that must hold: all, or those that a frozen log's last good head covers."""
        return self.log.size if self.link is None else min(self.link.size, self.log.size)

    def run(self) -> None:
        """Walk the log; `findings` then has what is wrong, lowest leaf first."""
        self._advance()
        while self.frontier.size < self.end and len(self.findings) < FINDINGS_KEPT:
            with tenant_atomic(self.tenant_id, using=self.using):
                if not self._take_chunk():
                    break
        else:
            with tenant_atomic(self.tenant_id, using=self.using):
                self._compare_end()
        self._compare_leftover()
        places = [finding.index for finding in self.findings if finding.is_tree]
        self.findings = sorted(
            (f for f in self.findings if f.last is None or not any(f.index <= place <= f.last for place in places)),
            key=lambda finding: finding.index,
        )

    def _report(self, index: int, text: str) -> None:
        self.findings.append(Finding(index, text))

    def _report_tree(self, index: int, text: str) -> None:
        self.findings.append(Finding(index, text, is_tree=True))

    def _report_root(self, size: int, what: str) -> None:
        between = f"the first changed leaf is between {self.holds_to} and {size - 1}"
        self.findings.append(Finding(self.holds_to, f"{what}; {between}", last=size - 1))

    def _take_chunk(self) -> bool:
        """The next leaves; False where one is missing, behind which nothing can be derived."""
        start = self.frontier.size
        end = min(start + CHUNK, self.end)
        rows = LedgerLeaf.objects.using(self.using).filter(
            shard=self.log.shard, leaf_index__gte=start, leaf_index__lt=end
        )
        hashes: list[bytes] = []
        for index, leaf, stored in rows.order_by("leaf_index").values_list("leaf_index", "leaf", "leaf_hash"):
            if index != start + len(hashes):
                break
            digest = leaf_hash(bytes(leaf))
            if digest != bytes(stored):
                self._report_tree(index, f"leaf {index} is not what its stored hash was made of")
            hashes.append(digest)
        self._compare_tiles(append(start, hashes, self._edge))
        self._compare_heads(start, hashes)
        if len(hashes) < end - start:
            missing = start + len(hashes)
            self._report_tree(missing, f"leaf {missing} is missing (the log has {self.log.size})")
            return False
        return True

    def _edge(self, level: int, index: int, width: int) -> bytes:
        return self.edges[level].data[: width * HASH_BYTES]

    def _compare_tiles(self, tiles: Iterable[Tile]) -> None:
        """Full tiles at once; the last of each level is kept, to grow or to be compared at the end."""
        for tile in tiles:
            self.edges[tile.level] = tile
            if tile.width == WIDTH:
                self._compare_tile(tile)

    def _compare_tile(self, tile: Tile) -> None:
        rows = LedgerTile.objects.using(self.using).filter(
            shard=self.log.shard, level=tile.level, tile_index=tile.index
        )
        stored = rows.values_list("data", flat=True).first()
        first = tile.index * WIDTH
        if stored is None:
            self._report(first << (HEIGHT * tile.level), f"tile {tile.level}/{tile.index} is missing")
            return
        data = bytes(stored)
        if data != tile.data:
            spans = range(0, max(len(data), len(tile.data)), HASH_BYTES)
            at = next(i for i in spans if data[i : i + HASH_BYTES] != tile.data[i : i + HASH_BYTES]) // HASH_BYTES
            index = (first + at) << (HEIGHT * tile.level)
            text = f"tile {tile.level}/{tile.index} disagrees with the leaves from leaf {index} on"
            if tile.level:
                self.findings.append(Finding(index, text, last=index + (1 << (HEIGHT * tile.level)) - 1))
            else:
                self._report_tree(index, text)

    def _compare_heads(self, start: int, hashes: list[bytes]) -> None:
        """Move the frontier over the chunk, stopping at every size that was signed."""
        end = start + len(hashes)
        rows = LedgerCheckpoint.objects.using(self.using).filter(shard=self.log.shard, size__gt=start, size__lte=end)
        heads = {head.size: head for head in rows}
        known: dict[int, tuple[Checkpoint, str]] = {}
        while self._next is not None and self._next[0].size <= end:
            known[self._next[0].size] = self._next
            self._advance()
        for size in sorted(heads.keys() | known.keys()):
            self.frontier = self.frontier.extend(hashes[self.frontier.size - start : size - start])
            self._compare_head(size, heads.get(size), known.get(size))
        self.frontier = self.frontier.extend(hashes[self.frontier.size - start :])

    def _compare_head(self, size: int, head: LedgerCheckpoint | None, known: tuple[Checkpoint, str] | None) -> None:
        self.heads += 1
        root, before = self.frontier.root(), len(self.findings)
        if known is not None and known[0].root != root:
            self._report_root(size, f"the signer remembers another root of {size} leaves")
        if head is None:
            self._report(size - 1, f"the head of {size} leaves was signed, but is not in the database")
            return
        if known is not None and known[1] != head.note:
            self._report(size - 1, f"the head of {size} leaves is not the one that the signer remembers")
        try:
            signed = self.policy.open_checkpoint(head.note)
            if signed != Checkpoint(self.log.origin, size, bytes(head.root)):
                raise NoteError("its note says something else than its row")
            if signed.root != root:
                self._report_root(size, f"the leaves give another root than the signed head of {size}")
        except NoteError as error:
            self._report(size - 1, f"the head of {size} leaves is not valid: {error}")
        if len(self.findings) == before:
            self.holds_to = size

    def _compare_end(self) -> None:
        if self.link is not None:
            self._compare_link(self.link)
            return
        for ref in right_edge(self.log.size):
            self._compare_tile(self.edges[ref.level])
        if self.frontier.root() != bytes(self.log.root):
            self._report_root(self.log.size, f"the leaves give another root than the log's own of {self.log.size}")
        if self.frontier.hashes != tuple(_split(bytes(self.log.frontier))):
            self._report_root(self.log.size, "the log's frontier is not that of its leaves: it cannot grow rightly")
        extra = LedgerLeaf.objects.using(self.using).filter(shard=self.log.shard, leaf_index__gte=self.log.size)
        if extra.exists():
            self._report(self.log.size, f"there are leaves past the log's end, {self.log.size}")

    def _compare_link(self, link: Link) -> None:
        """A frozen log ends where the next one says; what was behind its last good head has a place there."""
        if (link.origin, link.size, link.root) != (self.log.origin, self.frontier.size, self.frontier.root()):
            self._report(max(link.size - 1, 0), f"the next log begins with another head of {link.origin} than this one")

    def _compare_leftover(self) -> None:
        """Heads past the end of what could be derived. Of a frozen log they are why it was frozen."""
        if self.link is not None:
            return
        if self._next is not None and self._next[0].size > self.log.size:
            self._report(self.log.size, f"{self._next[0].size} leaves were signed, the database has {self.log.size}")
        with tenant_atomic(self.tenant_id, using=self.using):
            rows = LedgerCheckpoint.objects.using(self.using).filter(shard=self.log.shard, size__gt=self.log.size)
            if larger := rows.order_by("size").first():
                self._report(self.log.size, f"a head of {larger.size} leaves is stored, the log has {self.log.size}")

    def _advance(self) -> None:
        self._next = next(self.remembered, None)


def _split(hashes: bytes) -> Iterator[bytes]:
    return (hashes[i : i + HASH_BYTES] for i in range(0, len(hashes), HASH_BYTES))


def rederive(tenant_id: uuid.UUID, *, using: str, state: Path | None) -> list[Rederivation]:
    """Every log of a tenant, walked; `state` is the signer's folder, where it can be read."""
    with tenant_atomic(tenant_id, using=using):
        logs = list(LedgerLog.objects.using(using).order_by("shard"))
        ends = links([log.shard for log in logs[:-1]], using)
        vkeys = list(LedgerKey.objects.using(using).order_by("shard", "first_used_at").values_list("vkey", flat=True))
    walks = []
    for log in logs:
        path = memory_path(state, tenant_id, log.shard) if state else None
        walk = Rederivation(tenant_id, using, log, trust(vkeys), remembered_heads(path) if path else iter(()))
        walk.link = ends.get(log.shard)
        if walk.link is None and log.shard < logs[-1].shard:
            walk.findings.append(Finding(0, "there is a later log, whose first leaf says nothing of this one"))
        walk.run()
        walks.append(walk)
    return walks
