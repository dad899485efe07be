"""Pages of one trace, one session and one application user."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from tenants.access import require
from tenants.requests import TenantRequest
from traces.models import Decision, Span
from traces.rows import span_hex
from traces.selectors import FilterError, open_payload, open_payloads
from traces.trees import presentation, selectors
from traces.trees.links import links_to
from traces.trees.tree import Line, Tree, grow, visible

ROWS = 100  # that are sent at once; `config/static/js/trace.js` asks for the others as they come near
FOLDS = 500


def _numbers(text: str) -> frozenset[int]:
    """The closed lines that an address names; what is no number is left alone."""
    return frozenset(int(part[:9]) for part in text.split(",")[:FOLDS] if part.isascii() and part.isdecimal())


def _number(text: str) -> int:
    return int(text[:9]) if text.isascii() and text.isdecimal() else 0


def _window(request: TenantRequest, tree: Tree, page_url: str, start: int) -> dict[str, Any]:
    closed = _numbers(request.GET.get("closed", ""))
    shown = visible(tree, closed)
    start = min(start, max(len(shown) - 1, 0))
    rows = [presentation.trace_row(tree, line, closed, page_url) for line in shown[start : start + ROWS]]
    kept = {"closed": request.GET.get("closed", "")} if closed else {}
    return {
        "rows": rows,
        "start": start,
        "total": len(shown),
        "size": ROWS,
        "closed": ",".join(map(str, sorted(closed))),
        "earlier_url": f"{page_url}?{urlencode(kept | {'from': max(start - ROWS, 0)})}" if start else "",
        "later_url": f"{page_url}?{urlencode(kept | {'from': start + ROWS})}" if start + ROWS < len(shown) else "",
    }


@require_safe
def trace(request: TenantRequest, trace: str) -> HttpResponse:
    """One trace: its tree, its waterfall, and what one of its spans holds."""
    trace_id, slug = selectors.parse_key(trace), request.seat.slug
    found = selectors.get_trace(request.actor, trace_id)
    tree = grow(found.nodes)
    page_url = reverse("trace", args=[slug, trace_id.hex])
    opened = request.GET.get("span", "")
    failures = [line for line in tree.lines if line.node.is_failed]
    context = {
        "trace_id": trace_id.hex,
        "tiles": presentation.trace_head(tree),
        "is_partial": found.is_partial,
        "rows_url": reverse("trace-rows", args=[slug, trace_id.hex]),
        "failure_url": f"{page_url}?from={failures[0].number}" if failures else "",
        "apm_links": links_to(trace_id, "", tree.since),
        "decisions_url": f"{reverse('decision-list', args=[slug])}?{urlencode({'trace_id': trace_id.hex})}",
        "panel": _panel(request, selectors.get_span(request.actor, trace_id, opened)) if opened else None,
        **_window(request, tree, page_url, _number(request.GET.get("from", ""))),
    }
    return render(request, "traces/trace.html", context)


@require_safe
def trace_rows(request: TenantRequest, trace: str) -> HttpResponse:
    """Some lines of the waterfall; with `after`, also where the next failed line stands."""
    trace_id = selectors.parse_key(trace)
    tree = grow(selectors.get_trace(request.actor, trace_id).nodes)
    page_url = reverse("trace", args=[request.seat.slug, trace_id.hex])
    context = _window(request, tree, page_url, _number(request.GET.get("from", "")))
    response = render(request, "traces/_trace_rows.html", context)
    if "after" in request.GET:
        shown = visible(tree, _numbers(request.GET.get("closed", "")))
        response["X-Failure-At"] = str(_next_failure(shown, request.GET["after"]))
    return response


def _next_failure(shown: list[Line], after: str) -> int:
    """The place of the next failed line, round from the end to the start; -1 when none failed."""
    failed = [place for place, line in enumerate(shown) if line.node.is_failed]
    start = _number(after) if after != "-1" else -1
    return next((place for place in failed if place > start), failed[0] if failed else -1)


@require_safe
def trace_span(request: TenantRequest, trace: str, key: str) -> HttpResponse:
    """What one line stands for: a span's particulars, or a decision's last question and its answer."""
    found = selectors.get_span(request.actor, selectors.parse_key(trace), key)
    return render(request, "traces/_trace_span.html", {"panel": _panel(request, found)})


def _panel(request: TenantRequest, found: Decision | Span) -> dict[str, Any]:
    may_read = request.actor.may("decision.read_payload")
    content = None
    if isinstance(found, Decision) and may_read:
        content = open_payload(found, by=request.actor, purpose="trace page")
    at = found.occurred_at if isinstance(found, Decision) else found.started_at
    panel = presentation.span_panel(found, content, hidden=not may_read, slug=request.seat.slug)
    return panel | {"apm_links": links_to(found.trace_id, span_hex(found.span_id), at)}


@require_safe
def session(request: TenantRequest) -> HttpResponse:
    """A session as a conversation: its turns in order, what it cost, and whether it ran away."""
    require(request.actor, "decision.read")
    name, slug, error = request.GET.get("id", ""), request.seat.slug, ""
    if not name:
        return render(request, "traces/session.html", {"session": None, "what": "session"})
    found = selectors.get_session(request.actor, name)
    try:
        decisions, later = selectors.turns_of(name, request.GET.get("cursor", ""))
    except FilterError as refused:
        decisions, later, error = [], "", str(refused)
    may_read = request.actor.may("decision.read_payload")
    contents = open_payloads(decisions, by=request.actor, purpose="session page") if may_read else {}
    context = {
        "session": found,
        "error": error,
        "tiles": presentation.session_head(found),
        "turns": [presentation.session_turn(one, contents.get(one.pk), hidden=not may_read, slug=slug)
                  for one in decisions],
        "user_url": f"{reverse('app-user', args=[slug])}?{urlencode({'id': found.user})}" if found.user else "",
        "decisions_url": f"{reverse('decision-list', args=[slug])}?{urlencode({'session': name})}",
        "start_url": f"?{urlencode({'id': name})}" if request.GET.get("cursor") else "",
        "later_url": f"?{urlencode({'id': name, 'cursor': later})}" if later else "",
    }  # fmt: skip
    return render(request, "traces/session.html", context)


@require_safe
def app_user(request: TenantRequest) -> HttpResponse:
    """An application's user: their sessions over time."""
    require(request.actor, "decision.read")
    name, slug, now = request.GET.get("id", ""), request.seat.slug, datetime.now(UTC)
    if not name:
        return render(request, "traces/app_user.html", {"user_name": "", "what": "user"})
    try:
        found = selectors.get_user_page(request.actor, name, request.GET.get("cursor", ""), now)
    except FilterError as refused:
        raise Http404(str(refused)) from None
    context = {
        "user_name": name,
        "stays": [presentation.stay_row(stay, slug, name) for stay in found.stays],
        "days": presentation.day_bars(found.days),
        "decisions_url": f"{reverse('decision-list', args=[slug])}?{urlencode({'user': name})}",
        "newest_url": f"?{urlencode({'id': name})}" if request.GET.get("cursor") else "",
        "older_url": f"?{urlencode({'id': name, 'cursor': found.older})}" if found.older else "",
    }
    return render(request, "traces/app_user.html", context)
