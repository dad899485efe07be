"""Policies, versions and backtests as the API takes and shows them. Times are RFC 3339, hashes hex."""

import json
from datetime import datetime
from typing import Any

from rest_framework import serializers

from policies.lifecycle import BREAK_GLASS_LASTS, STEPS, State, may
from policies.models import Mode, Policy, PolicyActivation, PolicyBacktest, PolicyReview, PolicyVersion
from policies.presentation import foremost, states_of
from tenants.actors import Actor


class StepInput(serializers.Serializer[Any]):
    """What a step may need; each step reads what concerns it."""

    revision = serializers.IntegerField(required=False, help_text="Refuse unless the version is still at this revision")
    reason = serializers.CharField(required=False, allow_blank=True, max_length=2_000, default="")
    starts = serializers.DateTimeField(required=False, help_text="activate, shadow: from then on (default: now)")
    lasts_hours = serializers.IntegerField(
        required=False, min_value=1, max_value=int(BREAK_GLASS_LASTS.total_seconds() // 3600), help_text="break-glass"
    )


class BacktestInput(serializers.Serializer[Any]):
    """What to replay: the decisions that occurred from `since` to before `until`, of one system or of all."""

    policy = serializers.SlugField(max_length=100)
    version = serializers.IntegerField(min_value=1)
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    system = serializers.CharField(required=False, allow_blank=True, max_length=200, default="")


def policy_entry(policy: Policy, now: datetime) -> dict[str, Any]:
    """A line of the list; `policy` comes with its versions, reviews and activations prefetched."""
    activations = list(policy.activations.all())
    states = states_of(policy.reviews.all(), activations, now)
    versions = sorted(policy.versions.all(), key=lambda version: version.number, reverse=True)
    in_force = [a for a in activations if a.mode == Mode.ENFORCE and a.cancelled_at is None and a.run.holds_at(now)]
    return {
        "slug": policy.slug,
        "title": policy.title,
        "state": foremost(states.values()),
        "newest_version": versions[0].number if versions else None,
        "version_in_force": next((v.number for v in versions for a in in_force if a.version_id == v.pk), None),
    }


def version_entry(version: PolicyVersion, state: str) -> dict[str, Any]:
    """A version without its text."""
    return {
        "policy": version.policy.slug,
        "version": version.number,
        "sha256": bytes(version.sha256).hex(),
        "state": state,
        "risk_class": version.risk_class,
        "change_reason": version.change_reason,
        "author": str(version.author) if version.author else None,
        "created_at": version.created_at,
    }


def version_detail(version: PolicyVersion, review: PolicyReview, state: str, by: Actor) -> dict[str, Any]:
    """A version with its text, how far its review is, and what the caller can do to it."""
    given = review.approvals.filter(round=review.round).select_related("approver").order_by("created_at")
    return version_entry(version, state) | {
        "revision": review.revision,
        "steps": possible_steps(state, by),
        "quorum": {"needed": review.quorum.get("needed"), "submitted_at": review.submitted_at}
        if review.round
        else None,
        "approved_until": review.approved_until,
        "approvals": [
            {"by": str(a.approver), "approved": a.is_approved, "at": a.created_at, "comment": a.comment} for a in given
        ],
        "document": json.loads(bytes(version.canonical)),
        "source": version.source,
    }


def possible_steps(state: str, by: Actor) -> list[str]:
    """The steps that the state allows and the caller has permission for, as the addresses name them."""
    plain = State.APPROVED if state == "shadow" else State(state)
    return sorted(step.replace("_", "-") for step in STEPS[plain] if may(plain, step, by.permissions))


def activation_entry(activation: PolicyActivation) -> dict[str, Any]:
    """When a version was, is or will be in force; `cancelled_at`: it will not."""
    return {
        "version": activation.version.number,
        "mode": activation.mode,
        "from": activation.effective.lower,
        "to": activation.effective.upper,
        "recorded_at": activation.recorded_at,
        "ended_as": activation.ended_as or None,
        "cancelled_at": activation.cancelled_at,
        "is_break_glass": activation.is_break_glass,
        "by": str(activation.activated_by) if activation.activated_by else None,
        "reason": activation.reason,
    }


def backtest_entry(backtest: PolicyBacktest) -> dict[str, Any]:
    """A backtest and how far it is; `sha256` is of its final result, which the ledger holds too."""
    return {
        "id": str(backtest.pk),
        "policy": backtest.version.policy.slug,
        "version": backtest.version.number,
        "since": backtest.since,
        "until": backtest.until,
        "system": backtest.system,
        "state": backtest.state,
        "processed": backtest.processed,
        "total": backtest.total,
        "sha256": bytes(backtest.sha256).hex() or None,
        "message": backtest.message,
        "created_at": backtest.created_at,
        "finished_at": backtest.finished_at,
    }


def backtest_detail(backtest: PolicyBacktest) -> dict[str, Any]:
    """A backtest with what it has found so far, or in the end (`policies.backtest` documents it)."""
    return backtest_entry(backtest) | {"result": json.loads(bytes(backtest.result)) if backtest.result else None}
