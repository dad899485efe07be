"""Decisions as pages show them: the contexts that templates/traces documents. No writes, no HTTP."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from tenants.actors import Actor
from tenants.ids import uuid7_time
from tenants.ledger.reader import covering_checkpoint, leaf_of, proof_states
from traces.contents import erased_reasons
from traces.conversation import Turn, excerpt, pretty, turns
from traces.costs.charts import money
from traces.models import FAILED, Decision, PolicyMatch, SpanContent
from traces.rows import span_hex
from traces.sealing import GROUPS, Content
from traces.selectors import members_of, open_payloads, policy_document

HEX_SHOWN = "sha256:"


def asked_and_answered(members: Mapping[str, Any], length: int = 140) -> tuple[str, str]:
    """The last question and the last answer, in a line each, of so many characters at most."""
    said = turns(members.get("input"), "user")
    asked = excerpt(said, last="user", length=length) or excerpt(said, length=length)
    return asked, excerpt(turns(members.get("output"), "assistant"), length=length)


def row(decision: Decision, content: Content | None, *, hidden: bool, proof: str) -> dict[str, Any]:
    """A line of the list."""
    asked, answered = asked_and_answered(members_of(content)) if content else ("", "")
    tokens = (decision.input_tokens or 0) + (decision.output_tokens or 0)
    return {
        "id": str(decision.pk),
        "occurred_at": decision.occurred_at,
        "late": decision.late,
        "clock_skewed": decision.clock_skewed,
        "system": decision.deployment.system,
        "environment": decision.deployment.environment,
        "task": decision.deployment.task,
        "asked": asked or ("Content hidden for your role" if hidden else ""),
        "answered": answered,
        "erased": content is None and not hidden,
        "model": str(decision.model_version) if decision.model_version.name else "",
        "action": decision.action,
        "failed": decision.outcome == FAILED,
        "tokens": tokens or None,
        "proof": proof,
    }


def rows(decisions: Sequence[Decision], by: Actor) -> list[dict[str, Any]]:
    """The lines of a page; reading their content is recorded as one event."""
    may_read = by.may("decision.read_payload")
    contents = open_payloads(decisions, by=by, purpose="decision list") if may_read else {}
    states = proof_states([decision.pk for decision in decisions])
    return [
        row(decision, contents.get(decision.pk), hidden=not may_read, proof=states[decision.pk])
        for decision in decisions
    ]


def head(decision: Decision, content: Content | None, may_read: bool) -> dict[str, Any]:
    """`decision` of the detail page."""
    asked, _ = asked_and_answered(members_of(content)) if content else ("", "")
    return row(decision, content, hidden=not may_read, proof="") | {
        "asked": asked,
        "verdict": decision.verdict,
        "latency_ms": decision.latency_ms,
        "erased_note": "" if content or not may_read else erased_reasons([decision.pk]).get(decision.pk, ""),
    }


def parameters(decision: Decision, members: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Model, prompt and sampling parameters, as label and value."""
    model = decision.model_version
    known = [
        ("Provider", model.provider),
        ("Model", model.name),
        ("Version", model.version),
        (
            "Prompt",
            " ".join(part for part in (model.prompt_name, model.prompt_version and f"v{model.prompt_version}") if part),
        ),
    ]
    given = (members.get("model") or {}).get("parameters") or {}
    return _pairs([*known, *((name, str(value)) for name, value in given.items())])


def usage(decision: Decision) -> list[dict[str, Any]]:
    """Tokens and time, as label and value."""
    labels = {
        "input_tokens": "Input tokens",
        "output_tokens": "Output tokens",
        "cache_read_tokens": "Read from cache",
        "cache_write_tokens": "Written to cache",
        "reasoning_tokens": "Reasoning tokens",
    }
    counted = [(label, getattr(decision, name)) for name, label in labels.items()]
    latency = f"{decision.latency_ms:,} ms" if decision.latency_ms is not None else None
    tokens = [(label, f"{n:,}" if n is not None else None) for label, n in counted]
    return [*_pairs([*tokens, ("Latency", latency)]), *cost(decision)]


def cost(decision: Decision) -> list[dict[str, Any]]:
    """What it cost and by which price; a model without a price says so."""
    if decision.cost_micros is None or decision.price_sha256 is None:
        used = decision.model_version.name or decision.input_tokens is not None
        return [{"label": "Cost", "value": "unpriced"}] if used else []
    shown = [{"label": "Cost", "value": money(decision.cost_micros, decision.currency or "")}]
    if decision.saved_micros:
        shown.append({"label": "Saved by caches", "value": money(decision.saved_micros, decision.currency or "")})
    price: dict[str, Any] = {"label": "Price", "value": bytes(decision.price_sha256).hex(), "hash": True}
    return [*shown, price]


def identifiers(decision: Decision, slug: str) -> list[dict[str, Any]]:
    """Every id the record goes by; those that others share lead to the session, the user and the trace."""
    session_url, user_url = (reverse(name, args=[slug]) for name in ("session", "app-user"))
    trace = decision.trace_id.hex if decision.trace_id else ""
    shown: list[dict[str, Any]] = [
        {"label": "Record", "value": str(decision.pk), "hash": True},
        {"label": "External id", "value": decision.external_id},
        {"label": "Source", "value": decision.source.name},
        {"label": "Sequence", "value": decision.source_seq},
        {"label": "Session", "value": decision.session, "url": f"{session_url}?{urlencode({'id': decision.session})}"},
        {"label": "User", "value": decision.user, "url": f"{user_url}?{urlencode({'id': decision.user})}"},
        {"label": "Trace", "value": trace, "hash": True},
        {"label": "Span", "value": span_hex(decision.span_id), "hash": True},
        {"label": "Agent", "value": decision.agent},
        {"label": "Instance", "value": decision.instance},
        {"label": "System version", "value": decision.system_version},
    ]
    return [entry for entry in shown if entry["value"] not in ("", None)]


def beside(found: Sequence[tuple[SpanContent, Content | None]]) -> list[dict[str, Any]]:
    """What log records said of the decision's span, each with its leaf; erased ones have no turns."""
    return [
        {
            "event": row.event,
            "occurred_at": row.occurred_at,
            "leaf_hash": bytes(row.leaf_hash).hex(),
            "erased": content is None,
            "turns": _said(members_of(content)) if content else [],
        }
        for row, content in found
    ]


def _said(members: Mapping[str, Any]) -> list[Turn]:
    return turns(members.get("input"), "user") + turns(members.get("output"), "assistant")


def metadata(members: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What else the application sent along."""
    extra = members.get("metadata") or {}
    return _pairs(
        [(name, value if isinstance(value, str | int | float) else pretty(value)) for name, value in extra.items()]
    )


def policy_state(decision: Decision, content: Content | None, policy_url: str) -> dict[str, Any] | None:
    """The set in force, the claim, and each rule that applied; None when nothing was in force."""
    document = policy_document(content) if content else {}
    if decision.verdict == "no_policy" and not document.get("shadow"):
        return None
    shadow = document.get("shadow", {}).get("findings", [])
    return {
        "set_hash": f"{HEX_SHOWN}{bytes(decision.policy_set).hex()}",
        "match": decision.policy_match,
        "match_label": PolicyMatch(decision.policy_match).label,
        "claim": document.get("claim", ""),
        "action": decision.action,
        "rules": [
            *(_rule(finding, "enforce", policy_url) for finding in document.get("findings", [])),
            *(_rule(finding, "shadow", policy_url) for finding in shadow),
        ],
    }


def _rule(finding: Mapping[str, str], mode: str, policy_url: str) -> dict[str, Any]:
    error = finding.get("error", "")
    return {
        "policy": finding["policy"],
        "policy_url": policy_url,
        "version": finding["version"][:8],
        "rule": finding["rule"],
        "verdict": finding["outcome"],
        "action": finding["action"],
        "mode": mode,
        "message": f"The rule could not be evaluated: {error.replace('_', ' ')}." if error else "",
    }


def proof_panel(decision: Decision) -> dict[str, Any]:
    """What is known of the record's place in the log."""
    panel: dict[str, Any] = {
        "state": "queued",
        "leaf_hash": bytes(decision.leaf_hash).hex(),
        "received_at": uuid7_time(decision.pk),
    }
    leaf = leaf_of(decision.pk)
    if leaf is None:
        return panel
    panel |= {"state": "integrated", "leaf_index": leaf.leaf_index}
    checkpoint = covering_checkpoint(leaf)
    if checkpoint is None:
        return panel
    return panel | {
        "state": "signed",
        "checkpoint_size": checkpoint.size,
        "checkpoint_root": bytes(checkpoint.root).hex(),
        "signed_at": checkpoint.signed_at,
    }


def canonical_text(decision_id: uuid.UUID, content: Content) -> str:
    """The record as it was hashed: each group's canonical JSON with its salt and commitment."""
    commitments = content.commitments()
    lines = [f"record {decision_id}"]
    for group in GROUPS:
        if group in content.canonical:
            lines += (
                "",
                f"{group}",
                f"  commitment {commitments[group].hex()}",
                f"  salt       {content.salts[group].hex()}",
                f"  {content.canonical[group].decode()}",
            )
    return "\n".join(lines)


def _pairs(entries: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [{"label": label, "value": value} for label, value in entries if value not in ("", None)]
