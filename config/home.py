"""The pages that show what every app knows: a tenant's start page and its ledger."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import F, Sum
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from audits.selectors import open_counts
from audits.workflow import State
from config.desk import piles
from config.trust import Line, trust_lines
from tenants.access import require
from tenants.actors import Actor
from tenants.ledger import reader
from tenants.models import SourceSystem
from tenants.presentation import held_outside, ledger_context
from tenants.requests import TenantRequest
from traces.beginning import getting_started, latest_decisions
from traces.completeness import Incomplete, incomplete_sources
from traces.costs.charts import money
from traces.meaning.embedding import backlog
from traces.models import SequenceGap, SequenceWatermark
from traces.models.cost import Grain, UsageRollup

GAPS_SHOWN = 50
HOURS = 24
SPARK_WIDTH, SPARK_HEIGHT = 120, 28
OVER = frozenset({State.REPORTED, State.CLOSED, State.CANCELLED})


@require_safe
def home(request: TenantRequest) -> HttpResponse:
    """What waits for the person, whether the record can be trusted, and what happened last; or how to begin."""
    actor, slug, now = request.actor, request.seat.slug, datetime.now(UTC)
    gaps = incomplete_sources() if actor.may("ledger.read") else []
    latest = latest_decisions(slug) if actor.may("decision.read") else []
    context = {
        "piles": piles(actor, slug, now, gaps),
        "trust": _trust(actor, gaps),
        "ledger_url": reverse("ledger-health", args=[slug]),
        "tiles": [*(_usage_tiles(slug, now) if latest else []), _case_tile(actor, slug)],
        "latest": latest,
        "decisions_url": reverse("decision-list", args=[slug]),
    }
    if actor.may("decision.read") and not latest:
        context |= getting_started(request)
    return render(request, "home.html", context)


def _trust(actor: Actor, gaps: Sequence[Incomplete]) -> list[Line]:
    if not actor.may("ledger.read"):
        return []
    health = reader.health(actor.tenant_id)
    return trust_lines(health, held_outside(health.log), gaps, backlog())


def _usage_tiles(slug: str, now: datetime) -> list[dict[str, Any]]:
    """Decisions and spending of the last day, hour by hour, against the day before. One query."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2 * HOURS - 1)
    rows = UsageRollup.objects.filter(grain=Grain.HOUR, bucket__gte=first).order_by("bucket", "currency")
    counted = rows.values_list("bucket", "currency").annotate(
        total=Sum("n"), cost=Sum(F("cost_micros") + F("restated_micros"))
    )
    decisions: dict[datetime, int] = defaultdict(int)
    costs: dict[str, dict[datetime, int]] = defaultdict(lambda: defaultdict(int))
    for bucket, currency, n, cost in counted:
        decisions[bucket] += n
        if currency:
            costs[currency][bucket] += cost
    hours = [first + timedelta(hours=number) for number in range(2 * HOURS)]
    url = reverse("usage", args=[slug])
    tiles = [_tile("Decisions in 24 hours", _series(decisions, hours), intcomma, reverse("timeline", args=[slug]))]
    for currency, cost in sorted(costs.items())[:2]:
        tiles.append(_tile("Spent in 24 hours", _series(cost, hours), lambda sum_, c=currency: money(sum_, c), url))
    return tiles


def _series(values: Mapping[datetime, int], hours: Sequence[datetime]) -> list[int]:
    return [values.get(hour, 0) for hour in hours]


def _tile(label: str, values: Sequence[int], said: Any, url: str) -> dict[str, Any]:
    """A tile of two days by the hour: the second in figures and as a line, the first beside it."""
    before, last = values[:HOURS], values[HOURS:]
    top = max(*last, 1)
    step = SPARK_WIDTH / (HOURS - 1)
    points = " ".join(
        f"{round(place * step, 1)},{round(SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * value / top, 1)}"
        for place, value in enumerate(last)
    )
    return {
        "label": label,
        "value": said(sum(last)),
        "note": f"{said(sum(before))} the day before",
        "url": url,
        "points": points,
        "area": f"0,{SPARK_HEIGHT} {points} {SPARK_WIDTH},{SPARK_HEIGHT}",
    }


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
