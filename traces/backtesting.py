"""Replaying stored decisions against a candidate policy: reads chunks, hands them to the pure replay, keeps the place.

A chunk is one transaction, and its result and the place where the next begins are saved together: a runner that is
killed at any moment loses at most the chunk it was on, and whoever comes next goes on from there. What is replayed is
fixed when it is asked for, so a replay that was interrupted finds what an undisturbed one would have.
"""

import time
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Q, QuerySet

from policies.backtest import BacktestResult, Case, replay, stronger
from policies.backtests import UNFINISHED, candidate_of, fail_backtest, finish_backtest, next_backtest, record_chunk
from policies.document import DocumentError
from policies.facts import build_facts
from policies.models import PolicyBacktest
from tenants.actors import Actor, system_actor
from tenants.bulk import microseconds
from tenants.context import tenant_atomic
from tenants.crypto import SealError
from tenants.ids import first_uuid_at
from traces.models import Decision, Deployment, ModelVersion
from traces.sealing import Content
from traces.selectors import DecisionFilter, filtered, members_of, policy_document, read_contents

CHUNK = 1_000
_EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which decision a chunk begins, in the order of `occurred_at` and id."""

    occurred_at: datetime
    id: uuid.UUID

    def __str__(self) -> str:
        return f"{microseconds(self.occurred_at)} {self.id.hex}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """The inverse of `str`."""
        number, identity = text.split(" ")
        return cls(_EPOCH_2000 + timedelta(microseconds=int(number)), uuid.UUID(hex=identity))


class Row(NamedTuple):
    """The columns of a decision that a replay reads; whole objects would cost more than judging does."""

    id: uuid.UUID
    occurred_at: datetime
    action: str
    deployment_id: uuid.UUID
    model_version_id: uuid.UUID
    input_tokens: int | None
    output_tokens: int | None
    cost_micros: int | None
    currency: str | None


def run_backtests(tenant_id: uuid.UUID, *, seconds: float) -> int:
    """Replay what the tenant waits for, for about that long; returns how many chunks that were."""
    until = time.monotonic() + seconds
    chunks = 0
    while time.monotonic() < until and run_chunk(tenant_id):
        chunks += 1
    return chunks


def run_chunk(tenant_id: uuid.UUID, size: int = CHUNK) -> bool:
    """Replay the next chunk of the oldest unfinished backtest; False when nothing waits, or another runner has it.

    1. Take the lock of the backtest, which ends with the transaction, and look at it again: it may be over.
    2. Read the decisions behind the cursor, judge them, save result and cursor; or finish when there were no more.
    """
    by = system_actor(tenant_id, "backtests")
    with tenant_atomic(tenant_id):
        backtest = next_backtest()
        if backtest is None or not _locked(backtest.pk):
            return False
        backtest.refresh_from_db(fields=["state", "cursor", "total", "processed"])
        if backtest.state not in UNFINISHED:
            return True
        try:
            _replay_chunk(by, backtest, size)
        except (SealError, zlib.error, DocumentError) as error:
            fail_backtest(by=by, backtest_id=backtest.pk, message=f"It cannot be replayed: {error}")
    return True


def _replay_chunk(by: Actor, backtest: PolicyBacktest, size: int) -> None:
    rows = read_rows(backtest, size)
    if rows:
        record_chunk(
            by=by,
            backtest_id=backtest.pk,
            expected_cursor=backtest.cursor,
            chunk=_replayed(rows, backtest),
            cursor=str(Place(rows[-1].occurred_at, rows[-1].id)),
            total=population_of(backtest).count() if backtest.total is None else None,
        )
    if len(rows) < size:
        finish_backtest(by=by, backtest_id=backtest.pk)


def population_of(backtest: PolicyBacktest) -> QuerySet[Decision]:
    """The decisions of the window that were on record when the backtest was asked for, oldest first."""
    wanted = DecisionFilter(since=backtest.since, until=backtest.until, system=backtest.system)
    return filtered(wanted).filter(pk__lt=first_uuid_at(backtest.created_at + timedelta(milliseconds=1)))


def read_rows(backtest: PolicyBacktest, size: int) -> list[Row]:
    """The next decisions behind the cursor."""
    rows = population_of(backtest)
    if backtest.cursor:
        place = Place.parse(backtest.cursor)
        later = Q(occurred_at__gt=place.occurred_at) | Q(occurred_at=place.occurred_at, id__gt=place.id)
        rows = rows.filter(later, occurred_at__gte=place.occurred_at)
    return [Row(*values) for values in rows.values_list(*Row._fields)[:size]]


def _replayed(rows: Sequence[Row], backtest: PolicyBacktest) -> BacktestResult:
    candidate = candidate_of(backtest)
    contents = read_contents([row.id for row in rows])
    deployments = Deployment.objects.in_bulk({row.deployment_id for row in rows})
    models = ModelVersion.objects.in_bulk({row.model_version_id for row in rows})
    cases = [
        case_of(row, contents[row.id], candidate.name, (deployments[row.deployment_id], models[row.model_version_id]))
        for row in rows
        if row.id in contents
    ]
    result = replay(cases, candidate)
    result.erased = len(rows) - len(cases)
    return result


def case_of(row: Row, content: Content, policy: str, dimensions: tuple[Deployment, ModelVersion]) -> Case:
    """A stored decision as the replay of a version of `policy` sees it."""
    deployment, model = dimensions
    return Case(
        id=str(row.id),
        facts=build_facts(members_of(content)),
        old_action=row.action,
        others=_asked_by_others(policy_document(content), policy),
        segment=(deployment.system, deployment.environment, deployment.task, model.name),
        tokens=(row.input_tokens or 0) + (row.output_tokens or 0),
        cost_micros=row.cost_micros,
        currency=row.currency or "",
    )


def _asked_by_others(judged: dict[str, Any], policy: str) -> str:
    """The strongest action that the other policies in force asked for."""
    action = "allow"
    for finding in judged.get("findings", ()):
        if finding["policy"] != policy:
            action = stronger(finding["action"], action)
    return action


def _locked(backtest_id: uuid.UUID) -> bool:
    """Whether this transaction is the one that works on the backtest."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"backtest:{backtest_id}"])
        (is_ours,) = cursor.fetchone()
    return bool(is_ours)
