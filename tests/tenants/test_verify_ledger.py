"""Whoever may change anything in the database is found out, by the derivation or by the signer."""

import random
import re
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management import CommandError, call_command

from tenants.context import tenant_atomic
from tenants.ledger.log import active_log
from tenants.ledger.merkle import leaf_hash
from tenants.ledger.notes import Checkpoint, Signer, sign_note, split_note
from tenants.ledger.sequencer import integrate
from tenants.ledger.signer import sign_checkpoints, sign_log
from tenants.models import LedgerCheckpoint, LedgerLeaf, LedgerLog
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.ledger.backups import Backup
from tests.tenants.ledger.test_sequencer import administrator, grown, tamper

MIDDLE = 300


@pytest.fixture
def log(cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LedgerLog:
    """A log of more than two tiles, signed three times."""
    monkeypatch.setattr(settings, "AFFIDAVIT_SIGNER_STATE", str(tmp_path))
    for n in (200, 250, 100):
        submit(cast, n)
        while integrate(cast.tenant.pk, limit=90):
            pass
        sign_log(grown(cast))
    with tenant_atomic(cast.tenant.pk):
        return active_log(cast.tenant.pk)


def verify(log: LedgerLog) -> str:
    """What the command says; a `CommandError` stands at its end."""
    out = StringIO()
    try:
        call_command("verify_ledger", tenant=log.tenant_id, stdout=out)
    except CommandError as error:
        return f"{out.getvalue()}{error}"
    return out.getvalue()


def first_bad(log: LedgerLog) -> int:
    text = verify(log)
    assert "do not hold" in text
    match = re.search(r"leaf (\d+):", text)
    assert match is not None
    return int(match[1])


def of(log: LedgerLog) -> str:
    return f"tenant_id = '{log.tenant_id}'"


def leaf(log: LedgerLog, index: int) -> LedgerLeaf:
    with tenant_atomic(log.tenant_id):
        return LedgerLeaf.objects.get(leaf_index=index)


def hexed(data: bytes) -> str:
    return f"'\\x{data.hex()}'::bytea"


def test_a_log_that_nobody_touched_holds(log: LedgerLog) -> None:
    assert verify(log).startswith("holds")
    assert "3 signed heads" in verify(log)


def test_an_edited_leaf(log: LedgerLog) -> None:
    tamper(f"UPDATE tenants_ledgerleaf SET leaf = set_byte(leaf, 9, 0) WHERE {of(log)} AND leaf_index = {MIDDLE}")
    assert first_bad(log) == MIDDLE


def test_an_edited_leaf_with_its_hash(log: LedgerLog) -> None:
    changed = bytes(leaf(log, MIDDLE).leaf).replace(b"decision", b"dezision")
    assert changed != bytes(leaf(log, MIDDLE).leaf)
    tamper(
        f"UPDATE tenants_ledgerleaf SET leaf = {hexed(changed)}, leaf_hash = {hexed(leaf_hash(changed))}"
        f" WHERE {of(log)} AND leaf_index = {MIDDLE}"
    )
    assert first_bad(log) == MIDDLE


def test_an_edited_leaf_with_its_hash_and_its_tiles(log: LedgerLog) -> None:
    at, changed = 520, bytes(leaf(log, 520).leaf).replace(b"decision", b"dezision")
    place = (at % 256) * 32
    tamper(
        f"UPDATE tenants_ledgerleaf SET leaf = {hexed(changed)}, leaf_hash = {hexed(leaf_hash(changed))}"
        f" WHERE {of(log)} AND leaf_index = {at}",
        f"UPDATE tenants_ledgertile SET data = overlay(data PLACING {hexed(leaf_hash(changed))} FROM {place + 1})"
        f" WHERE {of(log)} AND level = 0 AND tile_index = {at // 256}",
    )
    with tenant_atomic(log.tenant_id):
        held = LedgerCheckpoint.objects.filter(size__lte=at).order_by("-size")[0].size
    assert first_bad(log) == held
    assert f"between {held} and {log.size - 1}" in verify(log)


def test_an_edited_tile(log: LedgerLog) -> None:
    tamper(
        f"UPDATE tenants_ledgertile SET data = set_byte(data, {(MIDDLE - 256) * 32}, 0),"
        f" width = width WHERE {of(log)} AND level = 0 AND tile_index = 1",
        f"UPDATE tenants_ledgertile SET data = set_byte(data, {(MIDDLE - 256) * 32 + 1}, 0)"
        f" WHERE {of(log)} AND level = 0 AND tile_index = 1",
    )
    assert first_bad(log) == MIDDLE


def test_two_swapped_leaves(log: LedgerLog) -> None:
    far = MIDDLE + 50
    tamper(
        f"UPDATE tenants_ledgerleaf SET leaf_index = -1 WHERE {of(log)} AND leaf_index = {MIDDLE}",
        f"UPDATE tenants_ledgerleaf SET leaf_index = {MIDDLE} WHERE {of(log)} AND leaf_index = {far}",
        f"UPDATE tenants_ledgerleaf SET leaf_index = {far} WHERE {of(log)} AND leaf_index = -1",
    )
    assert first_bad(log) == MIDDLE


@pytest.mark.parametrize(
    ("where", "first"), [(f"leaf_index = {MIDDLE}", MIDDLE), ("leaf_index >= 500", 500), ("true", 0)]
)
def test_deleted_leaves(log: LedgerLog, where: str, first: int) -> None:
    tamper(f"DELETE FROM tenants_ledgerleaf WHERE {of(log)} AND {where}")
    assert first_bad(log) == first


def test_a_truncated_table(log: LedgerLog) -> None:
    tamper("CREATE TABLE kept AS SELECT * FROM tenants_ledgerleaf", "TRUNCATE tenants_ledgerleaf")
    try:
        assert first_bad(log) == 0
    finally:
        tamper("INSERT INTO tenants_ledgerleaf SELECT * FROM kept", "DROP TABLE kept")
    assert verify(log).startswith("holds")


def test_a_log_emptied_without_a_trace_in_the_database(log: LedgerLog) -> None:
    tamper(
        *(f"DELETE FROM tenants_ledger{table} WHERE {of(log)}" for table in ("leaf", "tile", "checkpoint")),
        f"UPDATE tenants_ledgerlog SET size = 0, frontier = '', root = sha256('') WHERE {of(log)}",
    )
    assert first_bad(log) == 0
    assert "were signed, the database has 0" in verify(log)


def test_a_head_signed_again_with_another_key(log: LedgerLog) -> None:
    forger = Signer(log.origin, Ed25519PrivateKey.generate())
    note = sign_note(Checkpoint(log.origin, log.size, bytes(log.root)).text, forger)
    tamper(f"UPDATE tenants_ledgercheckpoint SET note = $n${note}$n$ WHERE {of(log)} AND size = {log.size}")
    assert first_bad(log) == log.size - 1
    tamper(
        "INSERT INTO tenants_ledgerkey (tenant_id, shard, vkey, first_used_at)"
        f" VALUES ('{log.tenant_id}', 1, '{forger.verifier.vkey}', now())"
    )
    assert "not the one that the signer remembers" in verify(log)


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_byte_anywhere_is_located(log: LedgerLog, seed: int) -> None:
    """Of a leaf, of its stored hash, or of a tile of either level."""
    rng = random.Random(seed)
    index = rng.randrange(log.size)
    table, column, length, where, located = [
        ("leaf", "leaf", 60, f"leaf_index = {index}", index),
        ("leaf", "leaf_hash", 32, f"leaf_index = {index}", index),
        ("tile", "data", 0, f"level = 0 AND tile_index = {index // 256}", index),
        ("tile", "data", 64, "level = 1 AND tile_index = 0", 0),
    ][seed % 4]
    at = index % 256 * 32 + rng.randrange(32) if not length else rng.randrange(length)
    tamper(
        f"UPDATE tenants_ledger{table} SET {column} = set_byte({column}, {at}, get_byte({column}, {at}) # {1 << seed})"
        f" WHERE {of(log)} AND {where}"
    )
    assert first_bad(log) == (at // 32 * 256 if length == 64 else located)


@pytest.mark.parametrize("statement", ["UPDATE {} SET shard = 2 WHERE {}", "DELETE FROM {} WHERE {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["tenants_ledgerleaf", "tenants_ledgercheckpoint"])
def test_a_superuser_must_first_take_the_triggers_away(log: LedgerLog, table: str, statement: str) -> None:
    """`session_replication_role` alone, which silences ordinary triggers, is not enough."""
    for role in ("origin", "replica"):
        with administrator() as connection:
            connection.execute(f"SET session_replication_role = {role}")
            with pytest.raises(psycopg.Error, match="append-only"):
                connection.execute(statement.format(table, of(log)))
            connection.rollback()
    assert verify(log).startswith("holds")


def test_a_database_set_back_as_a_whole(log: LedgerLog, cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    """All of it agrees with itself again; only what the signer keeps outside knows better, and it raises the alarm."""
    backup, old = Backup(cast.tenant.pk), log.size
    submit(cast, 40)
    integrate(cast.tenant.pk)
    sign_log(grown(cast))
    alarm = Path(settings.AFFIDAVIT_SIGNER_STATE) / f"{cast.tenant.pk}-1.rollback"
    assert not alarm.exists()
    backup.restore()
    assert first_bad(log) == old
    assert f"leaves were signed, the database has {old}" in verify(log)
    for _ in range(2):  # as it was set back, then grown past the lost size on another history
        caplog.clear()
        submit(cast, 60)
        integrate(cast.tenant.pk)
        sign_checkpoints()
        assert [r for r in caplog.records if "LEDGER_ROLLBACK" in r.message and log.origin in r.getMessage()]
        assert "signed" in alarm.read_text()
    with tenant_atomic(cast.tenant.pk):
        assert LedgerCheckpoint.objects.order_by("-size")[0].size == old


def test_an_old_head_in_place_of_the_new_one(log: LedgerLog) -> None:
    with tenant_atomic(log.tenant_id):
        old = LedgerCheckpoint.objects.order_by("size")[0]
    assert Checkpoint.parse(split_note(old.note)[0]).size == old.size
    tamper(f"UPDATE tenants_ledgercheckpoint SET note = $n${old.note}$n$ WHERE {of(log)} AND size = {log.size}")
    assert first_bad(log) == log.size - 1
    tamper(f"DELETE FROM tenants_ledgercheckpoint WHERE {of(log)} AND size = {log.size}")
    assert "is not in the database" in verify(log)
