"""The page of retention: the rules, what they would let go today, and the receipts of what went."""

from datetime import UTC, datetime

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from audits.erasure_forms import RetentionForm
from audits.erasure_pages import class_row, preview_row, purge_row
from audits.retention import previews, purges, set_retention
from audits.retention_classes import AS_OF, CLASSES
from tenants.access import require
from tenants.requests import TenantRequest


@require_http_methods(["GET", "HEAD", "POST"])
def retention(request: TenantRequest) -> HttpResponse:
    """How long content is kept; an owner sets it. A look at the page touches nothing."""
    by = request.actor
    require(by, "retention.manage" if request.method == "POST" else "retention.read")
    form = RetentionForm(request.POST or None) if by.may("retention.manage") else None
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            rule = set_retention(by=by, **form.cleaned_data)
            messages.success(request, f"Kept for {rule.keep_days} days: {rule}.")
            return redirect("retention", request.seat.slug)
        except ValidationError as error:
            form.add_error(None, error)
    context = {
        "form": form,
        "rules": [preview_row(preview) for preview in previews(by, datetime.now(UTC))],
        "purges": [purge_row(run) for run in purges()],
        "classes": [class_row(one) for one in CLASSES.values()],
        "as_of": AS_OF,
    }
    return render(request, "audits/retention.html", context, status=422 if form is not None and form.errors else 200)
