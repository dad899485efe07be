"""The page behind the bell."""

import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_POST, require_safe

from tenants.models import Notification
from tenants.notices import feed
from tenants.requests import TenantRequest
from tenants.webhooks.presentation import event_label


@require_safe
def notification_list(request: TenantRequest) -> HttpResponse:
    """What happened, newest first, with what is new since the member looked last."""
    actor, slug = request.actor, request.seat.slug
    before = _uuid(request.GET.get("before", ""))
    rows = feed.visible_to(actor).order_by("-id")
    found = list((rows.filter(pk__lt=before) if before else rows)[: feed.PAGE_SIZE + 1])
    more, shown = len(found) > feed.PAGE_SIZE, found[: feed.PAGE_SIZE]
    new = set(feed.unread(actor).filter(pk__in=[row.pk for row in shown]).values_list("pk", flat=True))
    url = reverse("notification-list", args=[slug])
    context = {
        "notifications": [_row(slug, row) | {"is_new": row.pk in new} for row in shown],
        "read_to": shown[0].pk if new and not before else None,
        "shown": len(shown),
        "newer_url": url if before else "",
        "older_url": f"{url}?before={shown[-1].pk}" if more else "",
    }
    return render(request, "tenants/notification_list.html", context)


def _row(slug: str, row: Notification) -> dict[str, Any]:
    name, *rest = row.page or [""]
    try:
        url = reverse(name, args=[slug, *rest]) if name else ""
    except NoReverseMatch:  # a page of an earlier version
        url = ""
    return {"title": row.title, "text": row.text, "kind": event_label(row.event_type), "at": row.created_at, "url": url}


@require_POST
def notification_read(request: TenantRequest) -> HttpResponse:
    """All that the page showed is read; what came meanwhile is not."""
    read_to = _uuid(request.POST.get("read_to", ""))
    if read_to is not None:
        feed.mark_read(by=request.actor, read_to=read_to)
    return redirect("notification-list", request.seat.slug)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
