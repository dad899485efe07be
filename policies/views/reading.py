"""Looking at policies: the list, one policy, what was in force when, and which clauses the rules answer."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from policies import presentation
from policies.activations import end_as_known, in_force_at
from policies.catalogue import Coverage, coverage_of, list_frameworks
from policies.document import parse
from policies.forms import MomentForm
from policies.models import PolicyActivation, PolicyVersion
from policies.selectors import (
    PAGE_SIZE,
    PolicyFile,
    answers_to,
    list_policies,
    names_in,
    open_file,
    versions_in_force,
)
from policies.timeline import timeline_of
from policies.views.steps import steps_for
from tenants.access import require
from tenants.requests import TenantRequest

EVIDENCE_SPAN = timedelta(days=30)
"""How far back the decisions go that the page of controls links to."""
TABS = (("Policies", "policy-list"), ("In force at", "policy-in-force"), ("Controls", "policy-controls"))


def tabs(request: TenantRequest) -> list[dict[str, Any]]:
    """The pages that show all policies."""
    slug = request.seat.slug
    urls = [(label, reverse(name, args=[slug])) for label, name in TABS]
    return [{"label": label, "url": url, "active": request.path == url} for label, url in urls]


@require_safe
def policy_list(request: TenantRequest) -> HttpResponse:
    """Every policy, with what it is doing now."""
    actor, slug = request.actor, request.seat.slug
    require(actor, "policy.read")
    now = datetime.now(UTC)
    after = request.GET.get("after", "")
    found = list(list_policies(after, PAGE_SIZE + 1))
    rows = [presentation.list_row(policy, now) for policy in found[:PAGE_SIZE]]
    in_force = timeline_of(actor.tenant_id).in_force("", "", "", now)
    context = {
        "policies": [row | {"url": reverse("policy-detail", args=[slug, row["slug"]])} for row in rows],
        "set_hash": in_force.sha256.hex() if in_force.enforced else "",
        "new_url": reverse("policy-new", args=[slug]) if actor.may("policy.draft") else None,
        "tabs": tabs(request),
        "shown": len(rows),
        "first_url": request.path if after else None,
        "next_url": f"?{urlencode({'after': rows[-1]['slug']})}" if len(found) > PAGE_SIZE else None,
    }
    return render(request, "policies/policy_list.html", context)


@require_safe
def policy_detail(request: TenantRequest, policy: str) -> HttpResponse:
    """One policy: its versions, rules, document, decisions, and when each was in force."""
    require(request.actor, "policy.read")
    now = datetime.now(UTC)
    file = open_file(policy, now)
    shown = file.version(request.GET.get("version"))
    review = file.review(shown)
    entries = [presentation.version_entry(version, file.states[version.pk]) for version in file.versions]
    entry = next(entry for entry in entries if entry["number"] == shown.number)
    context = {
        "policy": file.policy,
        "version": entry,
        "versions": [e | {"url": f"?version={e['number']}", "active": e["number"] == shown.number} for e in entries],
        "steps": presentation.lifecycle(entry["state"]),
        "rules": presentation.rules(shown),
        "source_lines": shown.source.splitlines(),
        "activations": [presentation.activation_entry(activation) for activation in file.activations],
        "lanes": presentation.lanes(file.activations, now),
        "review": presentation.review_entry(review, answers_to(review), names_in(review)),
        "backtests": _backtests(request, shown),
        "actions": steps_for(request, file, shown, now),
        "links": _links(request, file, shown),
    }
    return render(request, "policies/policy_detail.html", context)


def _backtests(request: TenantRequest, version: PolicyVersion) -> list[dict[str, Any]]:
    slug = request.seat.slug
    newest = version.backtests.select_related("requested_by").order_by("-created_at")[:5]
    return [
        presentation.backtest_entry(row) | {"url": reverse("backtest-detail", args=[slug, row.pk])} for row in newest
    ]


def _links(request: TenantRequest, file: PolicyFile, version: PolicyVersion) -> list[dict[str, str]]:
    """Where to go from a version, by what the person may do."""
    actor, slug = request.actor, request.seat.slug
    args = [slug, file.policy.slug, version.number]
    found = [{"label": "What it changes", "url": reverse("policy-diff", args=args), "tone": "plain"}]
    if actor.may("policy.draft"):
        url = f"{reverse('policy-new', args=[slug])}?from={file.policy.slug}&version={version.number}"
        found.append({"label": "Edit as a new version", "url": url, "tone": "plain"})
    if actor.may("policy.backtest"):
        found.append({"label": "Backtest", "url": reverse("backtest-new", args=args), "tone": "plain"})
    if actor.may("policy.approve") and file.states[version.pk] == "in_review":
        found.append({"label": "Review", "url": reverse("policy-review", args=args), "tone": "primary"})
    return found


@require_safe
def policy_in_force(request: TenantRequest) -> HttpResponse:
    """Which versions were in force at a moment, as the record stood then or now."""
    require(request.actor, "policy.read")
    slug = request.seat.slug
    now = datetime.now(UTC)
    form = MomentForm(request.GET or None, initial={"at": now})
    at, known_at = now, None
    if form.is_valid():
        at, known_at = form.cleaned_data["at"] or now, form.cleaned_data["known_at"]
    then = in_force_at(at, known_at=known_at)
    today = in_force_at(at) if known_at else then
    known_today = {row.pk for row in today}
    context = {
        "form": form,
        "rows": [_in_force_row(slug, row, known_at) | {"still": row.pk in known_today} for row in then],
        "learnt": [_in_force_row(slug, row, None) for row in today if row not in then],
        "at": at,
        "known_at": known_at,
        "tabs": tabs(request),
    }
    return render(request, "policies/policy_in_force.html", context)


def _in_force_row(slug: str, row: PolicyActivation, known_at: datetime | None) -> dict[str, Any]:
    known = {"to": end_as_known(row, known_at)} if known_at else {}
    return (
        presentation.activation_entry(row)
        | known
        | {
            "policy": row.policy.title,
            "slug": row.policy.slug,
            "sha256": bytes(row.version.sha256).hex(),
            "url": f"{reverse('policy-detail', args=[slug, row.policy.slug])}?version={row.version.number}",
            "recorded_at": row.recorded_at,
            "is_cancelled": row.cancelled_at is not None,
            "closed_at": row.cancelled_at or row.closed_at,
        }
    )


@require_safe
def policy_controls(request: TenantRequest) -> HttpResponse:
    """The framework catalogue with the rules in force that answer each clause."""
    require(request.actor, "policy.read")
    slug = request.seat.slug
    now = datetime.now(UTC)
    documents = [parse(bytes(version.canonical)) for version in versions_in_force(now)]
    frameworks = []
    for framework in list_frameworks():
        coverage = coverage_of(framework, documents)
        answered = sum(bool(entry.rules) for entry in coverage)
        percent = round(100 * answered / len(coverage))
        frameworks.append(
            {
                "framework": framework,
                "clauses": [_clause(slug, entry, now - EVIDENCE_SPAN) for entry in coverage],
                "answered": answered,
                "total": len(coverage),
                "parts": [{"from": 0, "percent": percent, "tone": "seal", "label": f"{answered} answered"}],
            }
        )
    context = {
        "frameworks": frameworks,
        "tabs": tabs(request),
        "in_force": len(documents),
        "n_rules": sum(len(document.rules) for document in documents),
        "evidence_days": EVIDENCE_SPAN.days,
        "list_url": reverse("policy-list", args=[slug]),
    }
    return render(request, "policies/policy_controls.html", context)


def _clause(slug: str, entry: Coverage, since: datetime) -> dict[str, Any]:
    decisions = reverse("decision-list", args=[slug])
    rules = [
        {
            "policy": ref.policy,
            "rule": ref.rule,
            "url": reverse("policy-detail", args=[slug, ref.policy]),
            "evidence_url": f"{decisions}?{urlencode({'policy': ref.policy, 'since': f'{since:%Y-%m-%dT%H:%M}'})}",
        }
        for ref in entry.rules
    ]
    return {"id": entry.clause.id, "text": entry.clause.text, "rules": rules}
