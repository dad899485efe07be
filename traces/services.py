"""The one write path of decisions: REST, OTLP and imports all come here."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.conf import settings

from policies.timeline import ensure_policy_set, timeline_of
from tenants.access import require
from tenants.actors import Actor
from tenants.bulk import raw_cursor
from tenants.context import tenant_atomic
from tenants.ids import uuid7_ms
from tenants.ledger.canonical import dumps
from tenants.ledger.log import LogBusy
from traces import rows
from traces.dimensions import deployment_ids, model_version_ids, subject_keys
from traces.models import Submission
from traces.recording import Prepared, Recorded, key_id, prepare, record
from traces.submissions import Item

USING = "ingest"
ATTEMPTS = 3
BACKLOG_CHECK_SECONDS = 0.5


class Conflict(ValueError):
    """The same key or (source, external id) came before with other content; `stored` maps item index → record id."""

    def __init__(self, stored: dict[int, str]) -> None:
        super().__init__("Already recorded with other content.")
        self.stored = stored


@dataclass(frozen=True, slots=True)
class Answers:
    """What each item was told, in order, and whether all of it was told before."""

    items: list[dict[str, Any]]
    replayed: bool


@dataclass(frozen=True, slots=True)
class _Key:
    """An idempotency row to be claimed: its id, and what its content must be."""

    id: uuid.UUID
    fingerprint: bytes


class _Contended(Exception):
    """Another request claimed one of our keys first."""


def record_decisions(
    *, by: Actor, items: Sequence[Item], idempotency_key: str = "", now: datetime | None = None
) -> Answers:
    """Record a batch, all or nothing; returns after COMMIT, so what is answered is durable.

    Raises `Conflict` (same identity, other content), `LogBusy` (the ledger is behind), `PermissionDenied`.

    1. Refuse while the ledger is behind.
    2. Look for earlier submissions of the same identity: the same content gets the original answer.
    3. Judge, commit, seal: all that needs no lock.
    4. One transaction: claim the identities, then store. Losing a race for one sends us back to 2.
    """
    require(by, "decision.write")
    if by.source_id is None:
        raise ValueError("A key that writes decisions is bound to a source.")
    refuse_backlog(by.tenant_id)
    prepared = [prepare(item) for item in items]
    keys = [_external_key(by.source_id, one) for one in prepared]
    whole = _request_key(by.source_id, idempotency_key, prepared) if idempotency_key else None
    for _ in range(ATTEMPTS):
        known = _known_answers(by.tenant_id, keys, whole)
        if known.request is not None:
            return Answers(known.request, replayed=True)
        fresh, aliases = _first_of_each(keys, known.items)
        try:
            told = _record_fresh(by, [(prepared[i], keys[i]) for i in fresh], whole, known, now or datetime.now(UTC))
        except _Contended:
            continue
        answers = known.items | dict(zip(fresh, told, strict=True))
        answers |= {twin: answers[first] for twin, first in aliases.items()}
        return Answers([answers[i] for i in range(len(items))], replayed=not fresh)
    raise LogBusy(retry_after=1)


@dataclass(frozen=True, slots=True)
class _Known:
    request: list[dict[str, Any]] | None
    items: dict[int, dict[str, Any]]


def _external_key(source_id: uuid.UUID, prepared: Prepared) -> _Key | None:
    external_id = prepared.item.typed.external_id
    if not external_id:
        return None
    return _Key(key_id("external", source_id.bytes, external_id.encode()), prepared.fingerprint)


def _request_key(source_id: uuid.UUID, text: str, prepared: Sequence[Prepared]) -> _Key:
    content = b"".join(one.fingerprint for one in prepared)
    return _Key(key_id("request", source_id.bytes, text.encode()), key_id("content", content).bytes * 2)


def _known_answers(tenant_id: uuid.UUID, keys: Sequence[_Key | None], whole: _Key | None) -> _Known:
    """Answers of earlier submissions; raises `Conflict` when one had other content."""
    wanted = {key.id for key in (*keys, whole) if key}
    if not wanted:
        return _Known(None, {})
    with tenant_atomic(tenant_id, using=USING):
        stored = {row.pk: row for row in Submission.objects.using(USING).filter(pk__in=wanted)}
    if whole and (row := stored.get(whole.id)):
        if bytes(row.fingerprint) != whole.fingerprint:
            raise Conflict({})
        return _Known(orjson.loads(bytes(row.answer)), {})
    answers: dict[int, dict[str, Any]] = {}
    conflicts: dict[int, str] = {}
    for index, key in enumerate(keys):
        if key and (row := stored.get(key.id)):
            answers[index] = orjson.loads(bytes(row.answer))
            if bytes(row.fingerprint) != key.fingerprint:
                conflicts[index] = answers[index]["id"]
    if conflicts:
        raise Conflict(conflicts)
    return _Known(None, answers)


def _first_of_each(keys: Sequence[_Key | None], known: dict[int, Any]) -> tuple[list[int], dict[int, int]]:
    """Indexes to record, and repeats inside the batch → the index they repeat. Raises `Conflict` for unlike twins."""
    fresh: list[int] = []
    twins: dict[int, int] = {}
    seen: dict[uuid.UUID, int] = {}
    for index, key in enumerate(keys):
        if index in known:
            continue
        first = seen.setdefault(key.id, index) if key else index
        if key and first != index:
            other = keys[first]
            if other and other.fingerprint != key.fingerprint:
                raise Conflict({index: f"item {first} of this request"})
            twins[index] = first
        else:
            fresh.append(index)
    return fresh, twins


def _record_fresh(
    by: Actor, batch: Sequence[tuple[Prepared, _Key | None]], whole: _Key | None, known: _Known, now: datetime
) -> list[dict[str, Any]]:
    with tenant_atomic(by.tenant_id, using=USING):
        timeline = timeline_of(by.tenant_id, using=USING)
    recorded = [record(prepared, tenant_id=by.tenant_id, timeline=timeline, now=now) for prepared, _ in batch]
    answers = [one.answer() for one in recorded]
    claims = [(key.id, key.fingerprint, dumps(told)) for (_, key), told in zip(batch, answers, strict=True) if key]
    if whole:
        if known.items:
            raise Conflict({index: told["id"] for index, told in known.items.items()})
        claims.append((whole.id, whole.fingerprint, dumps(answers)))
    _store(by, recorded, claims, now)
    return answers


def _store(
    by: Actor, recorded: Sequence[Recorded], claims: Sequence[tuple[uuid.UUID, bytes, bytes]], now: datetime
) -> None:
    """Everything of a batch in one transaction, in one order of tables, so that batches cannot deadlock."""
    prepared = [one.prepared for one in recorded]
    deployments = deployment_ids(by.tenant_id, {one.deployment for one in prepared}, now, USING)
    models = model_version_ids(
        by.tenant_id, {one.model_sha256: one.item.typed.model for one in prepared}.items(), now, USING
    )
    keys = subject_keys(by.tenant_id, {one.subject for one in prepared}, now, USING)
    decision_rows = [
        rows.decision_row(one, deployments[one.prepared.deployment], models[one.prepared.model_sha256], by.source_id)
        for one in recorded
    ]
    payload_rows = rows.payload_rows(recorded, by.tenant_id, keys)
    hits = [row for one in recorded for row in rows.rule_hit_rows(one)]
    with tenant_atomic(by.tenant_id, using=USING):
        cursor = raw_cursor(USING)
        claimed = rows.SUBMISSIONS.insert(cursor, by.tenant_id, sorted(claims))
        if claimed != len(claims):
            raise _Contended
        for in_force in {one.judgement.in_force.sha256: one.judgement.in_force for one in recorded}.values():
            ensure_policy_set(by.tenant_id, in_force, using=USING)
        rows.DECISIONS.insert(cursor, by.tenant_id, decision_rows)
        rows.PAYLOADS.insert(cursor, by.tenant_id, payload_rows)
        rows.RULE_HITS.insert(cursor, by.tenant_id, hits)
        rows.QUEUE.insert(cursor, by.tenant_id, [(one.id, one.leaf) for one in recorded])


_backlog: dict[uuid.UUID, tuple[float, int]] = {}


def refuse_backlog(tenant_id: uuid.UUID) -> None:
    """Push back while the tenant's queue is too long, or its oldest leaf too old to be merged in time.

    Looked at twice a second and process: a limit of a hundred thousand leaves needs no more exactness.
    """
    checked_at, retry_after = _backlog.get(tenant_id, (0.0, 0))
    if time.monotonic() - checked_at > BACKLOG_CHECK_SECONDS:
        retry_after = _backlog_retry_after(tenant_id)
        _backlog[tenant_id] = (time.monotonic(), retry_after)
    if retry_after:
        raise LogBusy(retry_after)


def _backlog_retry_after(tenant_id: uuid.UUID) -> int:
    with tenant_atomic(tenant_id, using=USING):
        cursor = raw_cursor(USING)
        cursor.execute(
            "SELECT count(*), (SELECT rid FROM tenants_ledgerqueue ORDER BY enq_id LIMIT 1)"
            "  FROM (SELECT 1 FROM tenants_ledgerqueue LIMIT %s) AS waiting",
            [settings.AFFIDAVIT_QUEUE_LIMIT],
        )
        row = cursor.fetchone()
    if row is None or row[1] is None:
        return 0
    age = time.time() - uuid7_ms(row[1]) / 1000
    too_long = row[0] >= settings.AFFIDAVIT_QUEUE_LIMIT
    too_old = age > settings.AFFIDAVIT_MMD_SECONDS / 2
    return 5 if too_long or too_old else 0
