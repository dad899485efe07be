"""Findings that go on in another case."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.http import Http404
from django.test import Client
from django.urls import reverse

from audits.findings import Terms, move_finding
from audits.lifecycles import FindingAction
from audits.models import Case, Finding
from audits.publishing import build_report
from audits.services import FindingText, move_case, submit_for_review, write_finding
from audits.timeline import Stale
from audits.transferring import takers_of, transfer_finding
from audits.workflow import Action, FindingState, NotAllowed, State
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.audits import (
    Team,
    case_in_fieldwork,
    fresh,
    make_team,
    pass_every_item,
    planned_case,
    sign_off,
)
from tests.factories.tenants import Cast
from tests.factories.traces import submit

DUE = (datetime.now(UTC) + timedelta(days=30)).date()
TEXT = FindingText("In time.", "Late.", cause="Nobody looked.", recommendation="Look.")


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 1)
    return make_team(cast)


@pytest.fixture
def case(team: Team) -> Case:
    return case_in_fieldwork(team)


@pytest.fixture
def finding(team: Team, case: Case) -> Finding:
    return issued(team, case)


def issued(team: Team, case: Case) -> Finding:
    """A finding that somebody owns."""
    row = write_finding(by=team.lead, case=case, text=TEXT)
    terms = Terms(owner=team.cast.people[Role.POLICY_AUTHOR], due=DUE)
    move_finding(by=team.lead, finding=row, action=FindingAction.ASSIGN, terms=terms)
    return move_finding(by=team.lead, finding=row, action=FindingAction.ISSUE)


def test_it_goes_on_there_with_its_words_owner_and_day(team: Team, finding: Finding) -> None:
    other = case_in_fieldwork(team)
    here, there = transfer_finding(by=team.lead, finding=finding, to=other, reason="The next period shows more.")
    assert (here.state, here.transferred_to_id) == (FindingState.TRANSFERRED, there.pk)
    assert (there.case_id, there.state, there.condition, there.cause) == (other.pk, "draft", "Late.", "Nobody looked.")
    assert (there.owner_id, there.due) == (finding.owner_id, DUE)
    with tenant_atomic(other.tenant_id):
        (line,) = finding.events.filter(to_state="transferred")
        assert line.note == "The next period shows more."
        assert (line.data["case"], line.data["as"]) == (other.reference, "F-1")
    with pytest.raises(NotAllowed):
        transfer_finding(by=team.lead, finding=here, to=other, reason="Again.")


def test_a_case_closes_when_what_was_found_goes_on_elsewhere(team: Team) -> None:
    case = case_in_fieldwork(team)
    finding = issued(team, case)
    other = case_in_fieldwork(team)
    reported = reported_with(team, case)
    with pytest.raises(NotAllowed, match="transferred"):
        move_case(by=team.lead, case=reported, action=Action.CLOSE)
    transfer_finding(by=team.lead, finding=finding, to=other, reason="It goes on.")
    assert move_case(by=team.lead, case=fresh(case), action=Action.CLOSE).state == State.CLOSED


def reported_with(team: Team, case: Case) -> Case:
    """The case once it is signed and reported."""
    pass_every_item(team, case)
    submit_for_review(by=team.lead, case=case)
    build_report(case=sign_off(team, case), requested_by=team.lead)
    return fresh(case)


def test_nobody_is_handed_a_finding_unasked(team: Team, case: Case, finding: Finding) -> None:
    planned = planned_case(team)
    with pytest.raises(NotAllowed):
        transfer_finding(by=team.lead, finding=finding, to=planned, reason="x")  # it takes none yet
    theirs = case_in_fieldwork(team)
    with tenant_atomic(theirs.tenant_id):
        Case.objects.filter(pk=theirs.pk).update(preparer=team.people["bystander"])
        assert list(takers_of(team.lead, case)) == []
        assert list(takers_of(team.bystander, case)) == [theirs]
    with pytest.raises(NotAllowed, match="preparer"):
        transfer_finding(by=team.lead, finding=finding, to=theirs, reason="x")
    assert now(finding).state == FindingState.OPEN


def now(finding: Finding) -> Finding:
    with tenant_atomic(finding.tenant_id):
        return Finding.objects.get(pk=finding.pk)


def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    team: Team, case: Case, finding: Finding, stranger: Cast
) -> None:
    other = case_in_fieldwork(team)
    with pytest.raises(ValidationError, match="already"):
        transfer_finding(by=team.lead, finding=finding, to=case, reason="x")
    with pytest.raises(NotAllowed, match="Say why"):
        transfer_finding(by=team.lead, finding=finding, to=other, reason=" ")
    with pytest.raises(Stale):
        transfer_finding(by=team.lead, finding=finding, to=other, reason="x", version=1)
    with pytest.raises(ValidationError, match="which case"):
        move_finding(by=team.lead, finding=finding, action=FindingAction.TRANSFER, text="x")
    submit(stranger, 1)
    foreign = case_in_fieldwork(make_team(stranger))
    with pytest.raises(Http404):
        transfer_finding(by=team.lead, finding=finding, to=foreign, reason="x")
    with tenant_atomic(other.tenant_id):
        assert Finding.objects.count() == 1


@pytest.mark.parametrize("change", ["state = 'transferred'", "transferred_to_id = id"])
def test_the_database_knows_where_a_transferred_one_went(finding: Finding, change: str) -> None:
    with pytest.raises(IntegrityError), tenant_atomic(finding.tenant_id):
        connection.cursor().execute(f"UPDATE audits_finding SET {change} WHERE id = %s", [finding.pk])


def test_the_page_offers_the_cases_and_links_both_ways(team: Team, case: Case, finding: Finding) -> None:
    other = case_in_fieldwork(team)
    client = Client()
    client.force_login(team.people["lead"])
    with tenant_atomic(other.tenant_id):
        slug = other.tenant.slug
    here, there = (reverse("case-findings", args=[slug, row.pk]) for row in (case, other))
    assert f'<option value="{other.pk}">' in client.get(here).content.decode()
    step = reverse("case-finding-step", args=[slug, finding.case_id, finding.number])
    said = {"action": "transfer", "case": other.pk, "text": "It goes on.", "version": now(finding).version}
    assert client.post(step, said).status_code == 302
    assert f'href="{there}#F-1">{other.reference} F-1</a>' in client.get(here).content.decode()
    assert f'href="{here}#F-1">{case.reference} F-1</a>' in client.get(there).content.decode()
    assert client.post(step, {"action": "transfer", "text": "x"}).status_code == 409
