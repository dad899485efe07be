"""Requests for evidence, and the case that waits for them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404

from audits.evidence import Place, Upload, add_evidence
from audits.lifecycles import RequestAction, RequestState
from audits.models import CaseEvent, EvidenceRequest
from audits.requests import RequestText, get_request, is_overdue, move_request, request_evidence
from audits.services import move_case, submit_for_review
from audits.timeline import Stale
from audits.workflow import Action, NotAllowed, State
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.audits import Team, case_in_fieldwork, fresh, make_team, pass_every_item, planned_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit

CHANGE_LOG = RequestText("The change log of March", detail="As exported.")


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 2)
    return make_team(cast)


def asked(team: Team, text: RequestText = CHANGE_LOG) -> EvidenceRequest:
    case = case_in_fieldwork(team)
    return request_evidence(by=team.lead, case=case, text=text, addressee=team.cast.people[Role.POLICY_AUTHOR])


def test_the_case_waits_until_a_blocking_request_is_answered(team: Team) -> None:
    request = asked(team)
    author = team.cast.actors[Role.POLICY_AUTHOR]
    assert fresh(request.case).state == State.AWAITING_EVIDENCE
    move_request(by=author, request=request, action=RequestAction.SUBMIT, text="Attached.")
    assert fresh(request.case).state == State.FIELDWORK
    move_request(by=team.lead, request=request, action=RequestAction.RETURN, text="April, not March.")
    assert fresh(request.case).state == State.AWAITING_EVIDENCE
    move_request(by=author, request=request, action=RequestAction.SUBMIT, text="March now.")
    row = move_request(by=team.lead, request=request, action=RequestAction.ACCEPT)
    assert (row.state, row.version) == (RequestState.ACCEPTED, 5)
    assert fresh(request.case).state == State.FIELDWORK


def test_each_step_is_a_leaf_and_a_line_about_the_request(team: Team) -> None:
    request = asked(team)
    move_request(by=team.lead, request=request, action=RequestAction.WITHDRAW, text="Found it.")
    with tenant_atomic(request.tenant_id):
        lines = list(CaseEvent.objects.filter(request=request).order_by("id"))
        leaves = dict(LedgerEvent.objects.filter(pk__in=[line.pk for line in lines]).values_list("pk", "tag"))
    assert [(line.action, line.to_state) for line in lines] == [("request", "open"), ("withdraw", "withdrawn")]
    assert [leaves[line.pk] for line in lines] == ["evidence_request.opened", "evidence_request.moved"]


def test_one_that_does_not_block_lets_the_case_go_on(team: Team) -> None:
    request = asked(team, RequestText("If you have it", is_blocking=False))
    case = fresh(request.case)
    assert case.state == State.FIELDWORK
    pass_every_item(team, case)
    assert submit_for_review(by=team.lead, case=case).state == State.IN_REVIEW


def test_nothing_is_submitted_while_an_answer_is_not_accepted(team: Team) -> None:
    request = asked(team)
    author = team.cast.actors[Role.POLICY_AUTHOR]
    move_request(by=author, request=request, action=RequestAction.SUBMIT, text="Attached.")
    pass_every_item(team, request.case)
    with pytest.raises(NotAllowed, match="not accepted yet: R-1"):
        submit_for_review(by=team.lead, case=request.case)


def test_overdue_is_derived_and_ends_with_the_answer(team: Team) -> None:
    today = datetime.now(UTC).date()
    request = asked(team, RequestText("Late", due=today - timedelta(days=1)))
    assert is_overdue(request, today)
    assert not is_overdue(request, today - timedelta(days=1))
    author = team.cast.actors[Role.POLICY_AUTHOR]
    answered = move_request(by=author, request=request, action=RequestAction.SUBMIT, text="Here.")
    assert not is_overdue(answered, today)


def test_who_asks_and_who_answers(team: Team) -> None:
    request = asked(team)
    for nobody in (team.reviewer, team.cast.actors[Role.VIEWER], team.cast.owner):
        with pytest.raises(NotAllowed):
            request_evidence(by=nobody, case=request.case, text=CHANGE_LOG)
        with pytest.raises(NotAllowed) as refused:
            move_request(by=nobody, request=request, action=RequestAction.SUBMIT, text="Me.")
        assert refused.value.allowed == ()
    with pytest.raises(NotAllowed) as refused:
        move_request(by=team.lead, request=request, action=RequestAction.ACCEPT)
    assert refused.value.allowed == ("withdraw",)


def test_who_was_asked_does_not_accept_their_own_answer(team: Team) -> None:
    case = case_in_fieldwork(team)
    request = request_evidence(by=team.lead, case=case, text=CHANGE_LOG, addressee=team.people["lead"])
    move_request(by=team.lead, request=request, action=RequestAction.SUBMIT, text="Mine.")
    with pytest.raises(NotAllowed):
        move_request(by=team.lead, request=request, action=RequestAction.ACCEPT)


def test_nothing_is_asked_before_fieldwork_nor_moves_on_hold(team: Team) -> None:
    with pytest.raises(NotAllowed, match="Nothing is asked"):
        request_evidence(by=team.lead, case=planned_case(team), text=CHANGE_LOG)
    request = asked(team)
    move_case(by=team.lead, case=request.case, action=Action.HOLD, reason="Wait.")
    with pytest.raises(NotAllowed, match="on hold"):
        move_request(by=team.lead, request=request, action=RequestAction.WITHDRAW, text="x")


def test_a_stale_version_is_refused(team: Team) -> None:
    request = asked(team)
    with pytest.raises(Stale) as refused:
        move_request(by=team.lead, request=request, action=RequestAction.WITHDRAW, text="x", version=9)
    assert refused.value.allowed == ("withdraw",)


def test_a_stranger_finds_no_request(team: Team, stranger: Cast) -> None:
    request = asked(team)
    with tenant_atomic(stranger.tenant.pk), pytest.raises(Http404):
        get_request(stranger.auditor, request.case, request.pk)
    with pytest.raises(Http404):
        move_request(by=stranger.auditor, request=request, action=RequestAction.WITHDRAW, text="x")


def test_who_was_asked_hands_files_in_until_it_is_answered(team: Team) -> None:
    request = asked(team)
    author, upload = team.cast.actors[Role.POLICY_AUTHOR], Upload("log.csv", b"a,b\n1,2\n")
    file = add_evidence(by=author, case=request.case, upload=upload, place=Place(request=request))
    assert (file.number, file.request) == (1, request)
    answered = move_request(by=author, request=request, action=RequestAction.SUBMIT, text="Attached.")
    with pytest.raises(PermissionDenied):
        add_evidence(by=author, case=request.case, upload=upload, place=Place(request=answered))
