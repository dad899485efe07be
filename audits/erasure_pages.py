"""What the pages of erasure requests show."""

import json
from typing import Any

from django.urls import reverse

from audits.erasing import ERASED
from audits.erasures import name_for
from audits.lifecycles import ErasureState
from audits.models import Erasure
from tenants.actors import Actor
from tenants.ledger.reader import leaf_of
from tenants.models import LedgerEvent

MOVING = (ErasureState.APPROVED, ErasureState.RUNNING)
# What a state is to `components/state.html`, which knows tones and not nouns.
TONES = {
    ErasureState.REQUESTED: "pending",
    ErasureState.APPROVED: "scheduled",
    ErasureState.RUNNING: "fieldwork",
    ErasureState.COMPLETED: "closed",
    ErasureState.REJECTED: "retired",
}


def erasure_row(slug: str, row: Erasure) -> dict[str, Any]:
    """A line of the list."""
    return {
        "url": reverse("erasure-detail", args=[slug, row.pk]),
        "reference": row.reference,
        "ground": row.get_ground_display(),
        "state": TONES[ErasureState(row.state)],
        "state_label": row.get_state_display(),
        "requested_by": row.requested_label,
        "requested_at": row.requested_at,
        "decided_by": row.decided_label,
        "records": row.removed.get("records", 0),
        "completed_at": row.completed_at,
    }


def erasure_page(by: Actor, slug: str, row: Erasure) -> dict[str, Any]:
    """One request: its steps, what went so far, what stays and why, and what the reader may do."""
    told = json.loads(bytes(row.certificate)) if row.state == ErasureState.COMPLETED else {}
    may_decide = by.may("erasure.approve") and by.user_id is not None and row.requested_by != by.reference
    decides = row.state == ErasureState.REQUESTED and may_decide
    return {
        "erasure": erasure_row(slug, row)
        | {"reason": row.reason, "decision_note": row.decision_note, "name": name_for(by, row), "letter": row.ground},
        "steps": _steps(row),
        "is_moving": row.state in MOVING,
        "erased": [{"what": ERASED[name], "count": row.removed[name]} for name in ERASED if row.removed.get(name)],
        "kept": told.get("kept", []),
        "backups": told.get("backups", ""),
        "records": told.get("records"),
        "events": _events(row),
        "approve_url": reverse("erasure-approve", args=[slug, row.pk]) if decides else None,
        "reject_url": reverse("erasure-reject", args=[slug, row.pk])
        if may_decide and row.state in {ErasureState.REQUESTED, ErasureState.APPROVED}
        else None,
        "is_own": row.state == ErasureState.REQUESTED and row.requested_by == by.reference,
        "certificate_url": reverse("erasure-certificate", args=[slug, row.pk]) if told else None,
        "list_url": reverse("erasure-list", args=[slug]),
    }


def _steps(row: Erasure) -> list[dict[str, Any]]:
    """The way of a request, for `components/stepper.html`."""
    if row.state == ErasureState.REJECTED:
        return [
            {"label": "Requested", "state": "done", "at": row.requested_at},
            {"label": "Rejected", "state": "current", "at": row.decided_at},
        ]
    order = [ErasureState.REQUESTED, ErasureState.APPROVED, ErasureState.RUNNING, ErasureState.COMPLETED]
    at = order.index(ErasureState(row.state))
    labels, times = ("Requested", "Approved", "Erasing", "Completed"), (row.requested_at, row.decided_at, None)
    reached = len(order) if row.state == ErasureState.COMPLETED else at
    return [
        {
            "label": label,
            "state": "done" if place < reached else "current" if place == reached else "todo",
            "at": [*times, row.completed_at][place],
        }
        for place, label in enumerate(labels)
    ]


def _events(row: Erasure) -> list[dict[str, Any]]:
    """The leaves of a request: what happened, and where in the log it stands."""
    events = LedgerEvent.objects.filter(tag__startswith="erasure.", id__gte=row.pk).order_by("id")[:200]
    mine = [event for event in events if json.loads(bytes(event.body)).get("erasure") == row.number]
    return [
        {"tag": event.tag, "id": str(event.pk), "leaf": leaf.leaf_index if (leaf := leaf_of(event.pk)) else None}
        for event in mine
    ]
