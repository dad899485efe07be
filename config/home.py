"""The two pages that show what every app knows: a tenant's start page and its ledger."""

from datetime import UTC, datetime
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from audits.presentation import case_row
from audits.selectors import CaseFilter, case_page, open_counts
from audits.workflow import State
from tenants.access import require
from tenants.actors import Actor
from tenants.ledger import reader
from tenants.models import SourceSystem
from tenants.presentation import ledger_context
from tenants.requests import TenantRequest
from traces.meaning.embedding import backlog
from traces.models import SequenceGap, SequenceWatermark
from traces.presentation import rows
from traces.selectors import DecisionFilter, page

LATEST = 8
CASES_SHOWN = 5
GAPS_SHOWN = 50
OVER = frozenset({State.REPORTED, State.CLOSED, State.CANCELLED})


@require_safe
def home(request: TenantRequest) -> HttpResponse:
    """What happened last, how the ledger stands, which cases wait."""
    actor, slug = request.actor, request.seat.slug
    may_read = actor.may("decision.read")
    decisions = rows(page(DecisionFilter(), size=LATEST).decisions, actor) if may_read else []
    cases = [case for case in case_page(actor, CaseFilter()).cases if case.state not in OVER][:CASES_SHOWN]
    today = datetime.now(UTC).date()
    context = {
        "tiles": [*(_ledger_tiles(actor, slug) if actor.may("ledger.read") else []), _case_tile(actor, slug)],
        "decisions": [row | {"url": reverse("decision-detail", args=[slug, row["id"]])} for row in decisions],
        "decisions_url": reverse("decision-list", args=[slug]),
        "cases": [case_row(slug, case, today) for case in cases],
        "cases_url": reverse("case-list", args=[slug]),
        "getting_started": may_read and not decisions,
        "ingest_url": request.build_absolute_uri(reverse("api-decisions")),
        "keys_url": reverse("api-key-list", args=[slug]) if actor.may("key.manage") else None,
    }
    return render(request, "home.html", context)


def _ledger_tiles(actor: Actor, slug: str) -> list[dict[str, Any]]:
    health = reader.health(actor.tenant_id)
    signed = health.checkpoint
    url = reverse("ledger-health", args=[slug])
    return [
        {"label": "Leaves in the ledger", "value": intcomma(health.log.size), "note": "records and events", "url": url},
        {
            "label": "Under a signed head",
            "value": intcomma(health.covered),
            "note": f"signed {signed.signed_at:%H:%M:%S} UTC" if signed else "nothing signed yet",
            "tone": "seal" if health.is_current else "caution",
        },
    ]


def _case_tile(actor: Actor, slug: str) -> dict[str, Any]:
    counts = {state: n for state, n in open_counts(actor).items() if state not in OVER}
    return {
        "label": "Open cases",
        "value": intcomma(sum(counts.values())),
        "note": f"{counts[State.FIELDWORK]} in fieldwork, {counts[State.IN_REVIEW]} in review",
        "url": reverse("case-list", args=[slug]),
    }


@require_safe
def ledger_health(request: TenantRequest) -> HttpResponse:
    """The log's state: waiting, signed, anchored, complete."""
    require(request.actor, "ledger.read")
    before = request.GET.get("before", "")
    context = ledger_context(
        request.seat.slug, reader.health(request.actor.tenant_id), int(before[:18]) if before.isdecimal() else 0
    )
    return render(request, "tenants/ledger_health.html", context | {"sources": source_entries(), "n_unread": backlog()})


def source_entries() -> list[dict[str, Any]]:
    """Sources that number their records, with the gaps that are still open."""
    watermarks = {mark.pk: mark for mark in SequenceWatermark.objects.all()}
    gaps = list(SequenceGap.objects.filter(filled_at=None).order_by("noticed_at")[:GAPS_SHOWN])
    return [
        {
            "name": source.name,
            "checked_to": watermarks[source.pk].checked_to,
            "checked_at": watermarks[source.pk].checked_at,
            "gaps": [gap for gap in gaps if gap.source_id == source.pk],
        }
        for source in SourceSystem.objects.filter(pk__in=list(watermarks)).order_by("name")
    ]
