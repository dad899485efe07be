"""Signed notes (c2sp.org/signed-note) with Ed25519 keys, and the two texts we sign: checkpoints and receipts.

Key names keep the purposes apart: a checkpoint is signed by the key named like its origin, a receipt by the key
named `<instance>/receipt`. Verification is cofactorless (as in OpenSSL and Go) and refuses low-order keys.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tenants.ledger.commitments import format_received, parse_received
from tenants.ledger.merkle import EMPTY_ROOT, HASH_BYTES

MAX_SIGNATURES = 100
MAX_NOTE_CHARACTERS = 1_000_000
RECEIPT_HEADER = "affidavit/receipt/v1"

_ED25519 = b"\x01"
_DASH = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[^\s+\x00-\x1f]+")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_MAX_SIZE = 2**63 - 1
# The y coordinates of the points of order 1, 2, 4 and 8, canonical and not, little-endian.
_LOW_ORDER = frozenset(
    bytes.fromhex(encoding)
    for encoding in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


class NoteError(ValueError):
    """A note, key or text that is malformed, or must not be relied on."""


class UntrustedNoteError(NoteError):
    """No signature of the note is by a known key."""


class BadSignatureError(NoteError):
    """A known key's signature does not fit the note: the text or the signature was changed."""


@dataclass(frozen=True)
class Verifier:
    """A public key with its name; `vkey` is its text form, `name+hex(key id)+base64(0x01 || key)`."""

    name: str
    public_bytes: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise NoteError(f"not a key name: {self.name!r}")
        if len(self.public_bytes) != 32:
            raise NoteError("an Ed25519 key has 32 bytes")
        if self.public_bytes[:31] + bytes([self.public_bytes[31] & 0x7F]) in _LOW_ORDER:
            raise NoteError("a low-order Ed25519 key: anything would verify")

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Raises NoteError unless `vkey` is well formed and its key id fits name and key."""
        name, _, rest = vkey.partition("+")
        key_id, _, encoded = rest.partition("+")
        key = _base64(encoded)
        if key[:1] != _ED25519:
            raise NoteError(f"not an Ed25519 verifier key: {vkey!r}")
        verifier = cls(name, key[1:])
        if verifier.vkey != vkey:
            raise NoteError(f"the key id {key_id!r} is not that of the key {name!r}")
        return verifier

    @cached_property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name || 0x0A || 0x01 || key)."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_bytes).digest()[:4]

    @cached_property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.public_bytes).decode()}"

    @cached_property
    def _public_key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.public_bytes)

    def verifies(self, text: bytes, signature: bytes) -> bool:
        try:
            self._public_key.verify(signature, text)
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key with its name. Make one and keep it: each signature then costs one Ed25519 operation."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.verifier = Verifier(name, key.public_key().public_bytes_raw())
        self._sign = key.sign
        self._key_id = self.verifier.key_id
        self._prefix = f"{_DASH}{name} "

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> Signer:
        """The signer of a 32-byte RFC 8032 private key."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    def signature_line(self, text: str) -> str:
        signature = self._sign(text.encode())
        return f"{self._prefix}{b64encode(self._key_id + signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """An opened note: its text, the known keys that signed it, and the names of the unknown ones."""

    text: str
    signed_by: tuple[Verifier, ...]
    unknown: tuple[str, ...] = ()


def sign_note(text: str, *signers: Signer) -> str:
    """The signed note of `text`, with one signature of each signer. Raises NoteError for text that cannot be one."""
    if not signers or not text.endswith("\n") or _CONTROL.search(text):
        raise NoteError("a note has text that ends in a newline, without control characters, and a signer")
    return f"{text}\n{''.join(signer.signature_line(text) for signer in signers)}"


def cosign_note(note: str, *signers: Signer) -> str:
    """`note` with further signatures over the same text."""
    text, _ = split_note(note)
    return note + "".join(signer.signature_line(text) for signer in signers)


def open_note(note: str | bytes, verifiers: Iterable[Verifier]) -> Note:
    """The note, if a known key signed it and no known key's signature is wrong; unknown keys are ignored.

    Raises BadSignatureError, UntrustedNoteError, or NoteError for a malformed note.
    """
    text, signatures = split_note(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    signed_by: list[Verifier] = []
    unknown: list[str] = []
    for name, key_id, signature in signatures:
        verifier = known.get((name, key_id))
        if verifier is None:
            unknown.append(name)
        elif not verifier.verifies(text.encode(), signature):
            raise BadSignatureError(f"invalid signature of the key {name}+{key_id.hex()}")
        elif verifier not in signed_by:
            signed_by.append(verifier)
    if not signed_by:
        raise UntrustedNoteError(f"no signature by a known key; signed by {', '.join(unknown)}")
    return Note(text, tuple(signed_by), tuple(unknown))


def split_note(note: str | bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """A note's text and its (name, key id, signature)s, unverified. Raises NoteError if malformed."""
    try:
        note = note.decode() if isinstance(note, bytes) else note.encode().decode()
    except UnicodeError:
        raise NoteError("a note is UTF-8") from None
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n") or len(note) > MAX_NOTE_CHARACTERS or _CONTROL.search(note):
        raise NoteError("malformed note")
    signatures = [_signature(line) for line in lines[:-1].split("\n")]
    if len(signatures) > MAX_SIGNATURES:
        raise NoteError(f"a note has at most {MAX_SIGNATURES} signatures")
    return text + "\n", signatures


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head (c2sp.org/tlog-checkpoint, without extension lines): `root` over the first `size` leaves."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.origin):
            raise NoteError(f"not an origin: {self.origin!r}")
        if not 0 <= self.size <= _MAX_SIZE or len(self.root) != HASH_BYTES:
            raise NoteError("a checkpoint has a size below 2^63 and a root of 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise NoteError("the root of no leaves is SHA-256 of nothing")

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Raises NoteError for anything but three exact lines."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not _DECIMAL.fullmatch(lines[1]):
            raise NoteError("not a checkpoint: origin, size and root, each on a line")
        return cls(lines[0], int(lines[1]), _base64(lines[2]))


@dataclass(frozen=True, slots=True)
class Receipt:
    """Our promise at ingest: `leaf_hash` will be in the log `origin` within `max_merge_delay` seconds."""

    origin: str
    record_id: UUID
    leaf_hash: bytes
    received_at: datetime
    max_merge_delay: int = field(default=60)

    @property
    def text(self) -> str:
        return (
            f"{RECEIPT_HEADER}\n{self.origin}\n{self.record_id}\n{b64encode(self.leaf_hash).decode()}\n"
            f"{format_received(self.received_at)}\nmmd {self.max_merge_delay}\n"
        )

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Raises NoteError for anything but the six exact lines."""
        lines = text.split("\n")
        if len(lines) != 7:
            raise NoteError("not a receipt: six lines")
        try:
            receipt = cls(
                lines[1],
                UUID(lines[2]),
                _base64(lines[3]),
                parse_received(lines[4]),
                int(lines[5].removeprefix("mmd ")),
            )
        except ValueError as error:
            raise NoteError(f"not a receipt: {error}") from None
        if receipt.text != text or len(receipt.leaf_hash) != HASH_BYTES:
            raise NoteError("not a receipt in its exact form")
        return receipt


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _NAME.fullmatch(name):
        raise NoteError("malformed signature line")
    data = _base64(encoded)
    if len(data) <= 4:
        raise NoteError("malformed signature line")
    return name, data[:4], data[4:]


def _base64(text: str) -> bytes:
    """Standard padded base64 in its one canonical spelling."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise NoteError(f"not base64: {text[:80]!r}") from None
    if b64encode(data).decode() != text:
        raise NoteError(f"not canonical base64: {text[:80]!r}")
    return data
