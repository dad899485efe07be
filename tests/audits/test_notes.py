"""Review notes: what the reviewer asks, and what stands still until it is cleared."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from audits.lifecycles import NoteAction, NoteState
from audits.models import Case
from audits.notes import move_note, raise_note, request_changes
from audits.services import accept_review, submit_for_review
from audits.workflow import NotAllowed, State
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.factories.audits import Team, case_in_fieldwork, case_in_review, fresh, make_team
from tests.factories.tenants import Cast
from tests.factories.traces import submit


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 1)
    return make_team(cast)


def test_work_is_accepted_when_every_note_is_cleared(team: Team) -> None:
    case = case_in_review(team)
    note = raise_note(by=team.reviewer, case=case, text="Which policy applied?")
    with pytest.raises(NotAllowed, match="Clear your review notes first: N-1"):
        accept_review(by=team.reviewer, case=case)
    answered = move_note(by=team.lead, note=note, action=NoteAction.ANSWER, text="The one of March.")
    with pytest.raises(NotAllowed, match="N-1"):
        accept_review(by=team.reviewer, case=case)
    move_note(by=team.reviewer, note=answered, action=NoteAction.CLEAR)
    accept_review(by=team.reviewer, case=case)
    assert fresh(case).state == State.PENDING_SIGNOFF
    with tenant_atomic(case.tenant_id):
        tags = LedgerEvent.objects.filter(tag__startswith="review_note").order_by("id").values_list("tag", flat=True)
        assert list(tags) == ["review_note.raised", "review_note.moved", "review_note.moved"]


def test_the_database_too_keeps_work_with_open_notes_from_being_accepted(team: Team) -> None:
    case = case_in_review(team)
    raise_note(by=team.reviewer, case=case, text="Which policy applied?")
    with tenant_atomic(case.tenant_id), pytest.raises(IntegrityError, match="not cleared"):
        Case.objects.filter(pk=case.pk).update(state=State.PENDING_SIGNOFF, version=case.version + 1)


def test_asking_for_changes_leaves_a_note_to_answer(team: Team) -> None:
    case = case_in_review(team)
    request_changes(by=team.reviewer, case=case, reason="Item 1 again.")
    with tenant_atomic(case.tenant_id):
        note = case.notes.get()
    assert (note.text, note.state, fresh(case).state) == ("Item 1 again.", NoteState.OPEN, State.CHANGES_REQUESTED)
    with pytest.raises(NotAllowed, match="N-1"):
        submit_for_review(by=team.lead, case=case)
    move_note(by=team.lead, note=note, action=NoteAction.ANSWER, text="Looked again.")
    assert submit_for_review(by=team.lead, case=case).state == State.IN_REVIEW


def test_only_the_reviewer_raises_and_clears_and_only_the_preparer_answers(team: Team) -> None:
    case = case_in_review(team)
    for nobody in (team.lead, team.bystander, team.cast.owner):
        with pytest.raises(NotAllowed, match="reviewer"):
            raise_note(by=nobody, case=case, text="x")
    note = raise_note(by=team.reviewer, case=case, text="x")
    with pytest.raises(NotAllowed):
        move_note(by=team.reviewer, note=note, action=NoteAction.ANSWER, text="Myself.")
    with pytest.raises(NotAllowed):
        move_note(by=team.lead, note=note, action=NoteAction.CLEAR)


def test_a_note_says_something_and_belongs_to_a_review(team: Team) -> None:
    with pytest.raises(ValidationError, match="to be answered"):
        raise_note(by=team.reviewer, case=case_in_review(team), text="  ")
    with pytest.raises(NotAllowed, match="not under review"):
        raise_note(by=team.reviewer, case=case_in_fieldwork(team), text="x")
