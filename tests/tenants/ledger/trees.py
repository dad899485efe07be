"""Trees for tests: the definition of RFC 6962 §2.1 word for word, and a store of tiles grown by appending."""

from collections.abc import Iterable
from hashlib import sha256

from tenants.ledger import tiles
from tenants.ledger.merkle import EMPTY_ROOT, NodeReader


def hashes(count: int) -> list[bytes]:
    return [sha256(b"leaf %d" % number).digest() for number in range(count)]


def definition_root(leaf_hashes: list[bytes]) -> bytes:
    """MTH(D[n]), recursively, as the RFC writes it."""
    if not leaf_hashes:
        return EMPTY_ROOT
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    k = 1
    while k * 2 < len(leaf_hashes):
        k *= 2
    return sha256(b"\x01" + definition_root(leaf_hashes[:k]) + definition_root(leaf_hashes[k:])).digest()


class TileStore:
    """Tiles as a table keeps them: the widest version of each."""

    def __init__(self) -> None:
        self.size = 0
        self.data: dict[tuple[int, int], bytes] = {}
        self.reads = 0

    def read(self, level: int, index: int, width: int) -> bytes:
        self.reads += 1
        return self.data[level, index][: width * 32]

    def append(self, leaf_hashes: Iterable[bytes]) -> list[tiles.Tile]:
        added = list(leaf_hashes)
        changed = tiles.append(self.size, added, self.read)
        self.data.update({(tile.level, tile.index): tile.data for tile in changed})
        self.size += len(added)
        return changed

    def nodes(self, size: int | None = None) -> NodeReader:
        return tiles.node_reader(self.size if size is None else size, self.read)
