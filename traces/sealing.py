"""Field groups of a decision: what is committed to together, and how the content is kept.

Each group of fields has its own salted commitment in the leaf, so that one can be erased, or withheld from a reader,
while the others still verify. The groups' canonical bytes and their salts travel together, compressed and encrypted.

Frame, before compression: version 1, 32-byte salt seed, then for each group its name length, name, value length
(4 bytes, big-endian) and value. Version 1 derives the salts from the seed (SHAKE-256), 32 bytes for each group in
`GROUPS` order, whether it is present or not.
"""

import hashlib
import os
import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

from tenants.crypto import seal, unseal
from tenants.ledger.canonical import dumps_each
from tenants.ledger.commitments import commit

GROUPS = ("subject", "input", "output", "explain", "enforce", "policy", "meta")
GROUP_OF = {
    "subject": "subject",
    "user": "subject",
    "session": "subject",
    "requested_by": "subject",
    "on_behalf_of": "subject",
    "input": "input",
    "context": "input",
    "output": "output",
    "outcome": "explain",
    "human": "explain",
    "notice_given": "explain",
    "enforcement": "enforce",
}
SEED_BYTES = 32
SALT_BYTES = 32
_VERSION = b"\x01"
_LENGTH = struct.Struct("!I")
_LEVEL = 1  # a quarter of the time of zlib's own first level, and no larger


@dataclass(frozen=True, slots=True)
class Content:
    """A decision's content: canonical bytes and salt by group."""

    canonical: Mapping[str, bytes]
    salts: Mapping[str, bytes]

    def commitments(self) -> dict[str, bytes]:
        """The 32-byte commitment of each group."""
        return {group: commit(group, self.salts[group], data) for group, data in self.canonical.items()}


def grouped(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The submitted members by group; what no other group claims is `meta`. Empty groups are left out."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in raw.items():
        groups.setdefault(GROUP_OF.get(name, "meta"), {})[name] = value
    return groups


def canonical_groups(raw: Mapping[str, Any]) -> dict[str, bytes]:
    """RFC 8785 bytes of each group."""
    return dumps_each(grouped(raw))


def fingerprint(canonical: Mapping[str, bytes]) -> bytes:
    """SHA-256 over the groups in order: the same for the same submission, whatever its formatting."""
    digest = hashlib.sha256()
    for group in GROUPS:
        if data := canonical.get(group):
            digest.update(group.encode() + b"\0" + _LENGTH.pack(len(data)) + data)
    return digest.digest()


def salts_from(seed: bytes) -> dict[str, bytes]:
    """The salt of every group, from the record's random seed."""
    stream = hashlib.shake_256(b"affidavit/v1/salts\0" + seed).digest(SALT_BYTES * len(GROUPS))
    return {group: stream[i * SALT_BYTES : (i + 1) * SALT_BYTES] for i, group in enumerate(GROUPS)}


def seal_content(key: bytes, seed: bytes, canonical: Mapping[str, bytes], bound_to: bytes) -> bytes:
    """The groups and the seed of their salts, compressed, then encrypted under the subject's key."""
    frame = [_VERSION, seed]
    for group, data in canonical.items():
        frame += (bytes([len(group)]), group.encode(), _LENGTH.pack(len(data)), data)
    return seal(key, isal_zlib.compress(b"".join(frame), _LEVEL), bound_to)


def open_content(key: bytes, sealed: bytes, bound_to: bytes) -> Content:
    """The inverse; raises `tenants.crypto.SealError` for another key, another row or altered bytes."""
    frame = zlib.decompress(unseal(key, sealed, bound_to))
    seed, at = frame[1 : 1 + SEED_BYTES], 1 + SEED_BYTES
    canonical: dict[str, bytes] = {}
    while at < len(frame):
        name_end = at + 1 + frame[at]
        group = frame[at + 1 : name_end].decode()
        value_at = name_end + _LENGTH.size
        (length,) = _LENGTH.unpack_from(frame, name_end)
        canonical[group] = frame[value_at : value_at + length]
        at = value_at + length
    salts = salts_from(seed)
    return Content(canonical, {group: salts[group] for group in canonical})


def new_seed() -> bytes:
    """Fresh randomness for one record's salts."""
    return os.urandom(SEED_BYTES)


def bound_to(tenant_id: uuid.UUID, decision_id: uuid.UUID) -> bytes:
    """What ties a sealed payload to its row: moved to another, it does not open."""
    return tenant_id.bytes + decision_id.bytes
