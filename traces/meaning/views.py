"""Pages of meaning: what is similar to a decision, and a person's judgement on it."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from tenants.access import require
from tenants.requests import TenantRequest
from traces import presentation
from traces.meaning import near
from traces.meaning.feedback import FeedbackConflict, Judgement, give_feedback
from traces.meaning.forms import FeedbackForm
from traces.meaning.near import Near
from traces.selectors import get_decision


def near_rows(found: list[Near], request: TenantRequest) -> list[dict[str, Any]]:
    """Lines of the list with how near each is; reading their content is recorded."""
    shown = presentation.rows([one.decision for one in found], request.actor)
    return [
        row
        | {"url": reverse("decision-detail", args=[request.seat.slug, row["id"]]), "likeness": f"{one.likeness:.0%}"}
        for row, one in zip(shown, found, strict=True)
    ]


@require_safe
def decision_similar(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """The decisions nearest to this one in meaning."""
    require(request.actor, "decision.read_payload")
    decision = get_decision(request.actor, pk)
    found = near.similar(decision, by=request.actor)
    context = {
        "decision_url": reverse("decision-detail", args=[request.seat.slug, pk]),
        "decision_id": str(pk),
        "decisions": near_rows(found.found, request) if found else [],
        "is_embedded": found is not None,
        "is_partial": bool(found and found.is_partial),
    }
    return render(request, "traces/decision_similar.html", context)


@require_POST
def decision_feedback(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """A person's judgement."""
    require(request.actor, "feedback.write")
    get_decision(request.actor, pk)
    form = FeedbackForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([str(problem) for problems in form.errors.values() for problem in problems])
        said = form.cleaned_data
        judgement = Judgement(
            "quality", said["label"], None, said["comment"].strip(), str(request.user), said["supersedes"]
        )
        give_feedback(by=request.actor, decision_id=pk, judgement=judgement)
        messages.success(request, "Your judgement is on record.")
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
    except FeedbackConflict as conflict:
        messages.error(request, str(conflict))
    return redirect("decision-detail", request.seat.slug, pk)
