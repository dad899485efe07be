"""Cases that open by themselves: for every policy put in force without its quorum, somebody must look into it.

Policies know nothing of cases: they leave a row (`PolicyFollowUp`), which is polled here.
"""

import logging
import uuid

from audits.access import PERMISSION_OF
from audits.models import Case, CaseType
from audits.services import Brief, open_case
from audits.workflow import CaseRole
from policies.document import parse
from policies.models import PolicyActivation, PolicyFollowUp
from tenants.actors import Actor, system_actor
from tenants.context import tenant_atomic
from tenants.models import Membership, User
from traces.selectors import DecisionFilter

logger = logging.getLogger(__name__)

CRITERIA = (
    "The emergency was real and could not wait for the quorum; the version did what it was meant to do and no more; "
    "what it let through or held back was looked at; it has been approved since, or has ended."
)


def open_cases_for_follow_ups(tenant_id: uuid.UUID) -> list[Case]:
    """Open a case for each follow-up that has none yet, and note it there: both or neither, and never two.

    Where nobody may lead (all who could had a hand in it), the follow-up waits, and the log says so.
    """
    by = system_actor(tenant_id, "follow-ups", PERMISSION_OF[CaseRole.LEAD])
    opened = []
    with tenant_atomic(tenant_id):
        waiting = PolicyFollowUp.objects.filter(case_id__isnull=True).order_by("raised_at", "id")
        for follow_up in waiting.select_for_update(skip_locked=True, of=("self",)).select_related(
            "activation__version__policy"
        ):
            if (case := _open(by, follow_up)) is not None:
                follow_up.case_id = case.pk
                follow_up.save(update_fields=["case_id"])
                opened.append(case)
    return opened


def _open(by: Actor, follow_up: PolicyFollowUp) -> Case | None:
    activation = follow_up.activation
    lead = _impartial_lead(activation)
    if lead is None:
        logger.warning("nobody can lead the follow-up %s: give somebody the role of auditor", follow_up.pk)
        return None
    version = activation.version
    brief = Brief(
        title=f"Emergency activation of {version.policy.slug} version {version.number}"[:200],
        type=CaseType.POLICY_EXCEPTION,
        objective=f"It was put in force without its quorum, on one person's word: “{follow_up.reason}”",
        criteria=CRITERIA,
        due=follow_up.due_at.date(),
    )
    return open_case(by=by, scope=_scope(activation), brief=brief, lead=lead)


def _scope(activation: PolicyActivation) -> DecisionFilter:
    """Every decision while it was in force where it applied; what it did not touch matters as much as what it did."""
    systems = parse(bytes(activation.version.canonical)).applies_to.systems
    return DecisionFilter(
        since=activation.effective.lower,
        until=activation.effective.upper,
        system=systems[0] if len(systems) == 1 else "",
    )


def _impartial_lead(activation: PolicyActivation) -> User | None:
    """Who may lead and had no hand in it; those who audit before those who administer, the longest here first."""
    involved = {activation.activated_by_id, activation.version.author_id}
    seats = Membership.objects.exclude(user_id__in=involved - {None}).select_related("user").order_by("id")
    able = [seat for seat in seats if PERMISSION_OF[CaseRole.LEAD] in seat.permissions]
    able.sort(key=lambda seat: PERMISSION_OF[CaseRole.PREPARER] not in seat.permissions)
    return able[0].user if able else None
