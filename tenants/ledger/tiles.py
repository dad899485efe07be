"""Tiles of a Merkle tree and bundles of its entries, as c2sp.org/tlog-tiles stores and serves them.

A tile is up to 256 hashes of one level (level l covers tree level 8·l); a full one never changes, and its root is
one hash of the tile above. Only the right edge is partial.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from tenants.ledger.merkle import HASH_BYTES, NodeReader

HEIGHT = 8
WIDTH = 1 << HEIGHT
# The level under which entry bundles are named: tile/entries/… stands where tile/<level>/… does.
ENTRIES = -1
MAX_ENTRY_BYTES = 65_535

_PATH = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class TileError(ValueError):
    """A tile, bundle or path that is not of the tlog-tiles form."""


@dataclass(frozen=True, slots=True)
class TileRef:
    """Which tile: `level` 0-63 or ENTRIES, `index` in that level, `width` 1-256 hashes or entries."""

    level: int
    index: int
    width: int = WIDTH


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile and its `data`: width × 32 bytes."""

    level: int
    index: int
    width: int
    data: bytes


def encode_path(ref: TileRef) -> str:
    """`tile/<L>/<N>[.p/<W>]`; index 1234067 is x001/x234/067."""
    if not (ENTRIES <= ref.level <= 63 and ref.index >= 0 and 1 <= ref.width <= WIDTH):
        raise TileError(f"no such tile: {ref}")
    head, last = divmod(ref.index, 1000)
    parts = [f"{last:03}"]
    while head:
        head, part = divmod(head, 1000)
        parts.append(f"x{part:03}")
    level = "entries" if ref.level == ENTRIES else str(ref.level)
    partial = "" if ref.width == WIDTH else f".p/{ref.width}"
    return f"tile/{level}/{'/'.join(reversed(parts))}{partial}"


def decode_path(path: str) -> TileRef:
    """The tile that a path names; raises TileError for every spelling but the one `encode_path` gives."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise TileError(f"not a tile path: {path!r}")
    level, index, width = match.groups()
    ref = TileRef(
        ENTRIES if level == "entries" else int(level),
        int(index.replace("x", "").replace("/", "")),
        WIDTH if width is None else int(width),
    )
    if ref.width > WIDTH or encode_path(ref) != path:
        raise TileError(f"not a tile path: {path!r}")
    return ref


def tile_width(level: int, index: int, size: int) -> int:
    """How many hashes (entries, for ENTRIES) that tile has in a tree of `size`: 0 (not there) to 256."""
    level = max(level, 0)
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - index * WIDTH))


def right_edge(size: int) -> list[TileRef]:
    """The partial tiles of a tree of `size`, lowest level first: what `append` needs to read."""
    edge = []
    level = 0
    while count := size >> (HEIGHT * level):
        if count % WIDTH:
            edge.append(TileRef(level, count // WIDTH, count % WIDTH))
        level += 1
    return edge


def append(size: int, leaf_hashes: Sequence[bytes], tile: Callable[[int, int, int], bytes]) -> list[Tile]:
    """The new and grown tiles when `leaf_hashes` are appended to a tree of `size`, lowest level first.

    `tile(level, index, width)` gives the data of the tiles of `right_edge(size)`; no other is asked for.
    """
    changed: list[Tile] = []
    level, added = 0, b"".join(leaf_hashes)
    while added:
        index, width = divmod(size >> (HEIGHT * level), WIDTH)
        data = (_checked(tile(level, index, width), width) if width else b"") + added
        roots = []
        for index_of, start in enumerate(range(0, len(data), WIDTH * HASH_BYTES), start=index):
            chunk = data[start : start + WIDTH * HASH_BYTES]
            changed.append(Tile(level, index_of, len(chunk) // HASH_BYTES, chunk))
            if len(chunk) == WIDTH * HASH_BYTES:
                roots.append(_complete_root(chunk))
        level, added = level + 1, b"".join(roots)
    return changed


def node_reader(size: int, tile: Callable[[int, int, int], bytes]) -> NodeReader:
    """A reader of complete subtrees of the tree of `size`, for `merkle.inclusion_proof` and its kin.

    `tile(level, index, width)` gives a tile's data exactly as wide as asked; each is read once per reader.
    """
    read: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, HEIGHT)
        first = index << height
        tile_index, offset = divmod(first, WIDTH)
        data = read.get((tile_level, tile_index))
        if data is None:
            width = tile_width(tile_level, tile_index, size)
            if not width:
                raise TileError(f"a tree of {size} has no node {index} at level {level}")
            data = read[tile_level, tile_index] = _checked(tile(tile_level, tile_index, width), width)
        hashes = data[offset * HASH_BYTES : (offset + (1 << height)) * HASH_BYTES]
        if len(hashes) != HASH_BYTES << height:
            raise TileError(f"a tree of {size} has no complete subtree {index} at level {level}")
        return _complete_root(hashes)

    return node


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries, each after its length as a big-endian uint16."""
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise TileError(f"an entry has at most {MAX_ENTRY_BYTES} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; raises TileError where it is cut off."""
    return list(_entries(data))


def _entries(data: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        if position > len(data) or start > len(data):
            raise TileError("the entry bundle is cut off")
        yield data[start:position]


def _checked(data: bytes, width: int) -> bytes:
    if len(data) != width * HASH_BYTES:
        raise TileError(f"a tile of width {width} has not {len(data)} bytes")
    return data


def _complete_root(hashes: bytes) -> bytes:
    """Root over 2^k adjacent hashes: one SHA-256 for each pair, level by level."""
    while len(hashes) > HASH_BYTES:
        hashes = b"".join(
            sha256(b"\x01" + hashes[start : start + 2 * HASH_BYTES]).digest()
            for start in range(0, len(hashes), 2 * HASH_BYTES)
        )
    return hashes
