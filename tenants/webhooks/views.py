"""Pages of endpoints: who is told of what, and what came of it."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from tenants.access import require
from tenants.models import WebhookEndpoint
from tenants.requests import TenantRequest
from tenants.webhooks import presentation, selectors, services
from tenants.webhooks.forms import ChangeForm, EndpointForm
from tenants.webhooks.services import PERMISSION, NewSecret


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_list(request: TenantRequest) -> HttpResponse:
    """Every endpoint, and a form to make one."""
    require(request.actor, PERMISSION)
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return _page(request, services.create_endpoint(by=request.actor, terms=form.terms()))
        except ValidationError as refused:
            add_errors(form, refused)
    endpoints = selectors.list_endpoints(request.actor)
    counts, slug = selectors.waiting_counts(endpoints), request.seat.slug
    rows = [presentation.endpoint_row(slug, row, counts.get(row.pk, 0)) for row in endpoints]
    return render(request, "tenants/webhook_list.html", {"endpoints": rows, "form": form})


def add_errors(form: Form, refused: ValidationError) -> None:
    """The service's reasons, at their fields; a field that the form does not have is everybody's."""
    by_field = refused.message_dict if hasattr(refused, "error_dict") else {"": refused.messages}
    for name, problems in by_field.items():
        form.add_error(name if name in form.fields else None, list(problems))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_detail(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """One endpoint: what was sent, what was answered, and a form to change it."""
    row = selectors.get_endpoint(request.actor, pk)
    initial = {"name": row.name, "event_types": row.event_types}
    form = ChangeForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_endpoint(by=request.actor, pk=pk, terms=form.terms())
            messages.success(request, "Changed; the ledger has what it was.")
            return redirect("webhook-detail", request.seat.slug, pk)
        except ValidationError as refused:
            add_errors(form, refused)
    return _page(request, NewSecret(row, ""), form)


def _page(request: TenantRequest, made: NewSecret, form: Form | None = None) -> HttpResponse:
    """The endpoint's page. A new secret is in this answer only, so that no redirect has to carry it."""
    row, text = made.row, request.GET.get("before", "")
    before = _uuid(text)
    found = selectors.list_deliveries(row, before=before)
    context = presentation.endpoint_page(request.seat.slug, row, found, str(before or ""), datetime.now(UTC))
    context |= {"form": form or ChangeForm(initial={"name": row.name, "event_types": row.event_types})}
    return render(request, "tenants/webhook_detail.html", context | {"secret": made.secret})


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _act(request: TenantRequest, pk: uuid.UUID, done: str, act: Callable[[], Any]) -> HttpResponse:
    selectors.get_endpoint(request.actor, pk)
    try:
        act()
        messages.success(request, done)
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
    return redirect("webhook-detail", request.seat.slug, pk)


@require_POST
def webhook_ping(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Send a test."""
    return _act(
        request, pk, "A test is on its way: reload in some seconds to see what was answered.",
        lambda: services.ping_endpoint(by=request.actor, pk=pk),
    )  # fmt: skip


@never_cache
@require_POST
def webhook_rotate(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """A new secret; the old one signs too for a day."""
    selectors.get_endpoint(request.actor, pk)
    try:
        return _page(request, services.rotate_secret(by=request.actor, pk=pk))
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
        return redirect("webhook-detail", request.seat.slug, pk)


@require_POST
def webhook_enable(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Tell it again."""
    return _act(request, pk, "It is told again.", lambda: services.enable_endpoint(by=request.actor, pk=pk))


@require_POST
def webhook_disable(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Tell it nothing for now."""
    reason = request.POST.get("reason", "")
    return _act(
        request, pk, "It is told nothing for now.",
        lambda: services.disable_endpoint(by=request.actor, pk=pk, reason=reason),
    )  # fmt: skip


@require_POST
def webhook_remove(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Take it away."""
    row: WebhookEndpoint = selectors.get_endpoint(request.actor, pk)
    services.remove_endpoint(by=request.actor, pk=pk)
    messages.success(request, f"“{row.name}” is gone, with the log of what it was sent.")
    return redirect("webhook-list", request.seat.slug)


@require_POST
def webhook_resend(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Send a delivery again, now."""
    delivery = selectors.get_delivery(request.actor, pk)
    return _act(
        request, delivery.endpoint_id, "It is sent again, under the same id.",
        lambda: services.resend(by=request.actor, pk=pk),
    )  # fmt: skip
