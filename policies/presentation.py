"""Policies as pages show them: the contexts that templates/policies documents."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from policies.backtest import BacktestResult, Effect, ordered_actions, read_result
from policies.diff import FieldChange, Line, PolicyDiff
from policies.document import parse
from policies.engine import STRENGTH
from policies.lifecycle import State, state_of
from policies.models import (
    Mode,
    Policy,
    PolicyActivation,
    PolicyApproval,
    PolicyBacktest,
    PolicyReview,
    PolicyVersion,
)

STATE_LABELS = {
    "active": "In force",
    "scheduled": "Scheduled",
    "shadow": "Shadow",
    "draft": "Draft",
    "in_review": "In review",
    "approved": "Approved",
    "suspended": "Suspended",
    "superseded": "Superseded",
    "retired": "Retired",
    "rejected": "Rejected",
    "withdrawn": "Withdrawn",
    "expired": "Approval expired",
}
MOST_ALIVE = ("active", "shadow", "scheduled", "suspended", "approved", "in_review", "draft", "expired", "retired")
SEGMENTS_SHOWN = 50
LANE_WIDTH = 1000
LIST_SPAN = timedelta(days=90), timedelta(days=15)
"""What the lanes of the list show: this long before now, and this long after."""
PATH = (State.DRAFT, State.IN_REVIEW, State.APPROVED, State.ACTIVE)
REACHED: Mapping[str, int] = {
    "draft": 0,
    "withdrawn": 0,
    "in_review": 1,
    "rejected": 1,
    "approved": 2,
    "shadow": 2,
    "scheduled": 2,
    "expired": 2,
}
"""How far along `PATH` a version is; the states after it was put in force stand at its end."""


def states_of(
    reviews: Iterable[PolicyReview], activations: Sequence[PolicyActivation], now: datetime
) -> dict[uuid.UUID, str]:
    """What each reviewed version is now, by its id; an approved one that runs beside is `shadow`."""
    states: dict[uuid.UUID, str] = {}
    for review in reviews:
        own = [a for a in activations if a.version_id == review.version_id and a.cancelled_at is None]
        runs = [a.run for a in own if a.mode == Mode.ENFORCE]
        state = str(state_of(review.stage, runs, review.approved_until, now))
        is_shadow = any(a.mode == Mode.SHADOW and holds(a, now) for a in own)
        states[review.version_id] = "shadow" if is_shadow and state in ("approved", "expired") else state
    return states


def foremost(states: Iterable[str]) -> str:
    """The state that a policy is listed with: that of its most alive version."""
    rank = {state: n for n, state in enumerate(MOST_ALIVE)}
    return min(states, key=lambda state: rank.get(state, len(rank)), default="draft")


def holds(activation: PolicyActivation, now: datetime) -> bool:
    """Whether it is in force at a moment."""
    starts, ends = activation.effective.lower, activation.effective.upper
    return bool(starts <= now and (ends is None or now < ends))


def list_row(policy: Policy, now: datetime) -> dict[str, Any]:
    """A line of the list; `policy` comes with its versions, reviews and activations prefetched."""
    versions = sorted(policy.versions.all(), key=lambda v: v.number, reverse=True)
    activations = list(policy.activations.all())
    states = states_of(policy.reviews.all(), activations, now)
    state = foremost(states.values())
    shown = next((v for v in versions if states.get(v.pk) == state), versions[0])
    runs = [a for a in activations if a.version_id == shown.pk and a.cancelled_at is None]
    latest = max(runs, key=lambda a: a.effective.lower, default=None)
    others = [v for v in versions if v.number > shown.number and states[v.pk] in ("draft", "in_review", "approved")]
    return {
        "slug": policy.slug,
        "title": policy.title,
        "version": shown.number,
        "state": state,
        "state_label": STATE_LABELS[state],
        "making": {"version": others[0].number, "label": STATE_LABELS[states[others[0].pk]]} if others else None,
        "risk_class": shown.risk_class,
        "rules": len(json.loads(bytes(shown.canonical))["rules"]),
        "effective_from": latest.effective.lower if latest else None,
        "effective_to": latest.effective.upper if latest else None,
        "lanes": lanes(activations, now, LIST_SPAN),
    }


def lifecycle(state: str) -> list[dict[str, str]]:
    """The way to force as `components/stepper.html` shows it, with the state where the version stands."""
    at = REACHED.get(state, len(PATH) - 1)
    return [
        {
            "label": STATE_LABELS[state] if n == at else STATE_LABELS[step],
            "state": "done" if n < at else "current" if n == at else "todo",
        }
        for n, step in enumerate(PATH)
    ]


def review_entry(
    review: PolicyReview, answers: Sequence[PolicyApproval], names: Mapping[str, str]
) -> dict[str, Any] | None:
    """How far the approval is: who answered in this round, who of the frozen approvers still can. None: never asked."""
    if not review.round:
        return None
    answered = {str(answer.approver_id) for answer in answers}
    approvers = review.quorum.get("approvers", [])
    return {
        "needed": review.quorum.get("needed", 0),
        "given": sum(answer.is_approved for answer in answers),
        "round": review.round,
        "is_open": review.stage == State.IN_REVIEW,
        "requester": names.get(str(review.requester_id), ""),
        "submitted_at": review.submitted_at,
        "approved_until": review.approved_until,
        "answers": [
            {
                "by": str(answer.approver),
                "is_approved": answer.is_approved,
                "at": answer.created_at,
                "comment": answer.comment,
                "sha256": hashlib.sha256(bytes(answer.statement)).hexdigest(),
            }
            for answer in answers
        ],
        "waiting": [names.get(pk, pk) for pk in approvers if pk not in answered],
    }


def statement_pairs(content: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The statement of an approval, point by point, as `components/kv.html` shows it."""
    quorum, backtest = content["quorum"], content["backtest"]
    requester = content["requester"]

    def people(ids: Iterable[str]) -> str:
        return ", ".join(names.get(pk, pk) for pk in ids)

    return [
        {"label": "Policy", "value": f"{content['policy']}, version {content['version']}"},
        {"label": "Content, SHA-256", "value": content["version_sha256"], "hash": True},
        {"label": "Difference, SHA-256", "value": content["diff_sha256"], "hash": True},
        {"label": "Backtest, SHA-256", "value": backtest["sha256"] if backtest else "", "hash": True},
        {"label": "Risk class", "value": quorum["risk_class"].capitalize()},
        {"label": "Approvals needed", "value": f"{quorum['needed']} of {len(quorum['approvers'])}"},
        {"label": "Approvers", "value": people(quorum["approvers"])},
        {"label": "Whose work it is", "value": people(quorum["contributors"])},
        {"label": "Asked for by", "value": names.get(requester, requester) if requester else ""},
        {"label": "Submission", "value": str(content["round"])},
        {"label": "Nonce, once only", "value": content["nonce"], "hash": True},
    ]


def version_entry(version: PolicyVersion, state: str) -> dict[str, Any]:
    """A version in the list beside the document."""
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
            "controls": rule.controls,
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
        "is_cancelled": activation.cancelled_at is not None,
        "is_break_glass": activation.is_break_glass,
        "reason": activation.reason,
    }


def lanes(
    activations: Sequence[PolicyActivation], now: datetime, span: tuple[timedelta, timedelta] | None = None
) -> dict[str, Any] | None:
    """When each version was in force, as bars between 0 and `LANE_WIDTH`; None before the first start.

    `span`: how long before and after now to show, when lanes are to be compared; everything otherwise.
    """
    enforced = [a for a in activations if a.mode == Mode.ENFORCE and a.cancelled_at is None]
    if not enforced:
        return None
    start, end = (now - span[0], now + span[1]) if span else _whole(enforced, now)
    enforced = [a for a in enforced if a.effective.lower < end and (a.effective.upper or end) > start]
    scale = LANE_WIDTH / (end - start).total_seconds()

    def x(at: datetime | None) -> float:
        return float(round((min(max(at or end, start), end) - start).total_seconds() * scale, 1))

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


def _whole(enforced: Sequence[PolicyActivation], now: datetime) -> tuple[datetime, datetime]:
    """From the first start, or yesterday, to a little after now or the last planned change."""
    start = min(now - timedelta(days=1), *(a.effective.lower for a in enforced))
    known = [at for a in enforced for at in (a.effective.lower, a.effective.upper) if at is not None]
    return start, max(now + (now - start) * 0.15, *known)


def backtest_entry(row: PolicyBacktest) -> dict[str, Any]:
    """A backtest in a word and a line: what it covers and how far it is."""
    return {
        "id": str(row.pk),
        "state": row.state,
        "state_label": PolicyBacktest.State(row.state).label,
        "is_running": row.state in (PolicyBacktest.State.QUEUED, PolicyBacktest.State.RUNNING),
        "since": row.since,
        "until": row.until,
        "system": row.system,
        "processed": row.processed,
        "total": row.total,
        "flips": read_result(bytes(row.result)).flips if row.result else None,
        "sha256": bytes(row.sha256).hex(),
        "message": row.message,
        "by": str(row.requested_by) if row.requested_by else "",
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def backtest_report(row: PolicyBacktest) -> dict[str, Any] | None:
    """What a replay has found, so far or in the end; None before its first chunk. Shares are per cent."""
    if not row.result:
        return None
    result = read_result(bytes(row.result))
    turns = {"stricter": 0, "milder": 0}
    flips = []
    for (old, new), n in result.matrix.most_common():
        if (turn := turn_of(old, new)) != "same":
            turns[turn] += n
            flips.append(
                {"old": old, "new": new, "n": n, "turn": turn, "examples": result.examples.get((old, new), [])}
            )
    return turns | {
        "decisions": result.decisions,
        "erased": result.erased,
        "flips": flips,
        "changed": result.flips,
        "share": _share(result.flips, result.decisions),
        "errors": [{"rule": rule, "code": code, "n": n} for (rule, code), n in result.errors.most_common()],
        "n_errors": result.errors.total(),
        "withheld": _effect(result.withheld),
        "released": _effect(result.released),
        "rules": [
            {"rule": rule.id, "n": result.rules[rule.id], "share": _share(result.rules[rule.id], result.decisions)}
            for rule in parse(bytes(row.version.canonical)).rules
        ],
        "segments": _segments(result)[:SEGMENTS_SHOWN],
        "n_segments": len(result.by_segment),
        **_matrix(result),
    }


def turn_of(old: str, new: str) -> str:
    """Whether the new action is the same, stricter or milder. An action that we do not know is as strict as `allow`."""
    if old == new:
        return "same"
    return "stricter" if STRENGTH.get(new, 0) > STRENGTH.get(old, 0) else "milder"


def _matrix(result: BacktestResult) -> dict[str, Any]:
    """`columns`: the new actions; `matrix`: a row for each old one, with a cell for each column."""
    actions = ordered_actions(action for pair in result.matrix for action in pair)
    columns = [new for new in actions if any(pair[1] == new for pair in result.matrix)]
    rows = [
        {
            "old": old,
            "cells": [{"n": result.matrix[old, new], "turn": turn_of(old, new)} for new in columns],
            "total": sum(result.matrix[old, new] for new in columns),
        }
        for old in actions
    ]
    return {
        "columns": columns,
        "matrix": [row for row in rows if row["total"]],
        "totals": [sum(n for (_, new), n in result.matrix.items() if new == column) for column in columns],
    }


def _effect(effect: Effect) -> dict[str, Any]:
    """Answers that would be held back, or let out: how many, and what they used."""
    costs = [
        {"currency": currency, "amount": effect.cost_micros[currency] / 1_000_000, "decisions": n}
        for currency, n in sorted(effect.priced.items())
    ]
    return {"decisions": effect.decisions, "tokens": effect.tokens, "costs": costs}


def _segments(result: BacktestResult) -> list[dict[str, Any]]:
    """The segments in which most changes, first."""
    entries = []
    for (system, environment, task, model), part in result.by_segment.items():
        n = part.flips.total()
        share = _share(n, part.decisions)
        examples = [pk for ids in part.examples.values() for pk in ids]
        entries.append(
            {
                "system": system,
                "where": " · ".join(name for name in (environment, task, model) if name),
                "decisions": part.decisions,
                "changed": n,
                "share": share,
                "example": examples[0] if examples else "",
                "parts": [{"from": 0, "percent": share, "tone": "caution", "label": f"{n} would change"}],
            }
        )
    return sorted(entries, key=lambda entry: (-entry["changed"], -entry["share"], entry["system"], entry["where"]))


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def diff_entries(diff: PolicyDiff) -> list[dict[str, Any]]:
    """What a version changes, in words: about the document first, then rule by rule."""
    about = [{"kind": "changed", "rule": "", "fields": [_field(f) for f in diff.document]}] if diff.document else []
    return about + [
        {"kind": change.kind, "rule": change.rule, "fields": [_field(f) for f in change.fields]}
        for change in diff.rules
    ]


def _field(change: FieldChange) -> dict[str, Any]:
    numbers = [
        {"old": old, "new": new, "percent": round(100 * (float(new) / float(old) - 1)) if float(old) else None}
        for old, new in change.thresholds
    ]
    label = change.name.replace("_", " ").capitalize()
    return {
        "name": change.name,
        "label": label,
        "old": _words(change.old),
        "new": _words(change.new),
        "numbers": numbers,
    }


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {', '.join(items)}" for name, items in value.items() if items) or "everywhere"
    return ", ".join(value) or "none" if isinstance(value, list) else str(value if value is not None else "")


def diff_blocks(lines: Iterable[Line | None]) -> list[dict[str, Any]]:
    """Runs of lines to lay side by side: [{kind: same | changed | gap, old: [line], new: [line]}].

    A line is {n, before, mark, after}: `mark` is the part that alone differs from the line beside it.
    """
    blocks: list[dict[str, Any]] = []
    for line in lines:
        kind = "gap" if line is None else "same" if line.kind == "same" else "changed"
        if not blocks or blocks[-1]["kind"] != kind:
            blocks.append({"kind": kind, "old": [], "new": []})
        if line is None:
            continue
        if line.old is not None:
            blocks[-1]["old"].append({"n": line.old, "before": line.text, "mark": "", "after": ""})
        if line.new is not None:
            blocks[-1]["new"].append({"n": line.new, "before": line.text, "mark": "", "after": ""})
    for block in blocks:
        if block["kind"] == "changed":
            for old, new in zip(block["old"], block["new"], strict=False):
                _mark(old, new)
    return blocks


def _mark(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Split a pair of lines around what differs, unless they have little in common."""
    one, other = old["before"], new["before"]
    head = _in_common(one, other)
    tail = _in_common(one[head:][::-1], other[head:][::-1])
    if 2 * (head + tail) < max(len(one), len(other)):
        return
    for line, text in ((old, one), (new, other)):
        end = len(text) - tail
        line["before"], line["mark"], line["after"] = text[:head], text[head:end], text[end:]


def _in_common(one: str, other: str) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
