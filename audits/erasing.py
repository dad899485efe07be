"""Carrying out an approved erasure: step by step, each a transaction, until nothing of the subject is left.

1. Contents, a batch at a time, each with its reason on record; with them evidence and drafts of reports about them.
2. The name, wherever else it stands.
3. The keys, the certificate, the leaf and the end of the request, together.

The request's row is locked in every step, so two workers do not run it at once; what the database says is left is the
only state, so a worker killed anywhere is followed by one that goes on.
"""

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from audits.erasure_files import keep_certificate
from audits.holds import hold_on_subject
from audits.lifecycles import ErasureState
from audits.models import (
    Case,
    CaseEvent,
    CaseItem,
    Erasure,
    EvidenceContent,
    EvidenceFile,
    Report,
    ReportDocument,
    ReportKind,
)
from audits.subjects import subject_of
from audits.workflow import NotAllowed
from tenants.actors import Actor, system_actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.canonical import dumps
from tenants.ledger.log import append
from tenants.ledger.notes import sign_note
from tenants.ledger.receipts import receipt_signer
from traces.erasing import (
    BATCH,
    SESSION,
    StillThere,
    Under,
    contents_of_subject,
    destroy_keys,
    erase_contents,
    forget_name,
)
from traces.models import Decision, ErasedContent, SpanContent
from traces.recording import rfc3339

FORMAT = "affidavit-erasure-certificate/1"
NOTE = "affidavit/erasure/v1"
LISTED = 10_000  # records that a certificate names one by one; its digest is over all
# What is counted, in the words of the certificate.
ERASED = {
    "records": "records whose content went",
    "contents": "sealed contents, with their salts",
    "late_contents": "of these, contents of log records that came apart from their span",
    "words": "words in the search index",
    "embeddings": "embeddings of questions and answers",
    "remarks": "comments of feedback and of the judge, letters of explanation",
    "submissions": "digests that recognise a repeated submission",
    "usage_rows": "sums of usage under the name",
    "anomalies": "names in cost anomalies",
    "judgements": "names of who gave feedback",
    "views": "saved filters that look for the name",
    "budgets": "budgets of the name, retired",
    "events": "texts of ledger events that held the name",
    "deliveries": "webhook deliveries that held the name",
    "evidence": "files of evidence about the records",
    "drafts": "drafts of reports on the records",
    "keys": "data keys, destroyed",
}
BACKUPS = (
    "Backups made before this day hold the sealed content and the wrapped key until they expire. Whoever restores one"
    " runs `replay_erasures`, which erases again what this certificate names."
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays, how much, and why."""

    what: str
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Records:
    """Records whose content went: how many, SHA-256 over all (`<id> <leaf hash>` a line), and the first of them."""

    count: int
    sha256: str
    listed: list[list[str]]


class Held(NotAllowed):
    """A legal hold covers what was about to go."""


def stop_if_held(row: Erasure, by: Actor) -> Held | None:
    """The refusal where a hold covers any of the subject's records, in the ledger once for each hold that stops it."""
    hold = hold_on_subject(row)
    reference = hold.reference if hold else ""
    if row.held_by != reference:
        row.held_by = reference
        row.save(update_fields=["held_by"])
        if hold:
            append(Tag.ERASURE_REFUSED, by=by, body={"erasure": row.number, "hold": hold.number}, ref=row.pk)
    if hold is None:
        return None
    return Held(f"{reference} holds records of this subject: {hold.reason} Nothing goes before it is released.")


def run_erasure(tenant_id: uuid.UUID, erasure_id: uuid.UUID, *, batch: int = BATCH) -> None:
    """Erase what an approved request names; a request that is done, waits or was rejected is left as it is."""
    by = system_actor(tenant_id, "eraser")
    while True:
        with tenant_atomic(tenant_id):
            row = Erasure.objects.select_for_update().get(pk=erasure_id)
            if row.state not in {ErasureState.APPROVED, ErasureState.RUNNING}:
                return
            if stop_if_held(row, by):
                return
            if row.state == ErasureState.APPROVED:
                row.state = ErasureState.RUNNING
                row.save(update_fields=["state"])
            _step(row, by, batch)


def resume_erasures(tenant_id: uuid.UUID) -> None:
    """Run every approved erasure that is not done."""
    with tenant_atomic(tenant_id):
        waiting = Erasure.objects.filter(state__in=[ErasureState.APPROVED, ErasureState.RUNNING])
        ids = list(waiting.order_by("number").values_list("pk", flat=True))
    for pk in ids:
        run_erasure(tenant_id, pk)


def _step(row: Erasure, by: Actor, batch: int) -> None:
    """One transaction's worth; the last one completes the request."""
    subject, under = subject_of(row), Under(row.pk, row.spoken_reason)
    if ids := contents_of_subject(subject, row.pk, batch):
        removed = erase_contents(ids, under, subject) + _erase_copies(ids)
    else:
        removed = forget_name(subject, row.spoken_reason)
    if not ids and not removed:
        try:
            removed = Counter(keys=destroy_keys(subject, row.pk))
        except StillThere:
            return
        _complete(row, by, Counter(row.removed) + removed)
        return
    row.removed = dict(Counter(row.removed) + removed)
    row.save(update_fields=["removed"])


def _erase_copies(ids: Sequence[uuid.UUID]) -> Counter[str]:
    """Evidence about these records, and drafts of reports on them; what was signed stays."""
    about = Q(item__decision_id__in=ids) | Q(request__item__decision_id__in=ids)
    files = EvidenceContent.objects.filter(pk__in=EvidenceFile.objects.filter(about).values("pk")).delete()[0]
    cases = CaseItem.objects.filter(decision_id__in=ids).values("case_id")
    drafts = Report.objects.filter(kind=ReportKind.DRAFT, case_id__in=cases).values("pk")
    return Counter(evidence=files, drafts=ReportDocument.objects.filter(pk__in=drafts).delete()[0])


def _complete(row: Erasure, by: Actor, removed: Counter[str]) -> None:
    row.removed, row.completed_at = dict(removed), datetime.now(UTC)
    records = records_under(row.pk)
    document = _certificate(row, records)
    row.certificate = dumps(document)
    sha256 = hashlib.sha256(row.certificate).hexdigest()
    text = f"{NOTE}\n{row.tenant_id}\n{row.reference}\nsha256:{sha256}\n{rfc3339(row.completed_at)}\n"
    row.certificate_note = sign_note(text, receipt_signer())
    row.sealed_subject, row.state = b"", ErasureState.COMPLETED
    body = {
        "erasure": row.number,
        "subject_hmac": bytes(row.subject_hmac).hex(),
        "ground": row.ground,
        "requested_by": row.requested_by,
        "approved_by": row.decided_by,
        "removed": row.removed,
        "records": records.count,
        "records_sha256": records.sha256,
        "certificate_sha256": sha256,
    }
    append(Tag.ERASURE_COMPLETED, by=by, body=body, ref=row.pk)
    row.save()
    transaction.on_commit(partial(keep_certificate, row), robust=True)


def records_under(under: uuid.UUID) -> Records:
    """What an erasure or a purge took the content of. Inside `tenant_atomic`."""
    digest, n = hashlib.sha256(), 0
    listed: list[list[str]] = []
    for pk, leaf_hash in _leaves(under):
        digest.update(f"{pk} {leaf_hash}\n".encode())
        n += 1
        if n <= LISTED:
            listed.append([str(pk), leaf_hash])
    return Records(n, digest.hexdigest(), listed)


def _leaves(under: uuid.UUID, batch: int = 1_000) -> Iterator[tuple[uuid.UUID, str]]:
    after = uuid.UUID(int=0)
    erased = ErasedContent.objects.filter(under_id=under).order_by("pk").values_list("pk", flat=True)
    while ids := list(erased.filter(pk__gt=after)[:batch]):
        rows = [*Decision.objects.filter(pk__in=ids).values_list("pk", "leaf_hash")]
        rows += SpanContent.objects.filter(pk__in=ids).values_list("pk", "leaf_hash")
        yield from sorted((pk, bytes(leaf_hash).hex()) for pk, leaf_hash in rows)
        after = ids[-1]


def kept_of(row: Erasure) -> list[Kept]:
    """What stays of the subject's records, and on which ground (Article 17(3) GDPR)."""
    erased = ErasedContent.objects.filter(under_id=row.pk).values("pk")
    cases = CaseItem.objects.filter(decision_id__in=erased).values("case_id")
    finals = Report.objects.filter(kind=ReportKind.FINAL, case_id__in=cases)
    said = CaseEvent.objects.filter(case_id__in=cases).exclude(note="")
    name = subject_of(row).removeprefix(SESSION)
    scopes = [bytes(query) for query in Case.objects.values_list("scope_query", flat=True)] if name else []
    everything = [
        Kept("records without their content: times, system, model, figures, verdicts, leaves",
             Decision.objects.filter(pk__in=erased).count(),
             "17(3)(b): logs of an AI system are kept by law (AI Act, Articles 19 and 26(6)); these name nobody"),
        Kept("signed reports", finals.count(), "17(3)(e): they are signed evidence, and were handed out"),
        Kept("notes of auditors in cases about the records", said.count(),
             "17(3)(e): the auditors' own words; they were told to name no person in them"),
        Kept("scopes of cases that name the person", sum(dumps(name) in scope for scope in scopes),
             "17(3)(e): a case is about what its scope says, and what was signed rests on it"),
    ]  # fmt: skip
    return [kept for kept in everything if kept.count]


def _certificate(row: Erasure, records: Records) -> dict[str, Any]:
    if row.decided_at is None or row.completed_at is None:
        raise NotAllowed("This erasure was not approved, or is not complete.")
    return {
        "format": FORMAT,
        "instance": settings.AFFIDAVIT_INSTANCE,
        "tenant": str(row.tenant_id),
        "request": row.reference,
        "id": str(row.pk),
        "ground": f"GDPR, Article 17(1)({row.ground}): {row.get_ground_display()}",
        "reason": row.reason,
        "requested": {"by": row.requested_by, "label": row.requested_label, "at": rfc3339(row.requested_at)},
        "approved": {"by": row.decided_by, "label": row.decided_label, "at": rfc3339(row.decided_at)},
        "completed_at": rfc3339(row.completed_at),
        "subject_hmac": bytes(row.subject_hmac).hex(),
        "erased": [{"what": ERASED[name], "count": row.removed[name]} for name in ERASED if row.removed.get(name)],
        "records": {"count": records.count, "sha256": records.sha256, "listed": records.listed},
        "kept": [{"what": kept.what, "count": kept.count, "why": kept.why} for kept in kept_of(row)],
        "backups": BACKUPS,
    }
