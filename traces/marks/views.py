"""The page of the timeline."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from tenants.access import require
from tenants.requests import TenantRequest
from traces.marks import timeline as reads
from traces.marks.durations import milliseconds
from traces.marks.lanes import LETTERS, draw
from traces.marks.timeline import WINDOWS, Happening, Instance, Window
from traces.models import Deployment
from traces.selectors import FilterError

LABELS = {"6h": "6 hours", "1d": "1 day", "7d": "7 days", "30d": "30 days"}
SYSTEMS_OFFERED = 200


@require_safe
def timeline(request: TenantRequest) -> HttpResponse:
    """Everything that happened, over what the decisions did meanwhile."""
    require(request.actor, "decision.read")
    now, error = datetime.now(UTC), ""
    query = {name: str(text) for name, text in request.GET.items() if text and name in NAMES}
    try:
        window = reads.read_window(query, now)
    except FilterError as refused:
        error, query = str(refused), {}
        window = reads.read_window({}, now)
    slug = request.seat.slug
    happened, found, volume = reads.happenings(window), reads.instances(window), reads.volume(window)
    context = {
        "error": error,
        "window": window,
        "query": query,
        "chart": draw(window, volume, found, happened),
        "events": [_event(slug, number, one) for number, one in enumerate(happened, 1)][::-1],
        "instances": [_instance(slug, window, one) for one in found],
        "totals": _totals(slug, window, volume),
        "has_any": bool(happened or found or volume),
        **_controls(slug, query, window),
    }
    return render(request, "traces/timeline.html", context)


NAMES = ("since", "until", "window", "system", "instance")


def _controls(slug: str, query: dict[str, str], window: Window) -> dict[str, Any]:
    url = reverse("timeline", args=[slug])
    rest = {name: text for name, text in query.items() if name in ("system", "instance")}
    chosen = query.get("window", "" if "since" in query else "7d")
    systems = Deployment.objects.order_by("system").values_list("system", flat=True).distinct()[:SYSTEMS_OFFERED]
    chips = [
        {"label": name.capitalize(), "value": text, "remove_url": f"{url}?{urlencode(_without(query, name))}"}
        for name, text in query.items()
        if name != "window"
    ]
    return {
        "windows": [
            {"label": LABELS[name], "url": f"{url}?{urlencode(rest | {'window': name})}", "active": name == chosen}
            for name in WINDOWS
        ],
        "systems": list(systems),
        "chips": chips,
        "clear_url": url,
        "window_name": chosen,
        "letters": [(LETTERS[kind], label) for kind, label in KINDS.items()],
    }


KINDS = {
    "deployment": "deployment", "prompt_release": "prompt release", "incident": "incident",
    "config_change": "configuration", "infrastructure": "infrastructure", "activation": "policy in force",
    "end": "policy ended", "drift": "behaviour changed",
}  # fmt: skip


def _without(query: dict[str, str], name: str) -> dict[str, str]:
    return {other: text for other, text in query.items() if other != name}


def _event(slug: str, number: int, one: Happening) -> dict[str, Any]:
    routes = {"activation": "policy-detail", "end": "policy-detail", "drift": "drift-detail"}
    inner = reverse(routes[one.kind], args=[slug, one.about]) if one.kind in routes else ""
    return {
        "number": number,
        "letter": LETTERS.get(one.kind, "·"),
        "label": one.label,
        "title": one.title,
        "at": one.at,
        "ended_at": one.ended_at,
        "where": one.where,
        "detail": one.detail,
        "url": inner,
        "outside_url": one.url if one.url.startswith("https://") else "",
    }


def _instance(slug: str, window: Window, one: Instance) -> dict[str, Any]:
    query = {"since": window.since.isoformat(), "until": window.until.isoformat(), "instance": one.name}
    return {
        "name": one.name or "no name",
        "service": one.service,
        "n": one.n,
        "n_failed": one.n_failed,
        "share": f"{100 * one.n_failed / one.n:.1f} %",
        "p50": milliseconds(one.p50_us),
        "p95": milliseconds(one.p95_us),
        "url": f"{reverse('timeline', args=[slug])}?{urlencode(query)}" if one.name else "",
    }


def _totals(slug: str, window: Window, volume: dict[datetime, reads.Bar]) -> dict[str, Any]:
    query = {"since": window.since.isoformat(), "until": window.until.isoformat()}
    query |= {"system": window.system} if window.system else {}
    return {
        "n": sum(bar.n for bar in volume.values()),
        "n_acted": sum(bar.n_acted for bar in volume.values()),
        "url": f"{reverse('decision-list', args=[slug])}?{urlencode(query)}",
    }
