"""Which items: by a seed that nobody chose, so that anybody draws the same ones again, offline. Pure."""

import hashlib
import heapq
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence


def seed_of(root: bytes, case_id: uuid.UUID) -> bytes:
    """SHA-256(root ‖ 16 bytes of the case's id); `root` is of the first checkpoint that covers the freeze."""
    return hashlib.sha256(root + case_id.bytes).digest()


def rank(seed: bytes, leaf_index: int) -> bytes:
    """SHA-256(seed ‖ leaf index as 8 bytes, big-endian): the order of selection."""
    return hashlib.sha256(seed + leaf_index.to_bytes(8, "big")).digest()


def select(seed: bytes, leaf_indexes: Iterable[int], n: int) -> list[int]:
    """The `n` leaf indexes of lowest rank, in that order."""
    return heapq.nsmallest(n, leaf_indexes, key=lambda index: rank(seed, index))


def select_strata(seed: bytes, strata: Iterable[tuple[int, int]], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """From (leaf index, stratum number from 1): the `sizes[number − 1]` of lowest rank of each, stratum by stratum."""
    members: defaultdict[int, list[int]] = defaultdict(list)
    for index, number in strata:
        members[number].append(index)
    return [
        (index, number) for number, size in enumerate(sizes, start=1) for index in select(seed, members[number], size)
    ]
