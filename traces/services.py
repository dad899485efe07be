"""The one write path of decisions: REST, OTLP and imports all come here."""

import time
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

import orjson
from django.conf import settings

from tenants.access import require
from tenants.actors import Actor
from tenants.bulk import raw_cursor
from tenants.context import tenant_atomic
from tenants.ids import uuid7_ms
from tenants.ledger.log import LogBusy
from traces.batches import USING, Answers, Batch, Conflict, Identity, Key, PlainSpan, Telemetry, record_batch
from traces.models import Submission
from traces.recording import Prepared, key_id, prepare
from traces.submissions import Item

__all__ = (
    "USING",
    "Answers",
    "Conflict",
    "Identity",
    "PlainSpan",
    "Telemetry",
    "record_decisions",
    "record_telemetry",
    "recorded_ids",
    "refuse_backlog",
)

BACKLOG_CHECK_SECONDS = 0.5


def record_decisions(
    *, by: Actor, items: Sequence[Item], idempotency_key: str = "", now: datetime | None = None
) -> Answers:
    """Record a batch, all or nothing; returns after COMMIT, so what is answered is durable.

    Raises `Conflict` (same identity, other content), `LogBusy` (the ledger is behind), `PermissionDenied`.

    1. Refuse while the ledger is behind.
    2. One transaction, shared with requests that came meanwhile (`traces.batches`): look for earlier submissions of
       the same identity, whose content gets the original answer; judge, commit, seal; claim the identities, store.
       Losing a race for one sends us back to the look.
    """
    source_id = _source_of(by)
    refuse_backlog(by.tenant_id)
    prepared = [prepare(item) for item in items]
    keys = [_external_key(source_id, one) for one in prepared]
    whole = _request_key(source_id, idempotency_key, prepared) if idempotency_key else None
    answers = record_batch(Batch(by, prepared, keys, whole, now=now))
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
    keys = [Key(key_id(one.kind, one.name), one.fingerprint) for one in identities]
    return record_batch(Batch(by, prepared, keys, telemetry=telemetry, now=now))


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


def _external_key(source_id: uuid.UUID, prepared: Prepared) -> Key | None:
    external_id = prepared.item.typed.external_id
    if not external_id:
        return None
    return Key(key_id("external", source_id.bytes, external_id.encode()), prepared.fingerprint)


def _request_key(source_id: uuid.UUID, text: str, prepared: Sequence[Prepared]) -> Key:
    content = b"".join(one.fingerprint for one in prepared)
    return Key(key_id("request", source_id.bytes, text.encode()), key_id("content", content).bytes * 2)


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
