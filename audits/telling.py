"""What others are told of cases: that one was opened, and who is to do what until when. Of requests and findings the
number is told and not a word: what was sent cannot be erased."""

import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from audits.models import Case, CaseEvent, EvidenceRequest, Finding
from tenants.webhooks.catalogue import EventType, Notice
from tenants.webhooks.publishing import publish

PERMISSION, ANSWERING = "case.read", "finding.respond"


def tell_opened(case: Case) -> None:
    """Queue it, in the transaction that opens it."""
    publish(opened(case, str(case.lead), datetime.now(UTC)), event_id=case.pk)


def tell_assigned(case: Case, event: CaseEvent) -> None:
    """Queue it, in the transaction that plans the case; planned again, it is told again."""
    people = {"preparer": str(case.preparer), "reviewer": str(case.reviewer)}
    publish(assigned(case, people, datetime.now(UTC)), event_id=event.pk)


def opened(case: Case, lead: str, now: datetime) -> Notice:
    """A new case as an event. Pure."""
    title = f"Case {case.number} was opened: {case.title}"
    people = (case.lead_id,)
    text = f"{lead} leads it.{_due(case)}"
    return Notice(EventType.CASE_OPENED, now, title, text, _page(case), _data(case), PERMISSION, people)


def assigned(case: Case, people: Mapping[str, str], now: datetime) -> Notice:
    """Who prepares and who reviews, as an event. Pure."""
    title = f"Case {case.number} was planned: {case.title}"
    text = f"{people['preparer']} prepares, {people['reviewer']} reviews.{_due(case)}"
    data = _data(case) | dict(people)
    return Notice(EventType.CASE_ASSIGNED, now, title, text, _page(case), data, PERMISSION, _workers(case))


def due_soon(case: Case, now: datetime) -> Notice:
    """That its day comes near, as an event; for who leads, prepares and reviews it. Pure."""
    title = f"Case {case.number} is due {case.due:%-d %b %Y}: {case.title}"
    people = (case.lead_id, *_workers(case))
    return Notice(EventType.CASE_DUE, now, title, "", _page(case), _data(case), PERMISSION, people)


def tell_request(request: EvidenceRequest) -> None:
    """Queue that something is asked of somebody, in the transaction that asks."""
    publish(about_request(EventType.EVIDENCE_ASKED, request, datetime.now(UTC)), event_id=request.pk)


def tell_owner(finding: Finding, event: CaseEvent) -> None:
    """Queue that somebody is to answer for a finding; assigned again, it is told again."""
    publish(about_finding(EventType.FINDING_ASSIGNED, finding, datetime.now(UTC)), event_id=event.pk)


def about_request(kind: EventType, request: EvidenceRequest, now: datetime) -> Notice:
    """A request as an event: for its addressee, or for whoever answers findings. Pure."""
    case, to = request.case, request.addressee
    title = f"Case {case.number}: {request.reference} asks for evidence: {case.title}"
    text = f"Of {to or 'whoever answers findings'}{_by(request.due)}.{' The case waits for it.' * request.is_blocking}"
    data = _data(case) | {"request": request.number, "due": _day(request.due), "blocking": request.is_blocking}
    people = (to.pk,) if to else ()
    return Notice(kind, now, title, text, ("case-evidence", str(case.pk)), data, ANSWERING, people)


def about_finding(kind: EventType, finding: Finding, now: datetime) -> Notice:
    """A finding as an event: for its owner, or for whoever answers findings. Pure."""
    case, owner = finding.case, finding.owner
    title = f"Case {case.number}: {finding.reference} waits for an answer: {case.title}"
    text = f"Of {owner or 'whoever answers findings'}{_by(finding.due)}."
    data = _data(case) | {"finding": finding.number, "severity": finding.severity, "due": _day(finding.due)}
    people = (owner.pk,) if owner else ()
    return Notice(kind, now, title, text, ("case-findings", str(case.pk)), data, ANSWERING, people)


def clock_due(case: Case, label: str, due: datetime, now: datetime) -> Notice:
    """A statutory deadline as an event, for who keeps it. Pure."""
    title = f"Case {case.number}, {label[:1].lower()}{label[1:]} by {due:%-d %b %Y, %H:%M} UTC: {case.title}"
    data = _data(case) | {"due": due.isoformat()}
    people = tuple(pk for pk in (case.lead_id, case.preparer_id) if pk)
    return Notice(EventType.CLOCK_DUE, now, title, "", ("case-timeline", str(case.pk)), data, PERMISSION, people)


def _by(due: date | None) -> str:
    return f", by {due:%-d %b %Y}" if due else ""


def _day(due: date | None) -> str | None:
    return due.isoformat() if due else None


def _workers(case: Case) -> tuple[uuid.UUID, ...]:
    return tuple(pk for pk in (case.preparer_id, case.reviewer_id) if pk)


def _page(case: Case) -> tuple[str, str]:
    return "case-detail", str(case.pk)


def _due(case: Case) -> str:
    return f" Due {case.due:%-d %b %Y}." if case.due else ""


def _data(case: Case) -> dict[str, Any]:
    due = case.due.isoformat() if case.due else None
    return {"case": str(case.pk), "number": case.number, "case_title": case.title, "type": case.type, "due": due}
