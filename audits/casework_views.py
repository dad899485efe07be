"""The tabs of a case and what is done in them. Each acts through one service and shows the tab again."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST, require_safe

from audits.access import get_case
from audits.casework_forms import (
    ClockForm,
    CommentForm,
    FileForm,
    GrantForm,
    NoteForm,
    ProcedureForm,
    RequestForm,
    StepForm,
    TestForm,
)
from audits.clocks import extend_clock, meet_clock, start_clock
from audits.deadlines import ClockKind
from audits.downloads import bundle_response, evidence_response, kept_report
from audits.evidence import add_evidence, files_of, get_file, place_in
from audits.findings import move_finding
from audits.lifecycles import FindingAction, NoteAction, RequestAction
from audits.models import Case, CaseItem
from audits.notes import move_note, raise_note
from audits.presentation import page_url
from audits.procedures import perform_test, procedures_of, write_procedure
from audits.reading import note_read, readings_of_case, readings_of_decision
from audits.requests import move_request, request_evidence
from audits.revisions import as_of, revision_page
from audits.selectors import items_of
from audits.services import comment_on_case, grant_case_access, revoke_case_access
from audits.tabs import (
    access_tab,
    evidence_tab,
    findings_tab,
    frame,
    now_utc,
    procedures_tab,
    review_tab,
    timeline_tab,
)
from audits.transferring import transfer_finding
from audits.views import CaseRequest
from audits.workflow import NotAllowed
from tenants.access import get_row, require
from tenants.models import User
from traces.selectors import get_decision

Extra = dict[str, Any]


def _tab(request: CaseRequest, case: Case, tab: str, extra: Extra, status: int = 200) -> HttpResponse:
    actor, slug, now = request.actor, request.seat.slug, now_utc()
    context = frame(actor, slug, case, tab, now) | CONTEXTS[tab](request, case, extra) | extra
    return render(request, f"audits/case_{tab}.html", context, status=status)


def _findings(request: CaseRequest, case: Case, extra: Extra) -> Extra:
    return findings_tab(request.actor, request.seat.slug, case, now_utc().date())


def _evidence(request: CaseRequest, case: Case, extra: Extra) -> Extra:
    context = evidence_tab(request.actor, request.seat.slug, case, now_utc().date())
    request_form = RequestForm(prefix="request") if context["request_url"] else None
    file_form = FileForm(choices=_file_choices(case)) if context["file_url"] else None
    return context | {"request_form": request_form, "file_form": file_form}


def _file_choices(case: Case) -> dict[str, list[tuple[int, str]]]:
    files = [file for file in files_of(case) if not file.superseded_by.all()]
    return {
        "request": [(row.number, f"{row.reference} {row.title}") for row in case.requests.order_by("number")],
        "finding": [(row.number, f"{row.reference} {row.condition[:60]}") for row in case.findings.order_by("number")],
        "supersedes": [(row.number, f"{row.reference} {row.name}") for row in files],
    }


def _review(request: CaseRequest, case: Case, extra: Extra) -> Extra:
    context = review_tab(request.actor, request.seat.slug, case)
    return context | {"note_form": NoteForm() if context["note_url"] else None}


def _procedures(request: CaseRequest, case: Case, extra: Extra) -> Extra:
    after = request.GET.get("after", "")
    context = procedures_tab(request.actor, request.seat.slug, case, int(after[:9]) if after.isdecimal() else 0)
    return context | {"procedure_form": ProcedureForm() if context["procedure_url"] else None}


def _timeline(request: CaseRequest, case: Case, extra: Extra) -> Extra:
    context = timeline_tab(request.actor, case, _before(request))
    slug, running = request.seat.slug, set(case.clocks.values_list("kind", flat=True))
    return context | {
        "comment_form": CommentForm() if context["may_comment"] else None,
        "comment_url": page_url(slug, "case-comment", case),
        "clock_kinds": [(value, label) for value, label in ClockKind.choices if value not in running],
        "clock_url": page_url(slug, "case-clock", case) if context["may_start"] else None,
    }


def _access(request: CaseRequest, case: Case, extra: Extra) -> Extra:
    context = access_tab(request.actor, request.seat.slug, case, now_utc())
    found = readings_of_case(request.actor, case, uuid.UUID(before) if (before := _before(request)) else None)
    form = GrantForm() if context["grant_url"] else None
    return context | {"readings": found.readings, "older_url": _older(found.before), "grant_form": form}


def _before(request: CaseRequest) -> str:
    """The cursor in the address, where it is one."""
    try:
        return str(uuid.UUID(request.GET.get("before", "")))
    except ValueError:
        return ""


def _older(before: uuid.UUID | None) -> str:
    return f"?before={before}" if before else ""


CONTEXTS: dict[str, Callable[[CaseRequest, Case, Extra], Extra]] = {
    "findings": _findings,
    "evidence": _evidence,
    "review": _review,
    "procedures": _procedures,
    "timeline": _timeline,
    "access": _access,
}


def _show(tab: str) -> Callable[..., HttpResponse]:
    """The page of a tab; a guest's look at it is recorded."""

    @require_safe
    def show(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
        case = get_case(request.actor, pk)
        note_read(request.actor, case, tab)
        return _tab(request, case, tab, {})

    return show


findings, evidence, review, procedures, timeline = map(
    _show, ("findings", "evidence", "review", "procedures", "timeline")
)


@require_safe
def access(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Who is let in, and who read what."""
    case = get_case(request.actor, pk)
    require(request.actor, "activity.read")
    return _tab(request, case, "access", {})


def _act(
    request: CaseRequest, pk: uuid.UUID, tab: str, form: Form, name: str, act: Callable[[Case, Extra], object]
) -> HttpResponse:
    """Act on a valid form and go back to the tab; else show the tab with what was wrong (409: not now; 422: not so)."""
    case, status = get_case(request.actor, pk), 422
    if form.is_valid():
        try:
            act(case, form.cleaned_data)
            return redirect(page_url(request.seat.slug, f"case-{tab}", case))
        except NotAllowed as error:
            form.add_error(None, str(error))
            status = 409
        except ValidationError as error:
            form.add_error(None, error.messages)
    if not name:
        for errors in form.errors.values():
            messages.error(request, " ".join(map(str, errors)))
    return _tab(request, get_case(request.actor, pk), tab, {name: form} if name else {}, status)


def _item(case: Case, ordinal: int | None) -> CaseItem | None:
    """The item of that number in the sample; `ValidationError` for a number that is none."""
    if ordinal is None:
        return None
    item = items_of(case).filter(ordinal=ordinal).first()
    if item is None:
        raise ValidationError({"item": f"There is no item {ordinal}."})
    return item


@require_POST
def request_create(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask for evidence."""
    form = RequestForm(request.POST, prefix="request")

    def act(case: Case, data: Extra) -> object:
        item = _item(case, data["item"])
        return request_evidence(by=request.actor, case=case, text=form.text(), addressee=data["addressee"], item=item)

    return _act(request, pk, "evidence", form, "request_form", act)


@require_POST
def request_step(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """Submit, accept, return or withdraw a request."""

    def act(case: Case, data: Extra) -> object:
        row = get_row(case.requests.all(), number=number)
        action = _action(RequestAction, data["action"])
        return move_request(by=request.actor, request=row, action=action, text=data["text"], version=data["version"])

    return _act(request, pk, "evidence", StepForm(request.POST), "", act)


def _action(kind: Any, text: str) -> Any:
    """The step that a button names."""
    try:
        return kind(text)
    except ValueError:
        raise ValidationError("No such step.") from None


@require_POST
def file_add(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Hand in a file."""
    form = FileForm(request.POST, request.FILES, choices=_file_choices(get_case(request.actor, pk)))

    def act(case: Case, data: Extra) -> object:
        numbers = {name: data.get(name) for name in ("request", "item", "finding", "supersedes")}
        return add_evidence(by=request.actor, case=case, upload=form.upload(), place=place_in(case, **numbers))

    return _act(request, pk, "evidence", form, "file_form", act)


@require_GET
def file_download(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """A file as it was handed in: an attachment, of the type its bytes have, that no browser runs or guesses about."""
    case = get_case(request.actor, pk)
    return evidence_response(request.actor, case, get_file(request.actor, case, number))


@require_POST
def finding_step(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """One step in the life of a finding."""
    form = StepForm(request.POST)

    def act(case: Case, data: Extra) -> object:
        row = get_row(case.findings.all(), number=number)
        action = _action(FindingAction, data["action"])
        if action == FindingAction.TRANSFER and data["case"]:
            to = get_case(request.actor, data["case"])
            said = {"reason": data["text"], "version": data["version"]}
            return transfer_finding(by=request.actor, finding=row, to=to, **said)
        said = {"text": data["text"], "terms": form.terms(), "version": data["version"]}
        return move_finding(by=request.actor, finding=row, action=action, **said)

    return _act(request, pk, "findings", form, "", act)


@require_POST
def note_create(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Raise a review note."""

    def act(case: Case, data: Extra) -> object:
        return raise_note(by=request.actor, case=case, text=data["text"], item=_item(case, data["item"]))

    return _act(request, pk, "review", NoteForm(request.POST), "note_form", act)


@require_POST
def note_step(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """Answer, open again or clear a review note."""

    def act(case: Case, data: Extra) -> object:
        row = get_row(case.notes.all(), number=number)
        action = _action(NoteAction, data["action"])
        return move_note(by=request.actor, note=row, action=action, text=data["text"], version=data["version"])

    return _act(request, pk, "review", StepForm(request.POST), "", act)


@require_POST
def procedure_create(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Write a procedure."""

    def act(case: Case, data: Extra) -> object:
        return write_procedure(by=request.actor, case=case, **data)

    return _act(request, pk, "procedures", ProcedureForm(request.POST), "procedure_form", act)


@require_POST
def procedure_test(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """What a procedure found on one item."""

    def act(case: Case, data: Extra) -> object:
        procedure, item = get_row(procedures_of(case), number=number), _item(case, data["item"])
        if item is None:
            raise ValidationError({"item": "Say which item."})
        result, actual = data["result"], data["actual"]
        return perform_test(by=request.actor, procedure=procedure, item=item, result=result, actual=actual)

    return _act(request, pk, "procedures", TestForm(request.POST), "", act)


@require_POST
def comment(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """A remark in the timeline."""

    def act(case: Case, data: Extra) -> object:
        comment_on_case(by=request.actor, case=case, text=data["text"])
        return None

    return _act(request, pk, "timeline", CommentForm(request.POST), "comment_form", act)


@require_POST
def grant(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Let somebody in, for a while."""
    require(request.actor, "activity.read")
    form = GrantForm(request.POST)

    def act(case: Case, data: Extra) -> object:
        said = {"permissions": data["permissions"], "expires_at": form.expires_at()}
        return grant_case_access(by=request.actor, case=case, user=_member(data["email"]), **said)

    return _act(request, pk, "access", form, "grant_form", act)


@require_POST
def revoke(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """End somebody's access now."""
    require(request.actor, "activity.read")
    form = CommentForm({"text": request.POST.get("email", "")})

    def act(case: Case, data: Extra) -> object:
        return revoke_case_access(by=request.actor, case=case, user=_member(data["text"]))

    return _act(request, pk, "access", form, "", act)


def _member(email: str) -> User:
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        raise ValidationError({"email": "No member of your organisation has this address."})
    return user


@require_POST
def clock(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Start, extend or meet a statutory clock."""

    def act(case: Case, data: Extra) -> object:
        by, kind, text = request.actor, ClockKind(data["kind"]), data["text"]
        if data["action"] == "start":
            return start_clock(by=by, case=case, kind=kind, started_at=data["started_at"] or now_utc())
        if data["action"] == "extend":
            return extend_clock(by=by, case=case, kind=kind, reason=text)
        return meet_clock(by=by, case=case, kind=kind, how=text)

    return _act(request, pk, "timeline", ClockForm(request.POST), "", act)


@require_safe
def decision_reads(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Who opened the content of a record, when, and what for."""
    require(request.actor, "activity.read")
    decision = get_decision(request.actor, pk)
    before = _before(request)
    found = readings_of_decision(request.actor, decision, uuid.UUID(before) if before else None)
    context = {"decision": decision, "readings": found.readings, "older_url": _older(found.before)}
    return render(request, "audits/decision_reads.html", context)


@require_safe
def revision(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """A signed revision as it was: who signed it, its findings, report and bundle."""
    case = get_case(request.actor, pk)
    note_read(request.actor, case, f"revision {number}")
    then = as_of(case, number)
    slug = request.seat.slug
    context = frame(request.actor, slug, case, "", now_utc()) | revision_page(slug, then)
    return render(request, "audits/case_revision.html", context)


@require_safe
def revision_report(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """The report of a signed revision: the same bytes for ever."""
    case = get_case(request.actor, pk)
    note_read(request.actor, case, f"report of revision {number}")
    return kept_report(as_of(case, number))


@require_safe
def revision_bundle(request: CaseRequest, pk: uuid.UUID, number: int) -> HttpResponseBase:
    """The evidence bundle of a signed revision."""
    case = get_case(request.actor, pk)
    try:
        return bundle_response(request.actor, as_of(case, number))
    except NotAllowed as error:
        messages.error(request, str(error))
        return redirect(page_url(request.seat.slug, "case-revision", case, number))
