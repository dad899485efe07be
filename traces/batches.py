"""Batches on their way into the store: looked up, judged and written, as many as came together in one transaction.

What is stored under an identity, the policies and the write belong to one transaction; what may be cached (prices,
shared rows, compiled policies) is found before it, since nothing in it goes through the ORM.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
from django.db import IntegrityError, InterfaceError, OperationalError
from psycopg import sql

from policies.timeline import InForce, Timeline, ensure_policy_set, is_set_kept, known_timeline, timeline_of
from tenants.actors import Actor
from tenants.bulk import BulkInsert, insert_together, quick_transaction
from tenants.context import tenant_atomic
from tenants.ids import unix_ms, uuid7
from tenants.ledger.canonical import dumps
from tenants.ledger.log import LogBusy
from traces import rows
from traces.costs.book import PriceBook, known_book, price_book
from traces.dimensions import (
    DeploymentKey,
    are_keys_of,
    deployment_ids,
    forget_keys,
    model_version_ids,
    note_pairings,
    subject_keys,
)
from traces.grouping import GroupCommit
from traces.recording import Prepared, Recorded, record

USING = "ingest"
ATTEMPTS = 6  # two of them may go to filling this process's memory
GROUPED = 128  # records of small requests that share a transaction: a large one gains nothing by it, and waits longer
TABLES = (
    "SUBMISSIONS",
    "DECISIONS",
    "SPAN_CONTENTS",
    "PAYLOADS",
    "RULE_HITS",
    "SPANS",
    "UNCOUNTED",
    "UNSEEN",
    "UNEMBEDDED",
    "UNINDEXED",
    "QUEUE",
)
"""Those of `traces.rows` in one order, so that transactions cannot deadlock; who was first is decided in the first."""


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
class Key:
    """An idempotency row to be claimed: its id, and what its content must be."""

    id: uuid.UUID
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request wants recorded; `keys` are those of the items, then those of the spans beside them."""

    by: Actor
    prepared: Sequence[Prepared]
    keys: Sequence[Key | None]
    whole: Key | None = None
    telemetry: Telemetry | None = None
    now: datetime | None = None

    @property
    def claims(self) -> set[uuid.UUID]:
        """The ids of the rows that it must be the first to claim."""
        return {key.id for key in (*self.keys, self.whole) if key}

    @property
    def is_content(self) -> bool:
        """Whether the items are content that came apart from its span."""
        return bool(self.telemetry and self.telemetry.events)


def record_batch(batch: Batch) -> Answers:
    """Record it, together with what other requests of the tenant wait for; returns after COMMIT.

    Raises `Conflict` (but for telemetry, whose conflicts are told), `LogBusy`.
    """
    return _commits.run(batch.by.tenant_id, batch)


class _Contended(Exception):
    """Another transaction claimed one of our keys first, or this process had to load something: look again."""


class _Missing(Exception):
    """This process does not have the policies of this epoch, or has not kept these sets."""

    def __init__(self, sets: Sequence[InForce] = ()) -> None:
        super().__init__()
        self.sets = sets


def _serve(batches: Sequence[Batch]) -> list[Answers | Exception]:
    """One outcome for each; all are of one tenant.

    A batch that fails takes no other with it: where nothing can have been stored, each is tried alone.
    """
    try:
        return _served(batches)
    except (OperationalError, InterfaceError) as error:
        # The connection may have broken while it committed: tried again, what has no key could be stored twice.
        return [_copy_of(error) for _ in batches]
    except Exception as error:
        return [error] if len(batches) == 1 else [outcome for batch in batches for outcome in _serve([batch])]


def _copy_of(error: Exception) -> Exception:
    """The same error for another thread to raise."""
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy


_commits: GroupCommit[Batch, Answers] = GroupCommit(_serve, size=lambda batch: len(batch.keys), limit=GROUPED)


def _served(batches: Sequence[Batch]) -> list[Answers | Exception]:
    outcomes: dict[int, Answers | Exception] = {}
    for _ in range(ATTEMPTS):
        left = {index: batch for index, batch in enumerate(batches) if index not in outcomes}
        try:
            outcomes |= _attempt(left)
        except _Contended:
            continue
        if len(outcomes) == len(batches):
            break
    return [outcomes.get(index, LogBusy(retry_after=1)) for index in range(len(batches))]


@dataclass(frozen=True, slots=True)
class _Shared:
    """All that is known before the transaction: prices, and the rows that decisions share."""

    book: PriceBook
    deployments: Mapping[DeploymentKey, uuid.UUID]
    models: Mapping[bytes, uuid.UUID]
    keys: Mapping[str, tuple[uuid.UUID, bytes]]


def _shared(tenant_id: uuid.UUID, batches: Sequence[Batch], now: datetime) -> _Shared:
    book = known_book(tenant_id)
    if book is None:
        with tenant_atomic(tenant_id, using=USING):
            book = price_book(tenant_id, using=USING)
    everything = [one for batch in batches for one in batch.prepared]
    decisions = [one for batch in batches if not batch.is_content for one in batch.prepared]
    models = {one.model_sha256: one.item.typed.model for one in decisions}
    deployments = deployment_ids(tenant_id, {one.deployment for one in decisions}, now, USING)
    versions = model_version_ids(tenant_id, models.items(), now, USING)
    note_pairings(tenant_id, {(deployments[one.deployment], versions[one.model_sha256]) for one in decisions}, USING)
    return _Shared(
        book,
        deployments,
        versions,
        subject_keys(tenant_id, {one.subject for one in everything}, now, USING),
    )


@dataclass(frozen=True, slots=True)
class _Written:
    """What a batch adds: its rows by table, what its requester will be told, and the sets that judged it."""

    answers: Answers
    rows: Mapping[str, list[Any]]
    sets: Mapping[bytes, InForce]


def _attempt(batches: Mapping[int, Batch]) -> dict[int, Answers | Exception]:
    """Look, judge and store once; a batch that wants a key of another in this group is left for the next attempt."""
    tenant_id = next(iter(batches.values())).by.tenant_id
    now = datetime.now(UTC)
    shared = _shared(tenant_id, list(batches.values()), now)
    try:
        with quick_transaction(USING, tenant_id, _reads(tenant_id, batches.values())) as found:
            policy_epoch, erasure_epoch = found[0][0]
            if not are_keys_of(tenant_id, erasure_epoch):
                raise _Contended  # a subject was erased: the next look finds the keys that are left
            timeline = known_timeline(tenant_id, policy_epoch)
            if timeline is None:
                raise _Missing
            stored = {row[0]: (row[1], row[2]) for rest in found[1:] for row in rest}
            done, written = _judged(batches, stored, partial(_write, timeline=timeline, shared=shared, now=now))
            if written:
                _insert(tenant_id, list(written.values()))
    except IntegrityError as error:
        if KEY_IS_GONE not in str(error):
            raise
        forget_keys(tenant_id)
        raise _Contended from None
    except _Missing as missing:
        with tenant_atomic(tenant_id, using=USING):
            timeline_of(tenant_id, using=USING)
            for in_force in missing.sets:
                ensure_policy_set(tenant_id, in_force, using=USING)
        raise _Contended from None
    return done | {index: one.answers for index, one in written.items()}


KEY_IS_GONE = "subject_key_id_fk"  # the constraint, in the database's words: the key was destroyed meanwhile
_EPOCH = "SELECT policy_epoch, erasure_epoch FROM tenants_tenant WHERE id = {}"
_STORED = "SELECT id, fingerprint, answer FROM traces_submission WHERE tenant_id = {} AND id = ANY({})"


def _reads(tenant_id: uuid.UUID, batches: Iterable[Batch]) -> list[sql.Composable]:
    wanted = [claim for batch in batches for claim in batch.claims]
    tenant = sql.Literal(tenant_id)
    epoch = sql.SQL(_EPOCH).format(tenant)
    return [epoch, sql.SQL(_STORED).format(tenant, sql.Literal(wanted))] if wanted else [epoch]


_Stored = Mapping[uuid.UUID, tuple[bytes, bytes]]


def _judged(
    batches: Mapping[int, Batch], stored: _Stored, write: Callable[[Batch, _Stored], Answers | _Written]
) -> tuple[dict[int, Answers | Exception], dict[int, _Written]]:
    """Which are answered already, and what the others add."""
    done: dict[int, Answers | Exception] = {}
    written: dict[int, _Written] = {}
    claimed: set[uuid.UUID] = set()
    for index, batch in batches.items():
        claims = batch.claims
        if claims & claimed:
            continue
        try:
            outcome = write(batch, stored)
        except Conflict as conflict:
            done[index] = conflict
            continue
        if isinstance(outcome, _Written):
            written[index] = outcome
            claimed |= claims
        else:
            done[index] = outcome
    return done, written


def _insert(tenant_id: uuid.UUID, written: Sequence[_Written]) -> None:
    sets = {sha256: in_force for one in written for sha256, in_force in one.sets.items()}
    if unkept := [in_force for in_force in sets.values() if not is_set_kept(tenant_id, in_force)]:
        raise _Missing(unkept)
    tables: list[tuple[BulkInsert, Sequence[Any]]] = []
    for name in TABLES:
        added = [row for one in written for row in one.rows.get(name, ())]
        tables.append((getattr(rows, name), sorted(added) if name == "SUBMISSIONS" else added))
    taken, claims = insert_together(USING, tenant_id, tables), len(tables[0][1])
    if claims and taken != claims:
        raise _Contended


@dataclass(frozen=True, slots=True)
class _Known:
    request: list[dict[str, Any]] | None
    items: dict[int, dict[str, Any]]
    conflicts: dict[int, str] = field(default_factory=dict)


def _known_answers(
    stored: Mapping[uuid.UUID, tuple[bytes, bytes]], keys: Sequence[Key | None], whole: Key | None
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
    keys: Sequence[Key | None], known: dict[int, Any]
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


def _write(batch: Batch, stored: _Stored, *, timeline: Timeline, shared: _Shared, now: datetime) -> Answers | _Written:
    """The rows of those that are new; where none is, the answers of before. Raises `Conflict`."""
    known = _known_answers(stored, batch.keys, batch.whole)
    if known.request is not None:
        return Answers(known.request, replayed=True)
    fresh, aliases, unlike = _first_of_each(batch.keys, known.items)
    conflicts = known.conflicts or unlike
    if conflicts and batch.telemetry is None:
        raise Conflict(conflicts)
    if fresh and batch.whole and known.items:
        raise Conflict({index: told["id"] for index, told in known.items.items()})
    moment = batch.now or now
    judged = partial(record, tenant_id=batch.by.tenant_id, timeline=timeline, book=shared.book, now=moment)
    items = [index for index in fresh if index < len(batch.prepared)]
    recorded = [judged(batch.prepared[index]) for index in items]
    spans = _span_rows(batch, fresh[len(items) :], moment)
    told = [one.answer() for one in recorded] + [{"span": str(row[0])} for row in spans]
    answers = known.items | dict(zip(fresh, told, strict=True))
    answers |= {twin: answers[first] for twin, first in aliases.items()}
    everything = [answers[index] for index in range(len(batch.keys))]
    result = Answers(everything, replayed=not fresh, conflicts=known.conflicts | unlike)
    if not fresh:
        return result
    sets = {one.judgement.in_force.sha256: one.judgement.in_force for one in recorded}
    added = _rows(batch, items, recorded, shared) | {"SPANS": spans, "SUBMISSIONS": _claims(batch, fresh, told)}
    return _Written(result, added, sets)


def _span_rows(batch: Batch, fresh: Sequence[int], now: datetime) -> list[tuple[Any, ...]]:
    beside = batch.telemetry.spans if batch.telemetry else ()
    return [(uuid7(unix_ms(now)), *beside[index - len(batch.prepared)].values) for index in fresh]


def _claims(batch: Batch, fresh: Sequence[int], told: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    keys = [batch.keys[index] for index in fresh]
    claims = [(key.id, key.fingerprint, dumps(answer)) for key, answer in zip(keys, told, strict=True) if key]
    return [*claims, (batch.whole.id, batch.whole.fingerprint, dumps(told))] if batch.whole else claims


def _rows(batch: Batch, items: Sequence[int], recorded: Sequence[Recorded], shared: _Shared) -> dict[str, list[Any]]:
    """The rows of the items, whichever way they came."""
    added: dict[str, list[Any]] = {
        "PAYLOADS": rows.payload_rows(recorded, batch.by.tenant_id, shared.keys),
        "UNINDEXED": [(one.id,) for one in recorded],
        "QUEUE": [(one.id, one.leaf) for one in recorded],
    }
    if batch.telemetry and batch.is_content:
        events = [batch.telemetry.events[index] for index in items]
        pairs = enumerate(zip(recorded, events, strict=True))
        added["SPAN_CONTENTS"] = [rows.span_content_row(one, event, position) for position, (one, event) in pairs]
        # The rules that it triggers are hits on its decision, where that is known.
        hits = [row for one in recorded for row in rows.rule_hit_rows(one, one.prepared.item.typed.parent_id)]
        return added | {"RULE_HITS": hits}
    deployments, models, source_id = shared.deployments, shared.models, batch.by.source_id
    decisions = [
        rows.decision_row(one, deployments[one.prepared.deployment], models[one.prepared.model_sha256], source_id)
        for one in recorded
    ]
    return added | {
        "DECISIONS": decisions,
        "RULE_HITS": [row for one in recorded for row in rows.rule_hit_rows(one)],
        "UNCOUNTED": [(one.id, False) for one in recorded],
        "UNSEEN": [rows.unseen_row(row) for row in decisions],
        "UNEMBEDDED": [(one.id, rows.EMBED) for one in recorded],
    }
