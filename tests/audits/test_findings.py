"""What becomes of a finding."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from audits.findings import Terms, lapse_acceptances, move_finding
from audits.lifecycles import FindingAction as Do
from audits.models import CaseEvent, Finding
from audits.services import FindingText, write_finding
from audits.timeline import Stale
from audits.workflow import FindingState, NotAllowed
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.audits import Team, case_in_fieldwork, make_team
from tests.factories.tenants import Cast
from tests.factories.traces import submit

TODAY = datetime.now(UTC).date()
SOON = TODAY + timedelta(days=30)


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 1)
    return make_team(cast)


@pytest.fixture
def finding(team: Team) -> Finding:
    """Open, owned by the policy author."""
    row = write_finding(by=team.lead, case=case_in_fieldwork(team), text=FindingText("In time.", "Late."))
    terms = Terms(owner=team.cast.people[Role.POLICY_AUTHOR], due=SOON)
    move_finding(by=team.lead, finding=row, action=Do.ASSIGN, terms=terms)
    return move_finding(by=team.lead, finding=row, action=Do.ISSUE)


def test_a_finding_goes_from_its_answer_to_a_checked_effect(team: Team, finding: Finding) -> None:
    owner = team.cast.actors[Role.POLICY_AUTHOR]
    move_finding(by=owner, finding=finding, action=Do.RESPOND, text="Agreed.")
    move_finding(by=owner, finding=finding, action=Do.REMEDIATE, text="Retry.")
    move_finding(by=owner, finding=finding, action=Do.COMPLETE, text="Live.")
    move_finding(by=team.lead, finding=finding, action=Do.RETURN, text="Two are late still.")
    move_finding(by=owner, finding=finding, action=Do.COMPLETE, text="Fixed.")
    with pytest.raises(NotAllowed, match="how the effect was checked"):
        move_finding(by=team.lead, finding=finding, action=Do.CLOSE)
    row = move_finding(by=team.lead, finding=finding, action=Do.CLOSE, text="A week without a late one.")
    assert (row.state, row.response, row.corrective_action) == (FindingState.CLOSED, "Agreed.", "Retry.")
    reopened = move_finding(by=team.lead, finding=finding, action=Do.REOPEN, text="Late again.")
    assert reopened.state == FindingState.OPEN
    with tenant_atomic(row.tenant_id):
        lines = CaseEvent.objects.filter(finding=finding)
        assert lines.count() == 10
        leaves = LedgerEvent.objects.filter(pk__in=lines.values("pk")).order_by("id").values_list("tag", flat=True)
        assert list(leaves) == ["finding.written", *["finding.moved"] * 9]


def test_a_risk_is_accepted_by_another_than_the_owner_and_until_a_day(team: Team, finding: Finding) -> None:
    until = Terms(until=SOON)
    with pytest.raises(NotAllowed):
        move_finding(by=team.lead, finding=finding, action=Do.ACCEPT_RISK, text="Small.", terms=until)
    for bad in (None, Terms(until=TODAY), Terms(until=TODAY + timedelta(days=400))):
        with pytest.raises(ValidationError, match="twelve months"):
            move_finding(by=team.cast.owner, finding=finding, action=Do.ACCEPT_RISK, text="Small.", terms=bad)
    row = move_finding(by=team.cast.owner, finding=finding, action=Do.ACCEPT_RISK, text="Small.", terms=until)
    assert (row.state, row.accepted_until, row.accepted_by_id) == ("risk_accepted", SOON, team.cast.owner.user_id)


def test_the_owner_never_accepts_their_own_risk(team: Team, finding: Finding) -> None:
    approver = team.cast.people[Role.POLICY_APPROVER]
    move_finding(by=team.lead, finding=finding, action=Do.ASSIGN, terms=Terms(owner=approver))
    with pytest.raises(NotAllowed):
        move_finding(
            by=team.cast.actors[Role.POLICY_APPROVER],
            finding=finding,
            action=Do.ACCEPT_RISK,
            text="Mine.",
            terms=Terms(until=SOON),
        )
    with tenant_atomic(finding.tenant_id), pytest.raises(IntegrityError, match="finding_risk_by_another"):
        Finding.objects.filter(pk=finding.pk).update(accepted_by=approver)


def test_an_accepted_risk_runs_out(team: Team, finding: Finding) -> None:
    move_finding(by=team.cast.owner, finding=finding, action=Do.ACCEPT_RISK, text="Small.", terms=Terms(until=SOON))
    assert lapse_acceptances(finding.tenant_id, SOON) == []
    lapsed = lapse_acceptances(finding.tenant_id, SOON + timedelta(days=1))
    assert [(row.pk, row.state, row.accepted_until) for row in lapsed] == [(finding.pk, FindingState.OPEN, None)]
    assert lapse_acceptances(finding.tenant_id, SOON + timedelta(days=1)) == []


def test_a_risk_past_its_day_is_open_before_the_task_says_so(team: Team, finding: Finding) -> None:
    move_finding(by=team.cast.owner, finding=finding, action=Do.ACCEPT_RISK, text="Small.", terms=Terms(until=SOON))
    with tenant_atomic(finding.tenant_id):
        Finding.objects.filter(pk=finding.pk).update(accepted_until=TODAY - timedelta(days=1))
    owner = team.cast.actors[Role.POLICY_AUTHOR]
    with pytest.raises(NotAllowed):
        move_finding(by=owner, finding=finding, action=Do.COMPLETE, text="x")
    lapse_acceptances(finding.tenant_id, TODAY)
    assert move_finding(by=owner, finding=finding, action=Do.RESPOND, text="Again.").state == "response_received"


def test_a_finding_is_dismissed_by_a_second_person(team: Team, finding: Finding) -> None:
    with pytest.raises(NotAllowed):
        move_finding(by=team.lead, finding=finding, action=Do.DISMISS, text="Mine.")
    with pytest.raises(NotAllowed, match="no finding"):
        move_finding(by=team.reviewer, finding=finding, action=Do.DISMISS)
    row = move_finding(by=team.reviewer, finding=finding, action=Do.DISMISS, text="A duplicate.")
    assert row.state == FindingState.DISMISSED


def test_an_owner_can_answer(team: Team, finding: Finding) -> None:
    viewer = Terms(owner=team.cast.people[Role.VIEWER])
    with pytest.raises(ValidationError, match="does not let them"):
        move_finding(by=team.lead, finding=finding, action=Do.ASSIGN, terms=viewer)
    with pytest.raises(NotAllowed):  # somebody else owns it
        move_finding(by=team.cast.actors[Role.ADMIN], finding=finding, action=Do.RESPOND, text="Me.")


def test_a_stale_version_is_refused_with_what_is_allowed(team: Team, finding: Finding) -> None:
    with pytest.raises(Stale) as refused:
        move_finding(by=team.lead, finding=finding, action=Do.ASSIGN, terms=Terms(due=SOON), version=1)
    assert refused.value.allowed == ("assign", "transfer")


@pytest.mark.parametrize("state", ["closed", "in_remediation", "ready_for_check", "draft"])
def test_the_database_refuses_a_jump(finding: Finding, state: str) -> None:
    with tenant_atomic(finding.tenant_id), pytest.raises(IntegrityError), transaction.atomic():
        Finding.objects.filter(pk=finding.pk).update(state=state)
