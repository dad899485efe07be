"""Pages of policies."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from policies import presentation
from policies.forms import DraftForm
from policies.library import list_starters, load_starter
from policies.models import Policy
from policies.services import activate_version, draft_version, retire_policy
from policies.timeline import timeline_of
from tenants.access import get_row, require

PAGE_SIZE = 100


def policy_list(request: HttpRequest) -> HttpResponse:
    """Every policy, with what it is doing now."""
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    require(actor, "policy.read")
    now = datetime.now(UTC)
    found = Policy.objects.prefetch_related("versions", "activations").order_by("title")[:PAGE_SIZE]
    rows = [presentation.list_row(policy, now) for policy in found]
    in_force = timeline_of(actor.tenant_id).in_force("", "", "", now)
    context = {
        "policies": [row | {"url": reverse("policy-detail", args=[slug, row["slug"]])} for row in rows],
        "set_hash": f"sha256:{in_force.sha256.hex()}" if in_force.enforced else "",
        "new_url": reverse("policy-new", args=[slug]) if actor.may("policy.draft") else None,
        "shown": len(rows),
    }
    return render(request, "policies/policy_list.html", context)


def policy_detail(request: HttpRequest, policy: str) -> HttpResponse:
    """One policy: its versions, rules, document and when each was in force."""
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    require(actor, "policy.read")
    row = get_row(Policy.objects.all(), slug=policy)
    now = datetime.now(UTC)
    versions = list(row.versions.select_related("author").order_by("-number"))
    activations = list(row.activations.select_related("version", "activated_by").order_by("-effective"))
    shown = next((v for v in versions if str(v.number) == request.GET.get("version")), versions[0])
    state, _ = presentation.state_of(activations, now)
    entries = [presentation.version_entry(version, activations, now) for version in versions]
    context = {
        "policy": {
            "slug": row.slug,
            "title": row.title,
            "state": state,
            "state_label": presentation.STATE_LABELS[state],
        },
        "version": next(entry for entry in entries if entry["number"] == shown.number),
        "versions": [e | {"url": f"?version={e['number']}", "active": e["number"] == shown.number} for e in entries],
        "rules": presentation.rules(shown),
        "source_lines": shown.source.splitlines(),
        "activations": [presentation.activation_entry(activation) for activation in activations],
        "lanes": presentation.lanes(activations, now),
        "actions": _actions(request, row, shown.number, state),
        "edit_url": f"{reverse('policy-new', args=[slug])}?from={row.slug}" if actor.may("policy.draft") else None,
    }
    return render(request, "policies/policy_detail.html", context)


def _actions(request: HttpRequest, policy: Policy, number: int, state: str) -> list[dict[str, Any]]:
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    if not actor.may("policy.activate"):
        return []
    activate = reverse("policy-activate", args=[slug, policy.slug, number])
    actions: list[dict[str, Any]] = [
        {"label": f"Put version {number} in force", "url": activate, "text": "It judges every decision from now on."}
    ]
    if state == "active":
        retire = reverse("policy-retire", args=[slug, policy.slug])
        actions.append(
            {"label": "Retire", "url": retire, "text": "No decision is judged by it any more.", "danger": True}
        )
    return actions


def policy_new(request: HttpRequest) -> HttpResponse:
    """Draft a version: from nothing, from a starter, or from the newest version of a policy."""
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    require(actor, "policy.draft")
    form = DraftForm(request.POST or None, initial={"source": _starting_text(request)})
    if request.method == "POST" and form.is_valid():
        try:
            version = draft_version(by=actor, **form.cleaned_data)
        except ValidationError as error:
            for message in error.messages:
                form.add_error("source", message)
        else:
            messages.success(request, f"Version {version.number} is kept as a draft. Somebody else puts it in force.")
            return redirect(f"{reverse('policy-detail', args=[slug, version.policy.slug])}?version={version.number}")
    context = {"form": form, "starters": [{"name": s.name, "title": s.document.title} for s in list_starters()]}
    return render(request, "policies/policy_form.html", context)


def _starting_text(request: HttpRequest) -> str:
    if name := request.GET.get("starter"):
        try:
            return load_starter(name).source
        except KeyError:
            return ""
    if slug := request.GET.get("from"):
        policy = get_row(Policy.objects.all(), slug=slug)
        return policy.versions.order_by("-number")[0].source
    return ""


@require_POST
def policy_activate(request: HttpRequest, policy: str, number: int) -> HttpResponse:
    """Put a version in force now."""
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    row = get_row(Policy.objects.all(), slug=policy)
    version = get_row(row.versions.select_related("policy"), number=number)
    try:
        activate_version(by=actor, version=version)
        messages.success(request, f"Version {number} is in force.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("policy-detail", slug, row.slug)


@require_POST
def policy_retire(request: HttpRequest, policy: str) -> HttpResponse:
    """End what is in force."""
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    row = get_row(Policy.objects.all(), slug=policy)
    try:
        retire_policy(by=actor, policy=row)
        messages.success(request, "Retired.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("policy-detail", slug, row.slug)
