"""What becomes of a finding: who answers for it, by when, what was done, whether it worked, or who accepts the risk."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError

from audits.access import finding_parties, person_of
from audits.lifecycles import FINDING_STEPS, FindingAction, step_to
from audits.models import Case, Finding
from audits.telling import tell_owner
from audits.timeline import lock_member, open_to_change, step
from audits.workflow import FindingState
from tenants.access import get_row
from tenants.actors import Actor, system_actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.models import Membership, User

MAX_ACCEPTANCE = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a step sets beside its text: an owner and a day when it is assigned, an end when a risk is accepted, the
    finding that it goes on as when it is transferred."""

    owner: User | None = None
    due: date | None = None
    until: date | None = None
    into: Finding | None = None


def move_finding(
    *,
    by: Actor,
    finding: Finding,
    action: FindingAction,
    text: str = "",
    terms: Terms | None = None,
    version: int | None = None,
) -> Finding:
    """One step in the life of a finding."""
    with tenant_atomic(by.tenant_id):
        case = open_to_change(by, finding.case_id)
        row = lock_member(case, finding, FINDING_STEPS, finding_parties(case, by), version)
        row.state = row.state_on(datetime.now(UTC).date())
        _step(case, by, row, action, text, terms or Terms())
    return row


def _step(case: Case, by: Actor, row: Finding, action: FindingAction, text: str, terms: Terms) -> None:
    parties = finding_parties(case, by)(row)
    step_to(FINDING_STEPS, row.state, action, parties, text)  # what is not allowed is said before what is missing
    data, also = PREPARE.get(action, _nothing)(row, by, text.strip(), terms)
    event = step(case, by, row, FINDING_STEPS, action, parties, tag=Tag.FINDING_MOVED, text=text, data=data, also=also)
    if action == FindingAction.ASSIGN:
        tell_owner(row, event)


Prepared = tuple[dict[str, Any], list[str]]


def _nothing(row: Finding, by: Actor, text: str, terms: Terms) -> Prepared:
    return {}, []


def _assign(row: Finding, by: Actor, text: str, terms: Terms) -> Prepared:
    if terms.owner is None and terms.due is None:
        raise ValidationError({"owner": "Name an owner, or a day."})
    if terms.owner is not None:
        _require_owner(terms.owner)
        row.owner = terms.owner
    if terms.due is not None:
        row.due = terms.due
    data = {"owner": str(row.owner_id or ""), "due": row.due.isoformat() if row.due else ""}
    return data, ["owner", "due"]


def _require_owner(user: User) -> None:
    seat = Membership.objects.filter(user=user).first()
    if seat is None or "finding.respond" not in seat.permissions:
        raise ValidationError({"owner": "This person's role does not let them answer findings."})


def _respond(row: Finding, by: Actor, text: str, terms: Terms) -> Prepared:
    row.response = text
    return {}, ["response"]


def _remediate(row: Finding, by: Actor, text: str, terms: Terms) -> Prepared:
    row.corrective_action = text
    return {}, ["corrective_action"]


def _close(row: Finding, by: Actor, text: str, terms: Terms) -> Prepared:
    person_of(by)  # a program does not judge whether something worked
    row.effectiveness_check = text
    return {}, ["effectiveness_check"]


def _accept_risk(row: Finding, by: Actor, text: str, terms: Terms) -> Prepared:
    today = datetime.now(UTC).date()
    if terms.until is None or not today < terms.until <= today + MAX_ACCEPTANCE:
        raise ValidationError({"until": "A risk is accepted until a day within the next twelve months."})
    row.accepted_until, row.accepted_by_id = terms.until, person_of(by)
    return {"until": terms.until.isoformat()}, ["accepted_until", "accepted_by"]


def _reopen(row: Finding, by: Actor, text: str, terms: Terms) -> Prepared:
    row.accepted_until = row.accepted_by = None
    return {}, ["accepted_until", "accepted_by"]


def _transfer(row: Finding, by: Actor, text: str, terms: Terms) -> Prepared:
    if terms.into is None:
        raise ValidationError({"case": "Say in which case it goes on."})
    row.transferred_to = terms.into
    data = {"case": terms.into.case.reference, "as": terms.into.reference, "finding_id": str(terms.into.pk)}
    return data, ["transferred_to"]


PREPARE: dict[FindingAction, Callable[[Finding, Actor, str, Terms], Prepared]] = {
    FindingAction.ASSIGN: _assign,
    FindingAction.RESPOND: _respond,
    FindingAction.REMEDIATE: _remediate,
    FindingAction.CLOSE: _close,
    FindingAction.ACCEPT_RISK: _accept_risk,
    FindingAction.LAPSE: _reopen,
    FindingAction.REOPEN: _reopen,
    FindingAction.TRANSFER: _transfer,
}


def lapse_acceptances(tenant_id: uuid.UUID, today: date) -> list[Finding]:
    """Open again each finding whose accepted risk has run out. Doing it twice changes nothing."""
    by = system_actor(tenant_id, "casework", "case.read")
    lapsed = []
    with tenant_atomic(tenant_id):
        due = Finding.objects.filter(state=FindingState.RISK_ACCEPTED, accepted_until__lt=today)
        for finding in due.order_by("case_id", "number"):
            case = open_to_change(by, finding.case_id)
            row = Finding.objects.select_for_update(of=("self",)).get(pk=finding.pk)
            if row.is_lapsed(today) and not case.is_still:
                _step(case, by, row, FindingAction.LAPSE, "", Terms())
                lapsed.append(row)
    return lapsed


def get_finding(case: Case, pk: uuid.UUID) -> Finding:
    """One finding of a case that came through its door, or 404."""
    return get_row(Finding.objects.filter(case=case).select_related("owner", "item", "accepted_by"), pk=pk)
