"""Pages of behaviour: what was noticed, and one change with everything that speaks for and against its causes."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from tenants.access import require
from tenants.requests import TenantRequest
from traces.drift import presentation, services
from traces.drift.selectors import get_alert, list_alerts, list_watched
from traces.models import Decision
from traces.selectors import FilterError, open_payloads, parse_moment

MUTED_FOR = timedelta(days=7)


@require_safe
def drift_list(request: TenantRequest) -> HttpResponse:
    """Alerts, the newest first, and what is watched."""
    actor, slug = request.actor, request.seat.slug
    require(actor, "decision.read")
    try:
        before = parse_moment("before", request.GET["before"]) if request.GET.get("before") else None
    except FilterError:
        before = None
    found = list_alerts(before=before)
    url = reverse("drift-list", args=[slug])
    context = {
        "alerts": [presentation.alert_row(one, slug) for one in found],
        "watched": list_watched(),
        "older_url": presentation.older_url(url, found),
        "newer_url": url if before else "",
        "shown": len(found),
    }
    return render(request, "traces/drift_list.html", context)


@require_safe
def drift_detail(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """One change: what, when, why, and the words of both sides."""
    actor, slug = request.actor, request.seat.slug
    shown = get_alert(actor, pk)
    ids = presentation.example_ids(shown)
    decisions = list(Decision.objects.filter(pk__in=ids))
    contents = {}
    if decisions and actor.may("decision.read_payload"):
        contents = open_payloads(decisions, by=actor, purpose="drift alert")
    context: dict[str, Any] = presentation.alert_page(shown, slug, contents)
    if actor.may("drift.manage"):
        names = ("acknowledge", "mute", "expect")
        context |= {f"{name}_url": reverse(f"drift-{name}", args=[slug, pk]) for name in names}
    if actor.may("case.create"):
        context["case_url"] = reverse("case-from-alert", args=[slug, pk])
    return render(request, "traces/drift_detail.html", context)


def _act(request: TenantRequest, pk: uuid.UUID, done: str, act: Callable[[str], Any]) -> HttpResponse:
    require(request.actor, "drift.manage")
    get_alert(request.actor, pk)  # a foreign one is as absent as a missing one, whatever else was sent
    try:
        act(request.POST.get("reason", ""))
        messages.success(request, done)
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
    return redirect("drift-detail", request.seat.slug, pk)


@require_POST
def drift_acknowledge(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Somebody is on it."""
    actor = request.actor
    return _act(request, pk, "Acknowledged.", lambda note: services.acknowledge_alert(by=actor, alert_id=pk, note=note))


@require_POST
def drift_mute(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Tell nobody of the same for a week."""
    actor, until = request.actor, datetime.now(UTC) + MUTED_FOR
    return _act(
        request,
        pk,
        "Nobody is told of the same for a week.",
        lambda note: services.mute_alert(by=actor, alert_id=pk, until=until, note=note),
    )


@require_POST
def drift_expect(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """It was meant: the new is normal."""
    actor = request.actor
    return _act(
        request, pk, "What came after the change is normal from now on.",
        lambda note: services.expect_change(by=actor, alert_id=pk, note=note),
    )  # fmt: skip
