"""Pages of cases. Each asks one thing of the services and shows what came of it."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audits.access import get_case, person_of, roles_in
from audits.content import case_content, content_sha256
from audits.downloads import RETRY_SECONDS, bundle_response, report_response
from audits.forms import CaseForm, FindingForm, ItemForm, PlanForm, ReasonForm, SampleForm, SignForm
from audits.models import Case, CaseItem, Conclusion
from audits.populations import draw_sample
from audits.presentation import case_head, case_row, item_row, page_url, scope_pairs
from audits.reading import note_read
from audits.replacing import replace_item
from audits.sample_pages import sample_page
from audits.sampling import Method, SamplingError
from audits.selectors import CaseFilter, case_page, items_of
from audits.services import open_case, plan_case, review_item, write_finding
from audits.signing import MEANING_OF, sign_case
from audits.transitions import carry_out
from audits.workflow import Action, CaseRole, NotAllowed
from audits.workspace import decided_item, failed_items, workspace
from tenants.access import Seat, get_row, require
from tenants.actors import Actor
from tenants.factors import has_totp
from traces.selectors import DecisionFilter, FilterError

REPLACE = "replace"  # what the button of an item says that cannot be examined


class CaseRequest(HttpRequest):
    """A request that `TenantMiddleware` has let through."""

    actor: Actor
    seat: Seat


@require_safe
def case_list(request: CaseRequest) -> HttpResponse:
    """Every case this person may see, newest first."""
    wanted = CaseFilter.from_query(request.GET)
    before = request.GET.get("before", "")
    found = case_page(request.actor, wanted, int(before[:9]) if before.isdecimal() else 0)
    query = request.GET.copy()
    query["before"] = str(found.before)
    today, slug = datetime.now(UTC).date(), request.seat.slug
    may_open = request.actor.may("case.create")
    context = {
        "cases": [case_row(slug, case, today) for case in found.cases],
        "newer_url": request.path if before else "",
        "older_url": f"?{query.urlencode()}" if found.before else "",
        "shown": len(found.cases),
        "new_url": reverse("case-create", args=[slug]) if may_open else None,
        "decisions_url": reverse("decision-list", args=[slug]),
    }
    return render(request, "audits/case_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def case_create(request: CaseRequest) -> HttpResponse:
    """Open a case on the filter in the query string, which the form sends back as `query`."""
    require(request.actor, "case.create")
    query = QueryDict(request.POST["query"]) if "query" in request.POST else request.GET
    slug = request.seat.slug
    try:
        scope = DecisionFilter.from_query(query)
    except FilterError as error:
        messages.error(request, str(error))
        return redirect("decision-list", slug)
    form = CaseForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and (case := _opened(request, form, scope)):
        return redirect(page_url(slug, "case-detail", case))
    context = {
        "form": form,
        "scope": scope_pairs(scope.as_dict()),
        "query": query.urlencode(),
        "estimate": None,
        "action_url": request.path,
        "back_url": f"{reverse('decision-list', args=[slug])}?{query.urlencode()}",
    }
    return render(request, "audits/case_form.html", context)


def _opened(request: CaseRequest, form: CaseForm, scope: DecisionFilter) -> Case | None:
    by, data = request.actor, form.cleaned_data
    try:
        case = open_case(by=by, scope=scope, brief=form.brief())
        if form.is_plan:
            people = {"preparer": data["preparer"], "reviewer": data["reviewer"]}
            case = plan_case(by=by, case=case, objective=data["objective"], criteria=data["criteria"], **people)
    except ValidationError as error:
        form.add_error(None, error.messages)
        return None
    return case


@require_safe
def case_detail(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """The workspace: where the case stands, its items, findings, signatures, report and timeline."""
    case = get_case(request.actor, pk)
    note_read(request.actor, case, "items")
    return render(request, "audits/case_detail.html", workspace(request.actor, request.seat.slug, case, request.GET))


@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Who prepares, who reviews, against what."""
    case = get_case(request.actor, pk)
    initial = {"version": case.version, "objective": case.objective, "criteria": case.criteria}
    form = PlanForm(request.POST or None, initial=initial)
    return _step(request, case, form, "Plan the case", lambda data: plan_case(by=request.actor, case=case, **data))


@require_http_methods(["GET", "HEAD", "POST"])
def sample(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """How many items, and drawn how: a method at a time, `?method=`, each with the fields that it needs."""
    case = get_case(request.actor, pk)
    asked = (request.POST or request.GET).get("method", "")
    method = Method(asked) if asked in Method.values else Method.ATTRIBUTE
    form = SampleForm(request.POST or None, method=method, initial={"version": case.version})

    def draw(data: dict[str, Any]) -> object:
        return draw_sample(by=request.actor, case=case, plan=form.plan(), version=data["version"])

    return _step(
        request, case, form, "Draw the sample", draw, template="audits/sample_form.html", more=sample_page(case, method)
    )


def _step(
    request: CaseRequest,
    case: Case,
    form: Form,
    title: str,
    act: Any,
    *,
    template: str = "audits/step_form.html",
    more: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """A page with one form: act on it and go back to the case, or show what was wrong."""
    url, status = page_url(request.seat.slug, "case-detail", case), 200
    if request.method == "POST" and form.is_valid():
        try:
            act(form.cleaned_data)
            return redirect(url)
        except NotAllowed as error:
            form.add_error(None, str(error))
            status = 409
        except SamplingError as error:
            form.add_error(None, str(error))
        except ValidationError as error:
            form.add_error(None, error.messages)
    context = {"form": form, "case": case_head(request.seat.slug, case), "title": title, "action_url": request.path}
    return render(request, template, context | dict(more or {}), status=status)


@require_POST
def move(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """A transition that needs no more than a reason: `action`, `reason`, `version`."""
    case = get_case(request.actor, pk)
    form = ReasonForm(request.POST)
    url = page_url(request.seat.slug, "case-detail", case)
    try:
        action = Action(request.POST.get("action", ""))
        if not form.is_valid():
            raise ValueError(form.errors)
        said = form.cleaned_data
        carry_out(by=request.actor, case=case, action=action, reason=said["reason"], version=said["version"])
    except NotAllowed as error:
        messages.error(request, str(error))
        context = workspace(request.actor, request.seat.slug, get_case(request.actor, pk), request.GET)
        return render(request, "audits/case_detail.html", context, status=409)
    except ValueError:
        messages.error(request, "No such step.")
    return redirect(url)


@require_POST
def item_review(request: CaseRequest, pk: uuid.UUID, item: uuid.UUID) -> HttpResponse:
    """A conclusion on one item; answers its row to htmx."""
    case, slug = get_case(request.actor, pk), request.seat.slug
    row, status, problem = get_row(items_of(case), pk=item), 200, ""
    form, back = ItemForm(request.POST), f"{page_url(slug, 'case-detail', case)}#item-{item}"
    form.is_valid()
    said = form.cleaned_data.get("result", "")
    try:
        _conclude(request.actor, row, said, form.cleaned_data.get("note", ""))
    except NotAllowed as error:
        problem, status = str(error), 409
    except ValidationError as error:
        problem, status = " ".join(error.messages), 422
    if said == REPLACE and not problem:
        return HttpResponse(headers={"HX-Refresh": "true"}) if request.headers.get("HX-Request") else redirect(back)
    if not request.headers.get("HX-Request"):
        if problem:
            messages.error(request, problem)
        return redirect(back)
    is_workable = case.is_workable and CaseRole.PREPARER in roles_in(case, request.actor)
    shown = item_row(slug, case, *decided_item(request.actor, case, item), is_workable=is_workable)
    return render(request, "audits/_case_item_row.html", {"item": shown | {"problem": problem}}, status=status)


def _conclude(by: Actor, item: CaseItem, said: str, note: str) -> None:
    if said == REPLACE:
        replace_item(by=by, item=item, reason=note)
    else:
        review_item(by=by, item=item, conclusion=said, note=note)


@require_http_methods(["GET", "HEAD", "POST"])
def finding_create(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """Write a finding, on one item (`?item=`, its ordinal) or on the case."""
    case, slug = get_case(request.actor, pk), request.seat.slug
    failed = list(items_of(case).filter(conclusion__in=[Conclusion.FAIL, Conclusion.EXCEPTION]))
    initial = {"criteria": case.criteria, "item": request.GET.get("item", "")}
    form = FindingForm(request.POST or None, initial=initial, ordinals=[item.ordinal for item in failed])
    status = 200
    if request.method == "POST" and form.is_valid():
        item = next((row for row in failed if row.ordinal == form.cleaned_data["item"]), None)
        try:
            write_finding(by=request.actor, case=case, text=form.text(), item=item)
            return redirect(page_url(slug, "case-detail", case))
        except NotAllowed as error:
            form.add_error(None, str(error))
            status = 409
    context = {
        "form": form,
        "case": case_head(slug, case),
        "action_url": request.path,
        "items": failed_items(request.actor, slug, case),
    }
    return render(request, "audits/finding_form.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """The signature: what is signed, what it means, and the signer's password again."""
    case, slug = get_case(request.actor, pk), request.seat.slug
    form = SignForm(
        request.POST or None, initial={"version": case.version}, asks_code=has_totp(person_of(request.actor))
    )
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            second = {"totp": form.cleaned_data.pop("totp", "")}
            sign_case(by=request.actor, case=case, second=second, **form.cleaned_data)
            messages.success(request, "Signed.")
            return redirect(page_url(slug, "case-detail", case))
        except NotAllowed as error:
            form.add_error(None, str(error))
            status = 409
        except ValidationError as error:
            form.add_error(None, error)
    roles = roles_in(case, request.actor)
    meaning = MEANING_OF[CaseRole.LEAD if CaseRole.LEAD in roles else CaseRole.APPROVER]
    context = {
        "form": form,
        "case": case_head(slug, case),
        "action_url": request.path,
        "signer": str(request.user),
        "payload_sha256": content_sha256(case_content(case)).hex(),
        "summary": [
            {"label": "Case", "value": str(case)},
            {"label": "Revision", "value": str(case.revision)},
            {"label": "Meaning", "value": meaning.label},
        ],
    }
    return render(request, "audits/sign_form.html", context, status=status)


@require_safe
def report(request: CaseRequest, pk: uuid.UUID) -> HttpResponse:
    """The report (PDF); 202 while a worker builds it."""
    case = get_case(request.actor, pk)
    note_read(request.actor, case, "report")
    try:
        response = report_response(request.actor, case)
    except NotAllowed as error:
        messages.error(request, str(error))
        return redirect(page_url(request.seat.slug, "case-detail", case))
    if response is None:
        response = render(
            request, "audits/report_building.html", {"case": case_head(request.seat.slug, case)}, status=202
        )
        response["Refresh"] = str(RETRY_SECONDS)
    return response


@require_safe
def bundle(request: CaseRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The evidence bundle (zip)."""
    case = get_case(request.actor, pk)
    try:
        return bundle_response(request.actor, case)
    except NotAllowed as error:
        messages.error(request, str(error))
        return redirect(page_url(request.seat.slug, "case-detail", case))
