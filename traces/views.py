"""Pages of decisions."""

import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from tenants.access import require
from tenants.ledger.proofs import FILE_EXTENSION, MEDIA_TYPE
from tenants.ledger.reader import NotThere, proof_of
from traces import presentation
from traces.beginning import getting_started
from traces.conversation import turns
from traces.forms import FilterForm
from traces.meaning.listing import nearest_for, panels
from traces.meaning.views import near_rows
from traces.models import Decision
from traces.otlp.selectors import open_beside
from traces.rows import span_hex
from traces.search.views import list_extras
from traces.selectors import (
    DecisionFilter,
    FilterError,
    Page,
    get_decision,
    members_of,
    open_payload,
    page,
    read_contents,
)
from traces.trees.links import links_to
from traces.verification import verify


@require_safe
def decision_list(request: HttpRequest) -> HttpResponse:
    """Decisions, newest first, with filters as chips in the URL."""
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    require(actor, "decision.read")
    form = FilterForm(request.GET)
    form.is_valid()
    try:
        wanted = DecisionFilter.from_query(request.GET).for_reader(actor)
        found = page(wanted, request.GET.get("cursor", ""))
    except FilterError as error:
        form.add_error(None, str(error))
        wanted, found = DecisionFilter(), None
    url = reverse("decision-list", args=[slug])
    chips = wanted.as_dict()
    nearest = nearest_for(request.GET, wanted, found, actor) if found else None
    if nearest and nearest.found:
        shown, found = near_rows(nearest.found, request), Page([], "", "")  # type: ignore[arg-type]
    else:
        nearest, shown = None, _rows(request, found.decisions if found else [])
    context = {
        "form": form,
        "chips": [_chip(name, value, chips, url) for name, value in chips.items()],
        "clear_url": url,
        "decisions": shown,
        "shown": len(shown),
        "nearest": nearest,
        "meaning_url": _meaning_url(request, url, chips, searched=nearest is not None),
        "newer_url": _page_url(url, chips, found.newer if found else ""),
        "older_url": _page_url(url, chips, found.older if found else ""),
        "open_case_url": case_url(slug, chips) if actor.may("case.create") and not nearest else None,
        "is_partial": found is not None and found.is_partial,
        **list_extras(request, chips),  # type: ignore[arg-type]
    }
    if found is not None and not (chips or request.GET.get("cursor") or shown):
        context |= getting_started(request)  # type: ignore[arg-type]
    return render(request, "traces/decision_list.html", context)


def _rows(request: HttpRequest, decisions: list[Decision]) -> list[dict[str, Any]]:
    slug = request.seat.slug  # type: ignore[attr-defined]
    shown = presentation.rows(decisions, request.actor)  # type: ignore[attr-defined]
    return [row | {"url": reverse("decision-detail", args=[slug, row["id"]])} for row in shown]


def case_url(slug: str, query: dict[str, str]) -> str:
    """Where a case is opened on what a filter shows. Cases live above this app; only their address is known here."""
    return f"{reverse('case-create', args=[slug])}?{urlencode(query)}"


def _chip(name: str, value: str, chips: dict[str, str], url: str) -> dict[str, str]:
    others = {other: text for other, text in chips.items() if other != name}
    label = name.replace("_", " ").capitalize() if name != "q" else "Search"
    return {"label": label, "value": value, "remove_url": f"{url}?{urlencode(others)}" if others else url}


def _meaning_url(request: HttpRequest, url: str, chips: dict[str, str], *, searched: bool) -> str:
    """The same search by meaning, where words or an id were found; empty where it is that already."""
    may_read = request.actor.may("decision.read_payload")  # type: ignore[attr-defined]
    return f"{url}?{urlencode(chips | {'by': 'meaning'})}" if chips.get("q") and may_read and not searched else ""


def _page_url(url: str, chips: dict[str, str], cursor: str) -> str:
    return f"{url}?{urlencode(chips | {'cursor': cursor})}" if cursor else ""


@require_safe
def decision_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One decision: what was said, under which policy, and its proof."""
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    decision = get_decision(actor, pk)
    may_read = actor.may("decision.read_payload")
    content = open_payload(decision, by=actor, purpose="decision page") if may_read else None
    members = members_of(content) if content else {}
    list_url, tab = reverse("decision-list", args=[slug]), request.GET.get("tab", "record")
    context = {
        "decision": presentation.head(decision, content, may_read),
        "may_read_payload": may_read,
        "tab": tab,
        "tabs": [
            {"label": label, "url": f"?tab={name}", "active": tab == name}
            for name, label in (("record", "Record"), ("json", "As hashed"))
        ],
        "back_url": list_url,
        "conversation": turns(members.get("input"), "user"),
        "answer": turns(members.get("output"), "assistant"),
        "beside": presentation.beside(open_beside(decision, by=actor, purpose="decision page")) if may_read else [],
        "documents": members.get("context") or [],
        "outcome": members.get("outcome"),
        "parameters": presentation.parameters(decision, members),
        "policy": presentation.policy_state(decision, content, reverse("policy-list", args=[slug])),
        "enforcement": members.get("enforcement") or [],
        "usage": presentation.usage(decision),
        "ids": presentation.identifiers(decision, slug),
        "trace_url": reverse("trace", args=[slug, decision.trace_id.hex]) if decision.trace_id else "",
        "apm_links": links_to(decision.trace_id, span_hex(decision.span_id), decision.occurred_at),
        "metadata": presentation.metadata(members),
        "proof": _proof(slug, decision),
        "canonical": presentation.canonical_text(decision.pk, content) if content else "",
        "open_case_url": case_url(slug, {"q": str(decision.pk)}) if actor.may("case.create") else None,
        **panels(decision, actor, slug),
    }
    return render(request, "traces/decision_detail.html", context)


def _proof(slug: str, decision: Decision) -> dict[str, Any]:
    return presentation.proof_panel(decision) | {
        "verify_url": reverse("decision-verify", args=[slug, decision.pk]),
        "proof_url": reverse("decision-proof", args=[slug, decision.pk]),
    }


@require_POST
def verify_decision(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Check the record now, step by step."""
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    decision = get_decision(actor, pk)
    steps = verify(decision, read_contents([decision.pk]).get(decision.pk))  # shows digests, no content
    checked = {"steps": steps, "ok": all(step.ok for step in steps), "checked_at": datetime.now(UTC)}
    return render(request, "traces/_proof_panel.html", {"proof": _proof(slug, decision) | checked})


@require_safe
def decision_proof(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The record's tlog-proof as a file, for anyone's verifier."""
    decision = get_decision(request.actor, pk)  # type: ignore[attr-defined]
    try:
        response = HttpResponse(proof_of(decision.pk), content_type=MEDIA_TYPE)
    except NotThere as error:
        raise Http404(str(error)) from None
    response["Content-Disposition"] = f'attachment; filename="{decision.pk}{FILE_EXTENSION}"'
    return response
