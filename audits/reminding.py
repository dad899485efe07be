"""What comes near in casework is told of, once for each day that was set: to webhooks, and to who has to do it."""

import uuid
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from audits.deadlines import ClockKind, due_at
from audits.models import Case, CaseClock, EvidenceRequest, Finding
from audits.requests import UNANSWERED
from audits.telling import about_finding, about_request, clock_due, due_soon
from audits.workflow import SETTLED_FINDINGS, State
from tenants.context import tenant_atomic
from tenants.webhooks.catalogue import EventType, Notice
from tenants.webhooks.publishing import publish

AHEAD = timedelta(days=3)
BEHIND = timedelta(days=7)  # what nobody was told of while no worker ran
MOST = 200
STILL = (State.CANCELLED, State.ON_HOLD)
OVER = (State.REPORTED, State.CLOSED, State.CANCELLED, State.ON_HOLD)
NAMESPACE = uuid.UUID("b5a5be0a-0c1f-5a83-8a1c-4c1f4f6d2b30")


def remind_of_cases(tenant_id: uuid.UUID, now: datetime | None = None) -> int:
    """Tell of each open case, request, finding and statutory clock that is due within three days; told again, it is
    told once. Returns how many are."""
    moment = now or datetime.now(UTC)
    with tenant_atomic(tenant_id):
        notices = {f"{case.pk} {case.due}": due_soon(case, moment) for case in _due(moment)}
        for request in _requests(moment.date()):
            notices[f"{request.pk} {request.due}"] = about_request(EventType.EVIDENCE_DUE, request, moment)
        for finding in _findings(moment.date()):
            notices[f"{finding.pk} {finding.due}"] = about_finding(EventType.FINDING_DUE, finding, moment)
        notices |= dict(_clocks(moment))
        for name, notice in notices.items():
            publish(notice, event_id=uuid.uuid5(NAMESPACE, name))
    return len(notices)


def _requests(today: date) -> Iterable[EvidenceRequest]:
    rows = EvidenceRequest.objects.filter(state__in=UNANSWERED, due__gte=today - BEHIND, due__lte=today + AHEAD)
    rows = rows.exclude(case__state__in=STILL).select_related("case", "addressee")
    return rows.order_by("due", "id")[:MOST]


def _findings(today: date) -> Iterable[Finding]:
    rows = Finding.objects.exclude(state__in=SETTLED_FINDINGS).filter(due__gte=today - BEHIND, due__lte=today + AHEAD)
    rows = rows.exclude(case__state__in=STILL).select_related("case", "owner")
    return rows.order_by("due", "id")[:MOST]


def _clocks(now: datetime) -> Iterable[tuple[str, Notice]]:
    """A hold stops no statutory clock."""
    rows = CaseClock.objects.filter(met_at=None).exclude(case__state=State.CANCELLED)
    for row in rows.select_related("case").order_by("-started_at")[:MOST]:
        kind = ClockKind(row.kind)
        due = due_at(kind, row.started_at, is_extended=bool(row.extension))
        if now - BEHIND <= due <= now + AHEAD:
            yield f"{row.pk} {due}", clock_due(row.case, kind.label, due, now)


def _due(now: datetime) -> Iterable[Case]:
    today = now.date()
    rows = Case.objects.exclude(state__in=OVER).filter(due__gte=today - BEHIND, due__lte=today + AHEAD)
    return rows.order_by("due", "number")[:MOST]
