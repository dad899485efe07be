"""Letters of explanation as pages: the tab of a case, one letter with its words, the PDF."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audits.access import get_case
from audits.casework_forms import StepForm
from audits.explaining import PARTS, LetterText
from audits.letter_forms import LetterForm, NewLetterForm
from audits.letters import (
    approve_letter,
    draft_letter,
    edit_letter,
    get_letter,
    history_of,
    letter_pdf,
    letters_of,
    may_draft,
    open_steps,
    read_letter,
    require_words,
    send_letter,
    withdraw_letter,
)
from audits.lifecycles import LETTER_STEPS, LetterAction
from audits.models import Case, Letter
from audits.presentation import event_entry, page_url
from audits.reading import note_read, reader_in
from audits.selectors import items_of
from audits.steps import step_forms
from audits.tabs import frame, now_utc
from audits.views import CaseRequest
from audits.workflow import NotAllowed
from tenants.access import get_row

Extra = dict[str, Any]


@require_http_methods(["GET", "HEAD", "POST"])
def letters(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """The letters of a case; posting an item's number drafts one."""
    case = get_case(request.actor, pk)
    form = NewLetterForm(request.POST or None)
    if request.method != "POST":
        note_read(request.actor, case, "letters")
        return _letters(request, case, NewLetterForm())
    require_words(request.actor, case)
    status = 422
    if form.is_valid():
        try:
            item = items_of(case).filter(ordinal=form.cleaned_data["item"]).select_related("decision__deployment")
            row = draft_letter(by=request.actor, case=case, item=get_row(item))
            return redirect(page_url(request.seat.slug, "case-letter", case, row.number))
        except NotAllowed as error:
            form.add_error(None, str(error))
            status = 409
        except ValidationError as error:
            form.add_error(None, error.messages)
    return _letters(request, case, form, status)


def _letters(request: CaseRequest, case: Case, form: Form, status: int = 200) -> HttpResponse:
    actor, slug = request.actor, request.seat.slug
    may_read = reader_in(case, actor).may("decision.read_payload")
    context = frame(actor, slug, case, "letters", now_utc()) | {
        "letters": [_line(slug, case, row, may_read=may_read) for row in letters_of(case)],
        "letter_form": form if may_read and may_draft(case, actor) else None,
        "letter_url": page_url(slug, "case-letters", case),
    }
    return render(request, "audits/case_letters.html", context, status=status)


def _line(slug: str, case: Case, row: Letter, *, may_read: bool) -> Extra:
    return {
        "number": row.reference,
        "url": page_url(slug, "case-letter", case, row.number) if may_read else "",
        "item": row.item.ordinal,
        "state": row.state,
        "state_label": row.get_state_display(),
        "written_by": str(row.written_by),
        "written_at": row.written_at,
        "approved_by": str(row.approved_by or ""),
        "approved_at": row.approved_at,
        "sent_at": row.sent_at,
    }


@require_http_methods(["GET", "HEAD", "POST"])
def letter(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """One letter: its words, and for its writers the form to mend them."""
    case = get_case(request.actor, pk)
    require_words(request.actor, case)
    row = get_letter(request.actor, case, number)
    form = LetterForm(request.POST) if request.method == "POST" else None
    if form is None or not form.is_valid():
        return _letter(request, case, row, form, 422 if form else 200)
    try:
        edit_letter(by=request.actor, letter=row, said=form.said(), version=form.cleaned_data["version"])
    except NotAllowed as error:
        form.add_error(None, str(error))
        return _letter(request, case, row, form, 409)
    messages.success(request, "Saved.")
    return redirect(request.path)


def _letter(request: CaseRequest, case: Case, row: Letter, form: LetterForm | None, status: int = 200) -> HttpResponse:
    actor, slug = request.actor, request.seat.slug
    text, may = read_letter(by=actor, letter=row), open_steps(case, actor, row)
    url = page_url(slug, "case-letter-step", case, row.number)
    if text and LetterAction.EDIT in may and form is None:
        form = LetterForm.of(text, row.version)
    context = frame(actor, slug, case, "letters", now_utc()) | {
        "letter": _line(slug, case, row, may_read=True),
        "form": form if LetterAction.EDIT in may else None,
        "parts": _parts(text) if text else [],
        "pdf_url": page_url(slug, "case-letter-pdf", case, row.number) if text else "",
        "letter_steps": step_forms(url, may, LETTER_STEPS, row.version),
        "lacking": text.lacking if text else (),
        "events": [event_entry(event) for event in history_of(row)],
    }
    return render(request, "audits/letter_detail.html", context, status=status)


def _parts(text: LetterText) -> list[Extra]:
    titles = (("recipient", "To"), *PARTS, ("contact", "Where to write"))
    return [{"title": title, "text": getattr(text, name)} for name, title in titles]


@require_POST
def letter_step(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """Approve, send or withdraw."""
    case = get_case(request.actor, pk)
    require_words(request.actor, case)
    row, form = get_letter(request.actor, case, number), StepForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError("No such step.")
        _move(request, row, form.cleaned_data)
    except NotAllowed as error:
        messages.error(request, str(error))
        return _letter(request, case, get_letter(request.actor, case, number), None, 409)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return _letter(request, case, get_letter(request.actor, case, number), None, 422)
    return redirect(page_url(request.seat.slug, "case-letter", case, number))


def _move(request: CaseRequest, row: Letter, said: Extra) -> None:
    by, version, text = request.actor, said["version"], said["text"]
    match said["action"]:
        case LetterAction.APPROVE:
            approve_letter(by=by, letter=row, version=version)
        case LetterAction.SEND:
            send_letter(by=by, letter=row, how=text, version=version)
        case LetterAction.WITHDRAW:
            withdraw_letter(by=by, letter=row, why=text, version=version)
        case _:
            raise ValidationError("No such step.")


@require_safe
def letter_file(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """The letter as PDF: as it was approved, or a draft that says that it is one."""
    case = get_case(request.actor, pk)
    require_words(request.actor, case)
    row = get_letter(request.actor, case, number)
    pdf = letter_pdf(by=request.actor, letter=row)
    if pdf is None:
        return HttpResponse("This letter was erased.", status=410, content_type="text/plain")
    name = f"{case.reference}-{row.reference}{'' if row.approved_at else '-draft'}.pdf"
    headers = {
        "Content-Disposition": content_disposition_header(True, name) or "attachment",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(pdf, content_type="application/pdf", headers=headers)
