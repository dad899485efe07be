"""The page on which links to other tools are set."""

import uuid

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from tenants.access import require
from tenants.requests import TenantRequest
from traces.models import ApmLink
from traces.trees.apm import PLACES, PRESETS
from traces.trees.links import LinkTerms, remove_apm_link, set_apm_link


class ApmLinkForm(forms.Form):
    """A link to another tool; its address is checked by the service."""

    kind = forms.ChoiceField(label="Tool", choices=[(kind, name) for kind, (name, _) in PRESETS.items()])
    name = forms.CharField(max_length=60, help_text="As the link reads; one of the same name is replaced.")
    template = forms.CharField(
        label="Address",
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="https only; places in braces are filled in. The list below has one for each tool.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def apm_links(request: TenantRequest) -> HttpResponse:
    """The links, and setting one."""
    require(request.actor, "source.manage")
    form, slug = ApmLinkForm(request.POST or None), request.seat.slug
    if request.method == "POST" and form.is_valid():
        try:
            link = set_apm_link(by=request.actor, terms=LinkTerms(**form.cleaned_data))
            messages.success(request, f"{link.name} is linked from every trace and every decision of one.")
            return redirect("apm-link-list", slug)
        except ValidationError as error:
            for field, problems in error.message_dict.items():
                form.add_error(field, list(problems))
    links = [
        {"name": link.name, "kind": PRESETS[link.kind][0] if link.kind in PRESETS else link.kind,
         "template": link.template, "remove_url": reverse("apm-link-remove", args=[slug, link.pk])}
        for link in ApmLink.objects.order_by("name")
    ]  # fmt: skip
    presets = [(name, template) for kind, (name, template) in PRESETS.items() if kind != "custom"]
    context = {"form": form, "links": links, "presets": presets, "places": list(PLACES.items())}
    return render(request, "traces/apm_link_list.html", context)


@require_POST
def apm_link_remove(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Take a link away."""
    remove_apm_link(by=request.actor, pk=pk)
    messages.success(request, "The link is gone from every page.")
    return redirect("apm-link-list", request.seat.slug)
