"""What the pages of erasure requests, holds and retention show."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from audits.erasing import ERASED
from audits.erasures import name_for
from audits.lifecycles import ErasureState
from audits.models import Erasure, Hold, Purge, PurgeState
from audits.retention import COUNTED, Preview
from audits.retention_classes import CLASSES, RetentionClass
from audits.subjects import subject_of
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
        "held_by": row.held_by,
        "holds_url": reverse("hold-list", args=[slug]),
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


def hold_row(by: Actor, slug: str, row: Hold) -> dict[str, Any]:
    """A line of the list of holds."""
    may_release = by.may("hold.release") and by.user_id is not None and row.placed_by != by.reference
    today = datetime.now(UTC).date()
    return {
        "reference": row.reference,
        "scope": row.get_scope_display(),
        "about": _about(by, slug, row),
        "reason": row.reason,
        "placed_by": row.placed_label,
        "placed_at": row.placed_at,
        "review_on": row.review_on,
        "is_due": row.released_at is None and row.review_on is not None and row.review_on <= today,
        "released_by": row.released_label,
        "released_at": row.released_at,
        "release_reason": row.release_reason,
        "release_url": reverse("hold-release", args=[slug, row.pk])
        if may_release and row.released_at is None
        else None,
    }


def _about(by: Actor, slug: str, row: Hold) -> dict[str, str]:
    """What is held, as text and as a place to look at it."""
    if row.decision_id is not None:
        return {"text": str(row.decision_id), "url": reverse("decision-detail", args=[slug, row.decision_id])}
    if row.case is not None:
        return {"text": str(row.case), "url": reverse("case-detail", args=[slug, row.case.pk])}
    if row.query:
        query = urlencode(json.loads(bytes(row.query)))
        return {"text": query.replace("&", ", "), "url": f"{reverse('decision-list', args=[slug])}?{query}"}
    name = subject_of(row) if by.may("hold.place") and by.may("erasure.request") else ""
    return {"text": name or "a person, by a keyed hash of the name", "url": ""}


def preview_row(preview: Preview) -> dict[str, Any]:
    """A rule, and what it would let go now."""
    rule = preview.rule
    known = CLASSES.get(rule.retention_class)
    return {
        "system": rule.system,
        "title": known.title if known else rule.retention_class,
        "keep_days": rule.keep_days,
        "floor_days": rule.floor_days,
        "set_by": rule.set_label,
        "set_at": rule.set_at,
        "before": preview.before,
        "count": min(preview.count, COUNTED),
        "is_more": preview.count > COUNTED,
        "held": preview.held,
    }


def purge_row(run: Purge) -> dict[str, Any]:
    """A run with its receipt."""
    return {
        "reference": run.reference,
        "system": run.system,
        "before": run.before,
        "state": "closed" if run.state == PurgeState.COMPLETED else "fieldwork",
        "state_label": run.get_state_display(),
        "contents": run.removed.get("contents", 0),
        "held": run.held,
        "records_sha256": bytes(run.records_sha256).hex() if run.records_sha256 else "",
        "completed_at": run.completed_at,
    }


def class_row(one: RetentionClass) -> dict[str, Any]:
    """A class of retention with its source."""
    return {"title": one.title, "floor_days": one.floor_days, "source": one.source}
