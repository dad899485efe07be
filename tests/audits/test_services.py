"""The course of a case through the services, with real decisions in a real log."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from audits.access import get_case, visible_cases
from audits.findings import move_finding
from audits.lifecycles import FindingAction, NoteAction
from audits.models import CaseEvent, CaseRevision, Conclusion, Report, Signature
from audits.notes import move_note
from audits.publishing import build_report, current_report, report_pdf
from audits.selectors import items_of
from audits.services import (
    Brief,
    FindingText,
    accept_review,
    grant_case_access,
    move_case,
    open_case,
    plan_case,
    review_item,
    submit_for_review,
    write_finding,
)
from audits.signing import sign_case
from audits.timeline import Stale
from audits.workflow import Action, NotAllowed, State
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent, LedgerQueue
from tenants.roles import Role
from tests.factories.audits import (
    Team,
    case_in_fieldwork,
    case_in_review,
    fresh,
    make_team,
    pass_every_item,
    planned_case,
    signed_case,
)
from tests.factories.tenants import PASSWORD, Cast
from tests.factories.traces import submit
from traces.selectors import DecisionFilter


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 3)
    return make_team(cast)


def test_a_case_goes_from_a_filter_to_a_final_report(team: Team) -> None:
    case = signed_case(team)
    assert case.state == State.SIGNED
    report = build_report(case=case, requested_by=team.lead)
    assert report.kind == "final"
    case = fresh(case)
    assert case.state == State.REPORTED
    with tenant_atomic(case.tenant_id):
        assert current_report(by=team.bystander, case=case) == report
        assert (report_pdf(report) or b"").startswith(b"%PDF")
        events = CaseEvent.objects.filter(case=case).exclude(to_state="").order_by("id")
        moves = list(events.values_list("to_state", flat=True))
    path = ["draft", "planned", "population_frozen", "fieldwork", "in_review", "pending_signoff", "signed", "reported"]
    assert moves == path


def test_every_step_leaves_one_event_and_one_line(team: Team) -> None:
    case = case_in_review(team)
    with tenant_atomic(case.tenant_id):
        lines = {event.pk: event.tag for event in CaseEvent.objects.filter(case=case)}
        leaves = dict(LedgerEvent.objects.filter(pk__in=lines).values_list("pk", "tag"))
    assert lines == leaves
    assert len(lines) == 5 + 3  # opened, planned, frozen, drawn, submitted; three conclusions


def test_a_failed_step_leaves_nothing(team: Team) -> None:
    case = case_in_fieldwork(team)
    with tenant_atomic(case.tenant_id):
        before = LedgerEvent.objects.count(), LedgerQueue.objects.count()
    with pytest.raises(NotAllowed, match="3 of the items have no conclusion"):
        submit_for_review(by=team.lead, case=case)
    with tenant_atomic(case.tenant_id):
        assert before == (LedgerEvent.objects.count(), LedgerQueue.objects.count())
    assert fresh(case).version == case.version


def test_a_step_out_of_turn_names_what_is_allowed(team: Team) -> None:
    case = planned_case(team)
    with pytest.raises(NotAllowed) as refused:
        submit_for_review(by=team.lead, case=case)
    assert set(refused.value.allowed) == {Action.FREEZE, Action.HOLD, Action.CANCEL}


def test_a_stale_version_is_refused(team: Team) -> None:
    case = planned_case(team)
    with pytest.raises(Stale, match="meanwhile"):
        move_case(by=team.lead, case=case, action=Action.HOLD, reason="Wait.", version=case.version - 1)


def test_hold_and_resume_come_back_to_where_it_was(team: Team) -> None:
    case = case_in_fieldwork(team)
    held = move_case(by=team.lead, case=case, action=Action.HOLD, reason="Waiting for counsel.")
    assert (held.state, held.held_from) == (State.ON_HOLD, State.FIELDWORK)
    assert move_case(by=team.lead, case=case, action=Action.RESUME).state == State.FIELDWORK


def test_a_fail_needs_a_reason_and_a_finding(team: Team) -> None:
    case = case_in_fieldwork(team)
    pass_every_item(team, case)
    with tenant_atomic(case.tenant_id):
        item = items_of(case)[0]
    with pytest.raises(ValidationError, match="what is wrong"):
        review_item(by=team.lead, item=item, conclusion=Conclusion.FAIL)
    review_item(by=team.lead, item=item, conclusion=Conclusion.FAIL, note="No reason was given.")
    with pytest.raises(NotAllowed, match="none for item 1"):
        submit_for_review(by=team.lead, case=case)
    write_finding(by=team.lead, case=case, item=item, text=FindingText("A reason is given.", "None was."))
    assert submit_for_review(by=team.lead, case=case).state == State.IN_REVIEW


def test_only_the_preparer_concludes_and_only_in_fieldwork(team: Team) -> None:
    case = case_in_review(team)
    with tenant_atomic(case.tenant_id):
        item = items_of(case)[0]
    with pytest.raises(NotAllowed, match="takes no changes"):
        review_item(by=team.lead, item=item, conclusion=Conclusion.NOT_APPLICABLE)
    move_case(by=team.reviewer, case=case, action=Action.REQUEST_CHANGES, reason="Look at item 1 again.")
    with pytest.raises(NotAllowed, match="Only this case's preparer"):
        review_item(by=team.reviewer, item=item, conclusion=Conclusion.PASS)
    review_item(by=team.lead, item=item, conclusion=Conclusion.NOT_APPLICABLE)
    with pytest.raises(NotAllowed, match="wait for an answer: N-1"):
        submit_for_review(by=team.lead, case=case)
    with tenant_atomic(case.tenant_id):
        note = case.notes.get()
    move_note(by=team.lead, note=note, action=NoteAction.ANSWER, text="It does not apply.")
    assert submit_for_review(by=team.lead, case=case).state == State.IN_REVIEW


def test_nobody_reviews_their_own_work(team: Team) -> None:
    case = planned_case(team)
    lead = team.people["lead"]
    with pytest.raises(ValidationError, match="somebody else"):
        plan_case(by=team.lead, case=case, objective="", criteria="x", preparer=lead, reviewer=lead)
    with pytest.raises(NotAllowed):
        accept_review(by=team.lead, case=case_in_review(team))


def test_a_case_needs_both_signatures_of_different_people(team: Team) -> None:
    case = case_in_review(team)
    accept_review(by=team.reviewer, case=case)
    sign_case(by=team.lead, case=case, password=PASSWORD)
    assert fresh(case).state == State.PENDING_SIGNOFF
    with pytest.raises(NotAllowed, match="have signed this revision already"):
        sign_case(by=team.lead, case=case, password=PASSWORD)
    sign_case(by=team.bystander, case=case, password=PASSWORD)
    with pytest.raises(NotAllowed):
        sign_case(by=team.reviewer, case=case, password=PASSWORD)
    with tenant_atomic(case.tenant_id):
        assert set(Signature.objects.filter(case=case).values_list("meaning", flat=True)) == {
            "responsibility",
            "approval",
        }


def test_a_signature_needs_the_password(team: Team) -> None:
    case = case_in_review(team)
    accept_review(by=team.reviewer, case=case)
    with pytest.raises(ValidationError, match="not your password"):
        sign_case(by=team.lead, case=case, password="guess")


def test_a_signature_binds_the_content_that_was_reviewed(team: Team) -> None:
    case = case_in_review(team)
    revision = accept_review(by=team.reviewer, case=case)
    with tenant_atomic(case.tenant_id):
        items_of(case).filter(ordinal=2).update(note="slipped in past the services")
    with pytest.raises(NotAllowed, match="not what was reviewed"):
        sign_case(by=team.lead, case=case, password=PASSWORD)
    with tenant_atomic(case.tenant_id):
        items_of(case).filter(ordinal=2).update(note="")
    signature = sign_case(by=team.lead, case=case, password=PASSWORD)
    assert bytes(signature.payload_sha256) == bytes(revision.content_sha256)
    with tenant_atomic(case.tenant_id):
        assert CaseRevision.objects.filter(case=case).count() == 1


def test_a_draft_is_kept_once_for_each_content(team: Team) -> None:
    case = case_in_fieldwork(team)
    first = current_report(by=team.bystander, case=case)
    assert first is not None
    assert first == current_report(by=team.lead, case=case)
    pass_every_item(team, case)
    assert current_report(by=team.lead, case=case) != first
    with tenant_atomic(case.tenant_id):
        assert set(Report.objects.filter(case=case).values_list("kind", flat=True)) == {"draft"}


def test_who_may_open_and_lead(team: Team) -> None:
    for role in (Role.VIEWER, Role.POLICY_AUTHOR, Role.EXTERNAL_AUDITOR, Role.OWNER):
        with pytest.raises(PermissionDenied, match=r"case\.create"):
            open_case(by=team.cast.actors[role], scope=DecisionFilter(), brief=Brief("No"))
    with pytest.raises(ValidationError, match="cannot be the lead"):
        open_case(by=team.lead, scope=DecisionFilter(), brief=Brief("No"), lead=team.cast.people[Role.VIEWER])


def test_a_stranger_sees_no_case(team: Team, stranger: Cast) -> None:
    case = planned_case(team)
    with tenant_atomic(stranger.tenant.pk), pytest.raises(Http404):
        get_case(stranger.auditor, case.pk)


def test_numbers_run_on(team: Team) -> None:
    cases = [open_case(by=team.lead, scope=DecisionFilter(), brief=Brief(f"Case {n}")) for n in range(3)]
    assert [case.number for case in cases] == [1, 2, 3]


def test_an_external_auditor_sees_the_one_case_until_the_grant_ends(team: Team) -> None:
    shown, _ = planned_case(team), planned_case(team)
    external = team.cast.actors[Role.EXTERNAL_AUDITOR]
    soon = datetime.now(UTC) + timedelta(days=30)
    with pytest.raises(ValidationError, match="90 days"):
        grant_case_access(
            by=team.lead,
            case=shown,
            user=team.cast.people[Role.EXTERNAL_AUDITOR],
            permissions=["case.read"],
            expires_at=soon + timedelta(days=90),
        )
    grants = grant_case_access(
        by=team.lead,
        case=shown,
        user=team.cast.people[Role.EXTERNAL_AUDITOR],
        permissions=["case.read"],
        expires_at=soon,
    )
    with tenant_atomic(shown.tenant_id):
        assert list(visible_cases(external)) == [shown]
        type(grants[0]).objects.filter(pk=grants[0].pk).update(expires_at=datetime.now(UTC))
        assert not visible_cases(external).exists()


def test_a_case_closes_when_its_findings_are_settled(team: Team) -> None:
    case = case_in_fieldwork(team)
    pass_every_item(team, case)
    write_finding(by=team.lead, case=case, text=FindingText("Logged in time.", "Two came late."))
    submit_for_review(by=team.lead, case=case)
    accept_review(by=team.reviewer, case=case)
    for signer in (team.lead, team.reviewer):
        sign_case(by=signer, case=case, password=PASSWORD)
    build_report(case=case, requested_by=team.lead)
    with pytest.raises(NotAllowed, match="each of its findings"):
        move_case(by=team.lead, case=case, action=Action.CLOSE)
    with tenant_atomic(case.tenant_id):
        finding = case.findings.get()
    assert finding.state == "open"
    author = team.cast.actors[Role.POLICY_AUTHOR]
    move_finding(by=author, finding=finding, action=FindingAction.RESPOND, text="Agreed.")
    move_finding(by=author, finding=finding, action=FindingAction.REMEDIATE, text="A queue with retries.")
    move_finding(by=author, finding=finding, action=FindingAction.COMPLETE, text="It runs.")
    move_finding(by=team.lead, finding=finding, action=FindingAction.CLOSE, text="A week without a late one.")
    assert move_case(by=team.lead, case=case, action=Action.CLOSE).state == State.CLOSED
