"""Embeds and assesses what is new, batch by batch, in the process that serves the queue `embed`.

1. Read a batch of what waits, the newest first: people look for what just happened.
2. Outside any transaction: copy the vectors of texts that are known, encode the others once each, assess.
3. In one transaction, behind a lock shared with erasure (migration 0007): take the rows out of the queue, and store
   what was found for those that this transaction took and whose content is still there.

A worker killed anywhere has done nothing or all of a batch, two workers never store a decision twice, and a decision
whose content is erased at the same moment leaves no embedding: either the eraser's trigger sees ours, or we see that
the content is gone. A run ends after `SECONDS`, so that tenants take turns.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from tenants import crypto
from tenants.context import tenant_atomic
from traces.contents import members_of, read_contents
from traces.meaning.encoder import VERSION, encode, packed, signs, unpacked
from traces.meaning.evaluators import EVALUATORS, Seen
from traces.meaning.exchange import LABEL, Exchange, digest, exchange_of
from traces.meaning.judge import is_judged
from traces.meaning.near import answers_to_like
from traces.models import Assessment, Decision, DecisionPayload, Embedding, MeaningQueue, MeaningWork

BATCH = 64
SECONDS = 20.0
SHOWN_BACKLOG = 100_000  # counted no further
PEERS_WITHIN, PEERS_LIKE, MOST_PEERS = timedelta(days=30), 0.85, 20

Vector = NDArray[np.float32]
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(slots=True)
class _Work:
    """A decision on its way: what is read of it, its vectors, and what the evaluators said."""

    decision: Decision
    subject_key_id: uuid.UUID
    exchange: Exchange
    digests: tuple[bytes | None, bytes | None]
    row: Embedding | None = None
    assessments: list[Assessment] = field(default_factory=list)


def embed(tenant_id: uuid.UUID, *, encoder: Encode = encode, seconds: float = SECONDS, batch: int = BATCH) -> int:
    """Embed and assess what waits; returns how many decisions were done."""
    done, until = 0, time.monotonic() + seconds
    while True:
        with tenant_atomic(tenant_id):
            ids, work = _waiting(tenant_id, batch)
            known = _known(work)
        if ids:
            _add_vectors(work, known, encoder)
            with tenant_atomic(tenant_id):
                for one in work:
                    one.assessments = _assess(one, encoder)
            done += store(tenant_id, ids, work)
        if len(ids) < batch or time.monotonic() > until:
            return done


def _waiting(tenant_id: uuid.UUID, batch: int) -> tuple[list[uuid.UUID], list[_Work]]:
    """Ids in the queue, and what there is to read of them; content that came apart or was erased has nothing."""
    queue = MeaningQueue.objects.filter(work=MeaningWork.EMBED)
    ids = list(queue.order_by("-id").values_list("id", flat=True)[:batch])
    keys = dict(DecisionPayload.objects.filter(pk__in=ids).values_list("pk", "subject_key_id"))
    contents, decisions = read_contents(ids), Decision.objects.in_bulk(ids)
    secret = crypto.derive(crypto.tenant_key(tenant_id), LABEL)
    work = []
    for pk, content in contents.items():
        exchange = exchange_of(members_of(content))
        digests = digest(secret, exchange.asked), digest(secret, exchange.answered)
        if pk in decisions and any(digests):
            work.append(_Work(decisions[pk], keys[pk], exchange, digests))
    return ids, work


def _known(work: Iterable[_Work]) -> dict[bytes, Vector]:
    """Vectors of texts that were encoded before."""
    wanted = {one for item in work for one in item.digests if one}
    known: dict[bytes, Vector] = {}
    for side in ("asked", "answered"):
        rows = Embedding.objects.filter(**{f"{side}_digest__in": wanted}, version=VERSION)
        for key, vector in (
            rows.order_by(f"{side}_digest").distinct(f"{side}_digest").values_list(f"{side}_digest", side)
        ):
            known[bytes(key)] = unpacked(vector)
    return known


def _add_vectors(work: Sequence[_Work], known: dict[bytes, Vector], encoder: Encode) -> None:
    """Encode each unknown text once, then give every decision its row."""
    texts = {
        key: text
        for one in work
        for key, text in zip(one.digests, (one.exchange.asked, one.exchange.answered), strict=True)
        if key and key not in known
    }
    ordered = sorted(texts, key=lambda key: len(texts[key]))  # a batch of like lengths wastes no padding
    known |= dict(zip(ordered, encoder([texts[key] for key in ordered]), strict=True))
    for one in work:
        one.row = _row(one, known)


def _row(one: _Work, known: Mapping[bytes, Vector]) -> Embedding:
    asked, answered = (known[key] if key else None for key in one.digests)
    return Embedding(
        id=one.decision.pk,
        tenant_id=one.decision.tenant_id,
        deployment_id=one.decision.deployment_id,
        subject_key_id=one.subject_key_id,
        occurred_at=one.decision.occurred_at,
        version=VERSION,
        asked_digest=one.digests[0],
        answered_digest=one.digests[1],
        asked_signs=signs(asked) if asked is not None else None,
        answered_signs=signs(answered) if answered is not None else None,
        asked=packed(asked) if asked is not None else None,
        answered=packed(answered) if answered is not None else None,
    )


def _assess(one: _Work, encoder: Encode) -> list[Assessment]:
    """What every evaluator says, each beside its version and its time."""
    row = one.row
    if row is None:
        return []
    asked = unpacked(row.asked) if row.asked is not None else None
    answered = unpacked(row.answered) if row.answered is not None else None
    peers = answers_to_like(row.deployment_id, row, within=PEERS_WITHIN, least=PEERS_LIKE, most=MOST_PEERS)
    seen, found = Seen(one.exchange, asked, answered, encoder, peers), []
    for evaluator in EVALUATORS:
        started = time.perf_counter()
        finding = evaluator.find(seen)
        if finding is not None:
            found.append(
                Assessment(
                    tenant_id=row.tenant_id,
                    decision_id=row.pk,
                    evaluator=evaluator.name,
                    version=evaluator.version,
                    score=finding.score,
                    label=finding.label,
                    figures=dict(finding.figures),
                    cost_micros=0,
                    took_us=round((time.perf_counter() - started) * 1e6),
                    assessed_at=datetime.now(UTC),
                )
            )
    return found


def store(tenant_id: uuid.UUID, ids: Sequence[uuid.UUID], work: Sequence[_Work]) -> int:
    """Step 3; returns how many decisions this call stored or found to have nothing to embed."""
    with tenant_atomic(tenant_id):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [f"meaning {tenant_id}"])
            cursor.execute(
                "DELETE FROM traces_meaningqueue WHERE tenant_id = %s AND work = %s AND id = ANY(%s) RETURNING id",
                [tenant_id, MeaningWork.EMBED, list(ids)],
            )
            taken = {row[0] for row in cursor.fetchall()}
        there = set(DecisionPayload.objects.filter(pk__in=taken).values_list("pk", flat=True))
        kept = [one for one in work if one.decision.pk in there]
        rows = [one.row for one in kept if one.row is not None]
        Embedding.objects.bulk_create(rows, ignore_conflicts=True)
        Assessment.objects.bulk_create([found for one in kept for found in one.assessments], ignore_conflicts=True)
        if judged := [row.pk for row in rows if is_judged(tenant_id, row.pk)]:
            waiting = [MeaningQueue(tenant_id=tenant_id, work=MeaningWork.JUDGE, id=pk) for pk in judged]
            MeaningQueue.objects.bulk_create(waiting, ignore_conflicts=True)
    return len(taken)


def backlog(work: int = MeaningWork.EMBED) -> int:
    """How many decisions wait, counted up to `SHOWN_BACKLOG`. Inside `tenant_atomic`."""
    return MeaningQueue.objects.filter(work=work)[:SHOWN_BACKLOG].count()


def forget_orphans(tenant_id: uuid.UUID) -> int:
    """Remove what outlived its content without a trigger: a month of content that was detached as a whole."""
    removed = 0
    with tenant_atomic(tenant_id), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"meaning {tenant_id}"])
        for table, column in (("traces_embedding", "id"), ("traces_remark", "decision_id")):
            cursor.execute(
                f"DELETE FROM {table} e WHERE tenant_id = %s AND NOT EXISTS (SELECT FROM traces_decisionpayload p"
                f" WHERE p.tenant_id = e.tenant_id AND p.id = e.{column})",
                [tenant_id],
            )
            removed += cursor.rowcount
    return removed


def rebuild(tenant_id: uuid.UUID) -> None:
    """Queue all content again: after a change of encoder or evaluators, and for content older than this feature."""
    with tenant_atomic(tenant_id), connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_embedding WHERE tenant_id = %s", [tenant_id])
        cursor.execute(
            "INSERT INTO traces_meaningqueue (tenant_id, work, id) SELECT p.tenant_id, %s, p.id"
            "  FROM traces_decisionpayload p JOIN traces_decision d ON d.tenant_id = p.tenant_id AND d.id = p.id"
            " WHERE p.tenant_id = %s ON CONFLICT DO NOTHING",
            [MeaningWork.EMBED, tenant_id],
        )
