"""The page on which keys for thumbs are made and ended."""

import uuid

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from tenants.access import get_row, require
from tenants.models import SourceSystem
from tenants.requests import TenantRequest
from traces.meaning.thumbs import create_thumb_key, public_text, revoke_thumb_key
from traces.models import ThumbKey

SNIPPET = """fetch("ADDRESS", {
  method: "POST",
  headers: {"Content-Type": "application/json"},
  body: JSON.stringify({decision: "DECISION", label: "up"})
});"""


class ThumbKeyForm(forms.Form):
    """A key for an application's pages; origins are checked by the service."""

    name = forms.CharField(max_length=60, help_text="What the pages are.")
    source = forms.ChoiceField(help_text="The source whose decisions they show.")
    origins = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": "https://shop.example.com"}),
        help_text="Where the pages are, one origin a line: scheme and host, nothing after it.",
        max_length=4000,
    )

    def __init__(self, *args: object, sources: list[tuple[str, str]], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["source"].choices = sources  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
def thumb_keys(request: TenantRequest) -> HttpResponse:
    """The keys, and making one."""
    require(request.actor, "key.manage")
    sources = [(str(pk), name) for pk, name in SourceSystem.objects.order_by("name").values_list("pk", "name")]
    form, slug = ThumbKeyForm(request.POST or None, sources=sources), request.seat.slug
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            source = get_row(SourceSystem.objects.all(), pk=given["source"])
            key = create_thumb_key(
                by=request.actor, name=given["name"], source=source, origins=given["origins"].split()
            )
            messages.success(request, f"{key.name} can send thumbs. Its key is public; copy it from the list.")
            return redirect("thumb-key-list", slug)
        except ValidationError as error:
            form.add_error("origins", list(error.messages))
    keys = [
        {"name": key.name, "source": key.source.name, "origins": key.origins, "text": public_text(key),
         "revoked_at": key.revoked_at,
         "revoke_url": None if key.revoked_at else reverse("thumb-key-revoke", args=[slug, key.pk])}
        for key in ThumbKey.objects.select_related("source").order_by("-created_at", "-id")[:100]
    ]  # fmt: skip
    address = request.build_absolute_uri(reverse("api-thumbs", args=["KEY"]))
    context = {"form": form, "keys": keys, "snippet": SNIPPET.replace("ADDRESS", address)}
    return render(request, "traces/thumb_key_list.html", context)


@require_POST
def thumb_key_revoke(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """End a key."""
    key = revoke_thumb_key(by=request.actor, pk=pk)
    messages.success(request, f"Pages with the key of {key.name} are refused from now on.")
    return redirect("thumb-key-list", request.seat.slug)
