"""A log that was set back is frozen where it is still good, and everything goes on in the next shard."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections

from audits.bundle_writer import TOOLS
from audits.log_export import export_log
from tenants.actors import system_actor
from tenants.context import tenant_atomic
from tenants.ledger.links import link_of
from tenants.ledger.log import active_log
from tenants.ledger.proofs import TlogProof, verify_proof
from tenants.ledger.reader import leaf_of, proof_of, proof_states, trust_policy
from tenants.ledger.shards import Freeze, FreezeRefused, Frozen, freeze_log
from tenants.ledger.signer import sign_checkpoints, sign_log
from tenants.models import LedgerCheckpoint, LedgerLeaf, LedgerLog, LedgerQueue, LogState
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.ledger.backups import Backup
from tests.tenants.ledger.test_sequencer import drain, grown, tamper
from tests.tenants.test_verify_ledger import verify

TWO = Freeze("The database was restored from last night's backup.", ("ana@example.org", "ben@example.org"))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "AFFIDAVIT_SIGNER_STATE", str(tmp_path / "signer"))
    (tmp_path / "signer").mkdir()
    return tmp_path / "signer"


@pytest.fixture
def lost(cast: Cast, state: Path) -> LedgerLog:
    """A log of which 20 signed leaves were lost, and that took 5 more since; its good head covers all but those 5."""
    for n in (40, 12):
        submit(cast, n)
        drain(cast)
        assert sign_log(grown(cast))
    with tenant_atomic(cast.tenant.pk):
        good = active_log(cast.tenant.pk)
    backup = Backup(cast.tenant.pk)
    submit(cast, 20)
    drain(cast)
    assert sign_log(grown(cast))
    backup.restore()
    submit(cast, 5)
    drain(cast)
    return good


def go_on(cast: Cast) -> None:
    submit(cast, 7)
    drain(cast)
    sign_checkpoints()


def test_the_next_shard_begins_with_the_last_good_head(cast: Cast, lost: LedgerLog, state: Path) -> None:
    done = freeze_log(cast.tenant.pk, by=TWO, state=state)
    assert (done.size, done.moved, done.after.shard) == (lost.size, 5, 2)
    assert done.after.origin == f"{lost.origin[:-1]}2"
    with tenant_atomic(cast.tenant.pk):
        link = link_of(2)
        assert LedgerLog.objects.get(shard=1).state == LogState.FROZEN
        assert LedgerQueue.objects.count() == 5
    assert link is not None
    assert (link.origin, link.size, link.root) == (lost.origin, lost.size, bytes(lost.root))
    assert (link.seen_size, link.operators) == (lost.size + 20, TWO.operators)


def test_recording_goes_on_and_both_logs_hold(cast: Cast, lost: LedgerLog, state: Path) -> None:
    assert "do not hold" in verify(lost)
    freeze_log(cast.tenant.pk, by=TWO, state=state)
    go_on(cast)
    text = verify(lost)
    assert text.count("holds") == 2
    assert "BROKEN" not in text
    with tenant_atomic(cast.tenant.pk):
        after = active_log(cast.tenant.pk)
        assert after.size == 1 + 5 + 7
        assert LedgerCheckpoint.objects.filter(shard=2, size=after.size).exists()
        assert not LedgerCheckpoint.objects.filter(shard=1, size__gt=lost.size).exists()


def test_proofs_of_either_shard_verify(cast: Cast, lost: LedgerLog, state: Path) -> None:
    with tenant_atomic(cast.tenant.pk):
        moved = LedgerLeaf.objects.get(shard=1, leaf_index=lost.size + 2).rid
        kept = LedgerLeaf.objects.get(shard=1, leaf_index=3).rid
    freeze_log(cast.tenant.pk, by=TWO, state=state)
    with tenant_atomic(cast.tenant.pk):
        assert proof_states([kept, moved]) == {kept: "signed", moved: "integrated"}
    go_on(cast)
    with tenant_atomic(cast.tenant.pk):
        for rid, shard in ((kept, 1), (moved, 2)):
            leaf = leaf_of(rid)
            assert leaf is not None
            assert leaf.shard == shard
            head = verify_proof(TlogProof.parse(proof_of(rid)), bytes(leaf.leaf_hash), trust_policy())
            assert head.origin.endswith(f"-{shard}")
        assert set(proof_states([kept, moved]).values()) == {"signed"}


def test_a_frozen_log_changed_below_its_last_head_is_noticed(cast: Cast, lost: LedgerLog, state: Path) -> None:
    freeze_log(cast.tenant.pk, by=TWO, state=state)
    where = f"tenant_id = '{cast.tenant.pk}' AND shard = 1 AND leaf_index = 9"
    tamper(f"UPDATE tenants_ledgerleaf SET leaf = set_byte(leaf, 9, 0) WHERE {where}")
    assert "leaf 9:" in verify(lost)


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (Freeze(TWO.reason, ("ana@example.org", " ANA@example.org")), "Two different"),
        (Freeze("lost", TWO.operators), "Say why"),
    ],
)
def test_it_takes_two_people_and_a_reason(cast: Cast, state: Path, by: Freeze, why: str) -> None:
    with pytest.raises(FreezeRefused, match=why):
        freeze_log(cast.tenant.pk, by=by, state=state)


def test_without_the_signers_memory_nothing_is_frozen(cast: Cast, lost: LedgerLog, tmp_path: Path) -> None:
    with pytest.raises(FreezeRefused, match="signer's folder"):
        freeze_log(cast.tenant.pk, by=TWO, state=tmp_path / "elsewhere")
    with pytest.raises(CommandError, match="no organisation"):
        call_command("freeze_log", "nobody", reason=TWO.reason, operator="a", second="b")


@pytest.mark.parametrize("role", ["default", "worker", "ingest", "signer"])
def test_no_process_of_the_product_can_freeze(cast: Cast, lost: LedgerLog, state: Path, role: str) -> None:
    with (
        pytest.raises(DatabaseError, match="permission denied"),
        tenant_atomic(cast.tenant.pk, using=role),
        connections[role].cursor() as cursor,
    ):
        cursor.execute("UPDATE tenants_ledgerlog SET state = 'frozen'")


def exported(cast: Cast, lost: LedgerLog, state: Path, path: Path) -> Frozen:
    """The new log's export, as the command of two operators leaves it."""
    done = freeze_log(cast.tenant.pk, by=TWO, state=state)
    go_on(cast)
    with path.open("wb") as file:
        export_log(by=system_actor(cast.tenant.pk, "operator"), file=file)
    return done


def judge(path: Path, cast: Cast) -> tuple[int, str]:
    with tenant_atomic(cast.tenant.pk):
        (path.parent / "trust.txt").write_text(trust_policy().text)
    command = [sys.executable, str(TOOLS / "affidavit_verify.py"), str(path), "--trust", str(path.parent / "trust.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def rewritten(source: Path, target: Path, name: str, change: bytes | None) -> None:
    """A copy of the bundle with one member replaced (or left out), its manifest made to fit."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        manifest = json.loads(old.read("manifest.json"))
        manifest["files"].pop(name)
        if change is not None:
            manifest["files"][name] = {"sha256": hashlib.sha256(change).hexdigest(), "bytes": len(change)}
            new.writestr(name, change)
        for member in old.namelist():
            if member not in (name, "manifest.json"):
                new.writestr(member, old.read(member))
        new.writestr("manifest.json", json.dumps(manifest))


def test_an_export_has_both_logs_and_the_link_between_them(
    cast: Cast, lost: LedgerLog, state: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "log.zip"
    exported(cast, lost, state, bundle)
    code, text = judge(bundle, cast)
    assert code == 0, text
    assert f"{lost.origin} ends with {lost.size} leaves" in text


@pytest.mark.parametrize("name", ["links/1.json", "earlier/1/leaves.jsonl", "earlier/1/checkpoint.txt"])
def test_a_broken_link_is_noticed_offline(cast: Cast, lost: LedgerLog, state: Path, tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "log.zip"
    exported(cast, lost, state, bundle)
    with zipfile.ZipFile(bundle) as whole:
        data = whole.read(name)
        other = whole.read("checkpoint.txt")
    changes = {
        "links/1.json": data.replace(b'"size":%d' % lost.size, b'"size":%d' % (lost.size - 1)),
        "earlier/1/leaves.jsonl": data.replace(b'"leaf":"ey', b'"leaf":"ez', 1),
        "earlier/1/checkpoint.txt": other,
    }
    assert changes[name] != data
    rewritten(bundle, tmp_path / "changed.zip", name, changes[name])
    assert judge(tmp_path / "changed.zip", cast)[0] == 1
    rewritten(bundle, tmp_path / "less.zip", name, None)
    assert judge(tmp_path / "less.zip", cast)[0] == 2
