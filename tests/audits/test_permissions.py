"""The permission matrix of casework: every act, by everybody of the organisation, against one table.

`CAN` says who may, in the situation that the act is for; everybody else is refused, and nothing changes. What a state
allows is in tests/audits/test_workflow.py and test_lifecycles.py; what a route opens to, in tests/invariants.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404

from audits.clocks import start_clock
from audits.deadlines import ClockKind
from audits.evidence import Upload, add_evidence
from audits.findings import Terms, move_finding
from audits.letters import approve_letter, draft_letter, edit_letter, withdraw_letter
from audits.lifecycles import FindingAction, NoteAction, RequestAction
from audits.models import Case, CaseEvent, CaseType
from audits.notes import move_note, raise_note
from audits.procedures import perform_test, write_procedure
from audits.publishing import build_report
from audits.requests import RequestText, move_request, request_evidence
from audits.selectors import items_of
from audits.services import (
    Brief,
    FindingText,
    accept_review,
    comment_on_case,
    grant_case_access,
    move_case,
    open_case,
    plan_case,
    reopen_case,
    review_item,
    submit_for_review,
    write_finding,
)
from audits.signing import sign_case
from audits.transferring import transfer_finding
from audits.workflow import Action, NotAllowed
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.audits import (
    case_in_fieldwork,
    case_in_review,
    fresh,
    make_team,
    pass_every_item,
    signed_case,
)
from tests.factories.tenants import PASSWORD, Cast, make_cast
from tests.factories.traces import submit
from traces.selectors import DecisionFilter

LATER = datetime.now(UTC) + timedelta(days=30)
AUDITORS = {"lead", "reviewer", "bystander"}
ANSWERING: set[str] = {Role.ADMIN, Role.POLICY_AUTHOR, Role.POLICY_APPROVER}
NOT_MINE = (NotAllowed, PermissionDenied, Http404)

# The act → who may. The lead is the preparer too; the finding and the request are nobody's in particular.
CAN: dict[str, set[str]] = {
    "open a case": {Role.ADMIN, *AUDITORS},
    "plan": {"lead"},
    "hold": {"lead"},
    "cancel": {"lead", Role.OWNER, Role.ADMIN},
    "conclude on an item": {"lead"},
    "write a procedure": {"lead"},
    "perform a test": {"lead"},
    "write a finding": {"lead"},
    "ask for evidence": {"lead"},
    "answer a request": ANSWERING | {Role.EXTERNAL_AUDITOR},
    "accept an answer": {"lead"},
    "hand in a file": {"lead", "reviewer", Role.EXTERNAL_AUDITOR},
    "submit": {"lead"},
    "raise a note": {"reviewer"},
    "answer a note": {"lead"},
    "clear a note": {"reviewer"},
    "ask for changes": {"reviewer"},
    "accept the work": {"reviewer"},
    "sign": AUDITORS,
    "reopen": AUDITORS,
    "issue a finding": {"lead"},
    "respond to a finding": ANSWERING,
    "accept a risk": {str(Role.OWNER), str(Role.POLICY_APPROVER)},
    "dismiss a finding": {"reviewer", "bystander"},
    "draft a letter": {"lead"},
    "approve a letter": {"reviewer", "bystander"},
    "withdraw a letter": {"lead"},
    "transfer a finding": {"lead"},
    "start a clock": {"lead"},
    "let somebody in": {"lead", Role.OWNER, Role.ADMIN},
    "comment": {*AUDITORS, *ANSWERING, Role.EXTERNAL_AUDITOR},
}
Act = Callable[[Actor], object]


class World:
    """A case in each situation, in one organisation."""

    def __init__(self, cast: Cast) -> None:
        submit(cast, 1)
        self.cast, self.team = cast, make_team(cast)
        self.people: dict[str, Actor] = {role: cast.actors[role] for role in Role.values if role != Role.AUDITOR}
        self.people |= {"lead": self.team.lead, "reviewer": self.team.reviewer, "bystander": self.team.bystander}
        team = self.team
        self.draft = open_case(by=team.lead, scope=DecisionFilter(), brief=Brief("Draft"))
        self.work, self.ready, self.reviewed, self.accepted = (
            case_in_fieldwork(team),
            case_in_fieldwork(team),
            case_in_review(team),
            case_in_review(team),
        )
        pass_every_item(team, self.ready)
        accept_review(by=team.reviewer, case=self.accepted)
        self.signed = signed_case(team)
        build_report(case=self.signed, requested_by=team.lead)
        self.signed = fresh(self.signed)
        self.told = case_in_fieldwork(team, kind=CaseType.EXPLANATION)
        self.note = raise_note(by=team.reviewer, case=self.reviewed, text="Why?")
        self.clean = case_in_review(team)
        self.draft_finding = write_finding(by=team.lead, case=self.work, text=FindingText("In time.", "Late."))
        self.finding = write_finding(by=team.lead, case=self.work, text=FindingText("In time.", "Late."))
        move_finding(by=team.lead, finding=self.finding, action=FindingAction.ISSUE)
        text = RequestText("The log", is_blocking=False)
        self.asked, self.answered = (request_evidence(by=team.lead, case=self.work, text=text) for _ in range(2))
        answer = RequestAction.SUBMIT
        move_request(by=self.people[Role.POLICY_AUTHOR], request=self.answered, action=answer, text="Here.")
        self.procedure = write_procedure(by=team.lead, case=self.work, title="Reason", expected="One.")
        with tenant_atomic(cast.tenant.pk):
            self.item = items_of(self.work)[0]
            told = items_of(self.told)[0]
        self.letter = draft_letter(by=team.lead, case=self.told, item=told)
        edit_letter(by=team.lead, letter=self.letter, said={"recipient": "Jo", "contact": "Us"})
        for case in (
            self.told,
            self.draft,
            self.work,
            self.ready,
            self.reviewed,
            self.accepted,
            self.signed,
            self.clean,
        ):
            self._let_guest_in(case)

    def _let_guest_in(self, case: Case) -> None:
        guest = self.cast.people[Role.EXTERNAL_AUDITOR]
        grant_case_access(by=self.team.lead, case=case, user=guest, permissions=["case.read"], expires_at=LATER)

    def acts(self) -> dict[str, Act]:
        people, lead_user = self.team.people, self.cast.people[Role.VIEWER]
        until = Terms(until=LATER.date())
        plan = partial(plan_case, preparer=people["lead"], reviewer=people["reviewer"], objective="", criteria="x")
        step, note = move_finding, self.note
        return {
            "open a case": lambda by: open_case(by=by, scope=DecisionFilter(), brief=Brief("x")),
            "plan": lambda by: plan(by=by, case=self.draft),
            "hold": lambda by: move_case(by=by, case=self.work, action=Action.HOLD, reason="x"),
            "cancel": lambda by: move_case(by=by, case=self.work, action=Action.CANCEL, reason="x"),
            "conclude on an item": lambda by: review_item(by=by, item=self.item, conclusion="pass"),
            "write a procedure": lambda by: write_procedure(by=by, case=self.work, title="x", expected="x"),
            "perform a test": lambda by: perform_test(by=by, procedure=self.procedure, item=self.item, result="pass"),
            "write a finding": lambda by: write_finding(by=by, case=self.work, text=FindingText("x", "x")),
            "ask for evidence": lambda by: request_evidence(by=by, case=self.work, text=RequestText("x")),
            "answer a request": lambda by: move_request(
                by=by, request=self.asked, action=RequestAction.SUBMIT, text="x"
            ),
            "accept an answer": lambda by: move_request(by=by, request=self.answered, action=RequestAction.ACCEPT),
            "hand in a file": lambda by: add_evidence(by=by, case=self.work, upload=Upload("x.txt", b"x")),
            "submit": lambda by: submit_for_review(by=by, case=self.ready),
            "raise a note": lambda by: raise_note(by=by, case=self.reviewed, text="x"),
            "answer a note": lambda by: move_note(by=by, note=note, action=NoteAction.ANSWER, text="x"),
            "clear a note": lambda by: move_note(by=by, note=note, action=NoteAction.CLEAR),
            "ask for changes": lambda by: move_case(
                by=by, case=self.reviewed, action=Action.REQUEST_CHANGES, reason="x"
            ),
            "accept the work": lambda by: accept_review(by=by, case=self.clean),
            "sign": lambda by: sign_case(by=by, case=self.accepted, password=PASSWORD),
            "reopen": lambda by: reopen_case(by=by, case=self.signed, reason="x"),
            "issue a finding": lambda by: step(by=by, finding=self.draft_finding, action=FindingAction.ISSUE),
            "respond to a finding": lambda by: step(
                by=by, finding=self.finding, action=FindingAction.RESPOND, text="x"
            ),
            "accept a risk": lambda by: step(
                by=by, finding=self.finding, action=FindingAction.ACCEPT_RISK, text="x", terms=until
            ),
            "dismiss a finding": lambda by: step(by=by, finding=self.finding, action=FindingAction.DISMISS, text="x"),
            "draft a letter": lambda by: draft_letter(by=by, case=self.told, item=self.letter.item),
            "approve a letter": lambda by: approve_letter(by=by, letter=self.letter),
            "withdraw a letter": lambda by: withdraw_letter(by=by, letter=self.letter, why="x"),
            "transfer a finding": lambda by: transfer_finding(by=by, finding=self.finding, to=self.ready, reason="x"),
            "start a clock": lambda by: start_clock(
                by=by, case=self.work, kind=ClockKind.SERIOUS, started_at=datetime.now(UTC)
            ),
            "let somebody in": lambda by: grant_case_access(
                by=by, case=self.work, user=lead_user, permissions=["case.read"], expires_at=LATER
            ),
            "comment": lambda by: comment_on_case(by=by, case=self.work, text="x"),
        }


@pytest.fixture(scope="module")
def world(database: None) -> World:
    return World(make_cast())


WHO = [*(role for role in Role.values if role != Role.AUDITOR), *sorted(AUDITORS)]


def events(world: World) -> int:
    with tenant_atomic(world.cast.tenant.pk):
        return CaseEvent.objects.count()


@pytest.mark.parametrize(("act", "who"), list(product(CAN, WHO)))
def test_who_may_do_what(world: World, act: str, who: str) -> None:
    by, do = world.people[who], world.acts()[act]
    before = events(world)
    with transaction.atomic():
        if who in CAN[act]:
            do(by)
        else:
            with pytest.raises(NOT_MINE), transaction.atomic():
                do(by)
        assert (events(world) > before) == (who in CAN[act])
        transaction.set_rollback(True)


def test_every_act_is_in_the_table(world: World) -> None:
    assert set(world.acts()) == set(CAN)


def test_nobody_holds_both_sides_of_a_case(world: World) -> None:
    people = world.team.people
    for preparer, reviewer in (("lead", "lead"), ("reviewer", "reviewer")):
        plan = partial(plan_case, preparer=people[preparer], reviewer=people[reviewer], objective="", criteria="x")
        with pytest.raises(ValidationError, match="somebody else"):
            plan(by=world.team.lead, case=world.draft)
