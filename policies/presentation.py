"""Policies as pages show them: the contexts that templates/policies documents."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from policies.document import parse
from policies.models import Mode, Policy, PolicyActivation, PolicyVersion

STATE_LABELS = {
    "active": "In force",
    "scheduled": "Scheduled",
    "shadow": "Shadow",
    "draft": "Draft",
    "retired": "Retired",
}
LANE_WIDTH = 1000
LANE_SPAN_BEFORE = timedelta(days=30)


def state_of(activations: Sequence[PolicyActivation], now: datetime) -> tuple[str, PolicyActivation | None]:
    """What a policy (or one version of it) is doing, and the activation that says so."""
    by_start = sorted(activations, key=lambda a: a.effective.lower, reverse=True)
    for state, wanted in (("active", Mode.ENFORCE), ("shadow", Mode.SHADOW)):
        for activation in by_start:
            if activation.mode == wanted and holds(activation, now):
                return state, activation
    for activation in by_start:
        if activation.effective.lower > now:
            return "scheduled", activation
    return ("retired", by_start[0]) if by_start else ("draft", None)


def holds(activation: PolicyActivation, now: datetime) -> bool:
    """Whether it is in force at a moment."""
    starts, ends = activation.effective.lower, activation.effective.upper
    return bool(starts <= now and (ends is None or now < ends))


def list_row(policy: Policy, now: datetime) -> dict[str, Any]:
    """A line of the list; `policy` comes with its versions and activations prefetched."""
    versions = sorted(policy.versions.all(), key=lambda v: v.number, reverse=True)
    state, activation = state_of(list(policy.activations.all()), now)
    shown = next((v for v in versions if activation and v.pk == activation.version_id), versions[0])
    return {
        "slug": policy.slug,
        "title": policy.title,
        "version": shown.number,
        "state": state,
        "state_label": STATE_LABELS[state],
        "risk_class": shown.risk_class,
        "rules": len(parse(bytes(shown.canonical)).rules),
        "effective_from": activation.effective.lower if activation else None,
        "effective_to": activation.effective.upper if activation else None,
        "hits": None,
    }


def version_entry(version: PolicyVersion, activations: Sequence[PolicyActivation], now: datetime) -> dict[str, Any]:
    """A version in the list beside the document."""
    state, _ = state_of([a for a in activations if a.version_id == version.pk], now)
    return {
        "number": version.number,
        "sha256": bytes(version.sha256).hex(),
        "author": str(version.author) if version.author else "",
        "created_at": version.created_at,
        "change_reason": version.change_reason,
        "risk_class": version.risk_class,
        "state": state,
        "state_label": STATE_LABELS[state],
    }


def rules(version: PolicyVersion) -> list[dict[str, Any]]:
    """The rules of a version, each with the line of the source it starts on."""
    lines = version.source.splitlines()
    return [
        {
            "id": rule.id,
            "description": rule.message,
            "when": rule.when,
            "action": rule.action,
            "severity": rule.severity,
            "mode": "",
            "line": next((n for n, line in enumerate(lines, 1) if f"id: {rule.id}" in line), None),
        }
        for rule in parse(bytes(version.canonical)).rules
    ]


def activation_entry(activation: PolicyActivation) -> dict[str, Any]:
    """A line of the timeline of activations."""
    return {
        "version": activation.version.number,
        "mode": activation.mode,
        "mode_label": Mode(activation.mode).label,
        "from": activation.effective.lower,
        "to": activation.effective.upper,
        "by": str(activation.activated_by) if activation.activated_by else "",
    }


def lanes(activations: Sequence[PolicyActivation], now: datetime) -> dict[str, Any] | None:
    """When each version was in force, as bars between 0 and `LANE_WIDTH`; None before the first start."""
    enforced = [a for a in activations if a.mode == Mode.ENFORCE]
    if not enforced:
        return None
    first = min(a.effective.lower for a in enforced)
    start = min(first, now - timedelta(days=1))
    end = max(now + (now - start) * 0.15, *(a.effective.lower for a in enforced))
    scale = LANE_WIDTH / (end - start).total_seconds()

    def x(at: datetime | None) -> float:
        return round(((at or end) - start).total_seconds() * scale, 1)

    bars = [
        {
            "x": x(a.effective.lower),
            "width": max(x(a.effective.upper) - x(a.effective.lower), 2),
            "tone": "seal" if holds(a, now) else "ink",
            "title": f"Version {a.version.number} from {a.effective.lower:%d %b %Y %H:%M}",
            "label": f"v{a.version.number}",
        }
        for a in enforced
    ]
    ticks = [{"x": 0, "label": f"{start:%d %b}"}, {"x": min(x(now), LANE_WIDTH - 60), "label": "now"}]
    return {"label": "When each version was in force", "now": x(now), "bars": bars, "ticks": ticks}
