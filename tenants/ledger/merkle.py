"""RFC 6962 / RFC 9162 §2.1 Merkle trees over SHA-256: hashes, roots, frontiers, proofs and their verification.

Proof building reads complete subtrees through `node(level, index)`: the hash over leaves
[index·2^level, (index+1)·2^level). See `tiles.node_reader` for one over stored tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

NodeReader: TypeAlias = Callable[[int, int], bytes]


class ProofError(ValueError):
    """A proof that does not show what it claims."""


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over `leaf_hashes`; of none it is SHA-256 of nothing."""
    return Frontier().extend(leaf_hashes).root()


@dataclass(frozen=True, slots=True)
class Frontier:
    """What is needed to grow a tree: its size and the roots of its maximal complete subtrees, largest first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"a frontier of size {self.size} has not {len(self.hashes)} hashes")

    def extend(self, leaf_hashes: Iterable[bytes]) -> Frontier:
        """The frontier after appending `leaf_hashes`: about one hash each."""
        size, stack = self.size, list(self.hashes)
        for leaf in leaf_hashes:
            node, carry = leaf, size
            while carry & 1:
                node = sha256(b"\x01" + stack.pop() + node).digest()
                carry >>= 1
            stack.append(node)
            size += 1
        return Frontier(size, tuple(stack))

    def root(self) -> bytes:
        return _fold(self.hashes) if self.hashes else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """RFC 9162 §2.1.3.1: the siblings from leaf `index` up to the root of the first `size` leaves.

    Reads O(log size) nodes. Raises ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    low, high = 0, size
    path: list[bytes] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_root(middle, high, node))
            high = middle
        else:
            path.append(_range_root(low, middle, node))
            low = middle
    return path[::-1]


def consistency_proof(old_size: int, new_size: int, node: NodeReader) -> list[bytes]:
    """RFC 9162 §2.1.4.1: that the first `old_size` of `new_size` leaves are the old tree; empty for equal sizes.

    Reads O(log new_size) nodes. Raises ValueError unless 0 < old_size <= new_size.
    """
    if not 0 < old_size <= new_size:
        raise ValueError(f"no consistency proof from size {old_size} to {new_size}")
    low, high = 0, new_size
    path: list[bytes] = []
    while high != old_size:
        middle = low + _split(high - low)
        if old_size <= middle:
            path.append(_range_root(middle, high, node))
            high = middle
        else:
            path.append(_range_root(low, middle, node))
            low = middle
    if low:
        path.append(_range_root(low, high, node))
    return path[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162 §2.1.3.2). Raises ProofError if its shape is wrong."""
    _require(0 <= index < size, f"no leaf {index} in a tree of {size}")
    _require_hashes([leaf, *path])
    position, last, node = index, size - 1, leaf
    for sibling in path:
        _require(last > 0, "the proof is too long")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    _require(last == 0, "the proof is too short")
    return node


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless `path` shows leaf hash `leaf` at `index` of the tree of `size` with `root`."""
    _require(root_from_inclusion(leaf, index, size, path) == root, "the proof leads to another root")


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Raise ProofError unless `path` shows that the new tree starts with the old one (RFC 9162 §2.1.4.2).

    An empty old tree is refused: its root says nothing about what follows.
    """
    _require(0 < old_size <= new_size, f"no proof leads from size {old_size} to {new_size}")
    _require_hashes([old_root, new_root, *path])
    if old_size == new_size:
        _require(not path and old_root == new_root, "one size, two roots")
        return
    _require(bool(path), "the proof is empty")
    hashes = list(path) if old_size & (old_size - 1) else [old_root, *path]
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        _require(last > 0, "the proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    _require(last == 0, "the proof is too short")
    _require(old == old_root, "the proof leads to another old root")
    _require(new == new_root, "the proof leads to another new root")


def _split(width: int) -> int:
    """The largest power of two below `width` (> 1)."""
    return 1 << (width - 1).bit_length() - 1


def _range_root(low: int, high: int, node: NodeReader) -> bytes:
    """Root over leaves [low, high), where `low` is a multiple of a power of two that is at least the width."""
    hashes = []
    while low < high:
        level = (high - low).bit_length() - 1
        hashes.append(node(level, low >> level))
        low += 1 << level
    return _fold(hashes)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Root of adjacent complete subtrees of falling size."""
    node = hashes[-1]
    for left in reversed(hashes[:-1]):
        node = node_hash(left, node)
    return node


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ProofError(otherwise)


def _require_hashes(hashes: Iterable[bytes]) -> None:
    _require(all(len(item) == HASH_BYTES for item in hashes), "a hash has not 32 bytes")
