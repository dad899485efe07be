"""Self-contained inclusion proofs (c2sp.org/tlog-proof) and the policy that says whom to trust (tlog-policy)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenants.ledger.merkle import HASH_BYTES, ProofError, verify_inclusion
from tenants.ledger.notes import Checkpoint, NoteError, UntrustedNoteError, Verifier, open_note

HEADER = "c2sp.org/tlog-proof@v1"
MEDIA_TYPE = "text/plain; charset=utf-8"
FILE_EXTENSION = ".tlog-proof"

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_MAX_PATH = 63


@dataclass(frozen=True, slots=True)
class TlogProof:
    """That some leaf is at `index` of the tree that the signed note `checkpoint` commits to.

    `extra` is unauthenticated data beside it; we carry the leaf there, so that the proof can be checked alone.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    @property
    def text(self) -> str:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += (b64encode(sibling).decode() for sibling in self.path)
        return "\n".join(lines) + f"\n\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> TlogProof:
        """Raises ProofError unless `text` is of the tlog-proof form; verifies nothing."""
        head, blank, checkpoint = text.partition("\n\n")
        header, *lines = head.split("\n")
        if header != HEADER or not blank:
            raise ProofError(f"not a {HEADER}")
        extra = _decode(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
        match = _INDEX.fullmatch(lines[0]) if lines else None
        if match is None:
            raise ProofError("the proof has no index line")
        path = tuple(_decode(line) for line in lines[1:])
        if len(path) > _MAX_PATH or any(len(sibling) != HASH_BYTES for sibling in path):
            raise ProofError("the path is not of at most 63 hashes of 32 bytes")
        return cls(int(match[1]), path, checkpoint, extra)


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """The logs whose checkpoints are believed: keys whose names are the logs' origins. No witness quorums."""

    logs: tuple[Verifier, ...]

    @property
    def text(self) -> str:
        """The policy in c2sp.org/tlog-policy form."""
        return "".join(f"log {verifier.vkey}\n" for verifier in self.logs) + "quorum none\n"

    @classmethod
    def parse(cls, text: str) -> TrustPolicy:
        """Read `log` lines and `quorum none`.

        Raises NoteError for anything else: to skip a demand for witnesses would be to trust too much.
        """
        logs: list[Verifier] = []
        for line in text.split("\n"):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "log" and len(words) in (2, 3):
                logs.append(Verifier.parse(words[1]))
            elif words != ["quorum", "none"]:
                raise NoteError(f"not supported in a trust policy: {line.strip()!r}")
        if len({verifier.public_bytes for verifier in logs}) != len(logs):
            raise NoteError("a trust policy lists each key once")
        return cls(tuple(logs))

    def open_checkpoint(self, note: str | bytes) -> Checkpoint:
        """The checkpoint, if the key named like its origin signed it. Raises NoteError."""
        opened = open_note(note, self.logs)
        checkpoint = Checkpoint.parse(opened.text)
        if all(verifier.name != checkpoint.origin for verifier in opened.signed_by):
            raise UntrustedNoteError(f"not signed by the log {checkpoint.origin} itself")
        return checkpoint


def build_proof(index: int, path: Sequence[bytes], checkpoint: str, leaf: bytes | None = None) -> str:
    """The proof text; `checkpoint` is the signed note, `leaf` (if the reader may see it) goes in as `extra`."""
    return TlogProof(index, tuple(path), checkpoint, leaf).text


def verify_proof(proof: TlogProof, leaf_hash: bytes, policy: TrustPolicy) -> Checkpoint:
    """The checkpoint that covers the leaf. Raises NoteError (signature, trust) or ProofError (not in that tree)."""
    checkpoint = policy.open_checkpoint(proof.checkpoint)
    verify_inclusion(leaf_hash, proof.index, checkpoint.size, proof.path, checkpoint.root)
    return checkpoint


def trust(vkeys: Iterable[str]) -> TrustPolicy:
    """A policy of just these keys."""
    return TrustPolicy(tuple(Verifier.parse(vkey) for vkey in vkeys))


def _decode(text: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise ProofError(f"not base64: {text[:80]!r}") from None
    if b64encode(data).decode() != text:
        raise ProofError(f"not canonical base64: {text[:80]!r}")
    return data
