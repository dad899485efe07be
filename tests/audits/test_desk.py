"""What waits for whom in the cases, from the plan to the check of a finding, and what does not."""

from datetime import UTC, date, datetime, timedelta

import pytest

from audits.desk import errands_of
from audits.findings import Terms, move_finding
from audits.lifecycles import FindingAction, RequestAction
from audits.models import Case, FindingKind, Severity
from audits.requests import RequestText, move_request, request_evidence
from audits.services import Brief, FindingText, accept_review, open_case, write_finding
from audits.signing import sign_case
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.audits import (
    Team,
    case_in_fieldwork,
    case_in_review,
    fresh,
    make_team,
    pass_every_item,
    planned_case,
)
from tests.factories.tenants import PASSWORD, Cast
from tests.factories.traces import submit
from traces.selectors import DecisionFilter

TEXT = FindingText("A reason is given.", "None was given.", kind=FindingKind.MINOR, severity=Severity.HIGH)


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 2)
    return make_team(cast)


def desk(actor: Actor) -> list[str]:
    with tenant_atomic(actor.tenant_id):
        return [errand.what for errand in errands_of(actor)]


def test_a_case_waits_for_its_lead_until_work_begins(team: Team) -> None:
    open_case(by=team.lead, scope=DecisionFilter(), brief=Brief("New"))
    assert desk(team.lead) == ["Plan the case"]
    planned_case(team)
    assert sorted(desk(team.lead)) == ["Freeze the population", "Plan the case"]
    assert desk(team.reviewer) == desk(team.bystander) == []


def test_work_review_and_signatures_wait_for_one_after_the_other(team: Team) -> None:
    case = case_in_fieldwork(team)
    assert (desk(team.lead), desk(team.reviewer)) == (["Test the sample"], [])
    pass_every_item(team, case)
    case = case_in_review(team)
    assert sorted(desk(team.reviewer)) == ["Review the work"]
    accept_review(by=team.reviewer, case=case)
    assert desk(team.lead) == ["Test the sample", "Sign"]
    assert desk(team.reviewer) == desk(team.bystander) == ["Sign"]
    sign_case(by=team.reviewer, case=case, password=PASSWORD)
    assert desk(team.reviewer) == desk(team.bystander) == []
    sign_case(by=team.lead, case=case, password=PASSWORD)
    assert desk(team.lead) == ["Test the sample"]


def test_evidence_waits_for_who_sends_it_then_for_who_judges_it(team: Team) -> None:
    case = case_in_fieldwork(team)
    author = team.cast.actors[Role.POLICY_AUTHOR]
    request = request_evidence(
        by=team.lead, case=case, text=RequestText("The change log"), addressee=team.cast.people[Role.POLICY_AUTHOR]
    )
    assert desk(author) == ["Send evidence"]
    assert desk(team.cast.actors[Role.ADMIN]) == []  # addressed to another
    move_request(by=author, request=request, action=RequestAction.SUBMIT, text="It is in the wiki.")
    assert desk(author) == []
    assert "Look at the evidence" in desk(team.lead)


def issued_finding(team: Team, case: Case, due: date) -> None:
    finding = write_finding(by=team.lead, case=case, text=TEXT)
    owner = team.cast.people[Role.ADMIN]
    terms = Terms(owner=owner, due=due)
    move_finding(by=team.lead, finding=finding, action=FindingAction.ASSIGN, terms=terms)
    move_finding(by=team.lead, finding=finding, action=FindingAction.ISSUE)


def test_a_finding_waits_for_its_owner_and_then_for_its_auditors(team: Team) -> None:
    case, admin = case_in_fieldwork(team), team.cast.actors[Role.ADMIN]
    issued_finding(team, case, date(2027, 1, 1))
    steps = {FindingAction.RESPOND: "Answer the finding", FindingAction.REMEDIATE: "Plan what mends it"}
    with tenant_atomic(case.tenant_id):
        finding = fresh(case).findings.get()
    for action, what in (*steps.items(), (FindingAction.COMPLETE, "Mend it, and say so")):
        assert desk(admin) == [what]
        move_finding(by=admin, finding=finding, action=action, text="So be it.")
    assert desk(admin) == []
    assert desk(team.lead)[0] == "Check whether it is mended"
    assert desk(team.cast.actors[Role.POLICY_AUTHOR]) == desk(team.cast.owner) == []


def test_what_is_due_first_comes_first_and_late_is_late(team: Team) -> None:
    case, admin, today = case_in_fieldwork(team), team.cast.actors[Role.ADMIN], datetime.now(UTC).date()
    for days in (9, 2):
        issued_finding(team, case, today + timedelta(days=days))
    with tenant_atomic(admin.tenant_id):
        found = errands_of(admin)
    assert [errand.due for errand in found] == [today + timedelta(days=2), today + timedelta(days=9)]
    assert [errand.is_late(today + timedelta(days=5)) for errand in found] == [True, False]
    assert found[0].about.endswith("None was given.")


def test_nothing_of_another_organisation_waits(team: Team, stranger: Cast) -> None:
    case_in_review(team)
    assert all(desk(actor) == [] for actor in stranger.actors.values())
