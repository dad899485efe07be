"""The frame around every page: navigation, tenant, state of the ledger. Apps add entries to `NAVIGATION`."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from tenants.context import current_tenant_or_none
from tenants.notices.feed import count_unread


@dataclass(frozen=True, slots=True)
class Entry:
    """A navigation entry: shown to those who hold the permission."""

    label: str
    url_name: str
    permission: str


NAVIGATION: tuple[Entry, ...] = (
    Entry("Decisions", "decision-list", "decision.read"),
    Entry("Cases", "case-list", "case.read"),
    Entry("Policies", "policy-list", "policy.read"),
    Entry("Behaviour", "drift-list", "decision.read"),
    Entry("Usage", "usage", "decision.read"),
    Entry("Timeline", "timeline", "decision.read"),
    Entry("Ledger", "ledger-health", "ledger.read"),
)


MENU: tuple[Entry, ...] = (
    Entry("Members", "member-list", "ledger.read"),
    Entry("Erasure", "erasure-list", "erasure.read"),
    Entry("Legal holds", "hold-list", "hold.read"),
    Entry("Retention", "retention", "retention.read"),
    Entry("Sign-in rules", "sign-in-rules", "tenant.manage"),
    Entry("Sign-ins", "sign-in-list", "activity.read"),
    Entry("API keys", "api-key-list", "key.manage"),
    Entry("Cases from alerts", "alert-rule", "case.create"),
    Entry("Webhooks", "webhook-list", "webhook.manage"),
    Entry("Thumbs on your pages", "thumb-key-list", "key.manage"),
    Entry("Links to other tools", "apm-link-list", "source.manage"),
)


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Context of `base.html` inside a tenant, else none: `seat`, `actor`, `bell`, `nav` and `menu`.

    The last two are [{label, url, active}].
    """
    seat = getattr(request, "seat", None)
    if seat is None:
        return {}
    actor = request.actor  # type: ignore[attr-defined]
    links = {"nav": _links(request, NAVIGATION), "menu": _links(request, MENU)}
    return links | {"seat": seat, "actor": actor, "bell": _bell(request)}


def _bell(request: HttpRequest) -> dict[str, Any]:
    """Where the bell leads, and what it counts: asked only by a template that shows it, so a fragment costs nothing.

    A page of an error is shown when the request's transaction is over: there it counts nothing.
    """
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    url = reverse("notification-list", args=[slug])
    return {"url": url, "count": lambda: count_unread(actor) if current_tenant_or_none() else 0}


def _links(request: HttpRequest, entries: tuple[Entry, ...]) -> list[dict[str, Any]]:
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    urls = [(entry.label, reverse(entry.url_name, args=[slug])) for entry in entries if actor.may(entry.permission)]
    return [{"label": label, "url": url, "active": request.path.startswith(url)} for label, url in urls]
