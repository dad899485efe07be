"""A copy of the log in a store with Object Lock, over HTTP: whole, locked, and enough to derive the tree again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.conf import settings
from moto.server import ThreadedMotoServer

from tenants.context import tenant_atomic
from tenants.ledger.anchors import configured_sinks
from tenants.ledger.locked import LockedSink, s3_client
from tenants.ledger.merkle import leaf_hash, root
from tenants.ledger.notes import Checkpoint, split_note
from tenants.ledger.tiles import decode_bundle
from tenants.models import LedgerAnchor
from tests.factories.tenants import Cast
from tests.tenants.ledger.test_anchors import anchor, sign, told


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of a store with a locked bucket `evidence`."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(settings, "AFFIDAVIT_SIGNER_STATE", str(tmp_path))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    s3_client(f"http://{host}:{port}").create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
    yield f"http://{host}:{port}"
    server.stop()


def objects(client: Any, cast: Cast) -> dict[str, bytes]:
    listed = client.list_objects_v2(Bucket="evidence", Prefix=f"logs/{cast.tenant.pk}/1/")["Contents"]
    names = [one["Key"] for one in listed]
    return {name.split("/1/")[1]: client.get_object(Bucket="evidence", Key=name)["Body"].read() for name in names}


def test_the_tree_is_derived_again_from_the_bucket(cast: Cast, store: str) -> None:
    sink, client = LockedSink("evidence", "logs/", store, every=timedelta(0)), s3_client(store)
    sign(cast, 3)
    assert anchor(cast, sink) == 1
    sign(cast, 260)
    assert anchor(cast, sink) == 1
    held = objects(client, cast)
    head = Checkpoint.parse(split_note(held["checkpoint"].decode())[0])
    whole = decode_bundle(held["tile/entries/000"])
    rest = decode_bundle(held[f"tile/entries/001.p/{head.size - 256}"])
    assert root([leaf_hash(leaf) for leaf in whole + rest]) == head.root
    assert len(whole + rest) == head.size > 256


def test_nobody_takes_away_what_is_locked(cast: Cast, store: str) -> None:
    sign(cast)
    assert anchor(cast, LockedSink("evidence", "logs", store, timedelta(days=30))) == 1
    client, name = s3_client(store), f"logs/{cast.tenant.pk}/1/checkpoint"
    with tenant_atomic(cast.tenant.pk):
        version = bytes(LedgerAnchor.objects.get().proof).decode()
    held = client.head_object(Bucket="evidence", Key=name, VersionId=version)
    assert held["ObjectLockMode"] == "COMPLIANCE"
    assert held["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(days=29)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket="evidence", Key=name, VersionId=version)


def test_a_store_that_refuses_is_told_of_and_tried_again(cast: Cast, store: str) -> None:
    sign(cast)
    assert anchor(cast, LockedSink("nowhere", "", store)) == 0
    ((name, state, detail),) = told(cast)
    assert (name, state, "NoSuchBucket" in detail) == ("s3", "failed", True)
    assert anchor(cast, LockedSink("evidence", "", store)) == 1


def test_the_settings_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AFFIDAVIT_ANCHOR_DIR", "")
    monkeypatch.setattr(settings, "AFFIDAVIT_S3_BUCKET", "evidence")
    monkeypatch.setattr(settings, "AFFIDAVIT_S3_RETAIN_DAYS", 7)
    assert configured_sinks() == [LockedSink("evidence", retain=timedelta(days=7))]
