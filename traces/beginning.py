"""The first record of an organisation: what to paste to send it, and the page's word that it has come."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from tenants.access import require
from tenants.requests import TenantRequest
from traces.models import Decision

LATEST = 6


def getting_started(request: TenantRequest) -> dict[str, Any]:
    """Context of `_getting_started.html`: absolute addresses to paste, where keys are made, what is asked meanwhile."""
    actor, slug = request.actor, request.seat.slug
    return {
        "getting_started": True,
        "ingest_url": request.build_absolute_uri(reverse("api-decisions")),
        "otlp_url": request.build_absolute_uri(reverse("api-otlp-traces")),
        "keys_url": reverse("api-key-list", args=[slug]) if actor.may("key.manage") else None,
        "poll_url": reverse("first-record", args=[slug]),
    }


@require_safe
def first_record(request: TenantRequest) -> HttpResponse:
    """The line under the first steps, asked every few seconds: nothing yet, or the record that came."""
    require(request.actor, "decision.read")
    slug = request.seat.slug
    context = {"poll_url": reverse("first-record", args=[slug]), "latest": latest_decisions(slug, size=1)}
    return render(request, "traces/_first_record.html", context)


def latest_decisions(slug: str, size: int = LATEST) -> list[dict[str, Any]]:
    """The newest decisions, without a word of their content: looking here opens no record. One query."""
    newest = Decision.objects.select_related("deployment", "model_version").order_by("-occurred_at", "-id")[:size]
    return [
        {
            "url": reverse("decision-detail", args=[slug, decision.pk]),
            "occurred_at": decision.occurred_at,
            "where": str(decision.deployment),
            "model": str(decision.model_version) if decision.model_version.name else "",
            "outcome": decision.outcome,
            "action": decision.action,
        }
        for decision in newest
    ]
