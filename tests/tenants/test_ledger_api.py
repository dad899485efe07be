"""The log over REST: what a C2SP client and an auditor's script need, and who is refused."""

import threading
import time
import uuid
from base64 import b64decode
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from tenants.context import tenant_atomic
from tenants.ledger.merkle import leaf_hash, verify_consistency
from tenants.ledger.notes import Verifier
from tenants.ledger.proofs import TlogProof, TrustPolicy, verify_proof
from tenants.ledger.reader import leaf_of
from tenants.ledger.tiles import decode_bundle
from tenants.models import LedgerCheckpoint
from tests.audits.log import publish
from tests.factories.tenants import Cast
from tests.factories.traces import submit

API = "/api/v1/ledger"


def get(cast: Cast, path: str, scope: str = "read", **headers: str) -> Any:
    return Client().get(path, headers={"Authorization": f"Bearer {cast.keys[scope].secret}", **headers})


@pytest.fixture
def records(cast: Cast) -> list[uuid.UUID]:
    ids = submit(cast, 300)
    publish(cast)
    return ids


def test_a_stranger_with_the_trust_policy_checks_everything(cast: Cast, records: list[uuid.UUID]) -> None:
    policy_text = get(cast, f"{API}/key").content.decode()
    policy = TrustPolicy.parse(policy_text)
    receipts = policy_text.rpartition("# receipts: ")[2].strip()
    assert Verifier.parse(receipts).name.endswith("/receipt")
    head = policy.open_checkpoint(get(cast, f"{API}/checkpoint").content)
    assert head.size >= 300
    for name, value in (("record", str(records[7])), ("index", "12")):
        proof = TlogProof.parse(get(cast, f"{API}/proof/inclusion?{name}={value}").content.decode())
        assert proof.extra is not None
        assert verify_proof(proof, leaf_hash(proof.extra), policy) == head


def test_tiles_and_entries_are_the_tree(cast: Cast, records: list[uuid.UUID]) -> None:
    full = get(cast, f"{API}/tile/0/000")
    entries = decode_bundle(get(cast, f"{API}/tile/entries/000").content)
    assert full.content == b"".join(leaf_hash(entry) for entry in entries)
    assert len(full.content) == 256 * 32
    assert full.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert get(cast, f"{API}/tile/0/000", **{"If-None-Match": full.headers["ETag"]}).status_code == 304
    partial = get(cast, f"{API}/tile/0/001.p/3").content
    assert partial == b"".join(leaf_hash(e) for e in decode_bundle(get(cast, f"{API}/tile/entries/001.p/3").content))
    for missing in ("0/002", "0/001", "0/1", "0/000.p/0", "64/000", "x/y", "entries/x001/000", "0/../1"):
        assert get(cast, f"{API}/tile/{missing}").status_code == 404, missing


def test_consistency_between_any_two_heads(cast: Cast) -> None:
    roots = []
    for n in (1, 5, 260):
        submit(cast, n)
        head = publish(cast)
        roots.append((head.size, bytes(head.root)))
    (old, old_root), (new, new_root) = roots[0], roots[2]
    answer = get(cast, f"{API}/proof/consistency?from={old}&to={new}").json()
    path = [b64decode(node) for node in answer["consistency"]]
    verify_consistency(old, new, old_root, new_root, path)
    for bad in ("", "?from=0", f"?from=1&to={new + 1}", "?from=x", f"?from={new}&to={old}", "?from=-1"):
        refused = get(cast, f"{API}/proof/consistency{bad}")
        assert refused.status_code == 400, bad
        assert refused.headers["Content-Type"] == "application/problem+json"


def test_what_is_not_there_yet_is_404(cast: Cast) -> None:
    for path in ("checkpoint", "proof/inclusion?index=0", f"proof/inclusion?record={uuid.uuid4()}", "tile/0/000"):
        answer = get(cast, f"{API}/{path}")
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["checkpoint", "tile/0/000.p/1", "proof/inclusion?index=0", "proof/consistency", "key"]
)
def test_the_log_needs_a_key_that_reads(cast: Cast, path: str) -> None:
    assert Client().get(f"{API}/{path}").status_code == 401
    assert get(cast, f"{API}/{path}", scope="ingest").status_code == 403


def test_a_record_of_another_tenant_is_not_there(cast: Cast, stranger: Cast, records: list[uuid.UUID]) -> None:
    publish(stranger)
    assert get(stranger, f"/api/v1/decisions/{records[0]}/proof").status_code == 404
    assert get(stranger, f"{API}/proof/inclusion?record={records[0]}").status_code == 404


@pytest.mark.parametrize("scope", ["ingest", "read", "manage"])
def test_who_records_may_fetch_the_proof(cast: Cast, scope: str) -> None:
    rid = submit(cast)[0]
    early = get(cast, f"/api/v1/decisions/{rid}/proof", scope)
    assert early.status_code == 404
    assert early.headers["Retry-After"] == "5"
    publish(cast)
    proof = TlogProof.parse(get(cast, f"/api/v1/decisions/{rid}/proof", scope).content.decode())
    with tenant_atomic(cast.tenant.pk):
        leaf = leaf_of(rid)
    assert leaf is not None
    assert proof.index == leaf.leaf_index


def test_whoever_prefers_to_wait_gets_the_proof_as_soon_as_there_is_one(cast: Cast) -> None:
    rid = submit(cast)[0]

    def later() -> None:
        time.sleep(0.7)
        publish(cast)
        connections.close_all()

    thread = threading.Thread(target=later)
    thread.start()
    started = time.monotonic()
    answer = get(cast, f"/api/v1/decisions/{rid}/proof", Prefer="wait=10")
    thread.join()
    assert answer.status_code == 200
    assert time.monotonic() - started < 5
    started = time.monotonic()
    assert get(cast, f"/api/v1/decisions/{uuid.uuid4()}/proof", Prefer="wait=1").status_code == 404
    assert 0.4 < time.monotonic() - started < 3


def test_a_head_is_revalidated(cast: Cast) -> None:
    publish(cast)
    head = get(cast, f"{API}/checkpoint")
    assert head.headers["Cache-Control"] == "private, no-cache"
    assert get(cast, f"{API}/checkpoint", **{"If-None-Match": head.headers["ETag"]}).status_code == 304
    submit(cast)
    publish(cast)
    assert get(cast, f"{API}/checkpoint", **{"If-None-Match": head.headers["ETag"]}).status_code == 200
    with tenant_atomic(cast.tenant.pk):
        assert LedgerCheckpoint.objects.count() == 2
