"""The sequencer and the signer over real rows: crashes, rivals, tampering."""

import random
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connections

from tenants.context import tenant_atomic
from tenants.ledger.log import active_log
from tenants.ledger.merkle import leaf_hash, root, verify_consistency
from tenants.ledger.notes import Checkpoint, split_note
from tenants.ledger.proofs import TlogProof, verify_proof
from tenants.ledger.reader import Prover, health, latest_checkpoint, leaf_of, proof_of, trust_policy
from tenants.ledger.sequencer import integrate
from tenants.ledger.signer import Grown, LedgerRollback, sign_log
from tenants.models import LedgerCheckpoint, LedgerLeaf, LedgerLog, LedgerQueue
from tests.factories.tenants import Cast
from tests.factories.traces import submit

STEPS = ("locked", "taken", "leaves", "tiles", "head", "committed")


class Killed(Exception):
    """The process died here."""


def dies_at(step: str) -> Callable[[str], None]:
    def failpoint(reached: str) -> None:
        if reached == step:
            raise Killed(step)

    return failpoint


@pytest.fixture(autouse=True)
def _signer_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AFFIDAVIT_SIGNER_STATE", str(tmp_path))


def grown(cast: Cast) -> Grown:
    with tenant_atomic(cast.tenant.pk):
        log = active_log(cast.tenant.pk)
    return Grown(cast.tenant.pk, log.shard, log.origin, log.size, bytes(log.root))


def drain(cast: Cast, limit: int = 4096) -> None:
    while integrate(cast.tenant.pk, limit=limit):
        pass


def check_tree(cast: Cast) -> None:
    """What the log claims equals the tree computed from its leaves by definition."""
    with tenant_atomic(cast.tenant.pk):
        log = active_log(cast.tenant.pk)
        leaves = list(LedgerLeaf.objects.order_by("leaf_index"))
    assert [leaf.leaf_index for leaf in leaves] == list(range(log.size))
    assert len({leaf.rid for leaf in leaves}) == log.size
    hashes = [leaf_hash(bytes(leaf.leaf)) for leaf in leaves]
    assert hashes == [bytes(leaf.leaf_hash) for leaf in leaves]
    assert root(hashes) == bytes(log.root)


def administrator() -> psycopg.Connection[Any]:
    """A database superuser: the attacker that no privilege stops."""
    owner = settings.DATABASES["owner"]
    return psycopg.connect(
        host=owner["HOST"], port=owner["PORT"], user=owner["USER"], password=owner["PASSWORD"], dbname=owner["NAME"]
    )


def tamper(*statements: str) -> None:
    with administrator() as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            for table in ("tenants_ledgerleaf", "tenants_ledgertile", "tenants_ledgercheckpoint"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            connection.execute(statement)
            for table in ("tenants_ledgerleaf", "tenants_ledgertile", "tenants_ledgercheckpoint"):
                connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_table")
    with administrator() as connection:
        for table in ("tenants_ledgerleaf", "tenants_ledgercheckpoint"):
            connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_rows")
        connection.execute("ALTER TABLE tenants_ledgertile ENABLE ALWAYS TRIGGER full_tile")


def test_batches_of_any_size_make_the_same_tree(cast: Cast) -> None:
    generator = random.Random(7)
    for _ in range(12):
        submit(cast, generator.randint(1, 90))
        integrate(cast.tenant.pk, limit=generator.choice([1, 7, 64, 300]))
    drain(cast, 100)
    check_tree(cast)
    with tenant_atomic(cast.tenant.pk):
        assert not LedgerQueue.objects.exists()


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_and_doubles_nothing(cast: Cast, step: str) -> None:
    submit(cast, 20)
    drain(cast)
    submit(cast, 300)
    with pytest.raises(Killed):
        integrate(cast.tenant.pk, at=dies_at(step))
    check_tree(cast)
    with tenant_atomic(cast.tenant.pk):
        size, waiting = active_log(cast.tenant.pk).size, LedgerQueue.objects.count()
    assert (waiting == 0) == (step == "committed")
    drain(cast)
    check_tree(cast)
    with tenant_atomic(cast.tenant.pk):
        assert active_log(cast.tenant.pk).size == size + waiting


def test_rival_sequencers_share_the_work(cast: Cast) -> None:
    submit(cast, 400)
    done: list[int] = []

    def work() -> None:
        done.extend(integrate(cast.tenant.pk, limit=25) for _ in range(30))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drain(cast)
    check_tree(cast)
    with tenant_atomic(cast.tenant.pk):
        assert sum(done) <= active_log(cast.tenant.pk).size


def test_every_head_continues_the_one_before(cast: Cast) -> None:
    for n in (1, 3, 270, 2):
        submit(cast, n)
        drain(cast)
        assert sign_log(grown(cast))
    with tenant_atomic(cast.tenant.pk):
        heads = [Checkpoint.parse(split_note(row.note)[0]) for row in LedgerCheckpoint.objects.order_by("size")]
        newest = latest_checkpoint()
        assert newest is not None
        prover = Prover(newest)
        for head in heads:
            verify_consistency(head.size, newest.size, head.root, bytes(newest.root), prover.consistency(head.size))
    assert len(heads) == 4


def test_every_record_is_provable_to_a_stranger(cast: Cast) -> None:
    ids = submit(cast, 5)
    drain(cast)
    sign_log(grown(cast))
    with tenant_atomic(cast.tenant.pk):
        policy = trust_policy()
        for rid in ids:
            proof = TlogProof.parse(proof_of(rid))
            leaf = leaf_of(rid)
            assert leaf is not None
            checkpoint = verify_proof(proof, bytes(leaf.leaf_hash), policy)
            assert checkpoint.origin.endswith(f"/t/{cast.tenant.slug}-1")
            with pytest.raises(ValueError):
                verify_proof(proof, bytes(32), policy)
        assert health(cast.tenant.pk).is_current


@pytest.mark.parametrize("step", ["proven", "remembered", "published"])
def test_a_signer_killed_anywhere_publishes_the_same_note(cast: Cast, step: str) -> None:
    submit(cast, 3)
    drain(cast)
    with pytest.raises(Killed):
        sign_log(grown(cast), dies_at(step))
    submit(cast, 3)
    drain(cast)
    assert sign_log(grown(cast))
    with tenant_atomic(cast.tenant.pk):
        sizes = list(LedgerCheckpoint.objects.order_by("size").values_list("size", flat=True))
        assert sizes[-1] == active_log(cast.tenant.pk).size
        assert len(sizes) == (1 if step == "proven" else 2)


def test_a_database_set_back_is_not_signed(cast: Cast) -> None:
    submit(cast, 30)
    drain(cast)
    with tenant_atomic(cast.tenant.pk):
        old = LedgerLog.objects.get(shard=1)
    submit(cast, 30)
    drain(cast)
    sign_log(grown(cast))
    tenant = cast.tenant.pk
    tamper(
        f"DELETE FROM tenants_ledgerleaf WHERE tenant_id = '{tenant}' AND leaf_index >= {old.size}",
        f"DELETE FROM tenants_ledgercheckpoint WHERE tenant_id = '{tenant}'",
        f"UPDATE tenants_ledgerlog SET size = {old.size}, root = '\\x{bytes(old.root).hex()}',"
        f" frontier = '\\x{bytes(old.frontier).hex()}' WHERE tenant_id = '{tenant}'",
    )
    with pytest.raises(LedgerRollback, match="were signed"):
        sign_log(grown(cast))
    submit(cast, 200)  # growing past the old size on another history is no way round
    drain_ignoring_tiles(cast)
    with pytest.raises(LedgerRollback, match="does not continue"):
        sign_log(grown(cast))


def drain_ignoring_tiles(cast: Cast) -> None:
    tamper(
        f"UPDATE tenants_ledgertile SET width = 1 WHERE tenant_id = '{cast.tenant.pk}' AND level = 0 AND width < 256"
    )
    drain(cast)


def test_a_changed_tile_is_not_signed_over(cast: Cast) -> None:
    submit(cast, 600)
    drain(cast)
    sign_log(grown(cast))
    submit(cast, 300)
    drain(cast)
    tamper(
        "UPDATE tenants_ledgertile SET data = set_byte(data, 40, 255 - get_byte(data, 40))"
        f" WHERE tenant_id = '{cast.tenant.pk}' AND level = 0 AND tile_index = 2"
    )
    with pytest.raises(LedgerRollback, match="does not continue"):
        sign_log(grown(cast))


def test_two_signers_never_make_two_heads(cast: Cast) -> None:
    submit(cast, 10)
    drain(cast)
    log = grown(cast)
    failures: list[Exception] = []

    def work() -> None:
        try:
            sign_log(log)
        except Exception as error:
            failures.append(error)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tenant_atomic(cast.tenant.pk):
        assert LedgerCheckpoint.objects.count() == 1
    assert not failures


def test_the_web_can_neither_sign_nor_sequence(cast: Cast) -> None:
    with connections["default"].cursor() as cursor:
        for table in ("tenants_ledgercheckpoint", "tenants_ledgerleaf", "tenants_ledgertile"):
            for privilege in ("INSERT", "UPDATE", "DELETE"):
                cursor.execute("SELECT has_table_privilege(%s, %s)", [table, privilege])
                granted = cursor.fetchone()
                assert granted == (False,), f"{privilege} on {table}"


def test_an_unknown_record_has_no_leaf(cast: Cast) -> None:
    with tenant_atomic(cast.tenant.pk):
        assert leaf_of(uuid.uuid4()) is None
