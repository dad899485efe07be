"""Review notes: the reviewer asks, the preparer answers, the reviewer clears; nothing is accepted before that."""

import uuid

from django.core.exceptions import ValidationError
from django.db.models import Max

from audits.access import auditors_in, person_of
from audits.lifecycles import NOTE_STEPS, NoteAction, NoteState
from audits.models import Case, CaseItem, ReviewNote
from audits.timeline import lock_member, move, open_to_change, record, refuse, require_role, step
from audits.workflow import Action, CaseRole, State
from tenants.access import get_row
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag

UNDER_REVIEW = frozenset({State.IN_REVIEW, State.CHANGES_REQUESTED})


def raise_note(*, by: Actor, case: Case, text: str, item: CaseItem | None = None) -> ReviewNote:
    """The reviewer's note on an item, or on the work as a whole."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        return _raise(locked, by, text, item)


def _raise(case: Case, by: Actor, text: str, item: CaseItem | None = None) -> ReviewNote:
    require_role(case, by, CaseRole.REVIEWER, "raise review notes")
    if case.state not in UNDER_REVIEW:
        raise refuse(case, by, f"A case that is {case.get_state_display().lower()} is not under review.")
    if item is not None and (item.case_id, item.revision) != (case.pk, case.revision):
        raise refuse(case, by, "This item belongs to another case or an earlier revision.")
    if not text.strip():
        raise ValidationError({"text": "Say what is to be answered."})
    last = ReviewNote.objects.filter(case=case).aggregate(last=Max("number"))["last"]
    note = ReviewNote.objects.create(
        case=case,
        item=item,
        revision=case.revision,
        number=(last or 0) + 1,
        text=text.strip(),
        raised_by_id=person_of(by),
    )
    body = {"review_note": note.number, "item": item.ordinal if item else None}
    record(
        case,
        by,
        Tag.REVIEW_NOTE_RAISED,
        body,
        action="raise",
        to=NoteState.OPEN,
        note=note.text,
        about=note,
    )
    return note


def move_note(
    *, by: Actor, note: ReviewNote, action: NoteAction, text: str = "", version: int | None = None
) -> ReviewNote:
    """Answer, open again, or clear."""
    with tenant_atomic(by.tenant_id):
        case = open_to_change(by, note.case_id)
        parties = auditors_in(case, by)
        row = lock_member(case, note, NOTE_STEPS, lambda _: parties, version)
        if case.state not in UNDER_REVIEW:
            raise refuse(case, by, f"A case that is {case.get_state_display().lower()} is not under review.")
        step(case, by, row, NOTE_STEPS, action, parties, tag=Tag.REVIEW_NOTE_MOVED, text=text)
    return row


def request_changes(*, by: Actor, case: Case, reason: str, version: int | None = None) -> Case:
    """Send the work back with what is to be changed: that becomes a note, to be answered like any other."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        if locked.state == State.IN_REVIEW and reason.strip():
            _raise(locked, by, reason)
        move(locked, by, Action.REQUEST_CHANGES, reason=reason.strip())
    return locked


def notes_in(case: Case, *states: NoteState) -> list[str]:
    """References of the case's notes in these states."""
    rows = case.notes.filter(state__in=states).order_by("number")
    return [row.reference for row in rows]


def get_note(case: Case, pk: uuid.UUID) -> ReviewNote:
    """One note of a case that came through its door, or 404."""
    return get_row(ReviewNote.objects.filter(case=case), pk=pk)
