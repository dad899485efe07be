"""Reading what a version changes, and deciding about it with one's password."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from policies import presentation
from policies.approvals import MEANING, approve_version, base_version, reject_version, statement_for
from policies.diff import diff_documents, diff_text
from policies.document import parse
from policies.forms import AgainstForm, DecisionForm
from policies.models import PolicyBacktest, PolicyReview, PolicyVersion
from policies.selectors import answers_to, get_version, names_in
from policies.services import NotPossible
from tenants.access import get_row, require
from tenants.ledger.canonical import dumps
from tenants.requests import TenantRequest


@require_safe
def policy_diff(request: TenantRequest, policy: str, number: int) -> HttpResponse:
    """A version beside an earlier one: rule by rule, and line by line."""
    require(request.actor, "policy.read")
    version = get_version(policy, number)
    form = AgainstForm(request.GET)
    against = form.cleaned_data["against"] if form.is_valid() else None
    base = get_version(policy, against) if against else base_version(version)
    others = version.policy.versions.exclude(pk=version.pk).order_by("-number").values_list("number", flat=True)
    links = [
        {"number": n, "url": f"?against={n}", "active": base is not None and n == base.number} for n in others[:50]
    ]
    context = _page(request, version) | diff_context(base, version) | {"others": links}
    return render(request, "policies/policy_diff.html", context)


def diff_context(base: PolicyVersion | None, version: PolicyVersion) -> dict[str, Any]:
    """What `policies/_diff.html` shows."""
    old, new = parse(bytes(base.canonical)) if base else None, parse(bytes(version.canonical))
    return {
        "base": base.number if base else None,
        "changes": presentation.diff_entries(diff_documents(old, new)),
        "blocks": presentation.diff_blocks(diff_text(base.source if base else "", version.source)),
    }


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def policy_review(request: TenantRequest, policy: str, number: int) -> HttpResponse:
    """Read and decide. What was shown comes back in a sealed token; what changed meanwhile is refused."""
    actor, slug = request.actor, request.seat.slug
    require(actor, "policy.approve")
    version = get_version(policy, number)
    back = f"{reverse('policy-detail', args=[slug, policy])}?version={number}"
    form = DecisionForm(request.POST or None)
    try:
        if request.method == "POST" and form.is_valid() and _decided(request, version, form):
            return redirect(back)
        statement = statement_for(by=actor, version=version)
    except NotPossible as error:
        messages.error(request, " ".join(error.messages))
        return redirect(back)
    context = _page(request, version) | diff_context(base_version(version), version)
    context |= {"form": form, "token": statement.token} | _statement_context(request, version, statement.content)
    return render(request, "policies/policy_review.html", context)


def _decided(request: TenantRequest, version: PolicyVersion, form: DecisionForm) -> bool:
    """Record the person's answer; what is wrong with it goes to the form."""
    data = form.cleaned_data
    decide = approve_version if data["decision"] == "approve" else reject_version
    try:
        decide(
            by=request.actor,
            version=version,
            token=data["token"],
            password=data["password"],
            comment=data["comment"],
        )
    except NotPossible:
        raise
    except ValidationError as error:
        form.add_error(None, error)
        return False
    messages.success(request, "Your decision is recorded.")
    return True


def _statement_context(request: TenantRequest, version: PolicyVersion, content: dict[str, Any]) -> dict[str, Any]:
    """What is signed, in words and exactly; who else answers; and the backtest that it names."""
    slug = request.seat.slug
    review = get_row(PolicyReview.objects.all(), version=version)
    names = names_in(review)
    named = content["backtest"]
    backtest = get_row(PolicyBacktest.objects.select_related("requested_by"), pk=named["id"]) if named else None
    args = [slug, version.policy.slug, version.number]
    return {
        "statement": presentation.statement_pairs(content, names),
        "exact": dumps(content).decode(),
        "meanings": [MEANING[True], MEANING[False]],
        "signer": request.actor.label,
        "review": presentation.review_entry(review, answers_to(review), names),
        "backtest": presentation.backtest_entry(backtest) if backtest else None,
        "backtest_url": reverse("backtest-detail", args=[slug, backtest.pk])
        if backtest
        else reverse("backtest-new", args=args),
    }


def _page(request: TenantRequest, version: PolicyVersion) -> dict[str, Any]:
    slug = request.seat.slug
    url = f"{reverse('policy-detail', args=[slug, version.policy.slug])}?version={version.number}"
    return {"policy": version.policy, "version": version, "detail_url": url}
