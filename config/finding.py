"""Go to: the pages of the site by name, and a decision, trace, case or policy by what it is called."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from audits.access import visible_cases
from policies.models import Policy
from tenants.actors import Actor
from tenants.requests import TenantRequest
from traces.models import Decision, Span
from traces.selectors import DecisionFilter, page

EACH = 5  # results of a kind
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Found:
    """Something that can be gone to. `is_exact`: what was typed is its own name, and nothing else's."""

    kind: str
    label: str
    note: str
    url: str
    is_exact: bool = False


@require_safe
def go(request: TenantRequest) -> HttpResponse:
    """Where a name leads: the list of what bears it; alone and exact, and asked for as a page, the thing itself."""
    text = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST]
    found = find(request.actor, request.seat.slug, text) if text else []
    if request.headers.get("HX-Request"):
        return render(request, "_go_found.html", {"found": found, "text": text})
    if len(found) == 1 and found[0].is_exact:
        return redirect(found[0].url)
    search_url = f"{reverse('decision-list', args=[request.seat.slug])}?{urlencode({'q': text})}"
    context = {"found": found, "text": text, "go_url": request.path, "search_url": search_url}
    return render(request, "go.html", context)


def find(actor: Actor, slug: str, text: str) -> list[Found]:
    """What bears the name, within what the actor may read. At most eight queries."""
    kinds: tuple[tuple[str, Callable[[str, str], Iterable[Found]]], ...] = (
        ("decision.read", _decisions),
        ("decision.read", _traces),
        ("policy.read", _policies),
    )
    found = [one for permission, read in kinds if actor.may(permission) for one in read(slug, text)]
    return [*_cases(actor, slug, text), *found]


def _cases(actor: Actor, slug: str, text: str) -> Iterable[Found]:
    number = text.upper().removeprefix("C-")
    named = Q(number=int(number)) if number.isdecimal() and len(number) < 9 else Q(title__icontains=text)
    for case in visible_cases(actor).filter(named).order_by("-number")[:EACH]:
        label, note = f"{case.reference} {case.title}", f"{case.get_type_display()}, {case.get_state_display().lower()}"
        is_exact = text.upper() == case.reference
        yield Found("Case", label, note, reverse("case-detail", args=[slug, case.pk]), is_exact)


def _decisions(slug: str, text: str) -> Iterable[Found]:
    for decision in page(DecisionFilter(q=text, id_only=True), size=EACH).decisions:
        note = f"{decision.deployment}, {decision.occurred_at:%-d %b %Y, %H:%M:%S} UTC"
        url = reverse("decision-detail", args=[slug, decision.pk])
        yield Found("Decision", decision.external_id or str(decision.pk), note, url, text.lower() == str(decision.pk))


def _traces(slug: str, text: str) -> Iterable[Found]:
    try:
        trace_id = uuid.UUID(text)
    except ValueError:
        return
    tables = (Decision.objects.filter(trace_id=trace_id), Span.objects.filter(trace_id=trace_id))
    if any(rows.exists() for rows in tables):
        url = reverse("trace", args=[slug, trace_id.hex])
        yield Found("Trace", trace_id.hex, "Its calls, in time", url, text.lower() == trace_id.hex)


def _policies(slug: str, text: str) -> Iterable[Found]:
    named = Policy.objects.filter(Q(slug__icontains=text) | Q(title__icontains=text)).order_by("slug")
    for policy in named[:EACH]:
        url = reverse("policy-detail", args=[slug, policy.slug])
        yield Found("Policy", policy.title, policy.slug, url, text == policy.slug)
