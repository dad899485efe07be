"""Writing a version: the editor, checked as its author types."""

from dataclasses import asdict
from json import dumps
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from policies.catalogue import list_frameworks, unknown_controls
from policies.document import DocumentError, parse
from policies.facts import FACTS_SCHEMA, Fact
from policies.forms import DraftForm
from policies.library import list_starters, load_starter
from policies.lifecycle import QUORUM
from policies.models import Policy
from policies.selectors import awaited_version
from policies.services import draft_version
from tenants.access import get_row, require
from tenants.requests import TenantRequest


@require_http_methods(["GET", "HEAD", "POST"])
def policy_new(request: TenantRequest) -> HttpResponse:
    """Draft a version: from nothing, from a starter, or from a version of a policy."""
    actor, slug = request.actor, request.seat.slug
    require(actor, "policy.draft")
    form = DraftForm(request.POST or None, initial={"source": _starting_text(request)})
    if request.method == "POST" and form.is_valid():
        try:
            version = draft_version(by=actor, **form.cleaned_data)
        except ValidationError as error:
            n = len(check_of(form.cleaned_data["source"])["problems"])
            listed = f"Not kept: {n} problem{'s' if n > 1 else ''}, listed under Check with line and column."
            form.add_error("source", listed if n else error)
        else:
            messages.success(request, f"Version {version.number} is kept as a draft. Submit it when it is ready.")
            return redirect(f"{reverse('policy-detail', args=[slug, version.policy.slug])}?version={version.number}")
    source = form["source"].value() or ""
    policy = Policy.objects.filter(slug=request.GET.get("from", "")).first()
    context = {
        "form": form,
        "check_url": reverse("policy-check", args=[slug]),
        "check": check_of(source) if source else None,
        "grown_from": policy,
        "awaited": awaited_version(policy) if policy else None,
        "starters": list_starters(),
        "facts": fact_groups(),
        "frameworks": list_frameworks(),
    }
    return render(request, "policies/policy_form.html", context)


@require_POST
def policy_check(request: TenantRequest) -> HttpResponse:
    """What is wrong with the text so far, as a part of the editor's page."""
    require(request.actor, "policy.draft")
    source = request.POST.get("source", "")
    return render(request, "policies/_check.html", {"check": check_of(source)})


def check_of(source: str) -> dict[str, Any]:
    """Problems with their places, or what the document is and how its examples went."""
    lines = source.splitlines()
    try:
        document = parse(source)
    except DocumentError as error:
        problems = [
            {
                "line": p.line,
                "column": p.column,
                "message": p.message,
                "text": lines[p.line - 1].strip()[:120] if 0 < p.line <= len(lines) else "",
            }
            for p in error.problems
        ]
        return {"problems": problems}
    return {
        "problems": [],
        "policy": document.policy,
        "rules": len(document.rules),
        "examples": len(document.examples),
        "risk_class": document.risk_class,
        "approvals": QUORUM[document.risk_class],
        "unknown_controls": unknown_controls(document),
    }


def fact_groups() -> list[dict[str, Any]]:
    """What rules may read, by its first word, as `policies/policy_form.html` documents."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for fact in FACTS_SCHEMA:
        head = fact.name.partition(".")[0].removesuffix("[]")
        shown = asdict(fact) | {"insert": _as_cel(fact), "example": dumps(fact.example, ensure_ascii=False)}
        groups.setdefault(head, []).append(shown)
    alone = [facts[0] for facts in groups.values() if len(facts) == 1]
    return [{"name": "the system", "facts": alone}] + [
        {"name": name, "facts": facts} for name, facts in groups.items() if len(facts) > 1
    ]


def _as_cel(fact: Fact) -> str:
    """How an expression reads it: an element through its list, an optional one after asking whether it is there."""
    outer, _, inner = fact.name.partition("[].")
    if inner:
        return f"{outer}.exists(x, {_guarded(f'x.{inner}', optional=fact.optional)})"
    return _guarded(fact.name, optional=fact.optional)


def _guarded(name: str, *, optional: bool) -> str:
    return f"has({name}) && {name}" if optional else name


def _starting_text(request: TenantRequest) -> str:
    if name := request.GET.get("starter"):
        try:
            return load_starter(name).source
        except KeyError:
            return ""
    if slug := request.GET.get("from"):
        policy = get_row(Policy.objects.all(), slug=slug)
        wanted = request.GET.get("version", "")
        versions = policy.versions.order_by("-number")
        found = versions.filter(number=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 9 else None
        return str((found or versions[0]).source)
    return ""
