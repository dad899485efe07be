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
    Entry("Ledger", "ledger-health", "ledger.read"),
)


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Context of `base.html`: `seat`, `actor` and `nav` ([{label, url, active}]) inside a tenant, else nothing."""
    seat = getattr(request, "seat", None)
    if seat is None:
        return {}
    actor = request.actor  # type: ignore[attr-defined]
    entries = [
        {"label": entry.label, "url": reverse(entry.url_name, args=[seat.slug])}
        for entry in NAVIGATION
        if actor.may(entry.permission)
    ]
    return {"seat": seat, "actor": actor, "nav": [e | {"active": request.path.startswith(e["url"])} for e in entries]}
