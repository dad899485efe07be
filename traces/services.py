"""The one write path of decisions: REST, OTLP and imports all come here."""

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
from django.conf import settings

from policies.timeline import Timeline, ensure_policy_set, timeline_of
from tenants.access import require
from tenants.actors import Actor
from tenants.bulk import UUID, BulkInsert, insert_together, pack, raw_cursor
from tenants.context import tenant_atomic
from tenants.ids import unix_ms, uuid7, uuid7_ms
from tenants.ledger.canonical import dumps
from tenants.ledger.log import LogBusy
from traces import rows
from traces.costs.book import PriceBook, price_book
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
    """What each item was told, in order, and whether all of it was told before.

    `conflicts` is of telemetry alone: index → what is stored under the same identity with other content.
    """

    items: list[dict[str, Any]]
    replayed: bool
    conflicts: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes it the same telemetry again: its kind, the bytes that name it, and SHA-256 over its content."""

    kind: str
    name: bytes
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class PlainSpan:
    """A span that is no decision; `values` are those of `rows.SPANS` after the id."""

    identity: Identity
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What OTLP adds to a batch: who each item is, and the spans beside them.

    `events`, one for each item, says that the items are content that came apart from its span (`SpanContent`).
    """

    identities: Sequence[Identity]
    spans: Sequence[PlainSpan] = ()
    events: Sequence[str] = ()


NO_TELEMETRY = Telemetry(())


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
    source_id = _source_of(by)
    refuse_backlog(by.tenant_id)
    prepared = [prepare(item) for item in items]
    keys = [_external_key(source_id, one) for one in prepared]
    whole = _request_key(source_id, idempotency_key, prepared) if idempotency_key else None
    answers = _record_batch(by, _Batch(prepared, keys, whole), now)
    if answers.conflicts:
        raise Conflict(answers.conflicts)
    return answers


def record_telemetry(
    *, by: Actor, prepared: Sequence[Prepared], telemetry: Telemetry, now: datetime | None = None
) -> Answers:
    """Record a batch of spans in one transaction, each for itself: what conflicts is left out and told.

    The answers are those of the items, then those of the spans beside them; a conflict's is what is stored. Raises
    as `record_decisions`, save `Conflict`.
    """
    _source_of(by)
    refuse_backlog(by.tenant_id)
    identities = [*telemetry.identities, *(span.identity for span in telemetry.spans)]
    keys = [_Key(key_id(one.kind, one.name), one.fingerprint) for one in identities]
    return _record_batch(by, _Batch(prepared, keys, None, telemetry), now)


def recorded_ids(tenant_id: uuid.UUID, kind: str, names: Collection[bytes]) -> dict[bytes, uuid.UUID]:
    """The ids of the decisions that were recorded under these identities; others are left out."""
    if not names:
        return {}
    keys = {key_id(kind, name): name for name in names}
    with tenant_atomic(tenant_id, using=USING):
        stored = {
            row.pk: orjson.loads(bytes(row.answer)) for row in Submission.objects.using(USING).filter(pk__in=keys)
        }
    return {keys[pk]: uuid.UUID(answer["id"]) for pk, answer in stored.items() if "id" in answer}


def _source_of(by: Actor) -> uuid.UUID:
    require(by, "decision.write")
    if by.source_id is None:
        raise ValueError("A key that writes decisions is bound to a source.")
    return by.source_id


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is to be recorded; `keys` are those of the items, then those of the spans beside them."""

    prepared: Sequence[Prepared]
    keys: Sequence[_Key | None]
    whole: _Key | None
    telemetry: Telemetry | None = None


def _record_batch(by: Actor, batch: _Batch, now: datetime | None) -> Answers:
    """Steps 2 to 4 of `record_decisions`. Stores nothing where there is a conflict, save of telemetry."""
    for _ in range(ATTEMPTS):
        seen = _look(by.tenant_id, batch)
        known = _known_answers(seen.stored, batch.keys, batch.whole)
        if known.request is not None:
            return Answers(known.request, replayed=True)
        fresh, aliases, unlike = _first_of_each(batch.keys, known.items)
        conflicts = known.conflicts or unlike
        if conflicts and batch.telemetry is None:
            raise Conflict(conflicts)
        try:
            told = _record_fresh(by, batch, fresh, known, seen, now or datetime.now(UTC))
        except _Contended:
            continue
        answers = known.items | dict(zip(fresh, told, strict=True))
        answers |= {twin: answers[first] for twin, first in aliases.items()}
        items = [answers[i] for i in range(len(batch.keys))]
        return Answers(items, replayed=not fresh, conflicts=known.conflicts | unlike)
    raise LogBusy(retry_after=1)


@dataclass(frozen=True, slots=True)
class _Known:
    request: list[dict[str, Any]] | None
    items: dict[int, dict[str, Any]]
    conflicts: dict[int, str] = field(default_factory=dict)


def _external_key(source_id: uuid.UUID, prepared: Prepared) -> _Key | None:
    external_id = prepared.item.typed.external_id
    if not external_id:
        return None
    return _Key(key_id("external", source_id.bytes, external_id.encode()), prepared.fingerprint)


def _request_key(source_id: uuid.UUID, text: str, prepared: Sequence[Prepared]) -> _Key:
    content = b"".join(one.fingerprint for one in prepared)
    return _Key(key_id("request", source_id.bytes, text.encode()), key_id("content", content).bytes * 2)


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that a batch reads before it is judged: (fingerprint, answer) by identity, the policies, the prices."""

    stored: Mapping[uuid.UUID, tuple[bytes, bytes]]
    timeline: Timeline
    book: PriceBook


def _look(tenant_id: uuid.UUID, batch: _Batch) -> _Seen:
    """One short transaction: every round trip here is one that a single record waits for."""
    wanted = [key.id for key in (*batch.keys, batch.whole) if key]
    with tenant_atomic(tenant_id, using=USING):
        stored: dict[uuid.UUID, tuple[bytes, bytes]] = {}
        if wanted:
            cursor = raw_cursor(USING)
            query = "SELECT id, fingerprint, answer FROM traces_submission WHERE tenant_id = %b AND id = ANY(%b)"
            cursor.execute(query, [tenant_id, pack(UUID, wanted)], binary=True)
            stored = {row[0]: (row[1], row[2]) for row in cursor}
        return _Seen(stored, timeline_of(tenant_id, using=USING), price_book(tenant_id, using=USING))


def _known_answers(
    stored: Mapping[uuid.UUID, tuple[bytes, bytes]], keys: Sequence[_Key | None], whole: _Key | None
) -> _Known:
    """Answers of earlier submissions, and which of them had other content."""
    if whole and (row := stored.get(whole.id)):
        if row[0] != whole.fingerprint:
            raise Conflict({})
        return _Known(orjson.loads(row[1]), {})
    answers: dict[int, dict[str, Any]] = {}
    conflicts: dict[int, str] = {}
    for index, key in enumerate(keys):
        if key and (row := stored.get(key.id)):
            answers[index] = orjson.loads(row[1])
            if row[0] != key.fingerprint:
                conflicts[index] = answers[index].get("id") or answers[index]["span"]
    return _Known(None, answers, conflicts)


def _first_of_each(
    keys: Sequence[_Key | None], known: dict[int, Any]
) -> tuple[list[int], dict[int, int], dict[int, str]]:
    """Indexes to record; repeats inside the batch → the index they repeat; those of them that are unlike it."""
    fresh: list[int] = []
    twins: dict[int, int] = {}
    unlike: dict[int, str] = {}
    seen: dict[uuid.UUID, int] = {}
    for index, key in enumerate(keys):
        if index in known:
            continue
        first = seen.setdefault(key.id, index) if key else index
        if key and first != index:
            other = keys[first]
            if other and other.fingerprint != key.fingerprint:
                unlike[index] = f"item {first} of this request"
            twins[index] = first
        else:
            fresh.append(index)
    return fresh, twins, unlike


def _record_fresh(
    by: Actor, batch: _Batch, fresh: Sequence[int], known: _Known, seen: _Seen, now: datetime
) -> list[dict[str, Any]]:
    """Record those of the batch that are new; returns what they are told, in their order."""
    if not fresh:
        return []
    items = [index for index in fresh if index < len(batch.prepared)]
    judged = partial(record, tenant_id=by.tenant_id, timeline=seen.timeline, book=seen.book, now=now)
    recorded = [judged(batch.prepared[i]) for i in items]
    beside = batch.telemetry or NO_TELEMETRY
    spans = [(uuid7(unix_ms(now)), *beside.spans[index - len(batch.prepared)].values) for index in fresh[len(items) :]]
    answers = [one.answer() for one in recorded] + [{"span": str(row[0])} for row in spans]
    keys = [batch.keys[index] for index in fresh]
    claims = [(key.id, key.fingerprint, dumps(told)) for key, told in zip(keys, answers, strict=True) if key]
    if whole := batch.whole:
        if known.items:
            raise Conflict({index: told["id"] for index, told in known.items.items()})
        claims.append((whole.id, whole.fingerprint, dumps(answers)))
    tables = _content_rows(recorded, [beside.events[i] for i in items]) if beside.events else None
    _store(by, recorded, claims, tables or _decision_rows(by, recorded, now), spans, now)
    return answers


@dataclass(frozen=True, slots=True)
class _Projection:
    """The rows beside the payloads: into which table they go, and the rule hits with them."""

    table: BulkInsert
    rows: list[tuple[Any, ...]]
    hits: list[tuple[Any, ...]]


def _decision_rows(by: Actor, recorded: Sequence[Recorded], now: datetime) -> _Projection:
    prepared = [one.prepared for one in recorded]
    deployments = deployment_ids(by.tenant_id, {one.deployment for one in prepared}, now, USING)
    models = model_version_ids(
        by.tenant_id, {one.model_sha256: one.item.typed.model for one in prepared}.items(), now, USING
    )
    decision_rows = [
        rows.decision_row(one, deployments[one.prepared.deployment], models[one.prepared.model_sha256], by.source_id)
        for one in recorded
    ]
    return _Projection(rows.DECISIONS, decision_rows, [row for one in recorded for row in rows.rule_hit_rows(one)])


def _content_rows(recorded: Sequence[Recorded], events: Sequence[str]) -> _Projection:
    """Content beside its decision: the rules that it triggers are hits on the decision, where that is known."""
    pairs = zip(recorded, events, strict=True)
    content_rows = [rows.span_content_row(one, event, position) for position, (one, event) in enumerate(pairs)]
    hits = [row for one in recorded for row in rows.rule_hit_rows(one, one.prepared.item.typed.parent_id)]
    return _Projection(rows.SPAN_CONTENTS, content_rows, hits)


def _store(
    by: Actor,
    recorded: Sequence[Recorded],
    claims: Sequence[tuple[uuid.UUID, bytes, bytes]],
    projection: _Projection,
    spans: Sequence[tuple[Any, ...]],
    now: datetime,
) -> None:
    """Everything of a batch in one transaction, in one order of tables, so that batches cannot deadlock."""
    keys = subject_keys(by.tenant_id, {one.prepared.subject for one in recorded}, now, USING)
    payload_rows = rows.payload_rows(recorded, by.tenant_id, keys)
    is_decisions = projection.table is rows.DECISIONS
    uncounted, unseen = (recorded, projection.rows) if is_decisions else ([], [])
    tables: list[tuple[BulkInsert, Sequence[Any]]] = [
        (rows.SUBMISSIONS, sorted(claims)),
        (projection.table, projection.rows),
        (rows.PAYLOADS, payload_rows),
        (rows.RULE_HITS, projection.hits),
        (rows.SPANS, spans),
        (rows.UNCOUNTED, [(one.id, False) for one in uncounted]),
        (rows.UNSEEN, [rows.unseen_row(row) for row in unseen]),
        (rows.UNEMBEDDED, [(one.id, rows.EMBED) for one in uncounted]),
        (rows.UNINDEXED, [(one.id,) for one in recorded]),
        (rows.QUEUE, [(one.id, one.leaf) for one in recorded]),
    ]
    with tenant_atomic(by.tenant_id, using=USING):
        for in_force in {one.judgement.in_force.sha256: one.judgement.in_force for one in recorded}.values():
            ensure_policy_set(by.tenant_id, in_force, using=USING)
        taken = insert_together(USING, by.tenant_id, tables)
        if claims and taken != len(claims):
            raise _Contended


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
