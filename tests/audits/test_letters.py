"""Letters of real cases: written by one, approved by another, sent once, gone with the decision's content."""

import hashlib
from datetime import UTC, datetime
from io import BytesIO

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, IntegrityError, connection
from django.http import Http404
from pypdf import PdfReader

from audits.letters import (
    approve_letter,
    draft_letter,
    edit_letter,
    get_letter,
    letter_pdf,
    read_letter,
    send_letter,
    withdraw_letter,
)
from audits.lifecycles import LetterState
from audits.models import Case, CaseEvent, CaseItem, CaseType, Letter
from audits.reading import readings_of_case
from audits.selectors import items_of
from audits.services import move_case
from audits.timeline import Stale
from audits.workflow import Action, NotAllowed
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.audits import EVERYTHING, Team, case_in_fieldwork, make_team
from tests.factories.erasures import erased
from tests.factories.tenants import Cast
from tests.factories.traces import submit

MENDED = {"recipient": "Jo Doe\n1 High Street", "contact": "The Bank, 2 Low Street"}


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 1)
    return make_team(cast)


@pytest.fixture
def letter(team: Team) -> Letter:
    return drafted(team)


def explained_case(team: Team, kind: str = CaseType.EXPLANATION) -> Case:
    return case_in_fieldwork(team, EVERYTHING, kind=kind)


def first_item(case: Case) -> CaseItem:
    with tenant_atomic(case.tenant_id):
        return items_of(case)[0]


def drafted(team: Team) -> Letter:
    case = explained_case(team)
    return draft_letter(by=team.lead, case=case, item=first_item(case))


def approved(team: Team, letter: Letter) -> Letter:
    edit_letter(by=team.lead, letter=letter, said=MENDED)
    return approve_letter(by=team.reviewer, letter=letter)


def now(team: Team, letter: Letter) -> Letter:
    with tenant_atomic(letter.tenant_id):
        return get_letter(team.lead, letter.case, letter.number)


def test_a_letter_is_drafted_from_the_record(team: Team, letter: Letter) -> None:
    text = read_letter(by=team.lead, letter=letter)
    assert text is not None
    assert "The result was: “refer”." in text.decided
    assert text.elements == "1. No payslip."
    assert text.lacking == ("recipient", "contact")
    with tenant_atomic(letter.tenant_id):
        tags = LedgerEvent.objects.filter(tag__startswith="letter.").values_list("tag", flat=True)
        assert list(tags) == ["letter.drafted"]
        purposes = [reading.purpose for reading in readings_of_case(team.lead, letter.case).readings]
    assert f"L-1 of case {letter.case.reference}" in purposes


def test_nothing_leaves_before_another_person_has_approved_it_whole(team: Team, letter: Letter) -> None:
    with pytest.raises(ValidationError, match="recipient, contact"):
        approve_letter(by=team.reviewer, letter=letter)
    with pytest.raises(NotAllowed):
        send_letter(by=team.lead, letter=letter, how="By post.")
    edit_letter(by=team.lead, letter=letter, said=MENDED)
    with pytest.raises(NotAllowed, match="own words"):
        approve_letter(by=team.lead, letter=letter)
    assert approve_letter(by=team.reviewer, letter=letter).state == LetterState.APPROVED


def test_nobody_who_wrote_a_part_approves(team: Team, letter: Letter) -> None:
    """Not even once somebody else's hand was the last: the lead's words are still in it."""
    with tenant_atomic(letter.tenant_id):
        Case.objects.filter(pk=letter.case_id).update(preparer=team.people["bystander"])
    edit_letter(by=team.bystander, letter=letter, said=MENDED)
    with pytest.raises(NotAllowed, match="own words"):
        approve_letter(by=team.lead, letter=letter)
    assert approve_letter(by=team.reviewer, letter=letter).approved_by == team.people["reviewer"]


def test_what_was_approved_is_printed_and_stays(team: Team, letter: Letter) -> None:
    before = letter_pdf(by=team.lead, letter=letter)
    assert before is not None
    assert "DRAFT" in words_of(before)
    row = approved(team, letter)
    pdf = letter_pdf(by=team.lead, letter=row)
    assert pdf is not None
    assert hashlib.sha256(pdf).digest() == bytes(row.pdf_sha256 or b"")
    said = words_of(pdf)
    assert "DRAFT" not in said
    for part in ("1 High Street", "2 Low Street", "No payslip.", str(row.approved_by), str(row.item.decision_id)):
        assert part in said
    with pytest.raises(NotAllowed):
        edit_letter(by=team.lead, letter=row, said={"decided": "Nothing."})
    assert letter_pdf(by=team.lead, letter=now(team, row)) == pdf


def words_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


def test_sending_it_meets_the_statutory_clock(team: Team, letter: Letter) -> None:
    row = approved(team, letter)
    with pytest.raises(NotAllowed, match="how it left"):
        send_letter(by=team.lead, letter=row, how=" ")
    sent = send_letter(by=team.lead, letter=row, how="By registered post.")
    assert sent.sent_at is not None
    assert sent.sent_at <= datetime.now(UTC)
    with tenant_atomic(letter.tenant_id):
        clock = letter.case.clocks.get()
        assert (clock.met_how, clock.met_at is not None) == ("L-1: By registered post.", True)
    with pytest.raises(NotAllowed):
        withdraw_letter(by=team.lead, letter=now(team, row), why="Too late.")


def test_an_approval_of_words_that_changed_meanwhile_is_refused(team: Team, letter: Letter) -> None:
    edit_letter(by=team.lead, letter=letter, said=MENDED, version=1)
    with pytest.raises(Stale):
        approve_letter(by=team.reviewer, letter=letter, version=1)
    with pytest.raises(Stale):
        edit_letter(by=team.lead, letter=letter, said=MENDED, version=1)


def test_an_erasure_takes_the_letter_along(team: Team, letter: Letter) -> None:
    row = approved(team, letter)
    erased(team.cast, "customer-5521")
    assert read_letter(by=team.lead, letter=row) is None
    assert letter_pdf(by=team.lead, letter=row) is None
    with pytest.raises(ValidationError, match="erased"):
        draft_letter(by=team.lead, case=letter.case, item=letter.item)
    assert now(team, row).pdf_sha256 is not None  # that there was one stays on record


def test_no_word_of_it_is_in_the_log_or_on_the_timeline(team: Team, letter: Letter) -> None:
    approved(team, letter)
    with tenant_atomic(letter.tenant_id):
        bodies = [bytes(event.body) for event in LedgerEvent.objects.filter(tag__startswith="letter.")]
        lines = [f"{line.note}{line.data}" for line in CaseEvent.objects.filter(letter=letter)]
    assert len(bodies) == len(lines) == 3
    assert not any(word in str(bodies + lines) for word in ("Doe", "payslip", "borrow"))


@pytest.mark.parametrize("who", [Role.VIEWER, Role.OWNER, Role.ADMIN, Role.POLICY_AUTHOR])
def test_who_may_not_read_what_decisions_say_reads_no_letter(team: Team, letter: Letter, who: Role) -> None:
    with pytest.raises(PermissionDenied):
        read_letter(by=team.cast.actors[who], letter=letter)
    with pytest.raises(PermissionDenied):
        letter_pdf(by=team.cast.actors[who], letter=letter)
    with pytest.raises(PermissionDenied):
        approve_letter(by=team.cast.actors[who], letter=letter)


def test_only_cases_that_explain_have_letters_and_only_their_auditors_write(team: Team, letter: Letter) -> None:
    periodic = explained_case(team, CaseType.PERIODIC)
    with pytest.raises(NotAllowed, match="explains or reconsiders"):
        draft_letter(by=team.lead, case=periodic, item=first_item(periodic))
    with pytest.raises(NotAllowed, match="another case"):
        draft_letter(by=team.lead, case=letter.case, item=first_item(periodic))
    with pytest.raises(NotAllowed, match="lead or preparer"):
        draft_letter(by=team.bystander, case=letter.case, item=letter.item)
    move_case(by=team.lead, case=letter.case, action=Action.HOLD, reason="Wait.")
    with pytest.raises(NotAllowed, match="on hold"):
        edit_letter(by=team.lead, letter=letter, said=MENDED)


def test_a_stranger_finds_no_letter(letter: Letter, stranger: Cast) -> None:
    with pytest.raises(Http404):
        read_letter(by=stranger.auditor, letter=letter)
    with tenant_atomic(stranger.tenant.pk), pytest.raises(Http404):
        get_letter(stranger.auditor, letter.case, letter.number)


BROKEN = {
    "state = 'sent', sent_at = now()": IntegrityError,  # never approved
    "state = 'approved'": IntegrityError,
    "approved_by_id = written_by_id, approved_at = now(), document_id = id, pdf_sha256 = '\\x00'": IntegrityError,
}


@pytest.mark.parametrize("change", BROKEN)
def test_the_database_lets_no_letter_leave_unapproved(letter: Letter, change: str) -> None:
    with pytest.raises(BROKEN[change]), tenant_atomic(letter.tenant_id):
        connection.cursor().execute(f"UPDATE audits_letter SET {change} WHERE id = %s", [letter.pk])


@pytest.mark.parametrize("change", ["text_sha256 = '\\x00'", "approved_at = now()", "state = 'draft'"])
def test_the_database_keeps_what_was_approved(team: Team, letter: Letter, change: str) -> None:
    approved(team, letter)
    with pytest.raises(DatabaseError, match=r"fixed|does not go"), tenant_atomic(letter.tenant_id):
        connection.cursor().execute(f"UPDATE audits_letter SET {change} WHERE id = %s", [letter.pk])
