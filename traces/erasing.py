"""Removing content, and every copy of it that this app keeps. Callers decide what goes, and that it may go.

Each batch is a transaction: why it goes (`ErasedContent`), then the payload, whose triggers take the words, the
embeddings and the remarks along, then the names in the columns of the record. Killed anywhere and run again, it goes
on with what is left. The record itself, its leaf and its figures stay, and still verify.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from tenants import crypto
from tenants.context import current_tenant_id
from tenants.ledger.redaction import redact_events
from tenants.models import SubjectKey, Tenant
from tenants.webhooks import retention
from traces.models import (
    Budget,
    BudgetScope,
    CostAnomaly,
    Decision,
    DecisionPayload,
    Embedding,
    ErasedContent,
    Feedback,
    Remark,
    SavedView,
    SearchToken,
    SpanContent,
    SubjectKind,
    SubjectRollup,
    Submission,
)
from traces.recording import key_id
from traces.rows import span_hex

BATCH = 200
SESSION = "session:"  # how the subject of a decision without a subject and a user is called
NO_FINGERPRINT = bytes(32)
CASES = "case.%"  # tags of what happened to a case: what auditors signed rests on its scope
FORGOTTEN = "erased"  # stands where a name was that cannot be empty

# What came apart from its span goes with its decision; without one, when nothing of its trace is left to read.
_LATE = """
SELECT DISTINCT c.id FROM traces_erasedcontent e
  JOIN traces_decision d ON d.tenant_id = e.tenant_id AND d.id = e.id
  JOIN traces_spancontent c ON c.tenant_id = d.tenant_id AND c.trace_id = d.trace_id
  JOIN traces_decisionpayload p ON p.tenant_id = c.tenant_id AND p.id = c.id
 WHERE e.tenant_id = %(tenant)s AND e.under_id = %(under)s AND (c.span_id = d.span_id OR NOT EXISTS (
       SELECT FROM traces_decision o WHERE o.tenant_id = c.tenant_id AND o.trace_id = c.trace_id
          AND (o.span_id = c.span_id OR NOT EXISTS (
              SELECT FROM traces_erasedcontent g WHERE g.tenant_id = o.tenant_id AND g.id = o.id))))
 LIMIT %(limit)s
"""


class StillThere(RuntimeError):
    """Content came while the key was about to be destroyed."""


@dataclass(frozen=True, slots=True)
class Under:
    """What content is removed for: the erasure or purge that runs, and what is said in the content's place."""

    id: uuid.UUID
    reason: str


def subject_hmac(tenant_id: uuid.UUID, subject: str) -> bytes:
    """How a subject is known without its name: the keyed hash that its key is found by."""
    return crypto.derive(crypto.tenant_key(tenant_id), "subject", subject.encode())


def contents_of_subject(subject: str, under: uuid.UUID, limit: int = BATCH) -> list[uuid.UUID]:
    """Content of the subject that is still there: under its key, of decisions that name it as their user (or session),
    and what log records brought to those that are gone already. Inside `tenant_atomic`."""
    tenant_id = current_tenant_id()
    keys = SubjectKey.objects.filter(subject_hmac=subject_hmac(tenant_id, subject)).values("pk")
    sealed = DecisionPayload.objects.filter(subject_key_id__in=keys).values_list("pk", flat=True)
    if found := list(sealed[:limit]):
        return found
    if found := list(_naming(subject).values_list("pk", flat=True)[:limit]):
        return found
    with connection.cursor() as cursor:
        cursor.execute(_LATE, {"tenant": tenant_id, "under": under, "limit": limit})
        return [row[0] for row in cursor.fetchall()]


def decisions_of_subject(subject: str) -> "QuerySet[Decision]":
    """Every decision whose content is the subject's, as far as it is still there. Inside `tenant_atomic`."""
    keys = SubjectKey.objects.filter(subject_hmac=subject_hmac(current_tenant_id(), subject)).values("pk")
    sealed = DecisionPayload.objects.filter(subject_key_id__in=keys).values("pk")
    return Decision.objects.filter(Q(pk__in=sealed) | Q(pk__in=_naming(subject).values("pk")))


def _naming(subject: str) -> "QuerySet[Decision]":
    if subject.startswith(SESSION):
        return Decision.objects.filter(session=subject.removeprefix(SESSION))
    return Decision.objects.filter(user=subject)


def erase_contents(ids: Sequence[uuid.UUID], under: Under, subject: str | None) -> Counter[str]:
    """Remove the content of these decisions and late contents; returns how much of what. Inside `tenant_atomic`.

    `subject`: whose name leaves the user's column, while another person's stays where it is; None for everybody's.
    """
    now = datetime.now(UTC)
    decisions = list(Decision.objects.filter(pk__in=ids))
    removed = _counted(ids)
    rows = [ErasedContent(id=pk, under_id=under.id, reason=under.reason, erased_at=now) for pk in ids]
    ErasedContent.objects.bulk_create(rows, ignore_conflicts=True)
    with connection.cursor() as cursor:
        statement = "DELETE FROM traces_decisionpayload WHERE tenant_id = %s AND id = ANY(%s)"
        cursor.execute(statement, [current_tenant_id(), list(ids)])
        removed["contents"] = cursor.rowcount
    removed["records"] = len(decisions)
    removed["submissions"] = _forget_submissions(decisions)
    theirs = Decision.objects.filter(pk__in=ids)
    (theirs.exclude(user="") if subject is None else theirs.filter(user=subject)).update(user="")
    sessions = {decision.session for decision in decisions if decision.session}
    Decision.objects.filter(pk__in=ids).update(session="", external_id="")
    gone = sessions - set(Decision.objects.filter(session__in=sessions).values_list("session", flat=True))
    return +(removed + _forget_spending(SubjectKind.SESSION, gone))


def _counted(ids: Sequence[uuid.UUID]) -> Counter[str]:
    return Counter(
        words=SearchToken.objects.filter(id__in=ids).count(),
        embeddings=Embedding.objects.filter(pk__in=ids).count(),
        remarks=Remark.objects.filter(decision_id__in=ids).count(),
        late_contents=SpanContent.objects.filter(pk__in=ids).count(),
    )


def _forget_submissions(decisions: Iterable[Decision]) -> int:
    """The digest over a submission's content would let somebody guess at it. Without it a repeat is still known by its
    identity, and refused as other content."""
    keys = [
        key_id("external", decision.source_id.bytes, decision.external_id.encode())
        for decision in decisions
        if decision.external_id
    ]
    keys += [
        key_id("span", decision.trace_id.bytes + bytes.fromhex(span_hex(decision.span_id)))
        for decision in decisions
        if decision.trace_id and decision.span_id is not None
    ]
    return Submission.objects.filter(pk__in=keys).update(fingerprint=NO_FINGERPRINT)


def _forget_spending(kind: SubjectKind, names: Iterable[str]) -> Counter[str]:
    """What was added up for these, and their names in what ran away."""
    known = list(names)
    rollups, _ = SubjectRollup.objects.filter(kind=kind, value__in=known).delete()
    anomalies = CostAnomaly.objects.filter(who__in=known)
    for anomaly in anomalies:
        CostAnomaly.objects.filter(pk=anomaly.pk).update(who=f"{FORGOTTEN} {anomaly.pk}")
    return Counter(usage_rows=rollups, anomalies=len(anomalies))


def destroy_unused_keys(before: datetime) -> int:
    """Destroy keys made before then that seal nothing any more; returns how many. One that something is sealed under
    at this moment keeps them all until the next time. Inside `tenant_atomic`."""
    sealed = DecisionPayload.objects.filter(subject_key_id=OuterRef("pk"))
    try:
        with transaction.atomic():
            destroyed, _ = SubjectKey.objects.filter(~Exists(sealed), created_at__lt=before).delete()
    except IntegrityError:
        return 0
    Tenant.objects.filter(pk=current_tenant_id()).update(erasure_epoch=F("erasure_epoch") + 1)
    return destroyed


def forget_usage(deployments: Sequence[uuid.UUID], before: datetime) -> int:
    """Sums of usage by person and by session of these deployments, of days that ended before then; returns how many
    rows. Inside `tenant_atomic`."""
    old = SubjectRollup.objects.filter(deployment_id__in=deployments, bucket__lt=before - timedelta(days=1))
    return old.delete()[0]


def forget_name(subject: str, reason: str) -> Counter[str]:
    """The subject's name wherever else it stands: usage, budgets, saved filters, judgements, the text of events. A
    batch at a time: call again until nothing is returned. Inside `tenant_atomic`."""
    name = subject.removeprefix(SESSION)
    kind = SubjectKind.SESSION if subject.startswith(SESSION) else SubjectKind.USER
    removed = _forget_spending(kind, [name])
    removed["judgements"] = Feedback.objects.filter(given_by=name).update(given_by="")
    removed["views"] = _forget_views(name)
    if kind == SubjectKind.USER:
        budgets = Budget.objects.filter(scope=BudgetScope.USER, subject=name)
        removed["budgets"] = budgets.update(subject=FORGOTTEN, retired_at=datetime.now(UTC))
    removed["events"] = redact_events(name, reason, keep=CASES)
    removed["deliveries"] = retention.forget_name(name)
    return +removed


def _forget_views(name: str) -> int:
    """Saved filters that look for the name."""
    views = SavedView.objects.values_list("pk", "query")
    naming = [pk for pk, query in views if any(name in values for values in parse_qs(query).values())]
    return SavedView.objects.filter(pk__in=naming).delete()[0]


def destroy_keys(subject: str, under: uuid.UUID) -> int:
    """Destroy the subject's key, and those of traces that hold nothing any more; returns how many.

    A record that is being written under one of them makes the database refuse: `StillThere`, and there is more to
    erase. One that comes later finds the key gone, and is written under a new one. Inside `tenant_atomic`.
    """
    tenant_id = current_tenant_id()
    erased = ErasedContent.objects.filter(under_id=under).values("pk")
    traces = Decision.objects.filter(pk__in=erased, trace_id__isnull=False).values_list("trace_id", flat=True)
    names = [f"trace:{trace.hex}" for trace in traces.distinct() if trace]
    wanted = SubjectKey.objects.filter(subject_hmac__in=[subject_hmac(tenant_id, name) for name in names])
    still_used = DecisionPayload.objects.filter(subject_key_id=OuterRef("pk"))
    try:
        with transaction.atomic():
            destroyed, _ = SubjectKey.objects.filter(subject_hmac=subject_hmac(tenant_id, subject)).delete()
            destroyed += wanted.filter(~Exists(still_used)).delete()[0]
    except IntegrityError:
        raise StillThere from None
    Tenant.objects.filter(pk=tenant_id).update(erasure_epoch=F("erasure_epoch") + 1)
    return destroyed
