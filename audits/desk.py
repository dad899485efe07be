"""What waits for one person in the cases: a step, evidence to send or to judge, a finding to answer or to check.

Four queries, whatever is stored: open cases are few, and each list ends at `MOST`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db.models import Exists, F, OuterRef, Q

from audits.access import PERMISSION_OF, roles_by_case, visible_cases
from audits.lifecycles import RequestState
from audits.models import Case, EvidenceRequest, Finding, Signature
from audits.requests import UNANSWERED
from audits.signing import MEANING_OF
from audits.workflow import SETTLED_FINDINGS, Action, CaseRole, FindingState, State, allowed
from tenants.actors import Actor

MOST = 50
STILL = frozenset({State.CLOSED, State.CANCELLED, State.ON_HOLD})
# The step that brings a case on, and how it is asked for.
STEPS: Mapping[Action, str] = {
    Action.PLAN: "Plan the case",
    Action.FREEZE: "Freeze the population",
    Action.BEGIN: "Draw the sample",
    Action.SUBMIT: "Test the sample",
    Action.ACCEPT: "Review the work",
    Action.SIGN: "Sign",
    Action.CLOSE: "Close the case",
}
ANSWERS: Mapping[str, str] = {
    FindingState.OPEN: "Answer the finding",
    FindingState.RESPONSE_RECEIVED: "Plan what mends it",
    FindingState.IN_REMEDIATION: "Mend it, and say so",
    FindingState.RISK_ACCEPTED: "Answer the finding",
}


@dataclass(frozen=True, slots=True)
class Errand:
    """One thing for one person to do: `page` is the route where it is done, `due` the day it should be done by."""

    case: Case
    what: str
    about: str
    page: str
    due: date | None

    def is_late(self, today: date) -> bool:
        """Whether its day is past."""
        return self.due is not None and self.due < today


def errands_of(actor: Actor, now: datetime | None = None) -> list[Errand]:
    """Everything in the cases that waits for the person, what is due first at the top. Inside `tenant_atomic`."""
    if actor.user_id is None:
        return []
    moment = now or datetime.now(UTC)
    found = [*_steps(actor, moment), *_requests(actor), *_findings(actor, moment.date())]
    return sorted(found, key=lambda one: (one.due or date.max, one.case.number, one.about))


def _takes_part(actor: Actor) -> bool:
    """Whether a case can wait for them: by their role in the organisation, or as a guest of one."""
    return not actor.may("case.read") or any(actor.may(permission) for permission in PERMISSION_OF.values())


def _steps(actor: Actor, now: datetime) -> Iterable[Errand]:
    if not _takes_part(actor):
        return
    person = actor.user_id
    mine = Q(lead=person) | Q(preparer=person) | Q(reviewer=person) | Q(state=State.PENDING_SIGNOFF)
    unsettled = Finding.objects.filter(case=OuterRef("pk")).exclude(state__in=SETTLED_FINDINGS)
    rows = visible_cases(actor).filter(mine).exclude(state__in=[*STILL, State.SIGNED])
    rows = rows.exclude(Exists(unsettled), state=State.REPORTED)  # it closes when its findings are settled
    cases = list(rows.order_by(F("due").asc(nulls_last=True), "number")[:MOST])
    roles, given = roles_by_case(cases, actor) if cases else {}, _signatures(cases)
    for case in cases:
        what = _step(case, roles[case.pk], given.get(case.pk, {}), actor)
        if what:
            yield Errand(case, what, case.title, "case-detail", case.due_by(now))


def _step(case: Case, roles: frozenset[CaseRole], given: Mapping[str, object], actor: Actor) -> str:
    state = State(case.state)
    action = next((one for one in STEPS if one in allowed(state, roles)), None)
    if action == Action.SIGN:
        missing = [role for role, meaning in MEANING_OF.items() if role in roles and meaning not in given]
        return STEPS[action] if missing and actor.user_id not in given.values() else ""
    if action == Action.SUBMIT and state == State.CHANGES_REQUESTED:
        return "Make the changes asked for"
    return STEPS[action] if action else ""


def _signatures(cases: Iterable[Case]) -> dict[object, dict[str, object]]:
    """Of cases that wait for signatures: who gave which meaning to the current revision."""
    waiting = [case.pk for case in cases if case.state == State.PENDING_SIGNOFF]
    found: dict[object, dict[str, object]] = {}
    if waiting:
        rows = Signature.objects.filter(case__in=waiting, revision=F("case__revision"))
        for case_id, meaning, signer in rows.values_list("case_id", "meaning", "signer_id"):
            found.setdefault(case_id, {})[meaning] = signer
    return found


def _requests(actor: Actor) -> Iterable[Errand]:
    person = actor.user_id
    addressed = Q(addressee=person)
    if actor.may("finding.respond"):
        addressed |= Q(addressee=None)
    asked = Q(case__lead=person) | Q(case__preparer=person)
    wanted = (Q(state__in=UNANSWERED) & addressed) | (Q(state=RequestState.SUBMITTED) & asked)
    rows = EvidenceRequest.objects.filter(wanted, case__in=visible_cases(actor)).exclude(case__state__in=STILL)
    for request in rows.select_related("case").order_by(F("due").asc(nulls_last=True), "id")[:MOST]:
        what = "Look at the evidence" if request.state == RequestState.SUBMITTED else "Send evidence"
        yield Errand(request.case, what, request.title, "case-evidence", request.due)


def _findings(actor: Actor, today: date) -> Iterable[Errand]:
    if not (actor.may("finding.respond") or _takes_part(actor)):
        return
    person = actor.user_id
    owned = Q(owner=person) | Q(owner=None)
    lapsed = Q(state=FindingState.RISK_ACCEPTED, accepted_until__lt=today)
    answer = owned & (Q(state__in=[one for one in ANSWERS if one != FindingState.RISK_ACCEPTED]) | lapsed)
    auditing = Q(case__lead=person) | Q(case__preparer=person) | Q(case__reviewer=person)
    check = auditing & ~Q(owner=person) & Q(state=FindingState.READY_FOR_CHECK)
    wanted = check | answer if actor.may("finding.respond") else check
    rows = Finding.objects.filter(wanted, case__in=visible_cases(actor)).select_related("case")
    held = rows.exclude(case__state__in=[State.CANCELLED, State.ON_HOLD])
    for finding in held.order_by(F("due").asc(nulls_last=True), "id")[:MOST]:
        what = ANSWERS.get(finding.state, "Check whether it is mended")
        yield Errand(finding.case, what, f"{finding.reference}: {finding.condition}", "case-findings", finding.due)
