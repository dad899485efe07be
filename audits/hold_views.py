"""The page of legal holds."""

import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from audits.erasure_forms import HoldForm
from audits.erasure_pages import hold_row
from audits.holds import get_hold, holds, place_hold, release_hold
from audits.models import Hold
from audits.workflow import NotAllowed
from tenants.access import require
from tenants.requests import TenantRequest


@require_http_methods(["GET", "HEAD", "POST"])
def hold_list(request: TenantRequest) -> HttpResponse:
    """Live holds, then released ones; whoever may places another beside them."""
    by, slug = request.actor, request.seat.slug
    require(by, "hold.place" if request.method == "POST" else "hold.read")
    form = HoldForm(request.POST or None, initial=request.GET.dict()) if by.may("hold.place") else None
    if request.method == "POST" and form is not None and form.is_valid() and (row := _placed(request, form)):
        messages.success(request, f"{row.reference} holds from now on.")
        return redirect("hold-list", slug)
    context = {"form": form, "holds": [hold_row(by, slug, row) for row in holds(by)]}
    return render(request, "audits/hold_list.html", context, status=422 if form is not None and form.errors else 200)


def _placed(request: TenantRequest, form: HoldForm) -> Hold | None:
    try:
        return place_hold(by=request.actor, text=form.text())
    except Http404 as error:
        form.add_error("about", str(error))
    except ValidationError as error:
        form.add_error(None, error)
    return None


@require_POST
def hold_release(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Ended, with a reason, by somebody other than who placed it."""
    require(request.actor, "hold.release")
    row = get_hold(request.actor, pk)
    try:
        release_hold(by=request.actor, hold=row, reason=request.POST.get("reason", ""))
        messages.success(request, f"{row.reference} is released.")
    except NotAllowed as error:
        messages.error(request, str(error))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("hold-list", request.seat.slug)
