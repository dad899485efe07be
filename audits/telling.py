"""What others are told of cases: that one was opened, and who is to do what until when."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from audits.models import Case, CaseEvent
from tenants.webhooks.catalogue import EventType, Notice
from tenants.webhooks.publishing import publish

PERMISSION = "case.read"


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


def _workers(case: Case) -> tuple[uuid.UUID, ...]:
    return tuple(pk for pk in (case.preparer_id, case.reviewer_id) if pk)


def _page(case: Case) -> tuple[str, str]:
    return "case-detail", str(case.pk)


def _due(case: Case) -> str:
    return f" Due {case.due:%-d %b %Y}." if case.due else ""


def _data(case: Case) -> dict[str, Any]:
    due = case.due.isoformat() if case.due else None
    return {"case": str(case.pk), "number": case.number, "case_title": case.title, "type": case.type, "due": due}
