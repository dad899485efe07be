"""The whole log as a zip: verified by the verifier that lies in it, the same bytes for the same head."""

import json
import subprocess
import sys
import tracemalloc
import zipfile
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audits import log_export
from audits.log_export import export_log
from tenants.actors import Actor, system_actor
from tenants.context import tenant_atomic
from tenants.ledger.merkle import leaf_hash
from tenants.ledger.reader import trust_policy
from tenants.models import LedgerCheckpoint, LedgerEvent, LedgerLeaf
from tests.audits.log import publish
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import submit
from tests.tenants.ledger.test_sequencer import tamper


def operator(cast: Cast) -> Actor:
    return system_actor(cast.tenant.pk, "export_log", "decision.read_payload")


def export(cast: Cast, path: Path, *arguments: str) -> Path:
    call_command("export_log", cast.tenant.slug, str(path), *arguments, verbosity=0)
    return path


def verify(path: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and the words of the verifier that lies in the bundle."""
    with zipfile.ZipFile(path) as bundle:
        tool = Path(bundle.extract("affidavit_verify.py", path.parent / "tool"))
    command = [sys.executable, "-I", str(tool), str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def vkey(cast: Cast) -> str:
    with tenant_atomic(cast.tenant.pk):
        return trust_policy().logs[0].vkey


def test_a_whole_log_verifies_offline(cast: Cast, tmp_path: Path) -> None:
    submit(cast, 300)
    publish(cast)
    ids = submit(cast, 5)
    head = publish(cast)
    path = export(cast, tmp_path / "log.zip", "--records")
    code, words = verify(path, "--vkey", vkey(cast))
    assert code == 0, words
    assert verify(path)[0] == 3  # the same, with no key to trust
    with zipfile.ZipFile(path) as bundle:
        lines = bundle.read("leaves.jsonl").splitlines()
        leaves = [b64decode(json.loads(line)["leaf"]) for line in lines]
        assert len(leaves) == head.size
        assert bundle.read("hashes.bin") == b"".join(map(leaf_hash, leaves))
        assert json.loads(bundle.read(f"records/{ids[-1]}.json"))["groups"]["input"]["input"][1]["role"] == "user"
        assert len([name for name in bundle.namelist() if name.startswith("records/")]) == head.size
        assert len([name for name in bundle.namelist() if name.startswith("checkpoints/")]) == 1


def test_the_same_head_gives_the_same_bytes(cast: Cast, tmp_path: Path) -> None:
    submit(cast, 20)
    head = publish(cast)
    first = export(cast, tmp_path / "first.zip", "--records").read_bytes()
    publish(cast)  # the export itself is an event: the newest head is another now
    again = export(cast, tmp_path / "again.zip", "--records", "--size", str(head.size)).read_bytes()
    assert again == first
    assert export(cast, tmp_path / "newer.zip").read_bytes() != first


def test_the_export_and_the_reading_are_recorded(cast: Cast, tmp_path: Path) -> None:
    submit(cast, 3)
    head = publish(cast)
    export(cast, tmp_path / "log.zip")
    export(cast, tmp_path / "records.zip", "--records")
    with tenant_atomic(cast.tenant.pk):
        events = list(LedgerEvent.objects.filter(actor__contains="export_log").order_by("id"))
    assert [event.tag for event in events] == ["bundle.exported", "payload.read", "bundle.exported"]
    assert json.loads(bytes(events[0].body))["size"] == head.size


def test_nothing_signed_is_nothing_to_export(cast: Cast, tmp_path: Path) -> None:
    submit(cast, 2)
    with pytest.raises(CommandError, match="Nothing is signed yet"):
        export(cast, tmp_path / "log.zip")
    with pytest.raises(CommandError, match="no organisation"):
        call_command("export_log", "nobody-here", str(tmp_path / "log.zip"))
    publish(cast)
    with pytest.raises(CommandError, match="No head of 1 leaves"):
        export(cast, tmp_path / "log.zip", "--size", "1")
    assert list(tmp_path.iterdir()) == []


def test_no_leaf_and_no_key_of_another_tenant(cast: Cast, stranger: Cast, tmp_path: Path) -> None:
    for one in (cast, stranger):
        submit(one, 4)
        publish(one)
    with zipfile.ZipFile(export(cast, tmp_path / "log.zip", "--records")) as bundle:
        everything = b"".join(bundle.read(name) for name in bundle.namelist())
        leaves = b"".join(b64decode(json.loads(line)["leaf"]) for line in bundle.read("leaves.jsonl").splitlines())
    for told in (str(stranger.tenant.pk), stranger.tenant.slug):
        assert told.encode() not in everything + leaves
    assert str(cast.tenant.pk).encode() in leaves


def test_a_leaf_changed_with_its_hash_is_named_by_the_verifier(cast: Cast, tmp_path: Path) -> None:
    submit(cast, 40)
    publish(cast)
    with tenant_atomic(cast.tenant.pk):
        changed = bytes(LedgerLeaf.objects.get(leaf_index=30).leaf).replace(b"decision", b"dezision")
    place = f"tenant_id = '{cast.tenant.pk}' AND leaf_index = 30"
    tamper(f"UPDATE tenants_ledgerleaf SET leaf = '\\x{changed.hex()}'::bytea WHERE {place}")
    code, words = verify(export(cast, tmp_path / "log.zip"), "--vkey", vkey(cast))
    assert code == 1
    assert "first bad index 30" in words


def test_content_that_does_not_open_is_not_passed_over(cast: Cast, tmp_path: Path) -> None:
    ids = submit(cast, 9)
    publish(cast)
    tamper(
        "UPDATE traces_decisionpayload SET sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40))"
        f" WHERE id = '{ids[4]}'",
    )
    with tenant_atomic(cast.tenant.pk):
        index = LedgerLeaf.objects.get(rid=ids[4]).leaf_index
    with pytest.raises(CommandError, match=f"leaf {index}: the content of record {ids[4]} was changed"):
        export(cast, tmp_path / "log.zip", "--records")
    assert not (tmp_path / "log.zip").exists()


def test_many_heads_are_thinned_and_said_so(cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_export, "OLDER_HEADS", 2)
    for _ in range(6):
        submit(cast, 2)
        publish(cast)
    with tenant_atomic(cast.tenant.pk):
        assert LedgerCheckpoint.objects.count() == 6
    path = export(cast, tmp_path / "log.zip")
    with zipfile.ZipFile(path) as bundle:
        assert len([name for name in bundle.namelist() if name.startswith("checkpoints/")]) == 2
        missing = json.loads(bundle.read("manifest.json"))["missing"]
    assert {"id": "checkpoints", "reason": "of 5 older signed heads, one in 3 is here"} in missing
    assert verify(path, "--vkey", vkey(cast))[0] == 0


def peak(cast: Cast) -> int:
    """Bytes that Python held at most while exporting."""
    tracemalloc.start()
    export_log(by=operator(cast), file=BytesIO())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_the_log(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_export, "CHUNK", 64)
    small = make_cast()
    for one, n in ((small, 128), (cast, 1_280)):
        submit(one, n)
        publish(one)
    peak(small)  # warm
    before, after = peak(small), peak(cast)
    zipped = 1_280 * 500  # the file itself is held here, in a BytesIO
    assert after - before < zipped
