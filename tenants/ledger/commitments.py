"""Salted commitments to groups of fields, and the small leaf documents that carry them into the log.

A leaf is the RFC 8785 form of

    {"v":1, "typ":…, "tid":…, "rid":…, "rcv":…, "sys":…, "ref":…, "c":{group: …}, "ph":…, "mh":…}

tid, rid, ref are UUIDs; rcv is RFC 3339 UTC with milliseconds; each commitment is 32 bytes as base64url without
padding; ph and mh are SHA-256 in lower-case hex, as people see policy hashes. Absent fields are left out. Whoever
deletes a group's value and its salt leaves a digest that tells nothing, and the tree still verifies.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from tenants.ledger.canonical import dumps, parse_strict

SALT_BYTES = 32
MAX_LEAF_BYTES = 2048

_COMMIT_TAG = b"affidavit/v1/commit/"
_GROUP = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TYPE = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_RECEIVED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELDS = frozenset({"v", "typ", "tid", "rid", "rcv", "sys", "ref", "c", "ph", "mh"})
_REQUIRED = frozenset({"v", "typ", "tid", "rid", "rcv", "c"})


class LeafError(ValueError):
    """A leaf document that cannot be built or is not one of ours."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A parsed leaf document. Digests are 32 raw bytes."""

    type: str
    tenant_id: UUID
    record_id: UUID
    received_at: datetime
    commitments: Mapping[str, bytes]
    system: str | None = None
    parent_id: UUID | None = None
    policy_hash: bytes | None = None
    model_hash: bytes | None = None


def commit(group: str, salt: bytes, canonical: bytes) -> bytes:
    """SHA-256("affidavit/v1/commit/" || group || 0x00 || salt || canonical): 32 bytes.

    `salt` is 32 random bytes, one per group and record; `canonical` the RFC 8785 bytes of the group's value.
    """
    if len(salt) != SALT_BYTES:
        raise LeafError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return hashlib.sha256(_commit_prefix(group) + salt + canonical).digest()


def decision_leaf(
    *,
    tenant_id: UUID,
    record_id: UUID,
    received_at: datetime,
    system: str,
    commitments: Mapping[str, bytes],
    parent_id: UUID | None = None,
    policy_hash: bytes | None = None,
    model_hash: bytes | None = None,
) -> bytes:
    """The leaf of one decision: at most 2,048 bytes of canonical JSON. Raises LeafError."""
    return event_leaf(
        type="decision",
        tenant_id=tenant_id,
        record_id=record_id,
        received_at=received_at,
        system=system,
        commitments=commitments,
        parent_id=parent_id,
        policy_hash=policy_hash,
        model_hash=model_hash,
    )


def event_leaf(
    *,
    type: str,
    tenant_id: UUID,
    record_id: UUID,
    received_at: datetime,
    commitments: Mapping[str, bytes],
    system: str | None = None,
    parent_id: UUID | None = None,
    policy_hash: bytes | None = None,
    model_hash: bytes | None = None,
) -> bytes:
    """The leaf of any other event; `type` is what `typ` says, `parent_id` the record it is about. Raises LeafError.

    Written member by member in RFC 8785 order, since this runs for every record; tests hold it equal to `dumps`.
    """
    if not _TYPE.fullmatch(type):
        raise LeafError(f"not a leaf type: {type!r}")
    parts = [b'{"c":{', b",".join(_commitment_members(commitments)), b"}"]
    if model_hash is not None:
        parts += (b',"mh":"', _hex_digest(model_hash), b'"')
    if policy_hash is not None:
        parts += (b',"ph":"', _hex_digest(policy_hash), b'"')
    parts += (b',"rcv":"', format_received(received_at).encode(), b'"')
    if parent_id is not None:
        parts += (b',"ref":"', str(parent_id).encode(), b'"')
    parts += (b',"rid":"', str(record_id).encode(), b'"')
    if system is not None:
        parts += (b',"sys":', _json_text(system))
    parts += (b',"tid":"', str(tenant_id).encode(), b'","typ":"', type.encode(), b'","v":1}')
    leaf = b"".join(parts)
    if len(leaf) > MAX_LEAF_BYTES:
        raise LeafError(f"a leaf has at most {MAX_LEAF_BYTES} bytes, not {len(leaf)}")
    return leaf


def parse_leaf(data: bytes) -> Leaf:
    """Read a leaf back. Raises LeafError (or CanonicalError, also a ValueError) unless it is exactly our form."""
    document = parse_strict(data)
    if not isinstance(document, dict) or dumps(document) != data or len(data) > MAX_LEAF_BYTES:
        raise LeafError("not a canonical leaf document")
    if document.get("v") != 1 or not _REQUIRED <= document.keys() <= _FIELDS:
        raise LeafError("not a version 1 leaf: unknown, missing or misversioned fields")
    try:
        return _leaf_of(document)
    except (TypeError, AttributeError, ValueError) as error:
        raise LeafError(f"bad leaf field: {error}") from None


def format_received(moment: datetime) -> str:
    """RFC 3339 in UTC, cut (not rounded) to milliseconds: 2026-11-23T08:46:14.123Z."""
    if moment.utcoffset() != timedelta(0):
        raise LeafError("a received time must be in UTC")
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def parse_received(text: str) -> datetime:
    """The inverse of `format_received`; raises LeafError for any other spelling."""
    if not _RECEIVED.fullmatch(text):
        raise LeafError(f"not an RFC 3339 UTC time with milliseconds: {text!r}")
    try:
        return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    except ValueError:
        raise LeafError(f"no such time: {text!r}") from None


@lru_cache(maxsize=256)
def _commit_prefix(group: str) -> bytes:
    if not _GROUP.fullmatch(group):
        raise LeafError(f"not a group name: {group!r}")
    return _COMMIT_TAG + group.encode("ascii") + b"\x00"


@lru_cache(maxsize=256)
def _member_prefix(group: str) -> bytes:
    _commit_prefix(group)
    return b'"' + group.encode("ascii") + b'":"'


@lru_cache(maxsize=4096)
def _json_text(text: str) -> bytes:
    try:
        return orjson.dumps(text)
    except orjson.JSONEncodeError:
        raise LeafError("a system name must be valid Unicode") from None


def _commitment_members(commitments: Mapping[str, bytes]) -> list[bytes]:
    members = []
    for group in sorted(commitments):
        digest = commitments[group]
        if len(digest) != 32:
            raise LeafError(f"the commitment of {group!r} has {len(digest)} bytes, not 32")
        members.append(_member_prefix(group) + urlsafe_b64encode(digest)[:43] + b'"')
    return members


def _hex_digest(digest: bytes) -> bytes:
    if len(digest) != 32:
        raise LeafError(f"a SHA-256 has 32 bytes, not {len(digest)}")
    return digest.hex().encode()


def _leaf_of(document: dict[str, Any]) -> Leaf:
    if not _TYPE.fullmatch(document["typ"]):
        raise LeafError(f"not a leaf type: {document['typ']!r}")
    system = document.get("sys")
    if system is not None and not isinstance(system, str):
        raise LeafError("sys is not text")
    return Leaf(
        type=document["typ"],
        tenant_id=_uuid(document["tid"]),
        record_id=_uuid(document["rid"]),
        received_at=parse_received(document["rcv"]),
        commitments={group: _commitment(group, text) for group, text in document["c"].items()},
        system=system,
        parent_id=_uuid(document["ref"]) if "ref" in document else None,
        policy_hash=_digest(document["ph"]) if "ph" in document else None,
        model_hash=_digest(document["mh"]) if "mh" in document else None,
    )


def _uuid(text: str) -> UUID:
    parsed = UUID(text)
    if str(parsed) != text:
        raise LeafError(f"not the usual spelling of a UUID: {text!r}")
    return parsed


def _digest(text: str) -> bytes:
    if not _HEX_DIGEST.fullmatch(text):
        raise LeafError("not a lower-case SHA-256")
    return bytes.fromhex(text)


def _commitment(group: str, text: str) -> bytes:
    _commit_prefix(group)
    digest = urlsafe_b64decode(text + "=")
    if len(digest) != 32 or urlsafe_b64encode(digest)[:43].decode() != text:
        raise LeafError(f"the commitment of {group!r} is not 32 bytes of base64url")
    return digest
