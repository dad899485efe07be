"""The signer: a process of its own, with a key of its own, that trusts nobody's word for what the tree is.

Before it signs a head it proves from the tiles that the tree it signed last is a prefix of it. What it signed last is
also kept outside the database, so that a database set back to an old state is noticed: a log that went on from there
would be a fork, the worst a log can do.

Order of a signature: lock the state file, prove, append and fsync the note to the file, insert it. Killed in between,
the next run finds the note in the file and inserts the very same bytes.
"""

import fcntl
import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from tenants.bulk import raw_cursor
from tenants.ledger.memory import memory_path
from tenants.ledger.merkle import ProofError, consistency_proof, verify_consistency
from tenants.ledger.notes import Checkpoint, Signer, sign_note, split_note
from tenants.ledger.tiles import TileError, node_reader

USING = "signer"
TAIL_BYTES = 64 * 1024  # a note is below 1 KiB: the end of the file holds the newest whole one
logger = logging.getLogger("affidavit.signer")


class LedgerRollback(RuntimeError):
    """The database's tree does not continue what was signed. Nothing is signed until an operator has looked."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A log whose tree is larger than its last checkpoint, or that was never signed."""

    tenant_id: uuid.UUID
    shard: int
    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """A note as it was signed, and the key (a vkey) that it was signed with; empty in files from before it was kept."""

    note: str
    vkey: str

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint.parse(split_note(self.note)[0])


@lru_cache(maxsize=4096)
def log_signer(origin: str) -> Signer:
    """The instance's checkpoint key under the log's own name."""
    seed = settings.AFFIDAVIT_CHECKPOINT_KEY
    if not seed:
        raise ImproperlyConfigured("Only a process with AFFIDAVIT_CHECKPOINT_KEY signs checkpoints.")
    return Signer(origin, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)))


def state_folder() -> Path:
    """Where the signer remembers, outside the database."""
    if not settings.AFFIDAVIT_SIGNER_STATE:
        raise ImproperlyConfigured("Set AFFIDAVIT_SIGNER_STATE to a folder that is not in the database's backups.")
    folder = Path(settings.AFFIDAVIT_SIGNER_STATE)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def sign_checkpoints(at: Callable[[str], None] = lambda step: None) -> int:
    """Sign every log that has grown; returns how many. A log that was set back is reported and left unsigned."""
    signed = 0
    for log in _grown_logs():
        try:
            signed += sign_log(log, at)
        except LedgerRollback as error:
            logger.critical("LEDGER_ROLLBACK %s: %s", log.origin, error)
            _alarm_file(log).write_text(f"{datetime.now(UTC).isoformat()} {error}\n")
    return signed


def _grown_logs() -> list[Grown]:
    """Growing logs with leaves past their newest checkpoint; also those set back below it, which `sign_log` refuses."""
    with raw_cursor(USING) as cursor:
        cursor.execute(
            "SELECT l.tenant_id, l.shard, l.origin, l.size, l.root FROM tenants_ledgerlog l"
            " LEFT JOIN LATERAL (SELECT size, root FROM tenants_ledgercheckpoint c"
            "   WHERE c.tenant_id = l.tenant_id AND c.shard = l.shard ORDER BY size DESC LIMIT 1) c ON true"
            " WHERE l.state = 'active' AND l.size > 0 AND (c.size IS NULL OR c.size <> l.size OR c.root <> l.root)"
        )
        return [Grown(row[0], row[1], row[2], row[3], bytes(row[4])) for row in cursor.fetchall()]


def sign_log(log: Grown, at: Callable[[str], None] = lambda step: None) -> bool:
    """Sign one head, or publish the one that was signed before a crash. False when another signer is at it."""
    with _locked_state(log) as state:
        if state is None:
            return False
        last = _last_signed(state)
        head = _proven(log, last)
        if last is not None and not _is_published(log, last):
            _publish(log, last)  # a crash came between the file and the database
        if last is None or last.checkpoint != head:
            _sign(log, state, head, at)
    _alarm_file(log).unlink(missing_ok=True)
    return True


def _sign(log: Grown, state: IO[str], head: Checkpoint, at: Callable[[str], None]) -> None:
    """Sign, remember outside the database, publish."""
    signer = log_signer(log.origin)
    signed = Signed(sign_note(head.text, signer), signer.verifier.vkey)
    at("proven")
    state.seek(0, os.SEEK_END)
    state.write(json.dumps({"at": datetime.now(UTC).isoformat(), **asdict(signed)}) + "\n")
    state.flush()
    os.fsync(state.fileno())
    at("remembered")
    _publish(log, signed)
    at("published")


def _proven(log: Grown, last: Signed | None) -> Checkpoint:
    """The head to sign, proven to continue the last one. Raises `LedgerRollback`."""
    head = Checkpoint(log.origin, log.size, log.root)
    if last is None:
        _check_root(log)
        return head
    before = last.checkpoint
    if head.size < before.size or (head.size == before.size and head.root != before.root):
        raise LedgerRollback(
            f"the database has {head.size} leaves (root {head.root.hex()[:16]}…), but {before.size} were signed"
            f" (root {before.root.hex()[:16]}…)"
        )
    try:
        node = node_reader(log.size, _tile_source(log))
        path = consistency_proof(before.size, head.size, node)
        verify_consistency(before.size, head.size, before.root, head.root, path)
    except (ProofError, TileError, LookupError, ValueError) as error:
        raise LedgerRollback(f"the tree of {head.size} does not continue the signed {before.size}: {error}") from error
    return head


def _check_root(log: Grown) -> None:
    """A first signature has nothing to continue: the tiles must at least give the root that the head claims."""
    node = node_reader(log.size, _tile_source(log))
    try:
        verify_consistency(1, log.size, node(0, 0), log.root, consistency_proof(1, log.size, node))
    except (ProofError, TileError, LookupError, ValueError) as error:
        raise LedgerRollback(f"the tiles do not give the root of the tree of {log.size}: {error}") from error


def _tile_source(log: Grown) -> Callable[[int, int, int], bytes]:
    def tile(level: int, index: int, width: int) -> bytes:
        with raw_cursor(USING) as cursor:
            cursor.execute(
                "SELECT data FROM tenants_ledgertile"
                " WHERE tenant_id = %s AND shard = %s AND level = %s AND tile_index = %s",
                [log.tenant_id, log.shard, level, index],
            )
            row = cursor.fetchone()
        if row is None:
            raise LookupError(f"tile {level}/{index} is missing")
        return bytes(row[0])[: width * 32]

    return tile


def _state_file(log: Grown) -> Path:
    return memory_path(state_folder(), log.tenant_id, log.shard)


def _alarm_file(log: Grown) -> Path:
    return _state_file(log).with_suffix(".rollback")


@contextmanager
def _locked_state(log: Grown) -> Iterator[IO[str] | None]:
    """The log's file of signed notes, held alone; None when another signer holds it."""
    with _state_file(log).open("a+", encoding="utf-8") as state:
        try:
            fcntl.flock(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield state


def _last_signed(state: IO[str]) -> Signed | None:
    """The newest whole note in the file; a line that a crash cut short was never published, and is passed over."""
    size = state.seek(0, os.SEEK_END)
    state.seek(max(0, size - TAIL_BYTES))
    for line in reversed(state.read().split("\n")):
        try:
            entry = json.loads(line)
            return Signed(entry["note"], entry.get("vkey", ""))
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _is_published(log: Grown, last: Signed) -> bool:
    """Whether the newest remembered note is in the database (or the database is older: then it is refused later)."""
    checkpoint = last.checkpoint
    if checkpoint.size > log.size:
        return True
    with raw_cursor(USING) as cursor:
        cursor.execute(
            "SELECT 1 FROM tenants_ledgercheckpoint WHERE tenant_id = %s AND shard = %s AND size = %s",
            [log.tenant_id, log.shard, checkpoint.size],
        )
        return cursor.fetchone() is not None


def _publish(log: Grown, signed: Signed) -> None:
    """Insert the note as it was remembered, and the key that made it, which may be another by now; the primary key
    lets one note of a size exist."""
    checkpoint = signed.checkpoint
    with transaction.atomic(using=USING), raw_cursor(USING) as cursor:
        cursor.execute(
            "INSERT INTO tenants_ledgerkey (tenant_id, shard, vkey, first_used_at) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [log.tenant_id, log.shard, signed.vkey or log_signer(log.origin).verifier.vkey, datetime.now(UTC)],
        )
        cursor.execute(
            "INSERT INTO tenants_ledgercheckpoint (tenant_id, shard, size, root, note, signed_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [log.tenant_id, log.shard, checkpoint.size, checkpoint.root, signed.note, datetime.now(UTC)],
        )
