"""The frame around every page: navigation, tenant, state of the ledger. Apps add entries to `NAVIGATION`."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse


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
    Entry("API keys", "api-key-list", "key.manage"),
    Entry("Cases from alerts", "alert-rule", "case.create"),
    Entry("Webhooks", "webhook-list", "webhook.manage"),
    Entry("Thumbs on your pages", "thumb-key-list", "key.manage"),
    Entry("Links to other tools", "apm-link-list", "source.manage"),
)


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Context of `base.html` inside a tenant: `seat`, `actor`, `nav` and `menu` ([{label, url, active}]); else none."""
    seat = getattr(request, "seat", None)
    if seat is None:
        return {}
    actor = request.actor  # type: ignore[attr-defined]
    return {"seat": seat, "actor": actor, "nav": _links(request, NAVIGATION), "menu": _links(request, MENU)}


def _links(request: HttpRequest, entries: tuple[Entry, ...]) -> list[dict[str, Any]]:
    actor, slug = request.actor, request.seat.slug  # type: ignore[attr-defined]
    urls = [(entry.label, reverse(entry.url_name, args=[slug])) for entry in entries if actor.may(entry.permission)]
    return [{"label": label, "url": url, "active": request.path.startswith(url)} for label, url in urls]
