"""Requests for evidence: open, submitted, accepted or returned. The case waits while a blocking one is unanswered."""

import uuid
from dataclasses import asdict, dataclass
from datetime import date

from django.core.exceptions import ValidationError
from django.db.models import Max

from audits.access import person_of, request_parties, roles_in, visible_cases
from audits.lifecycles import REQUEST_STEPS, RequestAction, RequestState
from audits.models import Case, CaseItem, EvidenceRequest
from audits.telling import tell_request
from audits.timeline import lock_member, move, open_to_change, record, refuse, step
from audits.workflow import Action, CaseRole, State
from tenants.access import get_row
from tenants.actors import Actor, system_actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.models import Membership, User

ASKING = frozenset({State.FIELDWORK, State.AWAITING_EVIDENCE, State.CHANGES_REQUESTED})
UNANSWERED = frozenset({RequestState.OPEN, RequestState.RETURNED})
UNSETTLED = UNANSWERED | {RequestState.SUBMITTED}


@dataclass(frozen=True, slots=True)
class RequestText:
    """What is asked for."""

    title: str
    detail: str = ""
    due: date | None = None
    is_blocking: bool = True


def is_overdue(request: EvidenceRequest, today: date) -> bool:
    """Unanswered past its day. Derived: no task has to notice it."""
    return request.state in UNANSWERED and request.due is not None and request.due < today


def request_evidence(
    *, by: Actor, case: Case, text: RequestText, addressee: User | None = None, item: CaseItem | None = None
) -> EvidenceRequest:
    """Ask somebody for something; the case waits for it if it is blocking."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        if not roles_in(locked, by) & {CaseRole.LEAD, CaseRole.PREPARER}:
            raise refuse(locked, by, "Only this case's lead or preparer asks for evidence.")
        if locked.state not in ASKING:
            raise refuse(locked, by, f"Nothing is asked for in a case that is {locked.get_state_display().lower()}.")
        if item is not None and (item.case_id, item.revision) != (locked.pk, locked.revision):
            raise refuse(locked, by, "This item belongs to another case or an earlier revision.")
        _require_addressee(addressee)
        request = EvidenceRequest(
            case=locked,
            item=item,
            number=_next_number(locked),
            addressee=addressee,
            revision=locked.revision,
            asked_by_id=person_of(by),
            **asdict(text),
        )
        request.full_clean(exclude=["case", "item", "addressee", "asked_by"])
        request.save(force_insert=True)
        body = {
            "request": request.number,
            "title": request.title,
            "detail": request.detail,
            "item": item.ordinal if item else None,
            "due": request.due.isoformat() if request.due else None,
            "blocking": request.is_blocking,
            "addressee": str(addressee.pk) if addressee else None,
        }
        record(
            locked,
            by,
            Tag.EVIDENCE_REQUESTED,
            body,
            action="request",
            to=RequestState.OPEN,
            note=request.title,
            about=request,
        )
        follow_requests(locked, by)
        tell_request(request)
    return request


def _next_number(case: Case) -> int:
    last = EvidenceRequest.objects.filter(case=case).aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def _require_addressee(user: User | None) -> None:
    if user is not None and not Membership.objects.filter(user=user).exists():
        raise ValidationError({"addressee": "This person is not a member of your organisation."})


def move_request(
    *, by: Actor, request: EvidenceRequest, action: RequestAction, text: str = "", version: int | None = None
) -> EvidenceRequest:
    """Submit, accept, return or withdraw."""
    with tenant_atomic(by.tenant_id):
        case = open_to_change(by, request.case_id)
        row = lock_member(case, request, REQUEST_STEPS, request_parties(case, by), version)
        parties = request_parties(case, by)(row)
        step(case, by, row, REQUEST_STEPS, action, parties, tag=Tag.EVIDENCE_REQUEST_MOVED, text=text)
        follow_requests(case, by)
    return row


def follow_requests(case: Case, by: Actor) -> None:
    """Let a locked case wait, or go on, by whether a blocking request is unanswered. The product itself does it, so
    that the answer of somebody who is nothing to the case moves it too."""
    is_waiting = case.requests.filter(is_blocking=True, revision=case.revision, state__in=UNANSWERED).exists()
    actor = system_actor(case.tenant_id, "casework")
    body = {"caused_by": by.reference}
    if is_waiting and case.state == State.FIELDWORK:
        move(case, actor, Action.REQUEST_EVIDENCE, body=body)
    elif not is_waiting and case.state == State.AWAITING_EVIDENCE:
        move(case, actor, Action.RECEIVE_EVIDENCE, body=body)


def unsettled_requests(case: Case) -> list[str]:
    """References of the blocking requests that are neither accepted nor withdrawn."""
    rows = case.requests.filter(is_blocking=True, revision=case.revision, state__in=UNSETTLED).order_by("number")
    return [row.reference for row in rows]


def get_request(by: Actor, case: Case, pk: uuid.UUID) -> EvidenceRequest:
    """One request of a case that the actor may see, or 404."""
    return get_row(EvidenceRequest.objects.filter(case=case, case__in=visible_cases(by)), pk=pk)
