"""A finding that goes on in another case: there it is written anew by that case's rules, here it is settled."""

from dataclasses import fields

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from audits.access import finding_parties, visible_cases
from audits.findings import Terms, move_finding
from audits.lifecycles import FINDING_STEPS, FindingAction, step_to
from audits.models import Case, Finding
from audits.services import FindingText, write_finding
from audits.timeline import lock_member, open_to_change
from audits.workflow import WORKABLE
from tenants.actors import Actor
from tenants.context import tenant_atomic


def transfer_finding(
    *, by: Actor, finding: Finding, to: Case, reason: str, version: int | None = None
) -> tuple[Finding, Finding]:
    """The settled finding, and the draft that goes on in `to`, with its owner and day: both or neither.

    Whoever transfers works on both cases, so that nobody is handed a finding unasked.
    """
    if to.pk == finding.case_id:
        raise ValidationError({"case": "It is in this case already."})
    with tenant_atomic(by.tenant_id):
        for pk in sorted((finding.case_id, to.pk)):  # always in this order: two transfers never wait for each other
            open_to_change(by, pk)
        case = open_to_change(by, finding.case_id)
        row = lock_member(case, finding, FINDING_STEPS, finding_parties(case, by), version)
        step_to(FINDING_STEPS, row.state, FindingAction.TRANSFER, finding_parties(case, by)(row), reason)
        text = FindingText(**{field.name: getattr(row, field.name) for field in fields(FindingText)})
        there = write_finding(by=by, case=to, text=text)
        if row.owner is not None:
            terms = Terms(owner=row.owner, due=row.due)
            there = move_finding(by=by, finding=there, action=FindingAction.ASSIGN, terms=terms)
        terms = Terms(into=there)
        return move_finding(by=by, finding=row, action=FindingAction.TRANSFER, text=reason, terms=terms), there


def takers_of(by: Actor, case: Case) -> "QuerySet[Case]":
    """The other cases that this person prepares and that take findings now, by number."""
    rows = visible_cases(by).filter(preparer_id=by.user_id, state__in=WORKABLE).exclude(pk=case.pk)
    return rows.order_by("number")
