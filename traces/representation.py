"""A decision as the API shows it: the submitted form, and what Affidavit knows about it."""

from typing import Any

from tenants.ids import uuid7_time
from traces.contents import erased_reasons
from traces.models import Decision
from traces.recording import rfc3339
from traces.rows import span_hex
from traces.sealing import Content
from traces.selectors import members_of, policy_document


def summary(decision: Decision) -> dict[str, Any]:
    """One line of a list: no content."""
    deployment, model = decision.deployment, decision.model_version
    shown = {
        "id": str(decision.pk),
        "occurred_at": rfc3339(decision.occurred_at),
        "received_at": rfc3339(uuid7_time(decision.pk)),
        "system": deployment.system,
        "environment": deployment.environment,
        "task": deployment.task,
        "external_id": decision.external_id,
        "trace_id": decision.trace_id.hex if decision.trace_id else "",
        "span_id": span_hex(decision.span_id),
        "session": decision.session,
        "user": decision.user,
        "agent": decision.agent,
        "instance": decision.instance,
        "model": {"provider": model.provider, "name": model.name, "version": model.version},
        "usage": usage(decision),
        "cost": cost(decision),
        "latency_ms": decision.latency_ms,
        "outcome": decision.outcome,
        "verdict": decision.verdict,
        "action": decision.action,
        "policy_set": f"sha256:{bytes(decision.policy_set).hex()}",
        "policy_match": decision.policy_match,
        "late": decision.late,
        "clock_skewed": decision.clock_skewed,
        "leaf_hash": bytes(decision.leaf_hash).hex(),
    }
    return {name: value for name, value in shown.items() if value not in ("", None)}


def usage(decision: Decision) -> dict[str, int]:
    """The tokens that were reported."""
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    return {name: value for name in names if (value := getattr(decision, name)) is not None}


def cost(decision: Decision) -> dict[str, Any] | None:
    """What it cost as it was recorded, and the price that said so; None: unpriced."""
    if decision.cost_micros is None or decision.price_sha256 is None:
        return None
    return {
        "micros": decision.cost_micros,
        "saved_micros": decision.saved_micros,
        "currency": decision.currency,
        "price": f"sha256:{bytes(decision.price_sha256).hex()}",
    }


def detail(decision: Decision, content: Content | None) -> dict[str, Any]:
    """The whole record; `erased` when its content is gone."""
    shown = summary(decision)
    if content is None:
        reason = erased_reasons([decision.pk]).get(decision.pk)
        return shown | {"erased": True} | ({"erased_reason": reason} if reason else {})
    return shown | {"record": members_of(content), "policy": policy_document(content)}
