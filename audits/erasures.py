"""Requests to erase a data subject: asked for, approved or rejected by somebody else, then carried out by a worker."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.db.models import Max
from django.http import Http404

from audits import tasks
from audits.access import person_of
from audits.erasing import stop_if_held
from audits.lifecycles import ERASURE_STEPS, ErasureState
from audits.models import Erasure, Ground
from audits.signing import prove
from audits.subjects import seal_subject, subject_of
from audits.workflow import NotAllowed
from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import uuid7_now
from tenants.ledger.log import append
from tenants.models import SubjectKey, User
from traces.erasing import SESSION, subject_hmac
from traces.models import Decision, Feedback

MOST_SUBJECT, MOST_REASON = 200, 500
MOST_SHOWN = 100
OPEN = (ErasureState.REQUESTED, ErasureState.APPROVED, ErasureState.RUNNING)


@dataclass(frozen=True, slots=True)
class Plea:
    """Whose data is to go, on which ground, and what was said about it: `reason` stays on record, the name does not."""

    subject: str
    ground: str
    reason: str

    def checked(self) -> "Plea":
        """Itself; raises `ValidationError` by member."""
        problems = {}
        if not self.subject or len(self.subject) > MOST_SUBJECT or "\0" in self.subject:
            problems["subject"] = f"The name as your applications send it, at most {MOST_SUBJECT} characters."
        if self.ground not in Ground.values:
            problems["ground"] = "One of the letters a to f of Article 17(1)."
        if not self.reason.strip() or len(self.reason) > MOST_REASON or "\0" in self.reason:
            problems["reason"] = f"Say who asked, and how you know it is them; at most {MOST_REASON} characters."
        elif self.subject and self.subject.casefold() in self.reason.casefold():
            problems["reason"] = "This stays on record: leave the name out of it."
        if problems:
            raise ValidationError(problems)
        return self


class UnknownSubject(Http404):
    """Nothing here is under this name: there is nothing to erase, and no success to report."""


def request_erasure(*, by: Actor, plea: Plea) -> Erasure:
    """Ask for it. Raises `UnknownSubject`, `ValidationError`, and `NotAllowed` where a request is open already."""
    require(by, "erasure.request")
    plea.checked()
    with tenant_atomic(by.tenant_id):
        digest = subject_hmac(by.tenant_id, plea.subject)
        if not _is_known(plea.subject, digest):
            raise UnknownSubject("Nothing is recorded under this name.")
        if earlier := Erasure.objects.filter(subject_hmac=digest, state__in=OPEN).first():
            raise NotAllowed(f"{earlier.reference} asks for this already.")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"erasure-number:{by.tenant_id}"])
        row = Erasure(
            id=uuid7_now(),
            number=(Erasure.objects.aggregate(last=Max("number"))["last"] or 0) + 1,
            subject_hmac=digest,
            ground=plea.ground,
            reason=plea.reason.strip(),
            requested_by=by.reference,
            requested_label=by.label,
        )
        row.sealed_subject = seal_subject(by.tenant_id, row.pk, plea.subject)
        row.save(force_insert=True)
        append(Tag.ERASURE_REQUESTED, by=by, body=_body(row) | {"reason": row.reason}, ref=row.pk)
    return row


def _is_known(subject: str, digest: bytes) -> bool:
    name = subject.removeprefix(SESSION)
    naming = {"session": name} if subject.startswith(SESSION) else {"user": name}
    return (
        SubjectKey.objects.filter(subject_hmac=digest).exists()
        or Decision.objects.filter(**naming).exists()
        or Feedback.objects.filter(given_by=name).exists()
    )


def approve_erasure(*, by: Actor, erasure: Erasure, password: str, second: Mapping[str, str] | None = None) -> Erasure:
    """Let it happen: a second person, who proves again who they are. A worker begins once this is committed.

    `second`: what they give beside the password, where they have set up more (`audits.signing.FACTORS`). Raises `Held`
    where a hold covers any of it, and leaves a leaf that says so.
    """
    require(by, "erasure.approve")
    signer = User.objects.get(pk=person_of(by))
    with tenant_atomic(by.tenant_id):
        row = _locked(by, erasure)
        _require_step(row, ErasureState.APPROVED)
        methods = prove(signer, {**(second or {}), "password": password})
        held = stop_if_held(row, by)
    if held is not None:
        raise held
    with tenant_atomic(by.tenant_id):
        row = _locked(by, erasure)
        _require_step(row, ErasureState.APPROVED)
        _decide(row, by, ErasureState.APPROVED, "")
        append(Tag.ERASURE_APPROVED, by=by, body=_body(row) | {"auth_methods": methods}, ref=row.pk)
        tasks.run_erasure_later(row)
    return row


def reject_erasure(*, by: Actor, erasure: Erasure, reason: str) -> Erasure:
    """Turn it down, with the reason that the person will be told; before it began, that is."""
    require(by, "erasure.approve")
    person_of(by)
    with tenant_atomic(by.tenant_id):
        row = _locked(by, erasure)
        _require_step(row, ErasureState.REJECTED)
        if not reason.strip() or len(reason) > MOST_REASON:
            raise ValidationError({"reason": f"Say why, in at most {MOST_REASON} characters."})
        row.sealed_subject = b""
        _decide(row, by, ErasureState.REJECTED, reason.strip())
        append(Tag.ERASURE_REJECTED, by=by, body=_body(row) | {"reason": row.decision_note}, ref=row.pk)
    return row


def _locked(by: Actor, erasure: Erasure) -> Erasure:
    row = get_row(Erasure.objects.select_for_update(), pk=erasure.pk)
    if row.requested_by == by.reference:
        raise PermissionDenied("Somebody else decides on what you asked for.")
    return row


def _require_step(row: Erasure, to: ErasureState) -> None:
    open_to = ERASURE_STEPS.get(row.state, frozenset())
    if to not in open_to:
        raise NotAllowed(f"{row.reference} is {row.get_state_display().lower()}.", tuple(sorted(open_to)))


def _decide(row: Erasure, by: Actor, state: ErasureState, note: str) -> None:
    row.state, row.decision_note = state, note
    row.decided_by, row.decided_label, row.decided_at = by.reference, by.label, datetime.now(UTC)
    row.save()


def _body(row: Erasure) -> dict[str, Any]:
    return {"erasure": row.number, "subject_hmac": bytes(row.subject_hmac).hex(), "ground": row.ground}


def erasures(by: Actor) -> list[Erasure]:
    """The newest requests. Inside `tenant_atomic`."""
    require(by, "erasure.read")
    return list(Erasure.objects.order_by("-number")[:MOST_SHOWN])


def get_erasure(by: Actor, pk: uuid.UUID) -> Erasure:
    """One request, or 404."""
    require(by, "erasure.read")
    return get_row(Erasure.objects.all(), pk=pk)


def name_for(by: Actor, row: Erasure) -> str:
    """The subject's name for those who ask and decide; empty for others, and once it is gone."""
    return subject_of(row) if by.may("erasure.request") or by.may("erasure.approve") else ""
