"""Reopening: the next revision is a draft, the signed one stays as it is; and what the database itself refuses."""

from collections.abc import Callable
from functools import partial

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, IntegrityError, transaction

from audits.content import case_content, case_document
from audits.evidence import Place, Upload, add_evidence
from audits.findings import move_finding
from audits.lifecycles import FindingAction
from audits.models import Case, CaseItem, CaseRevision
from audits.notes import raise_note, request_changes
from audits.populations import draw_sample, freeze_population
from audits.procedures import write_procedure
from audits.publishing import build_report, report_pdf
from audits.requests import RequestText, request_evidence
from audits.selectors import items_of
from audits.services import (
    FindingText,
    accept_review,
    move_case,
    plan_case,
    reopen_case,
    review_item,
    submit_for_review,
    write_finding,
)
from audits.signing import sign_case
from audits.workflow import Action, NotAllowed, State
from tenants.actors import Actor, Kind
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.audits import (
    EVERYTHING,
    Team,
    case_in_fieldwork,
    fresh,
    make_team,
    pass_every_item,
    planned_case,
    signed_case,
)
from tests.factories.tenants import PASSWORD, Cast
from tests.factories.traces import submit


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 2)
    return make_team(cast)


def reported(team: Team) -> Case:
    case = signed_case(team)
    build_report(case=case, requested_by=team.lead)
    return fresh(case)


def test_a_signed_case_goes_on_as_its_next_revision(team: Team) -> None:
    case = reported(team)
    with tenant_atomic(case.tenant_id):
        report, sealed = case.reports.get(kind="final"), CaseRevision.objects.get(case=case)
        pdf = report_pdf(report)
    again = reopen_case(by=team.lead, case=case, reason="A decision was missing.")
    assert (again.state, again.revision) == (State.DRAFT, 2)
    with tenant_atomic(case.tenant_id):
        assert bytes(CaseRevision.objects.get(case=case).content) == bytes(sealed.content) != case_content(again)
        assert report_pdf(case.reports.get(kind="final")) == pdf
        assert case.signatures.filter(revision=1).count() == 2
        assert case.events.filter(action="reopen").get().note == "A decision was missing."


def test_reopening_needs_a_reason_a_person_and_the_report(team: Team) -> None:
    case = signed_case(team)
    with pytest.raises(NotAllowed, match="still being built"):
        reopen_case(by=team.lead, case=case, reason="x")
    build_report(case=case, requested_by=team.lead)
    with pytest.raises(NotAllowed, match="needs a reason"):
        reopen_case(by=team.lead, case=case, reason=" ")
    with pytest.raises(NotAllowed):
        reopen_case(by=team.cast.owner, case=case, reason="x")
    program = Actor(Kind.KEY, case.tenant_id, "ci", frozenset({"case.read", "case.create"}), key_id=case.pk)
    with pytest.raises(PermissionDenied):
        reopen_case(by=program, case=case, reason="x")


def test_what_is_signed_is_not_rewritten_by_sql_either(team: Team) -> None:
    case = signed_case(team)
    with tenant_atomic(case.tenant_id), pytest.raises(IntegrityError, match="is signed"), transaction.atomic():
        CaseItem.objects.filter(case=case).update(note="slipped in")
    with tenant_atomic(case.tenant_id), pytest.raises(DatabaseError, match="permission denied"):
        CaseRevision.objects.filter(case=case).update(content=b"{}")


def writes_to(case: Case, team: Team) -> dict[str, Callable[[], object]]:
    """Every way to change what a signed revision says."""
    lead, reviewer, people = team.lead, team.reviewer, team.people
    with tenant_atomic(case.tenant_id):
        item = items_of(case)[0]
    plan = partial(plan_case, preparer=people["lead"], reviewer=people["reviewer"], objective="", criteria="x")
    return {
        "plan": lambda: plan(by=lead, case=case),
        "freeze": lambda: freeze_population(by=lead, case=case),
        "draw": lambda: draw_sample(by=lead, case=case, plan=EVERYTHING),
        "conclude": lambda: review_item(by=lead, item=item, conclusion="na"),
        "find": lambda: write_finding(by=lead, case=case, text=FindingText("x", "x")),
        "procedure": lambda: write_procedure(by=lead, case=case, title="x", expected="x"),
        "ask": lambda: request_evidence(by=lead, case=case, text=RequestText("x")),
        "note": lambda: raise_note(by=reviewer, case=case, text="x"),
        "submit": lambda: submit_for_review(by=lead, case=case),
        "changes": lambda: request_changes(by=reviewer, case=case, reason="x"),
        "accept": lambda: accept_review(by=reviewer, case=case),
        "sign": lambda: sign_case(by=team.bystander, case=case, password=PASSWORD),
        "hold": lambda: move_case(by=lead, case=case, action=Action.HOLD, reason="x"),
        "cancel": lambda: move_case(by=lead, case=case, action=Action.CANCEL, reason="x"),
    }


def test_no_write_reaches_a_signed_revision(team: Team) -> None:
    case = reported(team)
    for write in writes_to(case, team).values():
        with pytest.raises(NotAllowed):
            write()
    with tenant_atomic(case.tenant_id):
        assert case_content(fresh(case)) == bytes(CaseRevision.objects.get(case=case).content)


def test_what_becomes_of_a_finding_after_signing_leaves_the_signed_content_as_it_is(team: Team) -> None:
    case = case_in_fieldwork(team)
    pass_every_item(team, case)
    finding = write_finding(by=team.lead, case=case, text=FindingText("In time.", "Late."))
    submit_for_review(by=team.lead, case=case)
    accept_review(by=team.reviewer, case=case)
    for signer in (team.lead, team.reviewer):
        sign_case(by=signer, case=case, password=PASSWORD)
    answering = team.cast.actors[Role.POLICY_AUTHOR]
    move_finding(by=answering, finding=finding, action=FindingAction.RESPOND, text="Agreed.")
    add_evidence(by=team.lead, case=case, upload=Upload("proof.txt", b"x"), place=Place(finding=finding))
    build_report(case=case, requested_by=team.lead)
    with tenant_atomic(case.tenant_id):
        assert case_content(fresh(case)) == bytes(CaseRevision.objects.get(case=case).content)
    again = reopen_case(by=team.lead, case=case, reason="The answer came.")
    with tenant_atomic(case.tenant_id):
        told = case_document(again)
    assert [line["action"] for line in told["findings"][0]["history"]] == ["finding", "respond"]
    assert [file["name"] for file in told["evidence"]] == ["proof.txt"]


JUMPS = ["reported", "closed", "in_review", "pending_signoff", "signed", "draft"]


@pytest.mark.parametrize("state", JUMPS)
def test_the_database_refuses_a_jump(team: Team, state: str) -> None:
    case = planned_case(team)
    with tenant_atomic(case.tenant_id), pytest.raises(IntegrityError, match="does not go"), transaction.atomic():
        Case.objects.filter(pk=case.pk).update(state=state, version=case.version + 1)


def test_the_database_holds_more_than_pairs(team: Team) -> None:
    case = case_in_fieldwork(team)
    rows = Case.objects
    with tenant_atomic(case.tenant_id):
        with pytest.raises(IntegrityError, match="raises the version"), transaction.atomic():
            rows.filter(pk=case.pk).update(state="in_review")
        for n, state in enumerate(("in_review", "pending_signoff"), start=1):
            rows.filter(pk=case.pk).update(state=state, version=case.version + n)
        with pytest.raises(IntegrityError, match="two people sign"), transaction.atomic():
            rows.filter(pk=case.pk).update(state="signed", version=case.version + 3)
        rows.filter(pk=case.pk).update(state="on_hold", held_from="pending_signoff", version=case.version + 3)
        with pytest.raises(IntegrityError, match="where it was held"), transaction.atomic():
            rows.filter(pk=case.pk).update(state="draft", held_from="", version=case.version + 4)
    signed = reported(team)
    with tenant_atomic(case.tenant_id), pytest.raises(IntegrityError, match="next revision"), transaction.atomic():
        rows.filter(pk=signed.pk).update(state="draft", version=signed.version + 1)


def test_a_case_begins_as_a_draft(team: Team) -> None:
    case = planned_case(team)
    with tenant_atomic(case.tenant_id), pytest.raises(IntegrityError, match="begins as draft"), transaction.atomic():
        Case.objects.create(number=99, scope_query=b"{}", state="signed", lead=case.lead, title="x")
