"""Cases and the people on them, through the product's own services."""

from dataclasses import dataclass
from datetime import UTC, datetime

from audits.clocks import start_clock
from audits.deadlines import ClockKind
from audits.evidence import Upload, add_evidence
from audits.models import Case, CaseType, Conclusion
from audits.populations import SamplePlan, draw_sample, freeze_population
from audits.procedures import perform_test, write_procedure
from audits.publishing import build_report
from audits.requests import RequestText, request_evidence
from audits.sampling import Method
from audits.selectors import items_of
from audits.services import (
    Brief,
    FindingText,
    accept_review,
    open_case,
    plan_case,
    reopen_case,
    review_item,
    submit_for_review,
    write_finding,
)
from audits.signing import sign_case
from tenants.access import Seat, actor_for
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.models import User
from tenants.roles import Role
from tenants.services import add_member
from tests.audits.log import publish
from tests.factories.tenants import PASSWORD, Cast, UserFactory
from traces.selectors import DecisionFilter

EVERYTHING = SamplePlan(Method.ALL, justification="There are few.")


@dataclass(frozen=True)
class Team:
    """The people of a case: the lead prepares, another auditor reviews and approves, a third has no part in it."""

    cast: Cast
    lead: Actor
    reviewer: Actor
    bystander: Actor
    people: dict[str, User]


def make_team(cast: Cast) -> Team:
    """The cast's auditor leads; two more auditors join."""
    people = {"lead": cast.people[Role.AUDITOR], "reviewer": UserFactory.create(), "bystander": UserFactory.create()}
    seat = Seat(cast.tenant.pk, cast.tenant.slug, cast.tenant.name, (Role.AUDITOR,))
    for name in ("reviewer", "bystander"):
        add_member(by=cast.owner, user=people[name], roles=[Role.AUDITOR])
    actors = {name: actor_for(person, seat) for name, person in people.items()}
    return Team(cast, actors["lead"], actors["reviewer"], actors["bystander"], people)


def planned_case(team: Team, kind: str = CaseType.PERIODIC, **scope: str) -> Case:
    """A case that waits for its population."""
    brief = Brief("Adverse loan decisions", kind, objective="Are reasons given?")
    case = open_case(by=team.lead, scope=DecisionFilter.from_query(scope), brief=brief)
    return plan_case(
        by=team.lead,
        case=case,
        preparer=team.people["lead"],
        reviewer=team.people["reviewer"],
        objective=brief.objective,
        criteria="Every refusal names a reason.",
    )


def case_in_fieldwork(team: Team, plan: SamplePlan = EVERYTHING, **scope: str) -> Case:
    """A case with its items; what was submitted before is in its population."""
    case = planned_case(team, **scope)
    into_fieldwork(team, case, plan)
    return fresh(case)


def case_in_review(team: Team, plan: SamplePlan = EVERYTHING, **scope: str) -> Case:
    """A case of which every item passed."""
    case = case_in_fieldwork(team, plan, **scope)
    pass_every_item(team, case)
    return submit_for_review(by=team.lead, case=case)


def pass_every_item(team: Team, case: Case) -> None:
    """The lead concludes on everything."""
    with tenant_atomic(case.tenant_id):
        items = list(items_of(case))
    for item in items:
        review_item(by=team.lead, item=item, conclusion=Conclusion.PASS)


def signed_case(team: Team, plan: SamplePlan = EVERYTHING, **scope: str) -> Case:
    """A case with both signatures."""
    case = case_in_review(team, plan, **scope)
    return sign_off(team, case)


def sign_off(team: Team, case: Case) -> Case:
    """A case in review, accepted and signed."""
    accept_review(by=team.reviewer, case=case)
    sign_case(by=team.lead, case=case, password=PASSWORD)
    sign_case(by=team.reviewer, case=case, password=PASSWORD)
    return fresh(case)


def reopened_case(team: Team, **scope: str) -> Case:
    """A case whose first revision is signed and reported, in the fieldwork of its second, with one of everything."""
    case = signed_case(team, EVERYTHING, **scope)
    build_report(case=case, requested_by=team.lead)
    reopen_case(by=team.lead, case=case, reason="A decision was missing.")
    plan_case(
        by=team.lead,
        case=case,
        preparer=team.people["lead"],
        reviewer=team.people["reviewer"],
        objective="",
        criteria="Every refusal names a reason.",
    )
    into_fieldwork(team, case, EVERYTHING)
    procedure = write_procedure(by=team.lead, case=case, title="Reason", expected="At least one.")
    with tenant_atomic(case.tenant_id):
        item = items_of(fresh(case))[0]
    perform_test(by=team.lead, procedure=procedure, item=item, result="pass")
    start_clock(by=team.lead, case=case, kind=ClockKind.SERIOUS, started_at=datetime.now(UTC))
    write_finding(by=team.lead, case=case, text=FindingText("In time.", "Late."))
    add_evidence(by=team.lead, case=case, upload=Upload("log.csv", b"a,b\n"))
    request_evidence(by=team.lead, case=case, text=RequestText("The change log", is_blocking=False))
    return fresh(case)


def into_fieldwork(team: Team, case: Case, plan: SamplePlan) -> None:
    """Freeze and draw; what was submitted before is in the population."""
    publish(team.cast)
    freeze_population(by=team.lead, case=case)
    publish(team.cast)
    draw_sample(by=team.lead, case=case, plan=plan)


def fresh(case: Case) -> Case:
    """The row as it is now."""
    with tenant_atomic(case.tenant_id):
        return Case.objects.select_related("lead", "preparer", "reviewer").get(pk=case.pk)
