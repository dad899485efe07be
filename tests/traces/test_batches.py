"""What came together is stored together, and each request is told its own."""

import os
import socket
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections
from django.db.transaction import TransactionManagementError

from tenants.bulk import quick_transaction
from tenants.context import tenant_atomic
from tenants.models import LedgerQueue
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, ingestor
from traces import batches, recording
from traces.batches import Answers, Batch, Conflict, _serve
from traces.models import Decision, Submission
from traces.recording import prepare
from traces.services import _external_key
from traces.submissions import validate


def batch_of(cast: Cast, decisions: Sequence[dict[str, Any]]) -> Batch:
    by, prepared = ingestor(cast), [prepare(item) for item in validate(decisions)]
    assert by.source_id is not None
    return Batch(by, prepared, [_external_key(by.source_id, one) for one in prepared])


def stored(cast: Cast) -> tuple[int, int, int]:
    """Decisions, submissions, and leaves of decisions that wait."""
    with tenant_atomic(cast.tenant.pk):
        leaves = sum(b'"typ":"decision"' in bytes(row.leaf) for row in LedgerQueue.objects.all())
        return Decision.objects.count(), Submission.objects.count(), leaves


def answers(outcome: Answers | Exception) -> list[dict[str, Any]]:
    assert isinstance(outcome, Answers), outcome
    return outcome.items


def test_a_group_is_one_transaction_and_each_gets_its_own(cast: Cast) -> None:
    groups = [[a_decision(session=f"s-{n}") for _ in range(n)] for n in (1, 3, 2)]
    outcomes = _serve([batch_of(cast, group) for group in groups])
    assert [len(answers(outcome)) for outcome in outcomes] == [1, 3, 2]
    assert stored(cast) == (6, 6, 6)
    with tenant_atomic(cast.tenant.pk), connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM traces_decision")
        assert cursor.fetchone() == (1,)
        for group, outcome in zip(groups, outcomes, strict=True):
            found = {Decision.objects.get(pk=uuid.UUID(told["id"])).session for told in answers(outcome)}
            assert found == {group[0]["session"]}


def test_the_same_decision_twice_in_a_group_is_one_record(cast: Cast) -> None:
    decision = a_decision()
    first, second, other = _serve([batch_of(cast, one) for one in ([decision], [decision], [a_decision()])])
    assert answers(first) == answers(second) != answers(other)
    assert isinstance(second, Answers)
    assert second.replayed
    assert stored(cast) == (2, 2, 2)


def test_a_conflict_is_told_to_whom_it_belongs(cast: Cast) -> None:
    decision = a_decision()
    _serve([batch_of(cast, [decision])])
    fine, conflict = _serve([batch_of(cast, [a_decision()]), batch_of(cast, [decision | {"output": "other"}])])
    assert len(answers(fine)) == 1
    assert isinstance(conflict, Conflict)
    assert stored(cast) == (2, 2, 2)


def test_one_that_cannot_be_recorded_takes_no_other_with_it(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned = a_decision(session="poison")

    def record(prepared: Any, **rest: Any) -> Any:
        if prepared.item.typed.session == "poison":
            raise ValueError("poison")
        return recording.record(prepared, **rest)

    monkeypatch.setattr("traces.batches.record", record)
    outcomes = _serve([batch_of(cast, [one]) for one in (a_decision(), poisoned, a_decision())])
    assert [type(outcome) for outcome in outcomes] == [Answers, ValueError, Answers]
    assert stored(cast) == (2, 2, 2)


def test_where_a_commit_may_have_happened_nobody_tries_again(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def attempt(_: Any) -> Any:
        tries.append(1)
        raise OperationalError("the connection is lost") from psycopg.OperationalError("lost")

    monkeypatch.setattr(batches, "_attempt", attempt)
    first, second = _serve([batch_of(cast, [a_decision()]), batch_of(cast, [a_decision()])])
    assert len(tries) == 1
    assert isinstance(first, OperationalError)
    assert isinstance(second, OperationalError)
    assert first is not second
    assert isinstance(second.__cause__, psycopg.OperationalError)


def test_a_connection_that_broke_while_idle_is_replaced(cast: Cast) -> None:
    _serve([batch_of(cast, [a_decision()])])
    line = socket.socket(fileno=os.dup(connections["ingest"].connection.fileno()))
    line.shutdown(socket.SHUT_RDWR)
    line.close()
    (outcome,) = _serve([batch_of(cast, [a_decision()])])
    assert len(answers(outcome)) == 1


def test_it_is_a_transaction_of_its_own_and_leaves_none_behind(cast: Cast) -> None:
    with (
        tenant_atomic(cast.tenant.pk, using="ingest"),
        pytest.raises(TransactionManagementError),
        quick_transaction("ingest", cast.tenant.pk, []),
    ):
        pass
    with pytest.raises(KeyError), quick_transaction("ingest", cast.tenant.pk, []):
        raise KeyError
    connection = connections["ingest"].connection
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
