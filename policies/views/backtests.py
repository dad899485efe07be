"""Asking for a backtest, and its report."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from policies import presentation
from policies.backtests import cancel_backtest, start_backtest
from policies.forms import BacktestForm
from policies.models import PolicyBacktest
from policies.selectors import get_version
from tenants.access import get_row, require
from tenants.requests import TenantRequest

WINDOWS = (7, 30, 90)
"""Days that the form offers as a window that ends now."""


@require_http_methods(["GET", "HEAD", "POST"])
def backtest_new(request: TenantRequest, policy: str, number: int) -> HttpResponse:
    """Choose the window and start."""
    actor, slug = request.actor, request.seat.slug
    require(actor, "policy.backtest")
    version = get_version(policy, number)
    now = datetime.now(UTC).replace(microsecond=0)
    days = next((days for days in WINDOWS if str(days) == request.GET.get("days")), 30)
    form = BacktestForm(request.POST or None, initial={"since": now - timedelta(days=days), "until": now})
    if request.method == "POST" and form.is_valid():
        try:
            backtest = start_backtest(by=actor, version=version, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect("backtest-detail", slug, backtest.pk)
    url = f"{reverse('policy-detail', args=[slug, policy])}?version={number}"
    windows = [{"label": f"Last {n} days", "url": f"?days={n}", "active": n == days} for n in WINDOWS]
    context = {"form": form, "policy": version.policy, "version": version, "detail_url": url, "windows": windows}
    return render(request, "policies/backtest_form.html", context)


@require_safe
def backtest_detail(request: TenantRequest, backtest: uuid.UUID) -> HttpResponse:
    """The report, or how far it is; a running one asks again by itself."""
    require(request.actor, "policy.read")
    row = get_row(PolicyBacktest.objects.select_related("version__policy", "requested_by"), pk=backtest)
    context = _context(request, row)
    template = "policies/_backtest.html" if request.headers.get("HX-Request") else "policies/backtest_detail.html"
    return render(request, template, context)


def _context(request: TenantRequest, row: PolicyBacktest) -> dict[str, Any]:
    actor, slug = request.actor, request.seat.slug
    detail = reverse("policy-detail", args=[slug, row.version.policy.slug])
    entry = presentation.backtest_entry(row)
    may_cancel = entry["is_running"] and actor.may("policy.backtest")
    return {
        "backtest": entry,
        "report": presentation.backtest_report(row),
        "policy": row.version.policy,
        "version": row.version,
        "detail_url": f"{detail}?version={row.version.number}",
        "again_url": reverse("backtest-new", args=[slug, row.version.policy.slug, row.version.number])
        if actor.may("policy.backtest")
        else None,
        "poll_url": request.path if entry["is_running"] else None,
        "cancel_url": reverse("backtest-cancel", args=[slug, row.pk]) if may_cancel else None,
    }


@require_POST
def backtest_cancel(request: TenantRequest, backtest: uuid.UUID) -> HttpResponse:
    """Stop a running one."""
    actor, slug = request.actor, request.seat.slug
    require(actor, "policy.backtest")
    row = get_row(PolicyBacktest.objects.all(), pk=backtest)
    try:
        cancel_backtest(by=actor, backtest=row)
        messages.success(request, "Cancelled.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("backtest-detail", slug, row.pk)
