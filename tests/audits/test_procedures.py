"""Procedures: what is tested on every item, and what keeps a case from being submitted."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from audits.content import case_document
from audits.models import Case, CaseItem, Procedure, TestStep
from audits.procedures import perform_test, write_procedure
from audits.selectors import items_of
from audits.services import submit_for_review
from audits.workflow import NotAllowed, State
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.factories.audits import Team, case_in_fieldwork, case_in_review, make_team, pass_every_item
from tests.factories.tenants import Cast
from tests.factories.traces import submit


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 2)
    return make_team(cast)


@pytest.fixture
def case(team: Team) -> Case:
    return case_in_fieldwork(team)


@pytest.fixture
def procedure(team: Team, case: Case) -> Procedure:
    return write_procedure(by=team.lead, case=case, title="Reason", expected="At least one.", workpaper="WP-3.1")


def items(case: Case) -> list[CaseItem]:
    with tenant_atomic(case.tenant_id):
        return list(items_of(case))


def test_a_case_is_submitted_when_every_test_is_performed(team: Team, case: Case, procedure: Procedure) -> None:
    pass_every_item(team, case)
    with pytest.raises(NotAllowed, match="2 tests are not performed"):
        submit_for_review(by=team.lead, case=case)
    for item in items(case):
        perform_test(by=team.lead, procedure=procedure, item=item, result="pass")
    assert submit_for_review(by=team.lead, case=case).state == State.IN_REVIEW
    with tenant_atomic(case.tenant_id):
        (told,) = case_document(case)["procedures"]
        assert LedgerEvent.objects.filter(tag="test_step.performed").count() == 2
    assert (told["workpaper"], [step["result"] for step in told["steps"]]) == ("WP-3.1", ["pass", "pass"])


def test_a_pass_that_a_test_contradicts_is_not_submitted(team: Team, case: Case, procedure: Procedure) -> None:
    pass_every_item(team, case)
    for item in items(case):
        perform_test(by=team.lead, procedure=procedure, item=item, result="fail", actual="None.")
    with pytest.raises(NotAllowed, match="Item 1 is concluded as a pass, but P-1 found otherwise"):
        submit_for_review(by=team.lead, case=case)


def test_a_test_is_done_again_and_each_time_is_a_leaf(team: Team, case: Case, procedure: Procedure) -> None:
    item = items(case)[0]
    perform_test(by=team.lead, procedure=procedure, item=item, result="exception", actual="Unreadable.")
    perform_test(by=team.lead, procedure=procedure, item=item, result="pass", actual="Read on paper.")
    with tenant_atomic(case.tenant_id):
        assert TestStep.objects.get().result == "pass"
        assert LedgerEvent.objects.filter(tag="test_step.performed").count() == 2


def test_what_is_wrong_is_said(team: Team, case: Case, procedure: Procedure) -> None:
    with pytest.raises(ValidationError, match="what you saw"):
        perform_test(by=team.lead, procedure=procedure, item=items(case)[0], result="fail")
    with pytest.raises(ValidationError, match="Choose"):
        perform_test(by=team.lead, procedure=procedure, item=items(case)[0], result="perhaps")
    with tenant_atomic(case.tenant_id), pytest.raises(IntegrityError, match="test_step_says_what_is_wrong"):
        TestStep.objects.create(
            procedure=procedure, item=items_of(case)[0], result="fail", performed_by=team.people["lead"]
        )


def test_only_the_cases_own_people_and_only_before_review(team: Team, case: Case, procedure: Procedure) -> None:
    with pytest.raises(NotAllowed, match="lead or preparer"):
        write_procedure(by=team.reviewer, case=case, title="x", expected="x")
    with pytest.raises(NotAllowed, match="preparer"):
        perform_test(by=team.reviewer, procedure=procedure, item=items(case)[0], result="pass")
    with pytest.raises(NotAllowed, match="another case"):
        perform_test(by=team.lead, procedure=procedure, item=items(case_in_fieldwork(team))[0], result="pass")
    with pytest.raises(NotAllowed, match="takes no procedures"):
        write_procedure(by=team.lead, case=case_in_review(team), title="x", expected="x")
