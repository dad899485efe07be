"""An organisation's pages about signing in: what it asks for, and who came or was turned away."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from tenants.access import require
from tenants.forms import SignInRulesForm
from tenants.models import Tenant
from tenants.people import people_without_factor, sign_in_page
from tenants.requests import TenantRequest
from tenants.sign_in_rules import rules_of, set_sign_in_rules


@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_rules(request: TenantRequest) -> HttpResponse:
    """Ask for a second factor, for single sign-on, from when on."""
    require(request.actor, "tenant.manage")
    rules = rules_of(Tenant.objects.get(pk=request.seat.tenant_id))
    form = SignInRulesForm(request.POST or None, initial=SignInRulesForm.initial_of(rules))
    if request.method == "POST" and form.is_valid():
        try:
            set_sign_in_rules(by=request.actor, rules=form.rules())
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "The rules are set.")
            return redirect("sign-in-rules", request.seat.slug)
    context = {"form": form, "rules": rules, "without_factor": people_without_factor()}
    return render(request, "tenants/sign_in_rules.html", context)


@require_safe
def sign_in_list(request: TenantRequest) -> HttpResponse:
    """Who signed in, how, and who was turned away, the newest first."""
    require(request.actor, "activity.read")
    return render(request, "tenants/sign_in_list.html", sign_in_page(request.path, request.GET.get("before", "")))
