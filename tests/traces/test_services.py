"""The write path: all or nothing, once, judged, sealed, queued."""

import threading
import uuid
from dataclasses import replace

import orjson
import pytest
from django.core.exceptions import PermissionDenied
from django.db import ProgrammingError, connections

from tenants.context import tenant_atomic
from tenants.ledger.commitments import parse_leaf
from tenants.ledger.log import LogBusy
from tenants.ledger.merkle import leaf_hash
from tenants.models import LedgerQueue, SubjectKey
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, ingestor, submit, submit_each
from traces import rows, services
from traces.models import Decision, DecisionPayload, Deployment
from traces.selectors import open_payload, read_contents
from traces.services import Conflict, record_decisions
from traces.submissions import validate


def test_a_record_is_stored_sealed_and_queued_as_one(cast: Cast) -> None:
    (pk,) = submit(cast, 1)
    with tenant_atomic(cast.tenant.pk):
        decision = Decision.objects.get(pk=pk)
        queued = LedgerQueue.objects.get(rid=pk)
        leaf = parse_leaf(bytes(queued.leaf))
        content = read_contents([pk])[pk]
        sealed = bytes(DecisionPayload.objects.get(pk=pk).sealed)
    assert bytes(decision.leaf_hash) == leaf_hash(bytes(queued.leaf))
    assert leaf.commitments == content.commitments()
    assert orjson.loads(content.canonical["input"])["input"][1]["content"] == "May I borrow 5,000?"
    assert b"borrow" not in sealed


def test_the_leaf_tells_nothing_personal(cast: Cast) -> None:
    (pk,) = submit(cast, 1, subject="customer-4711", user="jane@example.org")
    with tenant_atomic(cast.tenant.pk):
        leaf = bytes(LedgerQueue.objects.get(rid=pk).leaf)
    for secret in (b"customer-4711", b"jane", b"borrow", b"payslip"):
        assert secret not in leaf


def test_the_same_submission_gets_the_original_answer(cast: Cast) -> None:
    items = validate([a_decision(), a_decision(external_id=None)])
    first = record_decisions(by=ingestor(cast), items=items, idempotency_key="k-1")
    again = record_decisions(by=ingestor(cast), items=items, idempotency_key="k-1")
    assert again.replayed
    assert not first.replayed
    assert again.items == first.items
    with tenant_atomic(cast.tenant.pk):
        assert Decision.objects.count() == 2


def test_the_same_identity_with_other_content_is_a_conflict_that_names_the_record(cast: Cast) -> None:
    decision = a_decision()
    (pk,) = submit_each(cast, [decision])
    with pytest.raises(Conflict) as caught:
        submit_each(cast, [a_decision(), decision | {"output": "something else"}])
    assert caught.value.stored == {1: str(pk)}
    with tenant_atomic(cast.tenant.pk):
        assert Decision.objects.count() == 1


def test_twins_in_one_batch_are_one_record(cast: Cast) -> None:
    decision = a_decision()
    first, second, third = submit_each(cast, [decision, a_decision(), decision])
    assert first == third != second


def test_an_idempotency_key_with_another_body_is_a_conflict(cast: Cast) -> None:
    by = ingestor(cast)
    record_decisions(by=by, items=validate([a_decision()]), idempotency_key="k")
    with pytest.raises(Conflict):
        record_decisions(by=by, items=validate([a_decision()]), idempotency_key="k")


def test_of_many_at_once_one_records_and_the_others_get_its_answer(cast: Cast) -> None:
    items, by, told = validate([a_decision()]), ingestor(cast), []

    def send() -> None:
        told.append(record_decisions(by=by, items=items).items[0]["id"])
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 8
    assert len(set(told)) == 1
    with tenant_atomic(cast.tenant.pk):
        assert Decision.objects.count() == 1
        assert LedgerQueue.objects.filter(rid=uuid.UUID(told[0])).count() == 1


@pytest.mark.parametrize("broken", ["DECISIONS", "PAYLOADS", "QUEUE"])
def test_if_one_part_fails_nothing_remains(cast: Cast, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, broken, replace(getattr(rows, broken), table="nowhere"))
    with pytest.raises(ProgrammingError, match="nowhere"):
        submit(cast, 3)
    monkeypatch.undo()
    with tenant_atomic(cast.tenant.pk):
        assert Decision.objects.count() == DecisionPayload.objects.count() == 0
        assert not [row for row in LedgerQueue.objects.all() if b'"typ":"decision"' in bytes(row.leaf)]
    submit(cast, 1)


def test_each_subject_has_a_key_of_its_own(cast: Cast) -> None:
    submit(cast, 2, subject="a")
    submit(cast, 1, subject="b")
    with tenant_atomic(cast.tenant.pk):
        assert SubjectKey.objects.count() == 2
        assert Deployment.objects.count() == 1


def test_only_a_key_for_writing_writes(cast: Cast) -> None:
    with pytest.raises(PermissionDenied):
        record_decisions(by=cast.owner, items=validate([a_decision()]))


def test_reading_content_is_an_event(cast: Cast) -> None:
    (pk,) = submit(cast, 1)
    with tenant_atomic(cast.tenant.pk):
        before = LedgerQueue.objects.count()
        assert open_payload(Decision.objects.get(pk=pk), by=cast.auditor, purpose="test")
        assert LedgerQueue.objects.count() == before + 1
        with pytest.raises(PermissionDenied):
            open_payload(Decision.objects.get(pk=pk), by=cast.owner, purpose="test")


def test_the_queue_pushes_back(cast: Cast, settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(cast, 5)
    monkeypatch.setattr("django.conf.settings.AFFIDAVIT_QUEUE_LIMIT", 3, raising=False)
    services._backlog.clear()
    with pytest.raises(LogBusy):
        submit(cast, 1)
    services._backlog.clear()
