"""Saving a view of the list, and taking the list away as a file."""

import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from tenants.requests import TenantRequest
from traces.search.exporting import FORMATS, export_decisions
from traces.search.indexing import backlog
from traces.search.saved import remove_view, save_view, views_for
from traces.selectors import DecisionFilter, FilterError


@require_POST
def view_save(request: TenantRequest) -> HttpResponse:
    """Keep the filter under a name, and show it."""
    query = {name: str(text) for name, text in request.POST.items()}
    try:
        shared = query.get("is_shared") == "on"
        view = save_view(by=request.actor, name=query.get("name", ""), query=query, is_shared=shared)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("decision-list", request.seat.slug)
    messages.success(request, f"“{view.name}” is kept{' for everybody' if view.is_shared else ''}.")
    return redirect(f"{reverse('decision-list', args=[request.seat.slug])}?{view.query}")


@require_POST
def view_remove(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Take one's own view away."""
    remove_view(by=request.actor, pk=pk)
    messages.success(request, "The view is gone; the decisions stay.")
    return redirect("decision-list", request.seat.slug)


@require_safe
def export(request: TenantRequest) -> HttpResponseBase:
    """What the filter shows, as a file that streams."""
    now, form = datetime.now(UTC), request.GET.get("format", "jsonl")
    if form not in FORMATS:
        raise Http404("No such format.")
    try:
        wanted = DecisionFilter.from_query(request.GET.dict())
    except FilterError as error:
        messages.error(request, str(error))
        return redirect("decision-list", request.seat.slug)
    data = export_decisions(by=request.actor, wanted=wanted, form=form, now=now)
    response = StreamingHttpResponse(data, content_type=FORMATS[form].media_type)
    response["Content-Disposition"] = f'attachment; filename="decisions-{now:%Y%m%dT%H%M%SZ}.{form}"'
    return response


def list_extras(request: TenantRequest, chips: dict[str, str]) -> dict[str, Any]:
    """What the list's page offers beside its rows: views, files, and how far the index of words is."""
    slug, actor = request.seat.slug, request.actor
    list_url, export_url = reverse("decision-list", args=[slug]), reverse("decision-export", args=[slug])
    here = urlencode(chips)
    return {
        "saved_views": [
            {"name": view.name, "url": f"{list_url}?{view.query}", "is_current": view.query == here,
             "by": "" if view.owner_id == actor.user_id else view.owner.get_short_name(), "is_shared": view.is_shared,
             "remove_url": reverse("view-remove", args=[slug, view.pk]) if view.owner_id == actor.user_id else None}
            for view in views_for(actor)
        ],
        "save_url": reverse("view-save", args=[slug]) if chips else None,
        "chip_values": list(chips.items()),
        "exports": [
            {"label": shape.label, "url": f"{export_url}?{urlencode(chips | {'format': form})}"}
            for form, shape in FORMATS.items()
        ] if actor.may("decision.export") else [],
        "n_unindexed": backlog() if "q" in chips and actor.may("decision.read_payload") else 0,
    }  # fmt: skip
