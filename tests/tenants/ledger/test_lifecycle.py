"""Any order of writing, sequencing, signing, crashing, key rotation and restored backups leaves a whole log."""

import tempfile
import uuid
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max
from hypothesis import HealthCheck, Phase
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tenants.context import tenant_atomic
from tenants.ledger.log import active_log
from tenants.ledger.merkle import leaf_hash, root, verify_consistency
from tenants.ledger.reader import Prover, latest_checkpoint, trust_policy
from tenants.ledger.sequencer import integrate
from tenants.ledger.signer import Grown, LedgerRollback, log_signer, sign_log
from tenants.models import LedgerCheckpoint, LedgerLeaf, LedgerQueue
from tests.factories.tenants import Cast, make_cast
from tests.tenants.ledger.backups import Backup
from tests.tenants.ledger.test_sequencer import STEPS, Killed, check_tree, dies_at, drain, grown

EXAMPLES, STEPS_EACH = 50, 60
SIGNING = ("proven", "remembered", "published")


class LogLife(RuleBasedStateMachine):
    """One tenant's log, beside what must be true of it."""

    steps = refused = 0  # of all examples

    def __init__(self) -> None:
        super().__init__()
        self.cast: Cast = make_cast()
        self.before = (settings.AFFIDAVIT_SIGNER_STATE, settings.AFFIDAVIT_CHECKPOINT_KEY)
        self.state = tempfile.TemporaryDirectory(prefix="affidavit-signer-")
        settings.AFFIDAVIT_SIGNER_STATE = self.state.name
        self.written: set[uuid.UUID] = set(self.queued())
        self.size = 0  # leaves in the tree
        self.signed = 0  # leaves under the newest head that was remembered
        self.published = 0  # leaves under the newest head that is in the database, at least

    @property
    def tenant_id(self) -> uuid.UUID:
        return self.cast.tenant.pk

    def queued(self) -> list[uuid.UUID]:
        with tenant_atomic(self.tenant_id):
            return list(LedgerQueue.objects.values_list("rid", flat=True))

    def placed(self) -> list[uuid.UUID]:
        with tenant_atomic(self.tenant_id):
            return list(LedgerLeaf.objects.order_by("leaf_index").values_list("rid", flat=True))

    def head(self) -> Grown:
        return grown(self.cast)

    def enqueue(self, n: int) -> list[uuid.UUID]:
        ids = [uuid.uuid4() for _ in range(n)]
        rows = [LedgerQueue(tenant_id=self.tenant_id, rid=rid, leaf=b'{"rid":"%s"}' % str(rid).encode()) for rid in ids]
        LedgerQueue.objects.bulk_create(rows)
        return ids

    @initialize(n=st.sampled_from([1, 30, 255]))
    def begin(self, n: int) -> None:
        self.write(n)
        drain(self.cast)

    @rule(n=st.sampled_from([1, 2, 7, 40, 130]))
    def write(self, n: int) -> None:
        with tenant_atomic(self.tenant_id):
            self.written.update(self.enqueue(n))

    @rule()
    def write_and_roll_back(self) -> None:
        """What was never committed is in no log."""
        with tenant_atomic(self.tenant_id):
            self.enqueue(2)
            transaction.set_rollback(True)

    @rule(limit=st.sampled_from([1, 5, 17, 300]))
    def sequence(self, limit: int) -> None:
        integrate(self.tenant_id, limit=limit)

    @rule(step=st.sampled_from(STEPS), limit=st.sampled_from([3, 300]))
    def sequencer_dies(self, step: str, limit: int) -> None:
        """Before the commit nothing happened; after it, everything."""
        try:
            integrate(self.tenant_id, limit=limit, at=dies_at(step))
        except Killed:
            waiting = len(self.written) - self.size
            assert self.head().size == self.size + (min(limit, waiting) if step == "committed" else 0)

    @precondition(lambda self: self.size > self.published)
    @rule()
    def sign(self) -> None:
        """Also where the signer died before it could publish what it had signed."""
        assert sign_log(self.head())
        self.signed = self.published = self.size
        with tenant_atomic(self.tenant_id):
            assert LedgerCheckpoint.objects.filter(size=self.size).exists()

    @precondition(lambda self: self.size > self.signed)
    @rule(step=st.sampled_from(SIGNING))
    def signer_dies(self, step: str) -> None:
        with pytest.raises(Killed):
            sign_log(self.head(), dies_at(step))
        self.signed = self.signed if step == "proven" else self.size
        self.published = self.published if step != "published" else self.size

    @rule()
    def rotate_key(self) -> None:
        settings.AFFIDAVIT_CHECKPOINT_KEY = uuid.uuid4().hex * 2
        log_signer.cache_clear()

    @rule(lost=st.sampled_from([1, 9]), grown_by=st.sampled_from([0, 3, 60]))
    def is_set_back(self, lost: int, grown_by: int) -> None:
        """A backup without what was signed since is not signed, however it grows; put right, the log goes on."""
        backup = Backup(self.tenant_id)
        self.write(lost)
        drain(self.cast)
        assert sign_log(self.head())
        self.signed = self.published = self.head().size
        now, written = Backup(self.tenant_id), set(self.written)
        backup.restore()
        if grown_by:
            self.write(grown_by)
        drain(self.cast)
        with pytest.raises(LedgerRollback):
            sign_log(self.head())
        LogLife.refused += 1
        now.restore()
        self.written = written

    @invariant()
    def is_contiguous_and_complete(self) -> None:
        LogLife.steps += 1
        with tenant_atomic(self.tenant_id):
            found = LedgerLeaf.objects.aggregate(
                n=Count("rid"), ids=Count("rid", distinct=True), last=Max("leaf_index")
            )
            self.size, queued = active_log(self.tenant_id).size, LedgerQueue.objects.count()
        assert found["n"] == found["ids"] == self.size
        assert found["last"] == (self.size - 1 if self.size else None)
        assert self.size + queued == len(self.written)

    def teardown(self) -> None:
        try:
            drain(self.cast)
            if self.head().size:
                sign_log(self.head())
            check_tree(self.cast)
            assert set(self.placed()) == self.written
            self.check_heads()
        finally:
            settings.AFFIDAVIT_SIGNER_STATE, settings.AFFIDAVIT_CHECKPOINT_KEY = self.before
            log_signer.cache_clear()
            self.state.cleanup()

    def check_heads(self) -> None:
        """Every head is signed by a key of the log, is the root of its leaves, and is a prefix of every later one."""
        with tenant_atomic(self.tenant_id):
            hashes = [leaf_hash(bytes(leaf.leaf)) for leaf in LedgerLeaf.objects.order_by("leaf_index")]
            heads = list(LedgerCheckpoint.objects.order_by("size"))
            policy, newest = trust_policy(), latest_checkpoint()
            for head in heads:
                assert policy.open_checkpoint(head.note).root == bytes(head.root) == root(hashes[: head.size])
            for later in heads:
                prover = Prover(later)
                for head in heads[: heads.index(later)]:
                    proof = prover.consistency(head.size)
                    verify_consistency(head.size, later.size, bytes(head.root), bytes(later.root), proof)
        assert newest is None or newest.size == len(hashes)
        remembered = next(iter(Path(self.state.name).glob("*.checkpoints")), None)
        assert not heads or remembered is not None


def test_any_order_of_events_leaves_a_whole_log() -> None:
    LogLife.steps = LogLife.refused = 0
    options = how(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS_EACH,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # a failure is shown as it came: shrinking one takes minutes
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(LogLife, settings=options)
    assert LogLife.steps >= 2_000
    assert LogLife.refused >= 10
