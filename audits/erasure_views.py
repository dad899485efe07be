"""Pages of erasure requests. Each asks one thing of the services and shows what came of it."""

import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audits.erasure_files import certificate_file
from audits.erasure_forms import ApprovalForm, ErasureForm
from audits.erasure_pages import erasure_page, erasure_row
from audits.erasures import (
    UnknownSubject,
    approve_erasure,
    erasures,
    get_erasure,
    reject_erasure,
    request_erasure,
)
from audits.models import Erasure
from audits.workflow import NotAllowed
from tenants.access import require
from tenants.factors import has_totp
from tenants.requests import TenantRequest


@require_http_methods(["GET", "HEAD", "POST"])
def erasure_list(request: TenantRequest) -> HttpResponse:
    """The newest requests; whoever may asks for another beside them."""
    by, slug = request.actor, request.seat.slug
    require(by, "erasure.request" if request.method == "POST" else "erasure.read")
    form = ErasureForm(request.POST or None) if by.may("erasure.request") else None
    if request.method == "POST" and form is not None and form.is_valid() and (row := _requested(request, form)):
        messages.success(request, f"{row.reference} waits for somebody else's approval.")
        return redirect("erasure-detail", slug, row.pk)
    context = {"form": form, "erasures": [erasure_row(slug, row) for row in erasures(by)]}
    status = 422 if form is not None and form.errors else 200
    return render(request, "audits/erasure_list.html", context, status=status)


def _requested(request: TenantRequest, form: ErasureForm) -> Erasure | None:
    try:
        return request_erasure(by=request.actor, plea=form.plea())
    except UnknownSubject as error:
        form.add_error("subject", f"{error} Check the spelling: nothing was erased.")
    except NotAllowed as error:
        form.add_error(None, str(error))
    except ValidationError as error:
        form.add_error(None, error)
    return None


@require_safe
def erasure_detail(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Where a request stands, and what was erased under it."""
    row = get_erasure(request.actor, pk)
    return _page(request, row, ApprovalForm(asks_code=has_totp(request.user)))


def _page(request: TenantRequest, row: Erasure, form: ApprovalForm, status: int = 200) -> HttpResponse:
    context = erasure_page(request.actor, request.seat.slug, row) | {"form": form}
    response = render(request, "audits/erasure_detail.html", context, status=status)
    if context["is_moving"]:
        response["Refresh"] = "5"
    return response


@require_POST
def approve(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """The second person's word; a worker begins."""
    require(request.actor, "erasure.approve")
    row, form = get_erasure(request.actor, pk), ApprovalForm(request.POST, asks_code=has_totp(request.user))
    if form.is_valid():
        try:
            second = {"totp": form.cleaned_data.pop("totp", "")}
            approve_erasure(by=request.actor, erasure=row, second=second, **form.cleaned_data)
            messages.success(request, "Approved. It begins now.")
            return redirect("erasure-detail", request.seat.slug, pk)
        except NotAllowed as error:
            form.add_error(None, str(error))
        except ValidationError as error:
            form.add_error(None, error)
    return _page(request, row, form, status=422)


@require_POST
def reject(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Turned down, with a reason."""
    require(request.actor, "erasure.approve")
    row = get_erasure(request.actor, pk)
    try:
        reject_erasure(by=request.actor, erasure=row, reason=request.POST.get("reason", ""))
    except NotAllowed as error:
        messages.error(request, str(error))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("erasure-detail", request.seat.slug, pk)


@require_safe
def certificate(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """The signed certificate, as a file."""
    row = get_erasure(request.actor, pk)
    try:
        data = certificate_file(row)
    except NotAllowed as error:
        messages.error(request, str(error))
        return redirect("erasure-detail", request.seat.slug, pk)
    headers = {"Content-Disposition": f'attachment; filename="{row.reference}-certificate.json"'}
    return HttpResponse(data, content_type="application/json", headers=headers)
